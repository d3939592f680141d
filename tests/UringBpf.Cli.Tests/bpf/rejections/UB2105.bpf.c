#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    volatile __u8 seen[64] = {};
    seen[ctx->step & 127] = 1;
    return seen[0] & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    volatile __u8 seen[64] = {};
    seen[ctx->step & 63] = 1;
    return seen[0] & 1;
}
