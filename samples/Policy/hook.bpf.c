/*
 * A plug-in's hook that may be hostile: it tries to read beneath its directory, and to get out of it by every way it knows.
 * It emits what became of each try. What it may do is the host's to say (Program.cs, policy.bpf.c): nothing here is trusted.
 */
#include "uring_bpf.h"

#define NAME_BYTES 32

/* Names to open, of the plug-in's own making. */
static const char names[][NAME_BYTES] = {
    "inside.txt", "sub/deeper.txt", "../outside.txt", "sub/../../outside.txt", "/etc/hostname", "link.txt",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* Other tries, after the names. */
enum { OPEN_TO_WRITE = NAMES, CREATE, STAT_PATH, OPEN_PATH, WRITE_FILE, READ_FILE, SEND, TRIES };

/* File slots: the host's, then the plug-in's own. */
enum { HOST_FILE, OWN_FILE };

enum { START, OPENED, READ, CLOSED, OTHER }; /* user_data */

struct plugin {
    __u32 attempt;
    __s32 result;
};

static __always_inline int read_name(struct uring_completion *ctx, struct uring_op *op, __u32 name, __u32 open_flags)
{
    char *buffer = uring_buffer(ctx, 0, 0, NAME_BYTES);
    __u32 length = 0;

    if (!buffer || name >= NAMES)
        return -EFAULT;
    for (__u32 i = 0; i < NAME_BYTES; i++) {
        buffer[i] = names[name][i];
        if (!buffer[i]) {
            length = i + 1;
            break;
        }
    }
    uring_prep_openat_name(op, 0, 0, 0, length, open_flags, 0600, OWN_FILE);
    op->user_data = OPENED;
    return 0;
}

/* The next try; those that are refused at once go on with the one after. */
static __always_inline int try_next(struct uring_completion *ctx, struct plugin *plugin)
{
    struct uring_op op;

    for (__u32 i = 0; i < TRIES; i++) {
        int err = 0;
        __u32 attempt = plugin->attempt;
        if (attempt >= TRIES)
            return URING_PASS;
        if (attempt < NAMES)
            err = read_name(ctx, &op, attempt, O_RDONLY);
        else if (attempt == OPEN_TO_WRITE)
            err = read_name(ctx, &op, 0, O_WRONLY);
        else if (attempt == CREATE)
            err = read_name(ctx, &op, 0, O_RDWR | O_CREAT | O_TRUNC);
        else if (attempt == STAT_PATH)
            uring_prep_statx(&op, 0, 0, 0x7ff, 0, 0);
        else if (attempt == OPEN_PATH)
            uring_prep_openat(&op, URING_NO_DIR, 0, O_RDONLY, 0, OWN_FILE);
        else if (attempt == WRITE_FILE)
            uring_prep_write(&op, HOST_FILE, 0, 16, 0);
        else if (attempt == READ_FILE)
            uring_prep_read(&op, HOST_FILE, 0, 16, 0);
        else
            uring_prep_send(&op, HOST_FILE, 0, 16, 0);
        if (attempt > CREATE)
            op.user_data = OTHER;
        if (!err)
            err = uring_submit(ctx, &op, sizeof(op));
        if (!err)
            return URING_CONTINUE;
        uring_emit(ctx, attempt, (__s64)err);
        plugin->attempt++;
    }
    return URING_PASS;
}

static __always_inline int close_file(struct uring_completion *ctx)
{
    struct uring_op op;

    uring_prep_close(&op, OWN_FILE);
    op.user_data = CLOSED;
    int err = uring_submit(ctx, &op, sizeof(op));
    return err ? err : URING_CONTINUE;
}

SEC("uring/complete")
int plugin(struct uring_completion *ctx)
{
    struct plugin *plugin = (struct plugin *)ctx->scratch;
    struct uring_op op;
    int err;

    switch (ctx->user_data) {
    case OPENED:
        if (ctx->res < 0) {
            plugin->result = ctx->res;
            break;
        }
        uring_prep_read(&op, OWN_FILE, 0, 4096, 0);
        op.user_data = READ;
        err = uring_submit(ctx, &op, sizeof(op));
        return err ? err : URING_CONTINUE;
    case READ:
        plugin->result = ctx->res;
        return close_file(ctx);
    case CLOSED:
        break;
    case OTHER:
        plugin->result = ctx->res;
        break;
    default:
        return try_next(ctx, plugin);
    }
    err = uring_emit(ctx, plugin->attempt, (__s64)plugin->result);
    if (err)
        return err;
    plugin->attempt++;
    return try_next(ctx, plugin);
}

char _license[] SEC("license") = "MIT";
