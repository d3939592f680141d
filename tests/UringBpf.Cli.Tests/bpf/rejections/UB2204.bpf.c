#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    return (__u64)ctx > 4096;
}

HOOK mended(struct uring_completion *ctx)
{
    return ctx->user_data > 4096;
}
