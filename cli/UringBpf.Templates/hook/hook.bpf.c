/*
 * Counts the lines of a file: runs each time a read completes, counts what has come, and asks for the next block. The host
 * starts it with one read and hears of it once, at the end of the file.
 */
#include "uring_bpf.h"

#define MAX_BLOCK 65536

/* Set by the host before the hook is loaded: Hook.Settings. */
const volatile __u32 block_bytes = MAX_BLOCK;

/* Lines by file slot, live in the host: hook.Maps.Lines. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} lines SEC(".maps");

/* Blocks read, of all files: hook.Globals.Blocks. */
__u64 blocks;

SEC("uring/complete")
int count_lines(struct uring_completion *ctx)
{
    const char *at = ctx->data, *end = ctx->data_end;
    __u32 file = ctx->file;
    __u64 count = 0, *total;
    struct uring_op op;
    int err;

    if (ctx->res < 0)
        return uring_err(ctx->res);
    if (ctx->res == 0)
        return URING_PASS; /* the end of the file: over to the host */

    /* The bound lets the verifier count: the loop is proved to end. */
    for (__u32 i = 0; i < MAX_BLOCK; i++) {
        if (at + i + 1 > end)
            break;
        count += at[i] == '\n';
    }

    __sync_fetch_and_add(&blocks, 1);
    total = bpf_map_lookup_elem(&lines, &file);
    if (total)
        __sync_fetch_and_add(total, count);
    else
        bpf_map_update_elem(&lines, &file, &count, BPF_ANY);

    uring_prep_read(&op, ctx->file, 0, block_bytes, ctx->offset + ctx->res);
    err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

char _license[] SEC("license") = "MIT";
