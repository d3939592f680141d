/*
 * A TCP proxy's data path: what comes from one side is sent to the other, both ways at once. File 0 is the client, file 1
 * the server behind; buffer 0 holds what comes from the client, buffer 1 what comes from the server. When one side has no
 * more to say, the other is told so, and the chain ends when both are through.
 */
#include "uring_bpf.h"

const volatile __u32 buffer_bytes = 16384;

struct proxy {
    __u64 bytes[2]; /* from each side */
    __u32 sent[2];  /* of what each side's buffer holds */
    __u32 open;     /* directions */
};

enum { START, RECEIVED, SENT, SHUT }; /* low byte of user_data; then the side bytes come from; the upper half is the length */

static __always_inline int submit(struct uring_completion *ctx, struct uring_op *op, __u32 what, __u32 side)
{
    op->user_data = what | side << 8 | (__u64)op->len << 32;
    int err = uring_submit(ctx, op, sizeof(*op));
    return err ? err : URING_CONTINUE;
}

static __always_inline int receive(struct uring_completion *ctx, __u32 side)
{
    struct uring_op op;

    uring_prep_recv(&op, side, side, buffer_bytes, 0);
    return submit(ctx, &op, RECEIVED, side);
}

SEC("uring/complete")
int proxy(struct uring_completion *ctx)
{
    struct proxy *proxy = (struct proxy *)ctx->scratch;
    __u32 side = ctx->user_data >> 8 & 1, asked = ctx->user_data >> 32;
    struct uring_op op;

    switch ((__u8)ctx->user_data) {
    case START: {
        proxy->open = 2;
        int err = receive(ctx, 0);
        return err < 0 ? err : receive(ctx, 1);
    }

    case RECEIVED:
        if (ctx->res < 0)
            return uring_err(ctx->res);
        if (ctx->res == 0) {
            uring_prep_shutdown(&op, 1 - side, 1 /* SHUT_WR */);
            return submit(ctx, &op, SHUT, side);
        }
        proxy->bytes[side] += ctx->res;
        uring_prep_send(&op, 1 - side, side, ctx->res, 0);
        return submit(ctx, &op, SENT, side);

    case SENT:
        if (ctx->res < 0)
            return uring_err(ctx->res);
        if (ctx->res < asked) {
            proxy->sent[side] += ctx->res;
            uring_prep_send(&op, 1 - side, side, asked - ctx->res, 0);
            op.buf_offset = proxy->sent[side];
            return submit(ctx, &op, SENT, side);
        }
        proxy->sent[side] = 0;
        return receive(ctx, side);

    case SHUT:
        /* -ENOTCONN: the other side has gone already. */
        if (--proxy->open)
            return URING_CONTINUE;
        uring_emit(ctx, proxy->bytes[0], proxy->bytes[1]);
        return URING_PASS;
    }
    return -EINVAL;
}

char _license[] SEC("license") = "MIT";
