#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&table, &key);
    if (!v)
        return 0;
    return v[ctx->user_data] & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&table, &key);
    if (!v)
        return 0;
    return v[ctx->user_data & 15] & 1;
}
