#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    void *volatile kept = ctx;
    return *(volatile __u32 *)&kept & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    void *volatile kept = ctx;
    return ((struct uring_completion *)kept)->step & 1;
}
