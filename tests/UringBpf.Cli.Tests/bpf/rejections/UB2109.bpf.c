#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    return *(volatile int *)ctx->user_data & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return ctx->user_data & 1;
}
