/* A map definition must not be static. */
#include "../bpf_test.h"

static struct { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return !bpf_map_lookup_elem(&map, ctx); }

char _license[] SEC("license") = "GPL";
