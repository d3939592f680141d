#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&table, &key);
    if (!v)
        return 0;
    __u64 distance = (__u64)v - (__u64)ctx;
    return distance > 100;
}

HOOK mended(struct uring_completion *ctx)
{
    long length = (char *)ctx->data_end - (char *)ctx->data;
    return length > 100;
}
