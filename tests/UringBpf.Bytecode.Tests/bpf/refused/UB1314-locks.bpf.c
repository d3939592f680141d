/* Two spin locks in one value. */
#include "../bpf_test.h"

struct bpf_spin_lock { __u32 value; };
struct value { struct bpf_spin_lock a, b; };
struct { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct value); } map SEC(".maps");
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
