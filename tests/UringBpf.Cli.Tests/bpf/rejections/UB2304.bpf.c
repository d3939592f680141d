#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    char name[16];
    bpf_get_current_comm(name, ctx->step);
    return 0;
}

HOOK mended(struct uring_completion *ctx)
{
    char name[16];
    bpf_get_current_comm(name, sizeof(name));
    return name[0] & 1;
}
