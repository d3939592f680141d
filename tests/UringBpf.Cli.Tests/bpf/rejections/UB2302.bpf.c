#include "common.h"

static long (*const buff_len)(void *) = (void *)188; /* bpf_xdp_get_buff_len */

HOOK bad(struct uring_completion *ctx)
{
    return buff_len(ctx) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return ctx->data_end != ctx->data;
}
