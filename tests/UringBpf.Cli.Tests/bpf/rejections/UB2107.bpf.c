#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    ctx->res = 0;
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    ctx->scratch[0] = 0;
    return 0;
}
