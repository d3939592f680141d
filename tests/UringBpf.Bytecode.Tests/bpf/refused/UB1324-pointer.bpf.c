/* A kfunc declared with a number in place of a pointer. */
#include "../bpf_test.h"

extern int uring_emit(__u64 ctx, __u64 user_data, __u64 value) __ksym;
SEC("uring/complete") int program(void *ctx) { return uring_emit((long)ctx, 1, 2); }

char _license[] SEC("license") = "GPL";
