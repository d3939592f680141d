#include "common.h"

RAW bad(__u64 *ctx, __u64 length)
{
    __u64 x = 1;
    asm volatile("%0 <<= 64" : "+r"(x));
    return x;
}

RAW mended(__u64 *ctx, __u64 length)
{
    __u64 x = 1;
    asm volatile("%0 <<= 63" : "+r"(x));
    return x;
}
