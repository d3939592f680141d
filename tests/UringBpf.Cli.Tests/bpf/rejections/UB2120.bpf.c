#include "common.h"

static long write_key(void *map, __u32 *key, __u64 *value, void *ctx)
{
    *key = 0;
    return 0;
}

static long read_key(void *map, __u32 *key, __u64 *value, void *ctx)
{
    return *key == 0;
}

HOOK bad(struct uring_completion *ctx)
{
    return bpf_for_each_map_elem(&table, write_key, NULL, 0) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return bpf_for_each_map_elem(&table, read_key, NULL, 0) & 1;
}
