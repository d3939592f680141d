/* Policies that show one thing each to the ring's tests. */
#include "uring_bpf.h"

/* What the host may change while they are attached. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 index, __u64 by)
{
    __u64 *value = bpf_map_lookup_elem(&counters, &index);

    if (value)
        *value += by;
}

SEC("uring/submit")
int allow(struct uring_submission *ctx)
{
    count(0, 1);
    return 0;
}

SEC("uring/submit")
int deny(struct uring_submission *ctx)
{
    count(1, 1);
    return -EACCES;
}

/* Refuses with user_data as the errno. */
SEC("uring/submit")
int by_user_data(struct uring_submission *ctx)
{
    return -(int)(ctx->user_data & 0xfff);
}

/* Reads of at most 64 bytes from the first kilobyte; nothing else but nops. */
SEC("uring/submit")
int small_reads(struct uring_submission *ctx)
{
    if (ctx->opcode == IORING_OP_NOP)
        return 0;
    if (ctx->opcode != IORING_OP_READ || ctx->length > 64)
        return -EACCES;
    return ctx->offset + ctx->length <= 1024 ? 0 : -ERANGE;
}

static __always_inline int ends_with(const struct uring_submission *ctx, char a, char b)
{
    __u32 length = ctx->path_len;

    if (length < 2 || length >= URING_PATH_BYTES)
        return 0;
    return ctx->path[length - 2] == a && ctx->path[length - 1] == b;
}

/* Opens, stats and renames only names that end with ".a". */
SEC("uring/submit")
int names(struct uring_submission *ctx)
{
    if (ctx->path_len == 0)
        return 0;
    return ends_with(ctx, '.', 'a') ? 0 : -EPERM;
}

/* Writes down what it is shown of the last operation: opcode, file, length, offset, flags, who. */
struct seen {
    __u64 values[10];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct seen);
} last SEC(".maps");

SEC("uring/submit")
int look(struct uring_submission *ctx)
{
    __u32 zero = 0;
    struct seen *seen = bpf_map_lookup_elem(&last, &zero);

    if (!seen)
        return -EFAULT;
    seen->values[0] = ctx->opcode;
    seen->values[1] = (__u64)ctx->file;
    seen->values[2] = ctx->length;
    seen->values[3] = ctx->offset;
    seen->values[4] = ctx->flags;
    seen->values[5] = ctx->user_data;
    seen->values[6] = ctx->origin;
    seen->values[7] = ctx->chain;
    seen->values[8] = (__u64)ctx->target;
    seen->values[9] = ctx->path_len;
    return 0;
}

/* Fills its stack: what calls it keeps its own. */
SEC("uring/submit")
int heavy(struct uring_submission *ctx)
{
    __u64 bytes[60];

    for (int i = 0; i < 60; i++)
        bytes[i] = 0xabababababababab ^ ctx->opcode;
    bpf_map_update_elem(&last, &(__u32){ 0 }, bytes, 0);
    return 0;
}

/* Never comes to a verdict. */
SEC("uring/submit")
int undecided(struct uring_submission *ctx)
{
    volatile __u64 *x = bpf_map_lookup_elem(&counters, &(__u32){ 2 });

    if (!x)
        return -EFAULT;
    while (*x != 12346)
        *x = *x * 2 + 1;
    return 0;
}

/* A hook with a full stack that must be the same after its submits. */
SEC("uring/complete")
int careful(struct uring_completion *ctx)
{
    __u64 bytes[40];
    struct uring_op op;
    __u64 wrong = 0;

    if (ctx->step >= 3) {
        return URING_PASS;
    }
    for (__u64 i = 0; i < 40; i++)
        bytes[i] = i * 0x0101010101010101 + ctx->step;
    asm volatile("" ::"r"(bytes) : "memory");
    uring_prep_nop(&op);
    int err = uring_submit(ctx, &op, sizeof(op));
    asm volatile("" ::"r"(bytes) : "memory");
    for (__u64 i = 0; i < 40; i++)
        wrong += bytes[i] != i * 0x0101010101010101 + ctx->step;
    uring_emit(ctx, wrong, (__s64)err);
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
