/* Two fields that give the key different sizes. */
#include "../bpf_test.h"

struct { __uint(type, ARRAY); __uint(max_entries, 1); __uint(key_size, 8); __type(key, __u32); __type(value, __u32); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
