/* A zeroed variable larger than global data may be. */
#include "../bpf_test.h"

char huge[0x40000008];
SEC("raw") int program(int *ctx) { return huge[*ctx]; }

char _license[] SEC("license") = "GPL";
