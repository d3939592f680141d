#include "common.h"

static const volatile __u32 limit = 5;
static volatile __u32 variable;

HOOK bad(struct uring_completion *ctx)
{
    *(volatile __u32 *)&limit = ctx->step;
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    variable = ctx->step;
    return 0;
}
