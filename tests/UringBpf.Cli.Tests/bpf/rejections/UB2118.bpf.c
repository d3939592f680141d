#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    ctx->scratch[0] = (__u64)ctx->data;
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    ctx->scratch[0] = (char *)ctx->data_end - (char *)ctx->data;
    return 0;
}
