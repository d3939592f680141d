/*
 * The host's policy for plug-ins, asked before each of their operations is submitted: opening beneath a granted directory to
 * read, reading what was opened, closing it. Everything else is -EACCES, whatever the grants would allow.
 */
#include "uring_bpf.h"

/* File slots below are the host's own. */
const volatile __u32 host_files = 0;

/* A relative path without a component "..": it stays beneath, but for symbolic links, which the kernel looks after. */
static __always_inline int stays_beneath(const struct uring_submission *ctx)
{
    __u32 dots = 0; /* of the component so far, as long as it has nothing else; then more than 2 */

    if (ctx->path_len == 0 || ctx->path[0] == '/')
        return 0;
    for (__u32 i = 0; i < URING_PATH_BYTES; i++) {
        char c = ctx->path[i];
        if (c == '/' || c == 0) {
            if (dots == 2)
                return 0;
            dots = 0;
        } else {
            dots = c == '.' && dots < 3 ? dots + 1 : 3;
        }
        if (c == 0)
            return 1;
    }
    return 0;
}

SEC("uring/submit")
int policy(struct uring_submission *ctx)
{
    switch (ctx->opcode) {
    case IORING_OP_NOP:
        return 0;
    case IORING_OP_READ:
    case IORING_OP_CLOSE:
        return ctx->file >= (__s32)host_files ? 0 : -EACCES;
    case IORING_OP_OPENAT:
        if (ctx->flags != O_RDONLY || ctx->dir == URING_NO_DIR)
            return -EACCES;
        return stays_beneath(ctx) ? 0 : -EACCES;
    default:
        return -EACCES;
    }
}

char _license[] SEC("license") = "MIT";
