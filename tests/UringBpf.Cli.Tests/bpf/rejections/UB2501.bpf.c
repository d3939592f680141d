#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    return ctx->res;
}

HOOK mended(struct uring_completion *ctx)
{
    return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS;
}
