#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    void *record = bpf_ringbuf_reserve(&ring, ctx->step, 0);
    if (record)
        bpf_ringbuf_discard(record, 0);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    void *record = bpf_ringbuf_reserve(&ring, 64, 0);
    if (record)
        bpf_ringbuf_discard(record, 0);
    return 0;
}
