/*
 * Copies files, one after the other: open both, then several blocks at once, each read → written → followed by the next;
 * close both, go on with the next pair. The host lists the tree, makes the directories, and wakes once for each chain.
 */
#include "uring_bpf.h"

/* Set by the host before the program is loaded. The path table holds source and target of each file in turn. */
const volatile __u32 file_count = 1;
const volatile __u32 block_bytes = 65536; /* a power of two */
const volatile __u32 depth = 4;           /* blocks at once, each in a buffer of its own */

#define MAX_DEPTH 16

struct copy {
    __u32 file;   /* the pair being copied; the host says which is the first */
    __u32 stride; /* to the chain's next pair; set by the host */
    __u64 next;   /* offset of the first block that nobody reads */
    __u64 bytes;
    __u32 busy;   /* blocks in flight */
    __u32 ended;  /* a read found the end */
    __s32 error;
};

enum { SOURCE, TARGET };                                                     /* file slots */
enum { START, SOURCE_OPENED, TARGET_OPENED, READ, WRITTEN, SOURCE_CLOSED, TARGET_CLOSED }; /* low half of user_data */

#define FAILED (1ULL << 63) /* in an emitted value: an errno, not a number of bytes */

/* The upper half of user_data is the length that was asked for. */
static __always_inline int submit(struct uring_completion *ctx, struct uring_op *op, __u32 what)
{
    op->user_data = what | (__u64)op->len << 32;
    return uring_submit(ctx, op, sizeof(*op));
}

static __always_inline int open_pair(struct uring_completion *ctx, struct copy *copy)
{
    struct uring_op op;

    if (copy->file >= file_count)
        return URING_PASS;
    copy->next = 0;
    copy->bytes = 0;
    copy->ended = 0;
    copy->error = 0;
    uring_prep_openat(&op, URING_NO_DIR, copy->file * 2, O_RDONLY, 0, SOURCE);
    int err = submit(ctx, &op, SOURCE_OPENED);
    return err ? err : URING_CONTINUE;
}

/* The pair is done: say so, and go on with the next. */
static __always_inline int next_pair(struct uring_completion *ctx, struct copy *copy)
{
    int err = uring_emit(ctx, copy->file, copy->error ? FAILED | (__u32)-copy->error : copy->bytes);
    if (err)
        return err;
    copy->file += copy->stride;
    return open_pair(ctx, copy);
}

static __always_inline int close_slot(struct uring_completion *ctx, __s32 slot, __u32 what)
{
    struct uring_op op;

    uring_prep_close(&op, slot);
    int err = submit(ctx, &op, what);
    return err ? err : URING_CONTINUE;
}

/* Reads from an offset to the end of its block; the place in the buffer is the place in the block. */
static __always_inline int read_from(struct uring_completion *ctx, __u16 buffer, __u64 offset)
{
    struct uring_op op;
    __u32 within = offset & (block_bytes - 1);

    uring_prep_read(&op, SOURCE, buffer, block_bytes - within, offset);
    op.buf_offset = within;
    return submit(ctx, &op, READ);
}

static __always_inline int write_from(struct uring_completion *ctx, __u16 buffer, __u64 offset, __u32 len)
{
    struct uring_op op;

    uring_prep_write(&op, TARGET, buffer, len, offset);
    op.buf_offset = offset & (block_bytes - 1);
    return submit(ctx, &op, WRITTEN);
}

/* A block is done for good: when it was the last one in flight, close. */
static __always_inline int retire(struct uring_completion *ctx, struct copy *copy)
{
    if (--copy->busy)
        return URING_CONTINUE;
    return close_slot(ctx, TARGET, TARGET_CLOSED);
}

SEC("uring/complete")
int copy_files(struct uring_completion *ctx)
{
    struct copy *copy = (struct copy *)ctx->scratch;
    __u32 asked = ctx->user_data >> 32;
    struct uring_op op;
    int err;

    switch ((__u32)ctx->user_data) {
    case START:
        return open_pair(ctx, copy);

    case SOURCE_OPENED:
        if (ctx->res < 0) {
            copy->error = ctx->res;
            return next_pair(ctx, copy);
        }
        uring_prep_openat(&op, URING_NO_DIR, copy->file * 2 + 1, O_WRONLY | O_CREAT | O_TRUNC, 0666, TARGET);
        err = submit(ctx, &op, TARGET_OPENED);
        return err ? err : URING_CONTINUE;

    case TARGET_OPENED:
        if (ctx->res < 0) {
            copy->error = ctx->res;
            return close_slot(ctx, SOURCE, SOURCE_CLOSED);
        }
        copy->busy = 0;
        for (__u32 i = 0; i < MAX_DEPTH; i++) {
            if (i >= depth)
                break;
            err = read_from(ctx, i, copy->next);
            if (err)
                return err;
            copy->next += block_bytes;
            copy->busy++;
        }
        return URING_CONTINUE;

    case READ:
        if (ctx->res > 0 && !copy->error) {
            err = write_from(ctx, ctx->buffer, ctx->offset, ctx->res);
            return err ? err : URING_CONTINUE;
        }
        if (ctx->res < 0 && !copy->error)
            copy->error = ctx->res;
        copy->ended = 1;
        return retire(ctx, copy);

    case WRITTEN: {
        if (ctx->res <= 0) {
            copy->error = ctx->res < 0 ? ctx->res : -EIO;
            return retire(ctx, copy);
        }
        __u64 offset = ctx->offset + ctx->res;
        copy->bytes += ctx->res;
        if (ctx->res < asked) {
            /* A short write: the rest of what was read. */
            err = write_from(ctx, ctx->buffer, offset, asked - ctx->res);
        } else if (offset & (block_bytes - 1)) {
            /* The read was short: the rest of the block, or the end. */
            err = read_from(ctx, ctx->buffer, offset);
        } else if (copy->ended) {
            return retire(ctx, copy);
        } else {
            err = read_from(ctx, ctx->buffer, copy->next);
            copy->next += block_bytes;
        }
        return err ? err : URING_CONTINUE;
    }

    case TARGET_CLOSED:
        /* Some file systems tell of a failed write only here. */
        if (ctx->res < 0 && !copy->error)
            copy->error = ctx->res;
        return close_slot(ctx, SOURCE, SOURCE_CLOSED);

    case SOURCE_CLOSED:
        return next_pair(ctx, copy);
    }
    return -EINVAL;
}

char _license[] SEC("license") = "MIT";
