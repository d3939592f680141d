/*
 * A hook that does anything: what it submits, cancels, emits and answers is left to bpf_get_prandom_u32, which a simulated
 * ring derives from its seed. Much of it is outside of what is granted, and must be refused.
 */
#include "uring_bpf.h"

/* More of each than most attachments of the campaign have, so that each can be exceeded. */
#define FILES 10
#define BUFFERS 6
#define PATHS 5
#define DIRS 2
#define TAGS 8

static __always_inline __u32 below(__u32 n)
{
    return bpf_get_prandom_u32() % n;
}

#define OPCODES 46
static const __u8 opcodes[64] = {
    IORING_OP_NOP, IORING_OP_NOP, IORING_OP_READ, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_OPENAT,
    IORING_OP_OPENAT, IORING_OP_CLOSE, IORING_OP_STATX, IORING_OP_TIMEOUT, IORING_OP_TIMEOUT, IORING_OP_SEND, IORING_OP_RECV, 200,
    URING_OP_PROGRAM, URING_OP_PROGRAM, IORING_OP_SHUTDOWN, IORING_OP_FTRUNCATE, IORING_OP_TIMEOUT, IORING_OP_SOCKET,
    IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_SENDMSG, IORING_OP_RECVMSG, IORING_OP_LINK_TIMEOUT, IORING_OP_LINK_TIMEOUT, IORING_OP_ACCEPT,
    IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_CONNECT, IORING_OP_BIND, IORING_OP_LISTEN, IORING_OP_RENAMEAT, IORING_OP_LINKAT, IORING_OP_UNLINKAT,
    IORING_OP_POLL_ADD, IORING_OP_READ_MULTISHOT, IORING_OP_SEND_ZC, IORING_OP_SPLICE, IORING_OP_TEE, IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SOCKET,
    IORING_OP_MKDIRAT,
};

static __noinline int submit_one(struct uring_completion *ctx)
{
    URING_OP_WITH_VECTORS(2) v;
#define op v.op
    __u32 size = sizeof(op);
    __u8 opcode = opcodes[below(OPCODES) & 63];

    uring_prep_vec(&v.vec[0], below(BUFFERS), below(100), below(100));
    uring_prep_vec(&v.vec[1], below(BUFFERS), below(100), below(100));
    uring_prep_rw(&op, opcode, (__s32)below(FILES) - 1, below(BUFFERS), below(300), below(400));
    op.user_data = below(TAGS);
    op.buf_offset = below(8) ? 0 : below(200);
    /* What it was just shown, which may be a provided buffer. */
    if (ctx->cqe_flags & IORING_CQE_F_BUFFER && below(2))
        op.buffer = v.vec[1].buffer = (__u16)ctx->buffer;
    if (opcode == IORING_OP_NOP) {
        op.op_flags = below(2);
        op.len = -(__s32)below(134);
    }
    if (opcode == IORING_OP_OPENAT || opcode == IORING_OP_STATX) {
        op.dir = below(3) ? URING_NO_DIR : below(DIRS);
        op.path = below(PATHS);
        op.target = below(FILES);
    }
    if (opcode == IORING_OP_OPENAT) {
        const __u32 ways[4] = { O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_WRONLY | O_TRUNC };
        op.op_flags = ways[below(4) & 3];
        op.len = 0644;
    }
    if (opcode == IORING_OP_TIMEOUT) {
        op.offset = 1ULL << below(34);
        op.len = 0;
        if (below(3) == 0) {
            op.flags |= URING_OP_MULTISHOT;
            op.offset |= 1 << 20;
            op.len = below(5);
        }
    }
    if (opcode == IORING_OP_FTRUNCATE)
        op.len = 0;
    if (opcode == IORING_OP_LINK_TIMEOUT) {
        op.offset = 1ULL << below(24);
        op.len = 0;
    }
    if (opcode == IORING_OP_SOCKET) {
        op.path = below(2);
        op.target = below(FILES);
        op.len = below(8) ? 1 : below(6);
    }
    if (opcode == IORING_OP_CONNECT || opcode == IORING_OP_BIND || opcode == IORING_OP_SENDMSG)
        op.path = below(3) ? below(2) : URING_NO_ADDRESS;
    if (opcode == IORING_OP_LISTEN || opcode == IORING_OP_SHUTDOWN)
        op.len = below(4);
    if (opcode == IORING_OP_ACCEPT) {
        op.target = below(FILES);
        if (below(2)) {
            op.flags |= URING_OP_MULTISHOT;
            op.target = -1;
        }
    }
    if (opcode == IORING_OP_RENAMEAT || opcode == IORING_OP_LINKAT || opcode == IORING_OP_UNLINKAT || opcode == IORING_OP_MKDIRAT) {
        op.dir = below(3) ? URING_NO_DIR : below(DIRS);
        op.path = below(PATHS);
        op.target = below(3) ? URING_NO_DIR : below(DIRS);
        op.len = opcode == IORING_OP_MKDIRAT ? 0755 : below(PATHS);
        op.op_flags = opcode == IORING_OP_RENAMEAT ? below(4) : 0;
    }
    if (opcode == IORING_OP_POLL_ADD) {
        op.op_flags = below(8);
        if (below(2))
            op.flags |= URING_OP_MULTISHOT;
    }
    if (opcode == IORING_OP_SPLICE || opcode == IORING_OP_TEE) {
        op.target = below(FILES);
        op.op_flags = below(3) ? 0 : 2;
        op.offset = below(2) && opcode == IORING_OP_SPLICE ? URING_CURRENT_OFFSET : 0;
    }
    if (opcode == IORING_OP_RECV || opcode == IORING_OP_RECVMSG)
        op.op_flags = below(4) ? 0 : 0x100; /* MSG_WAITALL */
    if (opcode == IORING_OP_READ_MULTISHOT || (opcode == IORING_OP_RECV && below(2))) {
        op.len = op.buffer = op.buf_offset = op.op_flags = 0;
        op.flags |= URING_OP_PROVIDED_BUFFER | (opcode != IORING_OP_RECV || below(2) ? URING_OP_MULTISHOT : 0);
    }
    if (opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV || opcode == IORING_OP_SENDMSG || opcode == IORING_OP_RECVMSG || below(64) == 0) {
        op.len = below(8) ? 2 : below(3);
        switch (below(16)) {
        case 0: size = sizeof(op) + sizeof(struct uring_vec); break;
        case 1: size = sizeof(op) + 8; break;
        case 2: size = 1 + below(63); break;
        default: size = sizeof(v); break;
        }
    }
    if (opcode == IORING_OP_RECVMSG)
        op.path = below(2) ? 0 : below(150);
    if (opcode == URING_OP_PROGRAM) {
        op.file = -1;
        op.offset = 0;
    }
    /* Linked, drained, or neither; now and then with another program than this one. */
    if (below(3) == 0)
        op.flags |= URING_OP_LINK << below(3);
    if (below(4) == 0)
        uring_set_program(&op, below(4));
    if (below(64) == 0)
        op.flags = bpf_get_prandom_u32();
    return uring_submit(ctx, &op, size);
#undef op
}

/* What follows a socket, as chance alone seldom makes it: one that listens, or one that is connected to it. */
static __noinline int follow(struct uring_completion *ctx)
{
    struct uring_op op;

    switch (ctx->opcode) {
    case IORING_OP_SOCKET:
        if (below(2))
            uring_prep_bind(&op, ctx->res, below(2));
        else
            uring_prep_connect(&op, ctx->res, below(2));
        break;
    case IORING_OP_BIND:
        uring_prep_listen(&op, ctx->file, 1 + below(4));
        break;
    case IORING_OP_LISTEN:
        uring_prep_accept_multishot(&op, ctx->file);
        break;
    case IORING_OP_ACCEPT:
        uring_prep_shutdown(&op, ctx->res, below(3));
        break;
    default:
        return 0;
    }
    op.user_data = below(TAGS);
    return uring_submit(ctx, &op, sizeof(op));
}

SEC("uring/complete")
int chaos(struct uring_completion *ctx)
{
    __u32 want = 1 + below(3);

    if (ctx->res >= 0 && below(4))
        follow(ctx);

    /* What it was shown is its to read and to write. */
    __u8 *data = ctx->data;
    if (ctx->res > 0 && (void *)(data + 1) <= ctx->data_end)
        data[0] ^= 1;
    ctx->scratch[1] += ctx->res;

    /* Most of what it asks for is refused: it asks more often. */
    for (__u32 i = 0; i < 12; i++) {
        if (want == 0)
            break;
        int err = submit_one(ctx);
        if (err == 0)
            want--;
        else if (below(256) == 0)
            return err < -4095 || err > 0 ? -EIO : err;
    }
    if (below(8) == 0)
        uring_cancel(ctx, below(TAGS));
    if (below(24) == 0)
        uring_cancel_file(ctx, below(FILES));
    if (below(48) == 0)
        uring_cancel_all(ctx);
    if (below(16) == 0)
        uring_handover(ctx, below(FILES));
    if (below(16) == 0)
        uring_message(ctx, below(2) ? URING_SELF : 0, below(TAGS), below(100));
    if (below(8) == 0)
        uring_hold_buffer(ctx);
    if (below(8) == 0)
        uring_release_buffer(ctx, below(BUFFERS + 4));
    if (below(8) == 0)
        uring_emit(ctx, ctx->step, ctx->scratch[1]);
    if (below(8) == 0)
        uring_fork(ctx, below(9), below(3));
    if (below(8) == 0)
        uring_join(ctx, below(9));
    if (below(16) == 0) {
        __u8 *memory = uring_buffer(ctx, below(BUFFERS), below(100), 16);
        if (memory)
            memory[15]++;
    }
    switch (below(48)) {
    case 0: return URING_PASS;
    case 1: return -(int)(1 + below(1 << 8));
    default: return URING_CONTINUE;
    }
}

/* Refuses one in eight with any errno. */
SEC("uring/submit")
int chaos_policy(struct uring_submission *ctx)
{
    return below(8) ? 0 : -(int)(1 + below(133));
}

char _license[] SEC("license") = "MIT";
