/* The C peer of the ring's NOP benchmark: liburing, one thread, batches of NOPs, a completion handler called through a
 * pointer for each, as a program with a hook would have it. Flags: SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL, registered
 * ring. NO_SQARRAY is left out: liburing 2.3 does not know it. */
#include <liburing.h>
#include <stdlib.h>
#include <time.h>

#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif

struct completion {
    unsigned long long user_data;
    int res;
    unsigned flags;
};

typedef int (*handler)(struct completion *completion);

__attribute__((noinline)) static int empty_handler(struct completion *completion)
{
    __asm__ volatile("" : : "r"(completion) : "memory");
    return 1;
}

static volatile handler the_handler = empty_handler;

struct io_uring *nop_open(void)
{
    struct io_uring *ring = malloc(sizeof(*ring));
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = 4096,
    };

    if (!ring || io_uring_queue_init_params(256, ring, &params) < 0)
        return NULL;
    io_uring_register_ring_fd(ring);
    return ring;
}

/* Nanoseconds for so many batches, or -1. */
double nop_run(struct io_uring *ring, unsigned batch, unsigned batches)
{
    handler handle = the_handler;
    struct timespec start, end;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned round = 0; round < batches; round++) {
        for (unsigned i = 0; i < batch; i++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, i);
        }
        if (io_uring_submit_and_wait(ring, batch) < 0)
            return -1;
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(ring, head, cqe) {
            struct completion completion = { cqe->user_data, cqe->res, cqe->flags };
            handle(&completion);
            seen++;
        }
        io_uring_cq_advance(ring, seen);
        if (seen != batch)
            return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
}

void nop_close(struct io_uring *ring)
{
    io_uring_queue_exit(ring);
    free(ring);
}
