/* A map definition is a struct. */
#include "../bpf_test.h"

union { __uint(type, ARRAY); __uint(max_entries, 1); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
