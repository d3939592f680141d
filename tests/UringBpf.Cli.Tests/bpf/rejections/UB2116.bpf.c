#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 *p = ctx->data;
    if ((void *)(p + 1) > ctx->data_end)
        return 0;
    __sync_fetch_and_add(p, 1);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&table, &key);
    if (!v)
        return 0;
    __sync_fetch_and_add(v, 1);
    return 0;
}
