#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u64 words[2] = {};
    asm volatile("" : : "r"(words) : "memory");
    return *(volatile __u64 *)((char *)words + 4) & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    __u64 words[2] = {};
    asm volatile("" : : "r"(words) : "memory");
    return *(volatile __u32 *)((char *)words + 4) & 1;
}
