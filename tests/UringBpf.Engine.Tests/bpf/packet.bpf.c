/* Reads a byte too far in a packet, and in a completion's data. */
#include "uring_bpf.h"

struct xdp_md {
    __u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

SEC("xdp")
int tail(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(unsigned long)ctx->data, *end = (void *)(unsigned long)ctx->data_end;

    if (data + 14 > end)
        return 1;
    return data[14];
}

SEC("uring/complete")
int head(struct uring_completion *ctx)
{
    unsigned char *data = ctx->data;

    if (ctx->user_data != 77 || ctx->res < 1)
        return URING_PASS;
    return data[0] ? URING_PASS : URING_CONTINUE;
}

SEC("uring/complete/leak")
int leak(struct uring_completion *ctx)
{
    uring_emit(ctx, 0, (__u64)ctx);
    return URING_PASS;
}

char _license[] SEC("license") = "MIT";
