/* The C peer of the BlockWalk benchmark: liburing, one thread, a registered file, so many look-ups at once, a completion
 * handler called through a pointer that decides what to read next. Flags as in nop.c. */
#define _GNU_SOURCE
#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif

struct walk {
    unsigned long long *buffer;
    uint64_t lookups, start, keys;
    unsigned hop;
};

struct settings {
    uint32_t block_bytes, hops, depth;
    uint64_t blocks, lookups; /* look-ups for each walk */
};

/* The next block to read, or -1 at the end. */
typedef int64_t (*handler)(struct walk *walk, int res, const struct settings *settings);

__attribute__((noinline)) static int64_t step(struct walk *walk, int res, const struct settings *settings)
{
    if (res < 16)
        return -1;
    walk->keys += walk->buffer[1];
    if (++walk->hop < settings->hops)
        return walk->buffer[0];
    walk->hop = 0;
    if (--walk->lookups == 0)
        return -1;
    walk->start += 977;
    if (walk->start >= settings->blocks)
        walk->start -= settings->blocks;
    return walk->start;
}

static volatile handler the_handler = step;

static void read_block(struct io_uring *ring, struct walk *walk, uint64_t block, const struct settings *settings)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    io_uring_prep_read(sqe, 0, walk->buffer, settings->block_bytes, block * settings->block_bytes);
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data(sqe, walk);
}

/* Runs all walks to their ends. The sum of all keys, or 0 on failure. */
uint64_t walk_run(int fd, const struct settings *settings)
{
    handler handle = the_handler;
    struct io_uring ring;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = 4096,
    };
    struct walk *walks = calloc(settings->depth, sizeof(*walks));
    unsigned live = settings->depth;
    uint64_t keys = 0;

    if (io_uring_queue_init_params(256, &ring, &params) < 0 || io_uring_register_files(&ring, &fd, 1) < 0)
        return 0;
    io_uring_register_ring_fd(&ring);
    for (unsigned i = 0; i < settings->depth; i++) {
        if (posix_memalign((void **)&walks[i].buffer, 4096, settings->block_bytes))
            return 0;
        walks[i].lookups = settings->lookups;
        walks[i].start = (uint64_t)i * 101 % settings->blocks;
        read_block(&ring, &walks[i], walks[i].start, settings);
    }
    while (live) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;

        if (io_uring_submit_and_wait(&ring, 1) < 0)
            return 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            struct walk *walk = io_uring_cqe_get_data(cqe);
            int64_t next = handle(walk, cqe->res, settings);

            if (next >= 0)
                read_block(&ring, walk, next, settings);
            else
                live--;
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
    }
    io_uring_queue_exit(&ring);
    for (unsigned i = 0; i < settings->depth; i++) {
        keys += walks[i].keys;
        free(walks[i].buffer);
    }
    free(walks);
    return keys;
}
