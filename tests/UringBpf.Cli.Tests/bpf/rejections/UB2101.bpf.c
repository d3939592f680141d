#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    int verdict;
    asm volatile("" : "=r"(verdict));
    return verdict & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    int verdict = 0;
    asm volatile("" : "+r"(verdict));
    return verdict & 1;
}
