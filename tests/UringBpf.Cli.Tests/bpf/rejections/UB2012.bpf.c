#include "common.h"

static __noinline int f8(volatile __u32 *x)
{
    return *x & 1;
}

#define CALL(a, b)                             \
    static __noinline int a(__u32 x)           \
    {                                          \
        volatile __u32 y = x + 1;              \
        return b(y) + y;                       \
    }

static __noinline int f8_(__u32 x)
{
    return f8(&x);
}
CALL(f7, f8_) CALL(f6, f7) CALL(f5, f6) CALL(f4, f5) CALL(f3, f4) CALL(f2, f3)

HOOK bad(struct uring_completion *ctx)
{
    return f2(ctx->step) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return f3(ctx->step) & 1;
}
