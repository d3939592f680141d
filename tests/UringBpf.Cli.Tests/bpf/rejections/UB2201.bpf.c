#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 aligned = (__u64)ctx->scratch;
    asm volatile("" : "+r"(aligned));
    aligned &= ~63ULL;
    return *(volatile __u8 *)aligned & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 index = ctx->step & 7;
    return ctx->scratch[index] & 1;
}
