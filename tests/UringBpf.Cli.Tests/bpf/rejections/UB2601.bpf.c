#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 tries = 0;
    while (tries < 100)
        bpf_ktime_get_ns();
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 tries = 0;
    while (tries++ < 100)
        bpf_ktime_get_ns();
    return 0;
}
