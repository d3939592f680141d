/*
 * Messages on a stream: four bytes of length, little-endian, then so many bytes. The hook puts them together, however the
 * network cuts them, and hands each full message to the host through a ring buffer: the host wakes once for each.
 */
#include "uring_bpf.h"

#define HEADER_BYTES 4
#define MAX_MESSAGE 4092
#define BUFFER_BYTES 4096

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} messages SEC(".maps");

struct frame {
    __u32 have; /* bytes of this frame so far, header included */
    __u32 need; /* bytes it takes, 4 until the header is there */
};

SEC("uring/complete")
int framing(struct uring_completion *ctx)
{
    struct frame *frame = (struct frame *)ctx->scratch;
    struct uring_op op;

    if (ctx->opcode == IORING_OP_RECV) {
        if (ctx->res < 0)
            return uring_err(ctx->res);
        if (ctx->res == 0) /* the peer has closed: fine between two messages only */
            return frame->have ? -EPROTO : URING_PASS;
        frame->have += ctx->res;
    } else {
        frame->need = HEADER_BYTES;
    }
    if (frame->have >= HEADER_BYTES) {
        __u8 *bytes = uring_buffer(ctx, 0, 0, BUFFER_BYTES);
        if (!bytes)
            return -EFAULT;
        __u32 length = *(__u32 *)bytes;
        if (length > MAX_MESSAGE)
            return -EBADMSG;
        frame->need = HEADER_BYTES + length;
        if (frame->have >= frame->need) {
            long err = bpf_ringbuf_output(&messages, bytes + HEADER_BYTES, length, 0);
            if (err) /* the host does not keep up */
                return -ENOSPC;
            frame->have = 0;
            frame->need = HEADER_BYTES;
        }
    }
    /* Never more than this frame takes: the next one starts at the front of the buffer. */
    uring_prep_recv(&op, 0, 0, frame->need - frame->have, 0);
    op.buf_offset = frame->have;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
