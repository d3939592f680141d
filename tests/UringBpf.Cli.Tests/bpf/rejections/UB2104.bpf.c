#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!record)
        return 0;
    record[2] = 1;
    bpf_ringbuf_submit(record, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!record)
        return 0;
    record[0] = record[1] = 1;
    bpf_ringbuf_submit(record, 0);
    return 0;
}
