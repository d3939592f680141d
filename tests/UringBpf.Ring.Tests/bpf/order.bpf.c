/* Hooks about the order of operations, and programs as operations. Each emits user_data and result of what completes. */
#include "uring_bpf.h"

static __always_inline int say(struct uring_completion *ctx)
{
    return uring_emit(ctx, ctx->user_data, (__s64)ctx->res);
}

static __always_inline int nop(struct uring_completion *ctx, __u64 user_data, __s32 result, __u8 flags)
{
    struct uring_op op;

    uring_prep_nop(&op);
    op.user_data = user_data;
    op.flags = flags;
    if (result) {
        op.op_flags = 1; /* IORING_NOP_INJECT_RESULT */
        op.len = result;
    }
    return uring_submit(ctx, &op, sizeof(op));
}

/* Four linked nops, of which the one that scratch[0] names gives scratch[1]; the flags of each link are scratch[2]. */
SEC("uring/complete")
int links(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        for (__u32 i = 1; i <= 4; i++) {
            __s32 result = i == ctx->scratch[0] ? (__s32)ctx->scratch[1] : 0;
            int err = nop(ctx, i, result, i < 4 ? (__u8)ctx->scratch[2] : 0);
            if (err)
                return err;
        }
        /* Not linked to anything: it may come at any time. */
        int err = nop(ctx, 100, 0, 0);
        return err ? err : URING_CONTINUE;
    }
    if (ctx->user_data != 100)
        say(ctx);
    return ctx->step < 5 ? URING_CONTINUE : URING_PASS;
}

/* A link that nothing follows, then, in the next run, a submission: that is not linked to it. */
SEC("uring/complete")
int loose_end(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = nop(ctx, 1, -EIO, URING_OP_LINK);
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    if (ctx->step == 1) {
        int err = nop(ctx, 2, 0, 0);
        return err ? err : URING_CONTINUE;
    }
    return URING_PASS;
}

/* Reads the length in scratch[0] and, linked to it, a nop: a short read breaks the link. */
SEC("uring/complete")
int short_link(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_read(&op, 0, 0, (__u32)ctx->scratch[0], 0);
        op.user_data = 1;
        op.flags = URING_OP_LINK;
        int err = uring_submit(ctx, &op, sizeof(op));
        if (!err)
            err = nop(ctx, 2, 0, 0);
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    return ctx->step < 2 ? URING_CONTINUE : URING_PASS;
}

/* A timer of scratch[0] ns, a drained nop, a nop after it, a second drained nop, another nop. */
SEC("uring/complete")
int drain(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_timeout(ctx, ctx->scratch[0], 1);
        if (!err)
            err = nop(ctx, 2, 0, URING_OP_DRAIN);
        if (!err)
            err = nop(ctx, 3, 0, 0);
        if (!err)
            err = nop(ctx, 4, 0, URING_OP_DRAIN);
        if (!err)
            err = nop(ctx, 5, 0, 0);
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    return ctx->step < 5 ? URING_CONTINUE : URING_PASS;
}

/* A timer of an hour, behind it a drained pair that is linked, and one more; cancels what scratch[0] names, then the timer. */
SEC("uring/complete")
int cancel_held(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 1);
        if (!err)
            err = nop(ctx, 2, 0, URING_OP_DRAIN | URING_OP_LINK);
        if (!err)
            err = nop(ctx, 3, 0, 0);
        if (!err)
            err = nop(ctx, 4, 0, 0);
        if (!err && ctx->scratch[0])
            err = uring_cancel(ctx, ctx->scratch[0]);
        if (!err && ctx->scratch[0] == 0)
            err = uring_cancel(ctx, 1);
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    if (ctx->step == 1 && ctx->scratch[0] > 1)
        uring_cancel(ctx, 1);
    return ctx->step < 4 ? URING_CONTINUE : URING_PASS;
}

/* Holds scratch[0] operations behind an hour's timer, drained and linked, and goes on. */
SEC("uring/complete")
int hold(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 1);
        for (__u32 i = 0; i < 40 && !err; i++) {
            if (i >= ctx->scratch[0])
                break;
            err = nop(ctx, 2 + i, 0, i % 3 == 0 ? URING_OP_DRAIN : i % 3 == 1 ? URING_OP_LINK : 0);
        }
        uring_emit(ctx, 0, (__s64)err);
        return err ? err : URING_CONTINUE;
    }
    return URING_CONTINUE;
}

/* ---- Programs ---- */

/* Sums the bytes it is shown into scratch[1], and says so; fails where there are none. */
SEC("uring/complete")
int sum(struct uring_completion *ctx)
{
    __u8 *p = ctx->data;
    __u64 total = 0;

    for (__u32 i = 0; i < 64; i++) {
        if ((void *)(p + i + 1) > ctx->data_end)
            break;
        total += p[i];
    }
    ctx->scratch[1] += total;
    uring_emit(ctx, 1000 + ctx->opcode, total);
    return total ? 1 : -EIO;
}

/* Submits a nop from within an operation: its completion runs this program, not the attachment's. */
SEC("uring/complete")
int other(struct uring_completion *ctx)
{
    uring_emit(ctx, 2000 + ctx->user_data, (__s64)ctx->res);
    if (ctx->opcode != URING_OP_PROGRAM)
        return ctx->user_data == 9 ? URING_PASS : URING_CONTINUE;
    int err = nop(ctx, 9, 0, 0);
    return err ? err : 0;
}

/* Reads 64 bytes, then runs program 1 on them, then, if it is content, a nop: three links. */
SEC("uring/complete")
int read_then_run(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_read(&op, 0, 0, 64, 0);
        op.user_data = 1;
        op.flags = URING_OP_LINK;
        int err = uring_submit(ctx, &op, sizeof(op));
        if (err)
            return err;
        uring_prep_program(&op, 1, 0, 0, 64);
        op.user_data = 2;
        op.flags |= URING_OP_LINK;
        err = uring_submit(ctx, &op, sizeof(op));
        if (!err)
            err = nop(ctx, 3, 0, 0);
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    return ctx->step < 3 ? URING_CONTINUE : URING_PASS;
}

/* Runs program scratch[0] as an operation behind a timer, drained; or names it for a nop's completion, where scratch[1] is not 0. */
SEC("uring/complete")
int run_named(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        int err = 0;
        if (ctx->scratch[1]) {
            uring_prep_nop(&op);
            uring_set_program(&op, (__u32)ctx->scratch[0]);
        } else {
            err = uring_timeout(ctx, 1000, 7);
            uring_prep_program(&op, (__u32)ctx->scratch[0], 0, 0, 0);
            op.flags |= URING_OP_DRAIN;
        }
        op.user_data = 5;
        if (!err)
            err = uring_submit(ctx, &op, sizeof(op));
        return err ? err : URING_CONTINUE;
    }
    say(ctx);
    return URING_CONTINUE;
}

/* Writes into what it is shown. */
SEC("uring/complete")
int scribble(struct uring_completion *ctx)
{
    __u8 *p = ctx->data;

    if ((void *)(p + 1) <= ctx->data_end)
        p[0] = 1;
    return 0;
}

char _license[] SEC("license") = "MIT";
