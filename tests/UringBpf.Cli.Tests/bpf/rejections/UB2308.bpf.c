#include "common.h"

static const char wanted[] = "abc";

HOOK bad(struct uring_completion *ctx)
{
    char text[4] = "abc", name[16] = {};
    return bpf_strncmp(name, sizeof(name), text) == 0;
}

HOOK mended(struct uring_completion *ctx)
{
    char name[16] = {};
    return bpf_strncmp(name, sizeof(name), wanted) == 0;
}
