#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    struct bpf_iter_num it;
    int *i, sum = 0;
    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it)))
        sum += *i;
    return sum & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    struct bpf_iter_num it;
    int *i, sum = 0;
    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it)))
        sum += *i;
    bpf_iter_num_destroy(&it);
    return sum & 1;
}
