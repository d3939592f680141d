/* Maps of maps of maps. */
#include "../bpf_test.h"

struct inner { __uint(type, ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32); __array(values, struct { __uint(type, ARRAY); }); };
struct { __uint(type, ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32); __array(values, struct inner); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
