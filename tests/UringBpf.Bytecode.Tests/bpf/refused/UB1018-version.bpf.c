/* The version section holds something other than one 32-bit number. */
#include "../bpf_test.h"

__u64 _version SEC("version") = 1;
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
