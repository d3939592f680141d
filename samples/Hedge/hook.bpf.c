/*
 * A hedged request: the same question to two replicas, the first answer wins, the other is cancelled. Files 0 and 1 are
 * sockets to the replicas; an answer is 8 bytes.
 */
#include "uring_bpf.h"

#define REPLICAS 2

struct hedge {
    __u64 question; /* put there by the host */
    __u32 waiting;  /* answers still to come */
    __u32 won;
};

enum { START, SENT, ANSWERED }; /* low half of user_data; the upper half is the replica */

SEC("uring/complete")
int hedge(struct uring_completion *ctx)
{
    struct hedge *hedge = (struct hedge *)ctx->scratch;
    __u32 replica = ctx->user_data >> 32;
    struct uring_op op;
    int err;

    switch ((__u32)ctx->user_data) {
    case START:
        for (__u32 i = 0; i < REPLICAS; i++) {
            __u64 *question = uring_buffer(ctx, i, 0, 8);
            if (!question)
                return -EFAULT;
            *question = hedge->question;
            uring_prep_send(&op, i, i, 8, 0);
            op.user_data = SENT | (__u64)i << 32;
            err = uring_submit(ctx, &op, sizeof(op));
            if (err)
                return err;
            hedge->waiting++;
        }
        return URING_CONTINUE;

    case SENT:
        if (ctx->res < 0) /* this replica is gone: the other may still answer */
            break;
        uring_prep_recv(&op, replica, replica, 8, 0x100 /* MSG_WAITALL */);
        op.user_data = ANSWERED | (__u64)replica << 32;
        err = uring_submit(ctx, &op, sizeof(op));
        return err ? err : URING_CONTINUE;

    case ANSWERED:
        if (hedge->won || ctx->res != 8)
            break;
        __u64 *answer = ctx->data;
        if ((void *)(answer + 1) > ctx->data_end)
            break;
        hedge->won = 1;
        err = uring_emit(ctx, replica, *answer);
        if (err)
            return err;
        /* The loser's completion still comes, with -ECANCELED. -ENOENT: it had already failed, or is still sending. */
        uring_cancel(ctx, ANSWERED | (__u64)(1 - replica) << 32);
        uring_cancel(ctx, SENT | (__u64)(1 - replica) << 32);
        break;

    default:
        return -EINVAL;
    }
    if (--hedge->waiting)
        return URING_CONTINUE;
    return hedge->won ? URING_PASS : -EIO;
}

char _license[] SEC("license") = "MIT";
