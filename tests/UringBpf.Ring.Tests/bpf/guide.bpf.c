/* The examples of docs/hooks.md, word for word. */
#include "uring_bpf.h"

/* Reads the file to its end; the host wakes once. */
SEC("uring/complete")
int to_the_end(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->res <= 0)
        return URING_PASS;
    ctx->scratch[0] += ctx->res;
    uring_prep_read(&op, ctx->file, 0, 4096, ctx->offset + ctx->res);
    int err = uring_submit_op(ctx, &op);
    return err ? err : URING_CONTINUE;
}

/* Reads four blocks at once, adds up their first bytes, passes at the last. */
SEC("uring/complete")
int four_at_once(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->step == 0) {
        err = uring_fork(ctx, 0, 4);
        for (__u32 i = 0; i < 4 && !err; i++) {
            uring_prep_read(&op, 0, i, 512, i * 512);
            err = uring_submit_op(ctx, &op);
        }
        return err ? err : URING_CONTINUE;
    }
    __u8 *data = ctx->data;
    if ((void *)(data + 1) <= ctx->data_end)
        ctx->scratch[0] += data[0];
    int left = uring_join(ctx, 0);
    if (left < 0)
        return uring_err(left);
    if (left)
        return URING_CONTINUE;
    uring_emit(ctx, 0, ctx->scratch[0]);
    return URING_PASS;
}

/* Reads, has program 1 check what was read, and only if that is content writes it to file 1. */
SEC("uring/complete")
int checked_copy(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->step > 0) {
        if (ctx->res < 0)
            return uring_err(ctx->res);
        return ctx->opcode == IORING_OP_WRITE ? URING_PASS : URING_CONTINUE;
    }
    uring_prep_read(&op, 0, 0, 64, 0);
    op.flags = URING_OP_LINK;
    err = uring_submit_op(ctx, &op);
    if (err)
        return err;
    uring_prep_program(&op, 1, 0, 0, 64);
    op.flags |= URING_OP_LINK;
    err = uring_submit_op(ctx, &op);
    if (err)
        return err;
    uring_prep_write(&op, 1, 0, 64, 0);
    err = uring_submit_op(ctx, &op);
    return err ? err : URING_CONTINUE;
}

/* Program 1: refuses what begins with a zero byte. */
SEC("uring/complete")
int check(struct uring_completion *ctx)
{
    __u8 *data = ctx->data;

    if ((void *)(data + 1) > ctx->data_end)
        return -EPROTO;
    return data[0] ? 0 : -EBADMSG;
}

/* Reads of at most a page; opening names without a slash, to read. */
SEC("uring/submit")
int modest(struct uring_submission *ctx)
{
    switch (ctx->opcode) {
    case IORING_OP_NOP:
    case IORING_OP_CLOSE:
        return 0;
    case IORING_OP_READ:
        return ctx->length <= 4096 ? 0 : -EACCES;
    case IORING_OP_OPENAT:
        if (ctx->flags != O_RDONLY)
            return -EACCES;
        for (__u32 i = 0; i < URING_PATH_BYTES; i++) {
            if (ctx->path[i] == 0)
                return 0;
            if (ctx->path[i] == '/')
                return -EACCES;
        }
        return -EACCES;
    default:
        return -EACCES;
    }
}

char _license[] SEC("license") = "MIT";
