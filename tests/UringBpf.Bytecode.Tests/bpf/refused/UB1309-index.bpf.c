/* An entry past the end of the map. */
#include "../bpf_test.h"

struct inner { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } inner SEC(".maps");
struct { __uint(type, ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, __u32); __array(values, struct inner); } map SEC(".maps") = { .values = { [2] = &inner } };
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
