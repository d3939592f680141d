/* Data in a section of its own name is not global data. */
#include "../bpf_test.h"

__u32 value SEC("somewhere") = 1;
SEC("raw") int program(void *ctx) { return value; }

char _license[] SEC("license") = "GPL";
