/*
 * Reads all of a range, whatever comes in between: a short read goes on with the rest, EINTR is tried again at once, EAGAIN
 * after a pause that doubles each time. Everything else ends the chain with its errno.
 */
#include "uring_bpf.h"

/* Set by the host before the program is loaded. */
const volatile __u32 total_bytes = 4096;
const volatile __u64 first_pause_ns = 1000000;
const volatile __u32 max_pauses = 5; /* in a row; then -EAGAIN is final */

/* For a proof without a file that misbehaves: results to inject, by nops, in place of reads. */
#define MAX_INJECTED 32
const volatile __u32 injected_count = 0;
const volatile __s32 injected[MAX_INJECTED] = {};

struct retry {
    __u32 done; /* bytes */
    __u32 tries;
    __u32 pauses; /* in a row */
    __u32 short_reads, interrupts, all_pauses;
};

enum { START, READ, PAUSED };

static __always_inline int read_rest(struct uring_completion *ctx, struct retry *retry)
{
    struct uring_op op;
    __u32 try = retry->tries++;

    if (injected_count) {
        if (try >= injected_count || try >= MAX_INJECTED)
            return -ENOENT;
        uring_prep_nop(&op);
        op.op_flags = 1; /* IORING_NOP_INJECT_RESULT */
        op.len = injected[try];
    } else {
        uring_prep_read(&op, 0, 0, total_bytes - retry->done, retry->done);
        op.buf_offset = retry->done;
    }
    op.user_data = READ;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

/* What the host prints, and the end. */
static __always_inline int finish(struct uring_completion *ctx, struct retry *retry, int verdict)
{
    uring_emit(ctx, 0, retry->done);
    uring_emit(ctx, 1, retry->short_reads);
    uring_emit(ctx, 2, retry->interrupts);
    uring_emit(ctx, 3, retry->all_pauses);
    return verdict;
}

SEC("uring/complete")
int read_all(struct uring_completion *ctx)
{
    struct retry *retry = (struct retry *)ctx->scratch;
    int err;

    if (ctx->user_data != READ)
        return read_rest(ctx, retry);
    if (ctx->res == -EAGAIN) {
        if (retry->pauses >= max_pauses)
            return finish(ctx, retry, -EAGAIN);
        err = uring_timeout(ctx, first_pause_ns << (retry->pauses & 31), PAUSED);
        retry->pauses++;
        retry->all_pauses++;
        return err ? err : URING_CONTINUE;
    }
    retry->pauses = 0;
    if (ctx->res == -EINTR) {
        retry->interrupts++;
        return read_rest(ctx, retry);
    }
    if (ctx->res < 0)
        return finish(ctx, retry, uring_err(ctx->res));
    if (ctx->res == 0) /* the end of the file */
        return finish(ctx, retry, URING_PASS);
    retry->done += ctx->res;
    if (retry->done >= total_bytes)
        return finish(ctx, retry, URING_PASS);
    retry->short_reads++;
    return read_rest(ctx, retry);
}

char _license[] SEC("license") = "MIT";
