#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 x = 1;
    return bpf_map_push_elem(&table, &x, 0);
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 x = 1;
    return bpf_map_push_elem(&queue, &x, 0);
}
