#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    void *v = bpf_map_lookup_elem(&key, &key);
    return v != NULL;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 key = 0;
    void *v = bpf_map_lookup_elem(&table, &key);
    return v != NULL;
}
