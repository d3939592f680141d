/*
 * Dependent reads: each 512-byte block holds the number of the next one, as the nodes of a B-tree or LSM index do. The
 * host starts a chain with the read of the first block and is woken once, at the last.
 */
#include "uring_bpf.h"

#define BLOCK_BYTES 512

/* What a block of the walk begins with. */
struct block {
    __u64 next; /* number of the next block; the last names none */
    __u64 key;
};

#define LAST_BLOCK (~0ULL)

/* The chain's own memory. The host puts the number of hops in before it starts. */
struct walk {
    __u64 hops_left;
    __u64 keys; /* the sum of the keys on the way */
};

SEC("uring/complete")
int block_walk(struct uring_completion *ctx)
{
    struct walk *walk = (struct walk *)ctx->scratch;
    struct block *block = ctx->data;
    struct uring_op op;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    if ((void *)(block + 1) > ctx->data_end)
        return -EBADMSG;
    walk->keys += block->key;
    if (walk->hops_left == 0 || --walk->hops_left == 0 || block->next == LAST_BLOCK) {
        int err = uring_emit(ctx, block->key, walk->keys);
        return err ? err : URING_PASS;
    }
    if (block->next > (1ULL << 40))
        return -EBADMSG;
    uring_prep_read(&op, 0, ctx->buffer, BLOCK_BYTES, block->next * BLOCK_BYTES);
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
