/* A key type without a size. */
#include "../bpf_test.h"

struct { __uint(type, ARRAY); __uint(max_entries, 1); void *key; __type(value, __u32); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
