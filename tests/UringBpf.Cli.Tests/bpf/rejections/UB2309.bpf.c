#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    struct guarded *g = bpf_map_lookup_elem(&locked, &key);
    if (!g)
        return 0;
    bpf_spin_lock(&g->lock);
    g->count = bpf_get_prandom_u32();
    bpf_spin_unlock(&g->lock);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 key = 0;
    struct guarded *g = bpf_map_lookup_elem(&locked, &key);
    if (!g)
        return 0;
    __u32 random = bpf_get_prandom_u32();
    bpf_spin_lock(&g->lock);
    g->count = random;
    bpf_spin_unlock(&g->lock);
    return 0;
}
