#include "common.h"

static long wrong(__u32 round, void *ctx)
{
    return 2;
}

static long right(__u32 round, void *ctx)
{
    return round == 2;
}

HOOK bad(struct uring_completion *ctx)
{
    bpf_loop(4, wrong, NULL, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    bpf_loop(4, right, NULL, 0);
    return 0;
}
