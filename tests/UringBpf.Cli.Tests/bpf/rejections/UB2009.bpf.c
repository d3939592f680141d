#include "common.h"

extern int missing(struct uring_completion *ctx) __ksym __weak;

HOOK bad(struct uring_completion *ctx)
{
    return missing(ctx) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    if (!missing)
        return 0;
    return missing(ctx) & 1;
}
