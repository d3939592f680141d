#include "common.h"

static __noinline void give(__u64 **out)
{
    volatile __u64 mine = 1;
    *out = (__u64 *)&mine;
}

static __noinline void fill(__u64 *out)
{
    *out = 1;
}

HOOK bad(struct uring_completion *ctx)
{
    __u64 *volatile kept = NULL;
    give((__u64 **)&kept);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 kept = 0;
    fill(&kept);
    return kept & 1;
}
