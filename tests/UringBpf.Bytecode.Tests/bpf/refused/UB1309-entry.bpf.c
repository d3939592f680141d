/* An entry of a map of maps that is not a map. */
#include "../bpf_test.h"

struct inner { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); };
struct inner not_a_map SEC(".data");
struct { __uint(type, ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32); __array(values, struct inner); } map SEC(".maps") = { .values = { &not_a_map } };
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
