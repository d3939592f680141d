#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 sum = 0;
    while (bpf_get_prandom_u32() != 0)
        sum++;
    return sum & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 sum = 0;
    for (int i = 0; i < 1000 && bpf_get_prandom_u32() != 0; i++)
        sum++;
    return sum & 1;
}
