/* One program of each kind of answer that the tool gives. */
#include "uring_bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct xdp_md {
    __u32 data;
    __u32 data_end;
};

/* Accepted with 8 bytes of context, too much for none. */
SEC("raw")
int add(__u32 *numbers)
{
    numbers[1] += numbers[0];
    return numbers[1];
}

/* Rejected: a wild read. */
SEC("raw")
int wild(void)
{
    return *(volatile int *)16;
}

/* Of no type. */
SEC("kprobe/nothing")
int foreign(void)
{
    return 0;
}

/* The packet's first byte. */
SEC("xdp")
int first(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;

    if (data + 1 > (unsigned char *)(long)ctx->data_end)
        return -1;
    return *data;
}

/* Counts its runs. */
SEC("raw/count")
int count(void)
{
    __u32 key = 1;
    __u64 one = 1, *value = bpf_map_lookup_elem(&counts, &key);

    if (!value)
        return bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
    return ++*value;
}

/* Hands over what came, and passes it. */
SEC("uring/complete")
int pass(struct uring_completion *ctx)
{
    int err = uring_emit(ctx, 7, ctx->data_end - ctx->data);

    return err ? err : URING_PASS;
}

/* Refuses what came. */
SEC("uring/complete")
int refuse(struct uring_completion *ctx)
{
    return -EPERM;
}

char _license[] SEC("license") = "MIT";
