#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    struct guarded *g = bpf_map_lookup_elem(&locked, &key);
    return g->count & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 key = 0;
    struct guarded *g = bpf_map_lookup_elem(&locked, &key);
    if (!g)
        return 0;
    return g->count & 1;
}
