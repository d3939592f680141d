/* What comes on a connection goes back; and the same for whole messages: four bytes of length, then so many bytes, answered
 * by the length. */
#include "uring_bpf.h"

#define BUFFER_BYTES 4096

SEC("uring/complete")
int echo(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    if (ctx->opcode == IORING_OP_RECV) {
        if (ctx->res == 0)
            return URING_PASS;
        uring_prep_send(&op, 0, 0, ctx->res, 0x100 /* MSG_WAITALL */);
    } else {
        uring_prep_recv(&op, 0, 0, BUFFER_BYTES, 0);
    }
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

struct frame {
    __u32 have; /* bytes that lie at the front of the buffer */
    __u32 pad;
};

/* Takes what has come, answers the messages that are whole one by one, and keeps the rest. */
SEC("uring/complete")
int framing(struct uring_completion *ctx)
{
    struct frame *frame = (struct frame *)ctx->scratch;
    struct uring_op op;
    __u32 need = 4;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    if (ctx->opcode == IORING_OP_RECV) {
        if (ctx->res == 0)
            return URING_PASS;
        frame->have += ctx->res;
    }
    if (frame->have >= 4) {
        __u8 *bytes = uring_buffer(ctx, 0, 0, BUFFER_BYTES);
        if (!bytes)
            return -EFAULT;
        __u32 length = *(__u32 *)bytes;
        if (length > BUFFER_BYTES - 4)
            return -EBADMSG;
        need = 4 + length;
        if (frame->have == need) {
            /* The client waits for the answer before it says more: nothing follows the message. */
            frame->have = 0;
            uring_prep_send(&op, 0, 0, 4, 0x100);
            int err = uring_submit(ctx, &op, sizeof(op));
            return err ? err : URING_CONTINUE;
        }
    }
    if (frame->have >= BUFFER_BYTES)
        return -EBADMSG;
    uring_prep_recv(&op, 0, 0, BUFFER_BYTES - frame->have, 0);
    op.buf_offset = frame->have;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
