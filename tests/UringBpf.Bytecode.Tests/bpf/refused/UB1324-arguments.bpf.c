/* A kfunc declared with too few arguments. */
#include "../bpf_test.h"

extern int uring_emit(void *ctx) __ksym;
SEC("uring/complete") int program(void *ctx) { return uring_emit(ctx); }

char _license[] SEC("license") = "GPL";
