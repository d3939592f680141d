#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!record)
        return 0;
    while (bpf_get_prandom_u32() != 0)
        record[0] = 1;
    bpf_ringbuf_submit(record, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!record)
        return 0;
    for (int i = 0; i < 100 && bpf_get_prandom_u32() != 0; i++)
        record[0] = i;
    bpf_ringbuf_submit(record, 0);
    return 0;
}
