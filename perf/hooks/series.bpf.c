/* Reads and checksums every stride-th file of the path table: as samples/FileSeries, but several chains share the work, and
 * a short read is taken for the end of a file, as File.ReadAllBytes takes the file's length. */
#include "uring_bpf.h"

const volatile __u32 path_count = 1;
const volatile __u32 block_bytes = 8192;

struct series {
    __u32 path, stride; /* set by the host */
    __u32 crc, files;
    __u64 bytes;
};

static __always_inline int open_next(struct uring_completion *ctx, struct series *series)
{
    struct uring_op op;

    if (series->path >= path_count) {
        int err = uring_emit(ctx, series->files, series->crc);
        return err ? err : URING_PASS;
    }
    uring_prep_openat(&op, URING_NO_DIR, series->path, O_RDONLY, 0, 0);
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

SEC("uring/complete")
int series(struct uring_completion *ctx)
{
    struct series *series = (struct series *)ctx->scratch;
    struct uring_op op;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_OPENAT:
        series->bytes = 0;
        uring_prep_read(&op, 0, 0, block_bytes, 0);
        break;
    case IORING_OP_READ:
        series->crc += uring_crc32c(ctx, 0, ctx->res);
        series->bytes += ctx->res;
        if (ctx->res == block_bytes)
            uring_prep_read(&op, 0, 0, block_bytes, series->bytes);
        else
            uring_prep_close(&op, 0);
        break;
    case IORING_OP_CLOSE:
        series->files++;
        series->path += series->stride;
        return open_next(ctx, series);
    default:
        return open_next(ctx, series);
    }
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
