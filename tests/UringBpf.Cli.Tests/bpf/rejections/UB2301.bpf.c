#include "common.h"

static long (*const unheard_of)(void) = (void *)9999;

HOOK bad(struct uring_completion *ctx)
{
    return unheard_of() & 1;
}

HOOK mended(struct uring_completion *ctx)
{
    return bpf_get_prandom_u32() & 1;
}
