/* Declared entries in a map that has none. */
#include "../bpf_test.h"

struct { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __array(values, int(void *)); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
