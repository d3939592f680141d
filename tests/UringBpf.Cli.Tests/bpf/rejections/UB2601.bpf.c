#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    __u32 rounds = 0;
    while (1)
        asm volatile("%0 += 1" : "+r"(rounds));
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    __u32 rounds = 0;
    while (rounds < 100)
        asm volatile("%0 += 1" : "+r"(rounds));
    return 0;
}
