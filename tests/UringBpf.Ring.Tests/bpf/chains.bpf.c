/* Hooks that show one thing each to the ring's tests. */
#include "uring_bpf.h"

/* Submits the operation that the host put into scratch; emits what submit said, then the result. */
SEC("uring/complete")
int probe(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_submit(ctx, (struct uring_op *)ctx->scratch, sizeof(struct uring_op));
        uring_emit(ctx, 0, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    uring_emit(ctx, 1, (__s64)ctx->res);
    return URING_PASS;
}

/* Submits a nop with a size that is no version of the struct. */
SEC("uring/complete")
int wrong_size(struct uring_completion *ctx)
{
    struct uring_op op;

    uring_prep_nop(&op);
    return uring_submit(ctx, &op, 32);
}

/* Rearms itself scratch[0] times. */
SEC("uring/complete")
int rearm(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->scratch[0] == 0)
        return URING_PASS;
    ctx->scratch[0]--;
    uring_prep_nop(&op);
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

/* Puts scratch[0] timers of an hour in flight and goes on; emits how many were taken and the first refusal. */
SEC("uring/complete")
int hang(struct uring_completion *ctx)
{
    int err = 0;
    __u32 i;

    for (i = 0; i < 256; i++) {
        if (i >= ctx->scratch[0])
            break;
        err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 7);
        if (err)
            break;
    }
    uring_emit(ctx, i, (__s64)err);
    return URING_CONTINUE;
}

/* Puts 128 nops in flight at once and counts them back; emits the sum of their user_data. */
SEC("uring/complete")
int burst(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_nop(&op);
        for (__u32 i = 0; i < 128; i++) {
            op.user_data = i;
            int err = uring_submit(ctx, &op, sizeof(op));
            if (err)
                return err;
        }
        return URING_CONTINUE;
    }
    ctx->scratch[0] += ctx->user_data;
    if (ctx->step < 128)
        return URING_CONTINUE;
    uring_emit(ctx, ctx->step, ctx->scratch[0]);
    return URING_PASS;
}

/* Says the result, then returns it as the verdict. */
SEC("uring/complete")
int result(struct uring_completion *ctx)
{
    uring_emit(ctx, ctx->opcode, (__s64)ctx->res);
    return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS;
}

/* Goes on with nothing in flight: the same as passing. */
SEC("uring/complete")
int stop(struct uring_completion *ctx)
{
    return URING_CONTINUE;
}

/* Cancels its own timer and waits for it. */
SEC("uring/complete")
int cancel(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 7);
        if (err)
            return err;
        uring_emit(ctx, 0, (__s64)uring_cancel(ctx, 8));
        err = uring_cancel(ctx, 7);
        return err ? err : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->user_data, (__s64)ctx->res);
    return URING_PASS;
}

/* Ends only when its numbers happen to meet: metered, and never in practice. */
SEC("uring/complete")
int spin(struct uring_completion *ctx)
{
    volatile __u64 *x = &ctx->scratch[0];

    while (*x != 12346)
        *x = *x * 2 + 1;
    return URING_PASS;
}

/* Forks three timers and joins them; passes at the last. */
SEC("uring/complete")
int join(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_fork(ctx, 0, 3);
        if (!err)
            err = uring_timeout(ctx, 1000, 1);
        if (!err)
            err = uring_timeout(ctx, 2000, 2);
        if (!err)
            err = uring_timeout(ctx, 3000, 3);
        return err ? err : URING_CONTINUE;
    }
    int left = uring_join(ctx, 0);
    if (left < 0)
        return left;
    return left ? URING_CONTINUE : URING_PASS;
}

/* Reads into a buffer and sums the bytes through uring_buffer. */
SEC("uring/complete")
int buffers(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        if (uring_buffer(ctx, 0, 4096, 8) || uring_buffer(ctx, 9, 0, 8))
            return -EFAULT;
        uring_prep_read(&op, 0, 0, 64, 0);
        op.buf_offset = 128;
        int err = uring_submit(ctx, &op, sizeof(op));
        return err ? err : URING_CONTINUE;
    }
    __u8 *bytes = uring_buffer(ctx, 0, 128, 64);
    if (!bytes)
        return -EFAULT;
    __u64 sum = 0;
    for (__u32 i = 0; i < 64; i++)
        sum += bytes[i];
    uring_emit(ctx, ctx->data_end - ctx->data, sum);
    return URING_PASS;
}

/* Says how many bytes it is shown. */
SEC("uring/complete")
int extent(struct uring_completion *ctx)
{
    uring_emit(ctx, 0, ctx->data_end - ctx->data);
    return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS;
}

/* Asks for ten reads of 64 bytes at once; says how many were taken and the first refusal. */
SEC("uring/complete")
int ten_reads(struct uring_completion *ctx)
{
    struct uring_op op;
    int err = 0;
    __u32 i;

    if (ctx->step > 0)
        return URING_CONTINUE;
    uring_prep_read(&op, 0, 0, 64, 0);
    for (i = 0; i < 10; i++) {
        err = uring_submit(ctx, &op, sizeof(op));
        if (err)
            break;
    }
    uring_emit(ctx, i, (__s64)err);
    return URING_CONTINUE;
}

/* Reads the same 64 bytes until it is refused. */
SEC("uring/complete")
int read_again(struct uring_completion *ctx)
{
    struct uring_op op;

    uring_prep_read(&op, 0, 0, 64, 0);
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

/* Opens into a slot twice at once, then closes it twice at once; reads it while it is being closed. */
SEC("uring/complete")
int open_twice(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->step == 0) {
        uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 0);
        err = uring_submit(ctx, &op, sizeof(op));
        if (err)
            return err;
        uring_emit(ctx, 0, (__s64)uring_submit(ctx, &op, sizeof(op)));
        return URING_CONTINUE;
    }
    if (ctx->step == 1) {
        if (ctx->res < 0)
            return uring_err(ctx->res);
        uring_prep_close(&op, 0);
        err = uring_submit(ctx, &op, sizeof(op));
        if (err)
            return err;
        uring_emit(ctx, 1, (__s64)uring_submit(ctx, &op, sizeof(op)));
        uring_prep_fsync(&op, 0, 0);
        uring_emit(ctx, 2, (__s64)uring_submit(ctx, &op, sizeof(op)));
        return URING_CONTINUE;
    }
    return URING_PASS;
}

/* Says the time and a random number, and again a minute later. */
SEC("uring/complete")
int senses(struct uring_completion *ctx)
{
    uring_emit(ctx, bpf_ktime_get_ns(), bpf_get_prandom_u32());
    if (ctx->step > 0)
        return URING_PASS;
    int err = uring_timeout(ctx, 60ULL * 1000000000ULL, 1);
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
