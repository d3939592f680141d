#include "common.h"

static __noinline int fibonacci(__u32 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

HOOK bad(struct uring_completion *ctx)
{
    return fibonacci(ctx->step) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 a = 0, b = 1;
    for (__u32 i = 0; i < 32 && i < ctx->step; i++) {
        __u32 c = a + b;
        a = b;
        b = c;
    }
    return a & 1;
}
