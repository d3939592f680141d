/* A kernel variable. */
#include "../bpf_test.h"

extern const int bpf_prog_active __ksym;
SEC("raw") int program(void *ctx) { return (long)&bpf_prog_active; }

char _license[] SEC("license") = "GPL";
