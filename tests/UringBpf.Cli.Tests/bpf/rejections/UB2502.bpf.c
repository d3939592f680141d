#include "common.h"

RAW bad(__u64 *ctx, __u64 length)
{
    return (long)ctx;
}

RAW mended(__u64 *ctx, __u64 length)
{
    return length;
}
