#include "common.h"

SEC("xdp") int bad(struct xdp_md *ctx)
{
    volatile __u32 *field = &ctx->egress_ifindex;
    if (ctx->rx_queue_index)
        field = &ctx->ingress_ifindex;
    asm volatile("" : "+r"(field));
    return *field;
}

SEC("xdp") int mended(struct xdp_md *ctx)
{
    __u32 index = *(volatile __u32 *)&ctx->egress_ifindex;
    if (ctx->rx_queue_index)
        index = *(volatile __u32 *)&ctx->ingress_ifindex;
    return index;
}
