/*
 * Checksums a series of files: open, read block by block, close, go on with the next. The host starts the chain with a
 * nop and hears of it once, at the end; each file's checksum, or errno, is handed over with uring_emit.
 */
#include "uring_bpf.h"

/* Set by the host before the program is loaded. */
const volatile __u32 path_count = 1;
const volatile __u32 block_bytes = 65536;
const volatile __u32 skip_errors = 1;

/* The chain's own memory. */
struct series {
    __u32 path; /* the file being read */
    __u32 crc;
    __u64 bytes;
};

enum { OPENED = 1, READ, CLOSED };

#define FAILED (1ULL << 32) /* in an emitted value: the low half is an errno, not a checksum */

static __always_inline int open_next(struct uring_completion *ctx, struct series *series)
{
    struct uring_op op;

    if (series->path >= path_count)
        return URING_PASS;
    uring_prep_openat(&op, URING_NO_DIR, series->path, O_RDONLY, 0, 0);
    op.user_data = OPENED;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

static __always_inline int read_block(struct uring_completion *ctx, struct series *series)
{
    struct uring_op op;

    uring_prep_read(&op, 0, 0, block_bytes, series->bytes);
    op.user_data = READ;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

static __always_inline int close_file(struct uring_completion *ctx)
{
    struct uring_op op;

    uring_prep_close(&op, 0);
    op.user_data = CLOSED;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

/* The file is done: tell the host. The size follows the checksum in an emission of its own. */
static __always_inline int report(struct uring_completion *ctx, struct series *series, __u64 value)
{
    int err = uring_emit(ctx, series->path, value);
    if (err)
        return err;
    return uring_emit(ctx, series->path, series->bytes);
}

SEC("uring/complete")
int file_series(struct uring_completion *ctx)
{
    struct series *series = (struct series *)ctx->scratch;
    int err;

    switch (ctx->user_data) {
    case OPENED:
        series->crc = 0;
        series->bytes = 0;
        if (ctx->res < 0) {
            err = report(ctx, series, FAILED | (__u32)-ctx->res);
            if (err)
                return err;
            if (!skip_errors)
                return uring_err(ctx->res);
            series->path++;
            return open_next(ctx, series);
        }
        return read_block(ctx, series);

    case READ:
        if (ctx->res > 0) {
            series->crc = uring_crc32c_update(ctx, series->crc, 0, ctx->res);
            series->bytes += ctx->res;
            return read_block(ctx, series);
        }
        err = report(ctx, series, ctx->res < 0 ? FAILED | (__u32)-ctx->res : series->crc);
        if (err)
            return err;
        if (ctx->res < 0 && !skip_errors)
            return uring_err(ctx->res);
        return close_file(ctx);

    case CLOSED:
        series->path++;
        return open_next(ctx, series);

    default:
        /* The nop that starts the chain. */
        return open_next(ctx, series);
    }
}

char _license[] SEC("license") = "MIT";
