#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u8 *p = ctx->data, *end = ctx->data_end;
    if (p + 3 > end)
        return 0;
    return *(volatile __u32 *)p & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u8 *p = ctx->data, *end = ctx->data_end;
    if (p + 4 > end)
        return 0;
    return *(volatile __u32 *)p & 1;
}
