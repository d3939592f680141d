/* An old map definition with more than the five fields. */
#include "../bpf_test.h"

struct { __u32 type, key_size, value_size, max_entries, flags, inner; } map SEC("maps") = { ARRAY, 4, 8, 1, 0, 7 };
SEC("raw") int program(void *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
