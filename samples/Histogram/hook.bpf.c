/*
 * How long does each operation take? The hook opens a file, reads a block, closes it, again and again, and counts each
 * latency in a histogram of powers of two, in a per-CPU map that the host adds up.
 */
#include "uring_bpf.h"

#define BUCKETS 32 /* of powers of two in nanoseconds */
enum { OPEN, READ, CLOSE, OPERATIONS };

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, OPERATIONS * BUCKETS);
    __type(key, __u32);
    __type(value, __u64);
} latencies SEC(".maps");

/* Set by the host. */
const volatile __u32 rounds = 1000;
const volatile __u32 block_bytes = 4096;
const volatile __u64 blocks = 1; /* of the file */

struct state {
    __u64 submitted; /* when the operation in flight was queued */
    __u32 round;
};

static __always_inline __u32 log2(__u64 value)
{
    __u32 bits = 0;

    for (__u32 shift = 32; shift; shift >>= 1) {
        if (value >> shift) {
            value >>= shift;
            bits += shift;
        }
    }
    return bits;
}

static __always_inline void count(__u32 operation, __u64 nanoseconds)
{
    __u32 bucket = log2(nanoseconds);
    __u32 key = operation * BUCKETS + (bucket < BUCKETS ? bucket : BUCKETS - 1);
    __u64 *value = bpf_map_lookup_elem(&latencies, &key);

    if (value)
        (*value)++;
}

SEC("uring/complete")
int measure(struct uring_completion *ctx)
{
    struct state *state = (struct state *)ctx->scratch;
    __u64 now = bpf_ktime_get_ns();
    struct uring_op op;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    switch (ctx->opcode) {
    case IORING_OP_OPENAT:
        count(OPEN, now - state->submitted);
        uring_prep_read(&op, 0, 0, block_bytes, bpf_get_prandom_u32() % (blocks ? blocks : 1) * block_bytes);
        break;
    case IORING_OP_READ:
        count(READ, now - state->submitted);
        uring_prep_close(&op, 0);
        break;
    case IORING_OP_CLOSE:
        count(CLOSE, now - state->submitted);
        if (++state->round >= rounds)
            return URING_PASS;
        uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 0);
        break;
    default: /* the nop that starts the chain */
        uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, 0);
        break;
    }
    state->submitted = bpf_ktime_get_ns();
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
