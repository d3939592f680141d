#include "common.h"

static long body(__u32 round, void *ctx)
{
    return 0;
}

HOOK bad(struct uring_completion *ctx)
{
    bpf_loop(4, (void *)ctx->user_data, NULL, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    bpf_loop(4, body, NULL, 0);
    return 0;
}
