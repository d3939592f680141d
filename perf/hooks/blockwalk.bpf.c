/* Look-ups of dependent reads, one after the other: as samples/BlockWalk, but the hook starts the next look-up by itself, as
 * the completion handler of perf/c/blockwalk.c does. */
#include "uring_bpf.h"

const volatile __u32 block_bytes = 512;
const volatile __u32 hops = 6;
const volatile __u64 blocks = 1;

struct walk {
    __u64 lookups; /* still to do; set by the host */
    __u64 start;   /* where the last one began; set by the host */
    __u64 keys;
    __u32 hop;
};

SEC("uring/complete")
int block_walk(struct uring_completion *ctx)
{
    struct walk *walk = (struct walk *)ctx->scratch;
    __u64 *block = ctx->data, next;
    struct uring_op op;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    if ((void *)(block + 2) > ctx->data_end)
        return -EBADMSG;
    walk->keys += block[1];
    next = block[0];
    if (++walk->hop == hops) {
        walk->hop = 0;
        if (--walk->lookups == 0) {
            int err = uring_emit(ctx, 0, walk->keys);
            return err ? err : URING_PASS;
        }
        walk->start += 977;
        if (walk->start >= blocks)
            walk->start -= blocks;
        next = walk->start;
    }
    uring_prep_read(&op, 0, 0, block_bytes, next * block_bytes);
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
