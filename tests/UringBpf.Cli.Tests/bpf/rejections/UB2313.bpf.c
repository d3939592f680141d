#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    uring_emit(ctx, (__u64)ctx->data, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    uring_emit(ctx, ctx->user_data, 0);
    return 0;
}
