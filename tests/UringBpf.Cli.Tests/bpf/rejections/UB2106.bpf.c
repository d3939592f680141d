#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    return *(volatile __u32 *)(ctx + 1) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return *(volatile __u32 *)&ctx->step & 1;
}
