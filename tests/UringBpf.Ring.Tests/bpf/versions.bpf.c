/* A hook that knows which version of itself it is, and whether its chain was started by another. */
#include "uring_bpf.h"

const volatile __u32 version = 1;

/* Four runs. Ends with -version, which each of them must have seen; with 0 when one of another version ran. */
SEC("uring/complete")
int versioned(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step != 0 && ctx->scratch[0] != version)
        return URING_PASS;
    ctx->scratch[0] = version;
    if (ctx->step == 3)
        return -(int)(version & 0xfff);
    uring_prep_nop(&op);
    return uring_submit(ctx, &op, sizeof(op)) ? URING_PASS : URING_CONTINUE;
}
