/*
 * Group commit: all records of a group are written at once, one fdatasync follows the last write, and each record has its
 * own completion. A join counter tells when the last write is done.
 */
#include "uring_bpf.h"

#define RECORD_BYTES 256
#define MAX_GROUP 64

struct record {
    __u8 bytes[RECORD_BYTES];
};

/* The group's records, put there by the host before it starts the chain. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MAX_GROUP);
    __type(key, __u32);
    __type(value, struct record);
} records SEC(".maps");

/* Set by the host as the chain starts. */
struct group {
    __u64 offset; /* of the first record in the file */
    __u32 count;
    __s32 error;
};

enum { START, WRITTEN, SYNCED };

SEC("uring/complete")
int group_commit(struct uring_completion *ctx)
{
    struct group *group = (struct group *)ctx->scratch;
    struct uring_op op;
    int err;

    switch (ctx->user_data) {
    case START:
        err = uring_fork(ctx, 0, group->count);
        if (err)
            return err;
        for (__u32 i = 0; i < MAX_GROUP; i++) {
            if (i >= group->count)
                break;
            struct record *record = bpf_map_lookup_elem(&records, &i);
            struct record *buffer = uring_buffer(ctx, 0, i * RECORD_BYTES, RECORD_BYTES);
            if (!record || !buffer)
                return -EFAULT;
            *buffer = *record;
            uring_prep_write(&op, 0, 0, RECORD_BYTES, group->offset + i * RECORD_BYTES);
            op.buf_offset = i * RECORD_BYTES;
            op.user_data = WRITTEN;
            err = uring_submit(ctx, &op, sizeof(op));
            if (err)
                return err;
        }
        return URING_CONTINUE;

    case WRITTEN:
        if (ctx->res != RECORD_BYTES && !group->error)
            group->error = ctx->res < 0 ? ctx->res : -EIO;
        if (uring_join(ctx, 0) != 0)
            return URING_CONTINUE;
        uring_prep_fsync(&op, 0, IORING_FSYNC_DATASYNC);
        op.user_data = SYNCED;
        err = uring_submit(ctx, &op, sizeof(op));
        return err ? err : URING_CONTINUE;

    case SYNCED:
        if (ctx->res < 0 && !group->error)
            group->error = ctx->res;
        for (__u32 i = 0; i < MAX_GROUP; i++) {
            if (i >= group->count)
                break;
            err = uring_emit(ctx, i, (__s64)group->error);
            if (err)
                return err;
        }
        return URING_PASS;
    }
    return -EINVAL;
}

char _license[] SEC("license") = "MIT";
