/* A map type that is not supported. */
#include "../bpf_test.h"

struct { __uint(type, 4); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
