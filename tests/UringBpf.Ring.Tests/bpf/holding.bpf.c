/* What operations in flight, and those that wait for their turn, work on: it must stay theirs. */
#include "uring_bpf.h"

#define POLLIN 1

static __always_inline int submit(struct uring_completion *ctx, struct uring_op *op, __u64 user_data)
{
    op->user_data = user_data;
    return uring_submit(ctx, op, sizeof(*op));
}

/* Opens path 0 into slot 1. A read of it waits, linked, for something to read from file 0; gives the slot away meanwhile, and again after it. */
SEC("uring/complete")
int give_awaited(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_NOP:
        uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 1);
        err = submit(ctx, &op, 0);
        return err ? err : URING_CONTINUE;
    case IORING_OP_OPENAT:
        uring_prep_poll(&op, 0, POLLIN);
        op.flags = URING_OP_LINK;
        err = submit(ctx, &op, 0);
        if (err)
            return err;
        uring_prep_read(&op, 1, 0, 1, 0);
        err = submit(ctx, &op, 0);
        uring_emit(ctx, 8, (__s64)uring_handover(ctx, 1));
        return err ? err : URING_CONTINUE;
    case IORING_OP_READ: {
        __u8 *data = ctx->data;
        if ((void *)(data + 1) > ctx->data_end)
            return -EPROTO;
        uring_emit(ctx, 2, data[0]);
        uring_emit(ctx, 8, (__s64)uring_handover(ctx, 1));
        return URING_PASS;
    }
    default:
        return URING_CONTINUE;
    }
}

/*
 * Receives from file 0 into a provided buffer, and sends that back when there is something to read from file 1: as a message of pieces
 * where scratch[1] is set. Neither holds nor awaits it: it receives again at once, and once more when it was sent.
 */
SEC("uring/complete")
int lend(struct uring_completion *ctx)
{
    URING_OP_WITH_VECTORS(2) v;
    struct uring_op op;
    int err;

    switch (ctx->opcode) {
    case IORING_OP_RECV: {
        __u8 *data = ctx->data;
        if (ctx->res <= 0 || (void *)(data + 1) > ctx->data_end) {
            uring_emit(ctx, 1, (__s64)ctx->res);
            return URING_CONTINUE;
        }
        uring_emit(ctx, 1, data[0]);
        if (ctx->scratch[0]++)
            return URING_PASS;
        uring_prep_poll(&op, 1, POLLIN);
        op.flags = URING_OP_LINK;
        err = submit(ctx, &op, 0);
        if (err)
            return err;
        if (ctx->scratch[1]) {
            uring_prep_vec(&v.vec[0], (__u16)ctx->buffer, 0, 1);
            uring_prep_vec(&v.vec[1], (__u16)ctx->buffer, 1, 0);
            uring_prep_sendmsg(&v.op, 0, 2, URING_NO_ADDRESS, 0);
            err = uring_submit(ctx, &v.op, sizeof(v));
        } else {
            uring_prep_send(&op, 0, (__u16)ctx->buffer, 1, 0);
            err = submit(ctx, &op, 0);
        }
        if (err)
            return err;
        break;
    }
    case IORING_OP_POLL_ADD:
        return URING_CONTINUE;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        uring_emit(ctx, 3, (__s64)ctx->res);
        break;
    default:
        break;
    }
    uring_prep_recv_provided(&op, 0, 0);
    err = submit(ctx, &op, 0);
    return err ? err : URING_CONTINUE;
}

/* A zero-copy send to file 0 with a NOP linked to it; emits the last result of each. */
SEC("uring/complete")
int linked_zero_copy(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->step == 0) {
        uring_prep_send_zc(&op, 0, 0, 4, 0);
        op.flags = URING_OP_LINK;
        err = submit(ctx, &op, 1);
        if (err)
            return err;
        uring_prep_nop(&op);
        err = submit(ctx, &op, 2);
        return err ? err : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->user_data | (ctx->cqe_flags & 0xe) << 4, (__s64)ctx->res);
    if (ctx->cqe_flags & IORING_CQE_F_MORE)
        return URING_CONTINUE;
    return ++ctx->scratch[0] < 2 ? URING_CONTINUE : URING_PASS;
}

/* Receives a message from file 0 into buffer 0, its sender's address into buffer 1; emits what the submission gave. */
SEC("uring/complete")
int hear_into(struct uring_completion *ctx)
{
    URING_OP_WITH_VECTORS(1) v;

    if (ctx->step > 0)
        return URING_PASS;
    uring_prep_vec(&v.vec[0], 0, 0, 16);
    uring_prep_recvmsg_from(&v.op, 0, 1, 0x40 /* MSG_DONTWAIT */, 1, 0, 16);
    int err = uring_submit(ctx, &v.op, sizeof(v));
    uring_emit(ctx, 0, (__s64)err);
    return err ? URING_PASS : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
