/* The least a completion hook can do: go on. */
#include "uring_bpf.h"

SEC("uring/complete")
int empty(struct uring_completion *ctx)
{
    return URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
