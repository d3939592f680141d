#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&table, &key);
    if (!v)
        return 0;
    bpf_ringbuf_submit(v, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (record)
        bpf_ringbuf_discard(record, 0);
    return 0;
}
