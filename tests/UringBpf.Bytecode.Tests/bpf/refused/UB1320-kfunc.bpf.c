/* A kfunc that does not exist. */
#include "../bpf_test.h"

extern int no_such_kfunc(void *ctx) __ksym;
SEC("raw") int program(void *ctx) { return no_such_kfunc(ctx); }

char _license[] SEC("license") = "GPL";
