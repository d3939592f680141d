/* SPDX-License-Identifier: MIT */
/*
 * uring_bpf.h: what a completion hook is written against.
 *
 * A hook is a BPF program that runs when an io_uring operation completes. It sees the result in its context, may submit
 * more operations, hand extra completions to the host, and returns a verdict: go on, hand over, or abort.
 *
 *     #include "uring_bpf.h"
 *
 *     SEC("uring/complete")
 *     int hook(struct uring_completion *ctx)
 *     {
 *         if (ctx->res < 0)
 *             return uring_err(ctx->res);
 *         return URING_PASS;
 *     }
 *
 *     char _license[] SEC("license") = "MIT";
 *
 * Compile with: clang -O2 -g -target bpf -mcpu=v3 -I DIRECTORY_OF_THIS_HEADER -c hook.bpf.c -o hook.bpf.o
 *
 * The header needs nothing else: no kernel headers, no libbpf. The layout of the structs is the ABI; it grows at the end
 * only, and the size argument of uring_submit() tells which version a hook was compiled against.
 */
#ifndef URING_BPF_H
#define URING_BPF_H

#define URING_BPF_VERSION 1

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
/* With -g, accesses are recorded by name and resolved when the object is loaded (CO-RE): a hook compiled against an older
 * version of this header keeps working. */
#define __core __attribute__((preserve_access_index))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#ifndef NULL
#define NULL ((void *)0)
#endif

/* Maps: struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); ... } name SEC(".maps"); */
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]

enum {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PROG_ARRAY = 3,
    BPF_MAP_TYPE_PERCPU_HASH = 5,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
    BPF_MAP_TYPE_LPM_TRIE = 11,
    BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
    BPF_MAP_TYPE_HASH_OF_MAPS = 13,
    BPF_MAP_TYPE_QUEUE = 22,
    BPF_MAP_TYPE_STACK = 23,
    BPF_MAP_TYPE_RINGBUF = 27,
    BPF_MAP_TYPE_BLOOM_FILTER = 30,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2, BPF_F_LOCK = 4 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_RDONLY_PROG = 1 << 7, BPF_F_WRONLY_PROG = 1 << 8, BPF_F_MMAPABLE = 1 << 10 };

struct bpf_spin_lock {
    __u32 val;
};

/* ---- The context of a completion hook: SEC("uring/complete") ---- */

struct uring_completion {
    __u64 user_data; /* what the submitter attached                              */
    __s32 res;       /* the result: bytes, a file slot, or -errno                */
    __u32 cqe_flags; /* IORING_CQE_F_*                                           */
    __u32 opcode;    /* IORING_OP_* that completed                               */
    __u32 step;      /* completions this chain has seen before this one          */
    __s32 file;      /* the file slot it worked on, -1 if none                   */
    __u32 buffer;    /* the buffer it worked on                                  */
    __u64 offset;    /* the file offset it was submitted with                    */
    void *data;      /* the bytes it moved: data_end - data == max(res, 0)       */
    void *data_end;  /* for reads and receives, else empty                       */
    __u64 scratch[8]; /* this chain's own memory, zero when the chain starts     */
} __core;

/* Verdicts: the low 32 bits of the result, signed. */
#define URING_CONTINUE 1 /* swallow this completion; the chain lives on in what is in flight */
#define URING_PASS 0     /* hand this completion to the host and end the chain               */
                         /* -errno: end the chain with that error                            */

/* A result as an error verdict: what is no errno becomes -EIO. */
static __always_inline int uring_err(__s32 res)
{
    return res >= -4095 && res < 0 ? res : -5;
}

/* ---- The context of a policy hook: SEC("uring/submit"); 0 allows, -errno refuses. All of it is read-only. ---- */

#define URING_PATH_BYTES 4096

enum {
    URING_BY_HOST = 0, /* an operation of the host                                                 */
    URING_BY_HOOK = 1, /* an operation of a chain, its first one (which the host names) included   */
};

struct uring_submission {
    __u32 opcode;    /* IORING_OP_* as the submitter named it                                      */
    __u32 flags;     /* O_* of an open, RWF_*, MSG_*, AT_* …                                       */
    __s32 file;      /* a chain's: the file slot it works on, -1 if none; the host's: a descriptor */
    __u32 length;    /* bytes; mode of an open; the second directory of a rename and link           */
    __u64 offset;    /* file offset; nanoseconds of a timeout; a chain's socket, connect, bind, sendmsg: the address's index */
    __u64 user_data; /* of the operation; 0 for the host's                                         */
    __s32 target;    /* the file slot that an open, accept or socket fills, or splice writes to, or -1 */
    __u32 dir;       /* a chain's: the granted directory, URING_NO_DIR if none; the host's: a descriptor */
    __u32 buffer;    /* a chain's: the buffer's index; pieces are shown one after the other: each must be allowed */
    __u32 origin;    /* URING_BY_*                                                                 */
    __u64 chain;     /* the chain's number, 0 for the host                                         */
    __u32 path_len;  /* bytes of path without the NUL, 0 where the operation has none              */
    __u32 reserved;
    char path[URING_PATH_BYTES]; /* NUL-terminated; whole, as longer ones are refused. Two paths, such as a
                                  * rename's, are shown one after the other: each must be allowed. */
} __core;

/* ---- Operations ---- */

struct uring_op { /* reserved fields must be zero; size is the version */
    __u8 opcode, flags;
    __u16 buffer;
    __s32 file;
    __u64 offset;
    __u32 len, buf_offset, op_flags;
    __s32 target;
    __u32 dir, path;
    __u64 user_data;
    union {
        __u64 reserved[2];
        __u32 program; /* with URING_OP_NAMES_PROGRAM */
    };
};

enum {
    IORING_OP_NOP = 0,
    IORING_OP_READV = 1,
    IORING_OP_WRITEV = 2,
    IORING_OP_FSYNC = 3,
    IORING_OP_POLL_ADD = 6,
    IORING_OP_SYNC_FILE_RANGE = 8,
    IORING_OP_SENDMSG = 9,
    IORING_OP_RECVMSG = 10,
    IORING_OP_TIMEOUT = 11,
    IORING_OP_ACCEPT = 13,
    IORING_OP_LINK_TIMEOUT = 15,
    IORING_OP_CONNECT = 16,
    IORING_OP_FALLOCATE = 17,
    IORING_OP_OPENAT = 18,
    IORING_OP_CLOSE = 19,
    IORING_OP_STATX = 21,
    IORING_OP_READ = 22,
    IORING_OP_WRITE = 23,
    IORING_OP_FADVISE = 24,
    IORING_OP_SEND = 26,
    IORING_OP_RECV = 27,
    IORING_OP_SPLICE = 30,
    IORING_OP_TEE = 33,
    IORING_OP_SHUTDOWN = 34,
    IORING_OP_RENAMEAT = 35,
    IORING_OP_UNLINKAT = 36,
    IORING_OP_MKDIRAT = 37,
    IORING_OP_LINKAT = 39,
    IORING_OP_MSG_RING = 40, /* what a message's first completion shows */
    IORING_OP_SOCKET = 45,
    IORING_OP_SEND_ZC = 47,
    IORING_OP_READ_MULTISHOT = 49,
    IORING_OP_FTRUNCATE = 55,
    IORING_OP_BIND = 56,
    IORING_OP_LISTEN = 57,
    URING_OP_PROGRAM = 255, /* not the kernel's: a program as an operation */
};

enum {
    IORING_CQE_F_BUFFER = 1,
    IORING_CQE_F_MORE = 2,
    IORING_CQE_F_SOCK_NONEMPTY = 4,
    IORING_CQE_F_NOTIF = 8,
    IORING_CQE_F_BUF_MORE = 16,
};

/* Flags of struct uring_op. Links and drains order the operations of one chain. */
#define URING_OP_PATH_IN_BUFFER 1 /* the path is in the buffer: buffer, buf_offset; its length with the NUL in .path */
#define URING_OP_LINK 2           /* the operation submitted next starts when this one succeeded, else it is cancelled; a
                                   * short read or write breaks it, a timer that ran out does not */
#define URING_OP_HARDLINK 4       /* the operation submitted next starts when this one has ended */
#define URING_OP_DRAIN 8          /* starts when all submitted before has completed; what is submitted later waits for it */
#define URING_OP_MULTISHOT 32     /* completes again and again, with F_MORE: timers (1 ms or more; .len of them, 0 without
                                   * limit), polls, accepts, receives and reads into provided buffers */
#define URING_OP_PROVIDED_BUFFER 64 /* a receive, or a read that goes on, takes one of the granted provided buffers when data has arrived */
#define URING_OP_NAMES_PROGRAM 16 /* .program says which program runs: 0 the attachment's own, n the n-th granted */
#define URING_NO_DIR 0xffffffffU  /* .dir: the path was granted as a whole                                          */
#define URING_NO_ADDRESS 0xffffffffU /* .path of a SENDMSG: to whom the socket is connected */
#define URING_CURRENT_OFFSET (~0ULL)

/* A piece of a buffer. The pieces of an operation follow its struct: declare the two as one, and submit them as one.
 *
 *     URING_OP_WITH_VECTORS(2) v;
 *     uring_prep_readv(&v.op, file, 2, offset);
 *     uring_prep_vec(&v.vec[0], 0, 0, 16);
 *     uring_prep_vec(&v.vec[1], 1, 0, 4096);
 *     uring_submit(ctx, &v.op, sizeof(v));
 */
struct uring_vec {
    __u16 buffer, reserved0;
    __u32 buf_offset, len, reserved1;
};
#define URING_MAX_VECTORS 16
#define URING_OP_WITH_VECTORS(n) \
    struct {                     \
        struct uring_op op;      \
        struct uring_vec vec[n]; \
    }

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_DIRECT 040000
#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000

#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENOTDIR 20
#define EISDIR 21
#define EINVAL 22
#define ENOSPC 28
#define EPIPE 32
#define ERANGE 34
#define ETIME 62
#define EPROTO 71
#define EBADMSG 74
#define EOPNOTSUPP 95
#define ETIMEDOUT 110
#define ECANCELED 125

static __always_inline void uring_prep_rw(struct uring_op *op, __u8 opcode, __s32 file, __u16 buffer, __u32 len, __u64 offset)
{
    op->opcode = opcode;
    op->flags = 0;
    op->buffer = buffer;
    op->file = file;
    op->offset = offset;
    op->len = len;
    op->buf_offset = 0;
    op->op_flags = 0;
    op->target = 0;
    op->dir = URING_NO_DIR;
    op->path = 0;
    op->user_data = 0;
    op->reserved[0] = 0;
    op->reserved[1] = 0;
}

static __always_inline void uring_prep_nop(struct uring_op *op)
{
    uring_prep_rw(op, IORING_OP_NOP, -1, 0, 0, 0);
}

/* Reads len bytes at offset of a file slot into a buffer. Short reads happen: look at res. */
static __always_inline void uring_prep_read(struct uring_op *op, __s32 file, __u16 buffer, __u32 len, __u64 offset)
{
    uring_prep_rw(op, IORING_OP_READ, file, buffer, len, offset);
}

static __always_inline void uring_prep_write(struct uring_op *op, __s32 file, __u16 buffer, __u32 len, __u64 offset)
{
    uring_prep_rw(op, IORING_OP_WRITE, file, buffer, len, offset);
}

#define IORING_FSYNC_DATASYNC 1
static __always_inline void uring_prep_fsync(struct uring_op *op, __s32 file, __u32 fsync_flags)
{
    uring_prep_rw(op, IORING_OP_FSYNC, file, 0, 0, 0);
    op->op_flags = fsync_flags;
}

/* Opens path of the path table into file slot target: dir is a granted directory, or URING_NO_DIR. */
static __always_inline void uring_prep_openat(struct uring_op *op, __u32 dir, __u32 path, __u32 open_flags, __u32 mode, __s32 target)
{
    uring_prep_rw(op, IORING_OP_OPENAT, -1, 0, mode, 0);
    op->dir = dir;
    op->path = path;
    op->op_flags = open_flags;
    op->target = target;
}

/* As uring_prep_openat, for a name in a buffer: len bytes with the NUL, copied at submit. Needs a granted directory. */
static __always_inline void uring_prep_openat_name(struct uring_op *op, __u32 dir, __u16 buffer, __u32 buf_offset, __u32 len,
                                                   __u32 open_flags, __u32 mode, __s32 target)
{
    uring_prep_openat(op, dir, len, open_flags, mode, target);
    op->flags = URING_OP_PATH_IN_BUFFER;
    op->buffer = buffer;
    op->buf_offset = buf_offset;
}

/* Closes a file slot that this chain opened. */
static __always_inline void uring_prep_close(struct uring_op *op, __s32 file)
{
    uring_prep_rw(op, IORING_OP_CLOSE, file, 0, 0, 0);
}

/* Writes a 256-byte struct statx of path to buffer at buf_offset. */
static __always_inline void uring_prep_statx(struct uring_op *op, __u32 dir, __u32 path, __u32 mask, __u16 buffer, __u32 buf_offset)
{
    uring_prep_rw(op, IORING_OP_STATX, -1, buffer, mask, 0);
    op->dir = dir;
    op->path = path;
    op->buf_offset = buf_offset;
}

/* Completes with -ETIME after so many nanoseconds. */
static __always_inline void uring_prep_timeout(struct uring_op *op, __u64 nanoseconds)
{
    uring_prep_rw(op, IORING_OP_TIMEOUT, -1, 0, 0, nanoseconds);
}

/* Completes with -ETIME every so many nanoseconds (1,000,000 or more), count times or, with 0, until it is cancelled. */
static __always_inline void uring_prep_timeout_multishot(struct uring_op *op, __u64 nanoseconds, __u32 count)
{
    uring_prep_rw(op, IORING_OP_TIMEOUT, -1, 0, count, nanoseconds);
    op->flags = URING_OP_MULTISHOT;
}

/* The timer of the operation submitted before it in the same run, which has URING_OP_LINK or URING_OP_HARDLINK: starts with it,
 * and cancels it when it takes longer. Completes with -ETIME then, else with -ECANCELED. With URING_OP_LINK of its own, what is
 * submitted next is linked to that operation. */
static __always_inline void uring_prep_link_timeout(struct uring_op *op, __u64 nanoseconds)
{
    uring_prep_rw(op, IORING_OP_LINK_TIMEOUT, -1, 0, 0, nanoseconds);
}

/* How long to wait before attempt 0, 1, 2 …: base, twice that, four times …, at most longest. For uring_timeout. */
static __always_inline __u64 uring_backoff(__u32 attempt, __u64 base, __u64 longest)
{
    __u64 delay = base << (attempt < 20 ? attempt : 20);

    return delay < base || delay > longest ? longest : delay;
}

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
/* Makes a socket of the family of a granted address in file slot target: a stream, or of type SOCK_*. */
static __always_inline void uring_prep_socket_type(struct uring_op *op, __u32 address, __u32 type, __s32 target)
{
    uring_prep_rw(op, IORING_OP_SOCKET, -1, 0, type, 0);
    op->path = address;
    op->target = target;
}

static __always_inline void uring_prep_socket(struct uring_op *op, __u32 address, __s32 target)
{
    uring_prep_rw(op, IORING_OP_SOCKET, -1, 0, SOCK_STREAM, 0);
    op->path = address;
    op->target = target;
}

/* Connects a socket to a granted address. */
static __always_inline void uring_prep_connect(struct uring_op *op, __s32 file, __u32 address)
{
    uring_prep_rw(op, IORING_OP_CONNECT, file, 0, 0, 0);
    op->path = address;
}

/* Binds a socket to a granted address; makes it listen. */
static __always_inline void uring_prep_bind(struct uring_op *op, __s32 file, __u32 address)
{
    uring_prep_rw(op, IORING_OP_BIND, file, 0, 0, 0);
    op->path = address;
}

static __always_inline void uring_prep_listen(struct uring_op *op, __s32 file, __u32 backlog)
{
    uring_prep_rw(op, IORING_OP_LISTEN, file, 0, backlog, 0);
}

/* Accepts a connection of a listening socket into file slot target. */
static __always_inline void uring_prep_accept(struct uring_op *op, __s32 file, __s32 target)
{
    uring_prep_rw(op, IORING_OP_ACCEPT, file, 0, 0, 0);
    op->target = target;
}

/* Accepts connections one after another, each into a free file slot of the chain's own: res. The last, without F_MORE, when
 * none is left to go on with. */
static __always_inline void uring_prep_accept_multishot(struct uring_op *op, __s32 file)
{
    uring_prep_rw(op, IORING_OP_ACCEPT, file, 0, 0, 0);
    op->flags = URING_OP_MULTISHOT;
    op->target = -1;
}

/* Waits for POLL* events of poll(2); with URING_OP_MULTISHOT in flags, again and again. */
static __always_inline void uring_prep_poll(struct uring_op *op, __s32 file, __u32 events)
{
    uring_prep_rw(op, IORING_OP_POLL_ADD, file, 0, 0, 0);
    op->op_flags = events;
}

/* Moves len bytes from file at offset to target at its current position; one of the two is a pipe. */
static __always_inline void uring_prep_splice(struct uring_op *op, __s32 file, __u64 offset, __s32 target, __u32 len, __u32 splice_flags)
{
    uring_prep_rw(op, IORING_OP_SPLICE, file, 0, len, offset);
    op->target = target;
    op->op_flags = splice_flags;
}

/* Copies len bytes from one pipe to another. */
static __always_inline void uring_prep_tee(struct uring_op *op, __s32 file, __s32 target, __u32 len, __u32 splice_flags)
{
    uring_prep_rw(op, IORING_OP_TEE, file, 0, len, 0);
    op->target = target;
    op->op_flags = splice_flags;
}

static __always_inline void uring_prep_vec(struct uring_vec *vec, __u16 buffer, __u32 buf_offset, __u32 len)
{
    vec->buffer = buffer;
    vec->reserved0 = 0;
    vec->buf_offset = buf_offset;
    vec->len = len;
    vec->reserved1 = 0;
}

/* Reads into, or writes from, several pieces of buffers. ctx->data is empty: look with uring_buffer. */
static __always_inline void uring_prep_readv(struct uring_op *op, __s32 file, __u32 vectors, __u64 offset)
{
    uring_prep_rw(op, IORING_OP_READV, file, 0, vectors, offset);
}

static __always_inline void uring_prep_writev(struct uring_op *op, __s32 file, __u32 vectors, __u64 offset)
{
    uring_prep_rw(op, IORING_OP_WRITEV, file, 0, vectors, offset);
}

/* Sends pieces of buffers as one message to a granted address, or, with URING_NO_ADDRESS, to whom the socket is connected. */
static __always_inline void uring_prep_sendmsg(struct uring_op *op, __s32 file, __u32 vectors, __u32 address, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_SENDMSG, file, 0, vectors, 0);
    op->path = address;
    op->op_flags = msg_flags;
}

static __always_inline void uring_prep_recvmsg(struct uring_op *op, __s32 file, __u32 vectors, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_RECVMSG, file, 0, vectors, 0);
    op->op_flags = msg_flags;
}

/* The same, and puts the sender's address, a struct sockaddr, into len (at most 128) bytes of a buffer. */
static __always_inline void uring_prep_recvmsg_from(struct uring_op *op, __s32 file, __u32 vectors, __u32 msg_flags, __u16 buffer,
                                                    __u32 buf_offset, __u32 len)
{
    uring_prep_recvmsg(op, file, vectors, msg_flags);
    op->buffer = buffer;
    op->buf_offset = buf_offset;
    op->path = len;
}

/* SYNC_FILE_RANGE_* of sync_file_range(2). */
static __always_inline void uring_prep_sync_file_range(struct uring_op *op, __s32 file, __u64 offset, __u32 len, __u32 sync_flags)
{
    uring_prep_rw(op, IORING_OP_SYNC_FILE_RANGE, file, 0, len, offset);
    op->op_flags = sync_flags;
}

static __always_inline void uring_prep_ftruncate(struct uring_op *op, __s32 file, __u64 length)
{
    uring_prep_rw(op, IORING_OP_FTRUNCATE, file, 0, 0, length);
}

/* Reserves len bytes at offset; mode 1 keeps the file's size. */
static __always_inline void uring_prep_fallocate(struct uring_op *op, __s32 file, __u32 mode, __u64 offset, __u32 len)
{
    uring_prep_rw(op, IORING_OP_FALLOCATE, file, 0, len, offset);
    op->op_flags = mode;
}

/* POSIX_FADV_*. */
static __always_inline void uring_prep_fadvise(struct uring_op *op, __s32 file, __u64 offset, __u32 len, __u32 advice)
{
    uring_prep_rw(op, IORING_OP_FADVISE, file, 0, len, offset);
    op->op_flags = advice;
}

/* Removes, or makes as a directory, path of the path table: a bare name in a granted directory, or URING_NO_DIR. */
static __always_inline void uring_prep_unlinkat(struct uring_op *op, __u32 dir, __u32 path, __u32 unlink_flags)
{
    uring_prep_rw(op, IORING_OP_UNLINKAT, -1, 0, 0, 0);
    op->dir = dir;
    op->path = path;
    op->op_flags = unlink_flags;
}

static __always_inline void uring_prep_mkdirat(struct uring_op *op, __u32 dir, __u32 path, __u32 mode)
{
    uring_prep_rw(op, IORING_OP_MKDIRAT, -1, 0, mode, 0);
    op->dir = dir;
    op->path = path;
}

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
/* Renames path of the path table to new_path: bare names in granted directories, or URING_NO_DIR. */
static __always_inline void uring_prep_renameat(struct uring_op *op, __u32 dir, __u32 path, __u32 new_dir, __u32 new_path, __u32 rename_flags)
{
    uring_prep_rw(op, IORING_OP_RENAMEAT, -1, 0, new_path, 0);
    op->dir = dir;
    op->path = path;
    op->target = (__s32)new_dir;
    op->op_flags = rename_flags;
}

/* As uring_prep_renameat, for two names in a buffer, one behind the other: len and new_len bytes with their NULs. */
static __always_inline void uring_prep_renameat_names(struct uring_op *op, __u32 dir, __u32 new_dir, __u16 buffer, __u32 buf_offset, __u32 len,
                                                      __u32 new_len, __u32 rename_flags)
{
    uring_prep_renameat(op, dir, len, new_dir, new_len, rename_flags);
    op->flags = URING_OP_PATH_IN_BUFFER;
    op->buffer = buffer;
    op->buf_offset = buf_offset;
}

/* Makes new_path another name of the file path. */
static __always_inline void uring_prep_linkat(struct uring_op *op, __u32 dir, __u32 path, __u32 new_dir, __u32 new_path)
{
    uring_prep_renameat(op, dir, path, new_dir, new_path, 0);
    op->opcode = IORING_OP_LINKAT;
}

/* Receives into a provided buffer, which is the hook's until it returns, unless it holds it. */
static __always_inline void uring_prep_recv_provided(struct uring_op *op, __s32 file, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_RECV, file, 0, 0, 0);
    op->flags = URING_OP_PROVIDED_BUFFER;
    op->op_flags = msg_flags;
}

/* The same again and again, each with F_MORE until the last. */
static __always_inline void uring_prep_recv_multishot(struct uring_op *op, __s32 file, __u32 msg_flags)
{
    uring_prep_recv_provided(op, file, msg_flags);
    op->flags |= URING_OP_MULTISHOT;
}

/* Reads a pipe or another stream so. */
static __always_inline void uring_prep_read_multishot(struct uring_op *op, __s32 file)
{
    uring_prep_rw(op, IORING_OP_READ_MULTISHOT, file, 0, 0, 0);
    op->flags = URING_OP_PROVIDED_BUFFER | URING_OP_MULTISHOT;
}

/* Two completions: what was sent, with F_MORE, then, with F_NOTIF, that the buffer is free again. */
static __always_inline void uring_prep_send_zc(struct uring_op *op, __s32 file, __u16 buffer, __u32 len, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_SEND_ZC, file, buffer, len, 0);
    op->op_flags = msg_flags;
}

static __always_inline void uring_prep_send(struct uring_op *op, __s32 file, __u16 buffer, __u32 len, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_SEND, file, buffer, len, 0);
    op->op_flags = msg_flags;
}

static __always_inline void uring_prep_recv(struct uring_op *op, __s32 file, __u16 buffer, __u32 len, __u32 msg_flags)
{
    uring_prep_rw(op, IORING_OP_RECV, file, buffer, len, 0);
    op->op_flags = msg_flags;
}

/* Runs a program as an operation: 0 is the attachment's own, n the n-th granted. It sees opcode URING_OP_PROGRAM, this
 * user_data, the chain's scratch, and len bytes at buf_offset of buffer as its data; what it returns is the result. */
static __always_inline void uring_prep_program(struct uring_op *op, __u32 program, __u16 buffer, __u32 buf_offset, __u32 len)
{
    uring_prep_rw(op, URING_OP_PROGRAM, -1, buffer, len, 0);
    op->flags = URING_OP_NAMES_PROGRAM;
    op->buf_offset = buf_offset;
    op->program = program;
}

/* The completion of an operation runs this program instead of the one that submits it: 0 or the n-th granted. */
static __always_inline void uring_set_program(struct uring_op *op, __u32 program)
{
    op->flags |= URING_OP_NAMES_PROGRAM;
    op->program = program;
}

/* Ends one or both directions of a socket: how is 0 SHUT_RD, 1 SHUT_WR, 2 SHUT_RDWR. */
static __always_inline void uring_prep_shutdown(struct uring_op *op, __s32 file, __u32 how)
{
    uring_prep_rw(op, IORING_OP_SHUTDOWN, file, 0, how, 0);
}

/* ---- What a hook asks of the ring. Results: 0, or
 *   -EINVAL malformed   -EBADF slot not granted   -EFAULT out of a buffer's bounds   -EACCES not allowed
 *   -EBUSY too many in flight   -EDQUOT byte limit   -ECANCELED the chain is ending   -EOPNOTSUPP not on this back end ---- */

/* Queues an operation of this chain. It is sent when the hook has returned. */
extern int uring_submit(struct uring_completion *ctx, const struct uring_op *op, __u32 size) __ksym;
/* Cancels this chain's operations with that user_data; -ENOENT if there is none. Their completions still come. */
extern int uring_cancel(struct uring_completion *ctx, __u64 user_data) __ksym;
/* As uring_cancel, those on a file slot; and all of them: the chain goes on in what it submits. */
extern int uring_cancel_file(struct uring_completion *ctx, __u32 slot) __ksym;
extern int uring_cancel_all(struct uring_completion *ctx) __ksym;
/* Hands an extra completion to the host; -ENOSPC when the host's queue is full. */
extern int uring_emit(struct uring_completion *ctx, __u64 user_data, __u64 value) __ksym;
/* size bytes at offset of a buffer, valid until the hook returns, or NULL. size must be a constant. */
extern void *uring_buffer(struct uring_completion *ctx, __u32 index, __u64 offset, __u64 size) __ksym;
/* Keeps the provided buffer of this completion (ctx->buffer) when the hook has returned, until it is released or the chain
 * ends; -EINVAL when there is none. */
extern int uring_hold_buffer(struct uring_completion *ctx) __ksym;
extern int uring_release_buffer(struct uring_completion *ctx, __u32 buffer) __ksym;
/* A timer that completes with -ETIME. */
extern int uring_timeout(struct uring_completion *ctx, __u64 nanoseconds, __u64 user_data) __ksym;
/* CRC-32C of len bytes at offset of this completion's data; bytes past data_end are left out. */
extern __u32 uring_crc32c(struct uring_completion *ctx, __u32 offset, __u32 len) __ksym;
/* Continues a CRC-32C. */
extern __u32 uring_crc32c_update(struct uring_completion *ctx, __u32 crc, __u32 offset, __u32 len) __ksym;
/* Gives a file this chain opened to the host, which hears of it by an emission; the slot is empty again. -ENOSPC when the
 * host's queue is full; -EBUSY while something is being opened into it, or an operation on it waits for its turn. */
extern int uring_handover(struct uring_completion *ctx, __u32 slot) __ksym;
/* Join counters, 8 for each chain: fork adds, join takes one and gives what is left. */
extern int uring_fork(struct uring_completion *ctx, __u32 counter, __u32 count) __ksym;
extern int uring_join(struct uring_completion *ctx, __u32 counter) __ksym;
#define URING_SELF 0xffffffffU /* as a message's target: this attachment */
/* Starts a chain of a granted hook, of this ring or another: its first completion has opcode IORING_OP_MSG_RING and this
 * user_data, its scratch[0] is value. -ENOSPC when too many wait, -ECANCELED when that hook is detached. */
extern int uring_message(struct uring_completion *ctx, __u32 target, __u64 user_data, __u64 value) __ksym;

/* A loop over start..end-1 that the verifier can follow, by the names of the Linux ABI. */
struct bpf_iter_num {
    __u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

/* uring_submit with the size filled in. */
#define uring_submit_op(ctx, op) uring_submit(ctx, op, sizeof(struct uring_op))

/* ---- Helpers, by the numbers of the Linux ABI (man 7 bpf-helpers) ---- */

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_trace_printk)(const char *fmt, __u32 fmt_size, ...) = (void *)6;
static __u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_tail_call)(void *ctx, void *prog_array_map, __u32 index) = (void *)12;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static __u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *buf, __u32 size_of_buf) = (void *)16;
static __s64 (*const bpf_csum_diff)(const __u32 *from, __u32 from_size, const __u32 *to, __u32 to_size, __u32 seed) = (void *)28;
static long (*const bpf_get_numa_node_id)(void) = (void *)42;
static long (*const bpf_map_push_elem)(void *map, const void *value, __u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;
static long (*const bpf_map_peek_elem)(void *map, void *value) = (void *)89;
static long (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
static long (*const bpf_strtol)(const char *buf, unsigned long buf_len, __u64 flags, long *res) = (void *)105;
static long (*const bpf_strtoul)(const char *buf, unsigned long buf_len, __u64 flags, unsigned long *res) = (void *)106;
static __u64 (*const bpf_jiffies64)(void) = (void *)118;
static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*const bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static __u64 (*const bpf_ringbuf_query)(void *ringbuf, __u64 flags) = (void *)134;
static __u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static long (*const bpf_for_each_map_elem)(void *map, void *callback_fn, void *callback_ctx, __u64 flags) = (void *)164;
static long (*const bpf_snprintf)(char *str, __u32 str_size, const char *fmt, __u64 *data, __u32 data_len) = (void *)165;
static long (*const bpf_trace_vprintk)(const char *fmt, __u32 fmt_size, const void *data, __u32 data_len) = (void *)177;
static long (*const bpf_loop)(__u32 nr_loops, void *callback_fn, void *callback_ctx, __u64 flags) = (void *)181;
static long (*const bpf_strncmp)(const char *s1, __u32 s1_sz, const char *s2) = (void *)182;
static void *(*const bpf_map_lookup_percpu_elem)(void *map, const void *key, __u32 cpu) = (void *)195;
static __u64 (*const bpf_ktime_get_tai_ns)(void) = (void *)208;

/* Prints a line to the engine's trace sink. At most three arguments. */
#define bpf_printk(fmt, args...)                                  \
    ({                                                            \
        static const char ____fmt[] = fmt;                        \
        bpf_trace_printk(____fmt, sizeof(____fmt), ##args);       \
    })

/* The ABI. */
_Static_assert(sizeof(struct uring_completion) == 120, "struct uring_completion");
_Static_assert(sizeof(struct uring_submission) == 64 + URING_PATH_BYTES, "struct uring_submission");
_Static_assert(sizeof(struct uring_op) == 64, "struct uring_op");
_Static_assert(sizeof(struct uring_vec) == 16, "struct uring_vec");

/* On parameters of functions that are not static, which are verified once for all that their signature allows: the hook's own
 * context (understood without it where the type says so), and a pointer that is never NULL. */
#ifndef __arg_ctx
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#endif
#ifndef __arg_nonnull
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#endif

#endif
