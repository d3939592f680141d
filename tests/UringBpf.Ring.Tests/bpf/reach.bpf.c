/* What hooks reach beyond files: sockets, timers that repeat, provided buffers, other hooks, the host. */
#include "uring_bpf.h"

static __always_inline int submit(struct uring_completion *ctx, struct uring_op *op, __u64 user_data)
{
    op->user_data = user_data;
    return uring_submit(ctx, op, sizeof(*op));
}

/* A timer that repeats scratch[0] times (0: for ever), every scratch[1] ns; emits the flags of each completion. Cancels it
 * after scratch[2] of them, or passes at that one where scratch[3] is set. */
SEC("uring/complete")
int repeat(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_timeout_multishot(&op, ctx->scratch[1], (__u32)ctx->scratch[0]);
        int err = submit(ctx, &op, 1);
        return err ? err : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->cqe_flags & IORING_CQE_F_MORE, (__s64)ctx->res);
    if (ctx->step == ctx->scratch[2]) {
        if (ctx->scratch[3])
            return URING_PASS;
        uring_cancel(ctx, 1);
    }
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* Three timers and two receives on file 0; cancels by file, then all; emits what each gave. */
SEC("uring/complete")
int cancels(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        int err = 0;
        uring_emit(ctx, 0, (__s64)uring_cancel_all(ctx));
        for (int i = 0; i < 3 && !err; i++)
            err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 1);
        for (int i = 0; i < 2 && !err; i++) {
            uring_prep_recv(&op, 0, 0, 16, 0);
            err = submit(ctx, &op, 2);
        }
        uring_emit(ctx, 0, (__s64)uring_cancel_file(ctx, 5));
        uring_emit(ctx, 0, (__s64)uring_cancel_file(ctx, 0xffffffff));
        uring_emit(ctx, 0, (__s64)uring_cancel_file(ctx, 0));
        return err ? err : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->user_data, (__s64)ctx->res);
    if (ctx->step == 2)
        uring_emit(ctx, 0, (__s64)uring_cancel_all(ctx));
    return ctx->step < 5 ? URING_CONTINUE : URING_PASS;
}

/* Accepts on file 0 into slot 1, sends back what it receives until the other side has nothing more to say. */
SEC("uring/complete")
int serve(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_NOP:
        uring_prep_accept(&op, 0, 1);
        break;
    case IORING_OP_ACCEPT:
        if (ctx->res != 1)
            return -EPROTO;
        uring_prep_recv(&op, 1, 0, 64, 0);
        break;
    case IORING_OP_RECV:
        if (ctx->res == 0)
            return URING_PASS;
        uring_prep_send(&op, 1, 0, (__u32)ctx->res, 0);
        break;
    default:
        uring_prep_recv(&op, 1, 0, 64, 0);
        break;
    }
    err = submit(ctx, &op, 0);
    return err ? err : URING_CONTINUE;
}

/* Connects to address 0 in slot 0, sends scratch[0] and waits for it to come back. */
SEC("uring/complete")
int ask(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_NOP:
        uring_prep_socket(&op, 0, 0);
        break;
    case IORING_OP_SOCKET:
        uring_prep_connect(&op, ctx->res, 0);
        break;
    case IORING_OP_CONNECT: {
        __u64 *out = uring_buffer(ctx, 0, 0, 8);
        if (!out)
            return -EFAULT;
        *out = ctx->scratch[0];
        uring_prep_send(&op, 0, 0, 8, 0);
        break;
    }
    case IORING_OP_SEND:
        uring_prep_recv(&op, 0, 0, 8, 0x100 /* MSG_WAITALL */);
        op.buf_offset = 8;
        break;
    default: {
        __u64 *in = ctx->data;
        if ((void *)(in + 1) > ctx->data_end)
            return -EPROTO;
        uring_emit(ctx, 0, *in);
        return URING_PASS;
    }
    }
    err = submit(ctx, &op, 0);
    return err ? err : URING_CONTINUE;
}

/* Opens path 0 into slot 0 and gives it to the host; then the slot can be opened again. */
SEC("uring/complete")
int give(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0)
        uring_emit(ctx, 9, (__s64)uring_handover(ctx, 0));
    if (ctx->step < 2) {
        if (ctx->step == 1)
            uring_emit(ctx, 8, (__s64)uring_handover(ctx, 0));
        uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 0);
        int err = submit(ctx, &op, 0);
        return err ? err : URING_CONTINUE;
    }
    return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS;
}

/* Sends scratch[0] to target 0 as often as scratch[1] says; emits how many went and the first refusal. */
SEC("uring/complete")
int post(struct uring_completion *ctx)
{
    int err = 0;
    __u32 i;

    for (i = 0; i < 1000; i++) {
        if (i >= ctx->scratch[1])
            break;
        err = uring_message(ctx, 0, 70 + i, ctx->scratch[0]);
        if (err)
            break;
    }
    uring_emit(ctx, i, (__s64)err);
    uring_emit(ctx, 0, (__s64)uring_message(ctx, 1, 0, 0));
    return URING_PASS;
}

/* Says what message it was started by; with a value above 1000 it never ends by itself. */
SEC("uring/complete")
int hear(struct uring_completion *ctx)
{
    if (ctx->opcode == IORING_OP_MSG_RING)
        uring_emit(ctx, ctx->user_data, ctx->scratch[0]);
    if (ctx->scratch[0] <= 1000)
        return URING_PASS;
    int err = uring_timeout(ctx, 3600ULL * 1000000000ULL, 1);
    return err ? err : URING_CONTINUE;
}

/* Each message starts the next, until its value is used up. */
SEC("uring/complete")
int relay(struct uring_completion *ctx)
{
    if (ctx->scratch[0] == 0) {
        uring_emit(ctx, ctx->user_data, 0);
        return URING_PASS;
    }
    int err = uring_message(ctx, URING_SELF, ctx->user_data + 1, ctx->scratch[0] - 1);
    return err ? err : URING_PASS;
}

/* Receives again and again into provided buffers; holds each in turn where scratch[0] is set, and emits the sum of the bytes. */
SEC("uring/complete")
int gather(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_emit(ctx, 99, (__s64)uring_hold_buffer(ctx));
        uring_prep_recv_multishot(&op, 0, 0);
        int err = submit(ctx, &op, 0);
        return err ? err : URING_CONTINUE;
    }
    __u64 sum = 0;
    __u8 *p = ctx->data;
    for (__u32 i = 0; i < 64; i++) {
        if ((void *)(p + i + 1) > ctx->data_end)
            break;
        sum += p[i];
    }
    uring_emit(ctx, ctx->cqe_flags & 0xffff, ctx->res < 0 ? (__u64)(__s64)ctx->res : sum);
    if (ctx->res > 0 && ctx->scratch[0]) {
        uring_hold_buffer(ctx);
        /* What it holds it can read later too; what it held before it gives back. */
        __u8 *held = uring_buffer(ctx, ctx->buffer, 0, 1);
        if (!held)
            return -EFAULT;
        if (ctx->scratch[1]) {
            __u8 *before = uring_buffer(ctx, (__u32)ctx->scratch[1] - 1, 0, 1);
            if (!before)
                return -EFAULT;
            uring_emit(ctx, 50, *before);
            int err = uring_release_buffer(ctx, (__u32)ctx->scratch[1] - 1);
            if (err)
                return err;
            if (uring_buffer(ctx, (__u32)ctx->scratch[1] - 1, 0, 1))
                return -EFAULT;
        }
        ctx->scratch[1] = ctx->buffer + 1;
    }
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* Receives into provided buffers and holds every one. */
SEC("uring/complete")
int hoard(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_recv_multishot(&op, 0, 0);
        int err = submit(ctx, &op, 0);
        return err ? err : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->cqe_flags & 0xffff, (__s64)ctx->res);
    if (ctx->res > 0)
        uring_hold_buffer(ctx);
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* Submits what scratch says, and then shows each completion: its flags and result. */
SEC("uring/complete")
int show(struct uring_completion *ctx)
{
    if (ctx->step == 0) {
        int err = uring_submit(ctx, (struct uring_op *)ctx->scratch, sizeof(struct uring_op));
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->cqe_flags & 0xffff, (__s64)ctx->res);
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* Moves three pieces of buffers 0 and 1 at once: opcode scratch[0], file 0, scratch[1] its offset or address, flags scratch[2], how many
 * of them scratch[3]. Fills the buffers before, and emits the result and what is in the pieces. */
SEC("uring/complete")
int vectors(struct uring_completion *ctx)
{
    URING_OP_WITH_VECTORS(3) v;
    __u8 *first = uring_buffer(ctx, 0, 0, 16), *second = uring_buffer(ctx, 1, 0, 16);
    __u32 i;

    if (!first || !second)
        return -EFAULT;
    if (ctx->step == 0) {
        for (i = 0; i < 16; i++) {
            first[i] = i + 1;
            second[i] = i + 101;
        }
        uring_prep_rw(&v.op, (__u8)ctx->scratch[0], 0, 0, (__u32)ctx->scratch[3], 0);
        if (v.op.opcode == IORING_OP_SENDMSG)
            v.op.path = (__u32)ctx->scratch[1];
        else if (v.op.opcode != IORING_OP_RECVMSG)
            v.op.offset = ctx->scratch[1];
        v.op.op_flags = (__u32)ctx->scratch[2];
        uring_prep_vec(&v.vec[0], 0, 0, 3);
        uring_prep_vec(&v.vec[1], (__u16)ctx->scratch[4], 5, (__u32)ctx->scratch[5]);
        uring_prep_vec(&v.vec[2], 0, 10, 4);
        v.vec[2].reserved1 = (__u32)ctx->scratch[6];
        int err = uring_submit(ctx, &v.op, sizeof(v));
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    uring_emit(ctx, ctx->data_end - ctx->data, (__s64)ctx->res);
    for (i = 0; i < 3; i++)
        uring_emit(ctx, 1, first[i]);
    for (i = 5; i < 7; i++)
        uring_emit(ctx, 2, second[i]);
    for (i = 10; i < 14; i++)
        uring_emit(ctx, 3, first[i]);
    return URING_PASS;
}

/* Receives a message into two pieces, and shows who it is from: emits the family. */
SEC("uring/complete")
int heard_from(struct uring_completion *ctx)
{
    URING_OP_WITH_VECTORS(2) v;

    if (ctx->step == 0) {
        uring_prep_recvmsg_from(&v.op, 0, 2, 0, 0, 64, (__u32)ctx->scratch[0]);
        uring_prep_vec(&v.vec[0], 0, 0, 1);
        uring_prep_vec(&v.vec[1], 0, 8, 8);
        int err = uring_submit(ctx, &v.op, sizeof(v));
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    __u16 *family = uring_buffer(ctx, 0, 64, 2);
    if (!family)
        return -EFAULT;
    uring_emit(ctx, *family, (__s64)ctx->res);
    return URING_PASS;
}

/* A timer of scratch[0] ns, timed by one of scratch[1] ns, and a NOP linked behind both; scratch[2] are the flags of the first two. With
 * scratch[3] a NOP goes before them. With scratch[4] it cancels, by that user_data, when the NOP before has completed. */
SEC("uring/complete")
int timed(struct uring_completion *ctx)
{
    struct uring_op op;
    int err = 0;

    if (ctx->step > 0) {
        uring_emit(ctx, ctx->user_data, (__s64)ctx->res);
        if (ctx->user_data == 9 && ctx->scratch[4])
            uring_cancel(ctx, ctx->scratch[4]);
        return URING_CONTINUE;
    }
    if (ctx->scratch[3]) {
        uring_prep_nop(&op);
        op.flags = URING_OP_LINK | (ctx->scratch[3] == 2 ? URING_OP_DRAIN : 0);
        err = submit(ctx, &op, 9);
        if (err)
            return err;
    }
    uring_prep_timeout(&op, ctx->scratch[0]);
    op.flags = (__u8)ctx->scratch[2];
    err = submit(ctx, &op, 1);
    if (err)
        return err;
    uring_prep_link_timeout(&op, ctx->scratch[1]);
    op.flags = (__u8)ctx->scratch[2];
    err = submit(ctx, &op, 2);
    if (err)
        return err;
    uring_prep_nop(&op);
    err = submit(ctx, &op, 3);
    return err ? err : URING_CONTINUE;
}

/* Accepts on file 0 again and again. Each is handed over where scratch[0] is 1, closed where it is 2, and kept where it is 0. Cancels
 * after scratch[1] of them. */
SEC("uring/complete")
int accepts(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_accept_multishot(&op, 0);
        int err = submit(ctx, &op, 0);
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? err : URING_CONTINUE;
    }
    if (ctx->opcode != IORING_OP_ACCEPT)
        return URING_CONTINUE;
    uring_emit(ctx, ctx->cqe_flags & IORING_CQE_F_MORE, (__s64)ctx->res);
    if (ctx->res >= 0 && ctx->scratch[0] == 1)
        uring_handover(ctx, (__u32)ctx->res);
    if (ctx->res >= 0 && ctx->scratch[0] == 2) {
        uring_prep_close(&op, ctx->res);
        int err = submit(ctx, &op, 5);
        if (err)
            return err;
    }
    ctx->scratch[2]++;
    if (ctx->scratch[2] == ctx->scratch[1])
        uring_cancel(ctx, 0);
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* Makes a socket of type scratch[0] in slot 0, binds it to address 0, listens, and says so; then serves one connection as `serve` does. */
SEC("uring/complete")
int listens(struct uring_completion *ctx)
{
    struct uring_op op;
    int err;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_NOP:
        uring_prep_socket_type(&op, 0, (__u32)ctx->scratch[0], 0);
        break;
    case IORING_OP_SOCKET:
        uring_prep_bind(&op, 0, 0);
        break;
    case IORING_OP_BIND:
        uring_prep_listen(&op, 0, 8);
        break;
    case IORING_OP_LISTEN:
        uring_emit(ctx, 0, 0);
        uring_prep_accept(&op, 0, 1);
        break;
    case IORING_OP_ACCEPT:
        uring_prep_recv(&op, 1, 0, 64, 0);
        break;
    case IORING_OP_RECV:
        if (ctx->res == 0)
            return URING_PASS;
        uring_prep_send(&op, 1, 0, (__u32)ctx->res, 0);
        break;
    default:
        uring_prep_recv(&op, 1, 0, 64, 0);
        break;
    }
    err = submit(ctx, &op, 0);
    return err ? err : URING_CONTINUE;
}

/* Renames by two names in buffer 0; scratch[0] is added to the first length. */
SEC("uring/complete")
int rename_names(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        char *names = uring_buffer(ctx, 0, 0, 12);
        if (!names)
            return -EFAULT;
        __builtin_memcpy(names, "first\0secon\0", 12);
        uring_prep_renameat_names(&op, 0, 0, 0, 0, 6 + (__u32)ctx->scratch[0], 6, 0);
        int err = submit(ctx, &op, 0);
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    uring_emit(ctx, 0, (__s64)ctx->res);
    return URING_PASS;
}

/* Reads file 0 again and again into provided buffers; emits how many bytes came. */
SEC("uring/complete")
int drinks(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 0) {
        uring_prep_read_multishot(&op, 0);
        int err = submit(ctx, &op, 0);
        if (err)
            uring_emit(ctx, 0xdead, (__s64)err);
        return err ? URING_PASS : URING_CONTINUE;
    }
    __u8 *data = ctx->data;
    uring_emit(ctx, ctx->cqe_flags & 3, (void *)(data + 1) <= ctx->data_end ? data[0] : (__u64)(__s64)ctx->res);
    return ctx->cqe_flags & IORING_CQE_F_MORE ? URING_CONTINUE : URING_PASS;
}

/* A zero-copy send of scratch[0] bytes, which are all it may send: at each completion, what one more byte gives. */
SEC("uring/complete")
int sends_all(struct uring_completion *ctx)
{
    struct uring_op op;

    uring_prep_send_zc(&op, 0, 0, ctx->step == 0 ? (__u32)ctx->scratch[0] : 1, 0);
    int err = submit(ctx, &op, 0);
    uring_emit(ctx, ctx->step, (__s64)err);
    return URING_CONTINUE;
}

/* Opens path 0 into slot 0, opens it there again, and tries to give it away meanwhile. */
SEC("uring/complete")
int give_busy(struct uring_completion *ctx)
{
    struct uring_op op;

    if (ctx->step == 2)
        return ctx->res < 0 ? uring_err(ctx->res) : URING_PASS;
    uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 0);
    int err = submit(ctx, &op, 0);
    if (err)
        return err;
    if (ctx->step == 1)
        uring_emit(ctx, 8, (__s64)uring_handover(ctx, 0));
    return URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
