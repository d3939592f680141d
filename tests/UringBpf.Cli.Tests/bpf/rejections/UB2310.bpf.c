#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    long (*function)(void) = (void *)ctx->user_data;
    return function() & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return bpf_get_prandom_u32() & 1;
}
