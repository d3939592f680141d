#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    struct uring_op op;
    op.opcode = IORING_OP_NOP;
    return uring_submit(ctx, &op, sizeof(op));
}

HOOK mended(struct uring_completion *ctx)
{
    struct uring_op op = {};
    op.opcode = IORING_OP_NOP;
    return uring_submit(ctx, &op, sizeof(op));
}
