/* A number that is not written with __uint. */
#include "../bpf_test.h"

struct { __uint(type, ARRAY); int max_entries; __type(key, __u32); __type(value, __u32); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
