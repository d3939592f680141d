#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    volatile __u32 *fields = (void *)ctx;
    return fields[ctx->step & 3] & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return ctx->opcode & 1;
}
