#include "common.h"

static __noinline int leave(struct uring_completion *ctx)
{
    bpf_tail_call(ctx, &programs, 0);
    return 0;
}

HOOK bad(struct uring_completion *ctx)
{
    return leave(ctx) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    bpf_tail_call(ctx, &programs, 0);
    return 0;
}
