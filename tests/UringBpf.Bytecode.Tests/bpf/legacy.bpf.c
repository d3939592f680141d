/* Maps in the form before BTF. */
#include "bpf_test.h"

struct bpf_map_def { __u32 type, key_size, value_size, max_entries, map_flags; };

struct bpf_map_def SEC("maps") counts = { HASH, 8, 16, 32, 1 };
struct bpf_map_def SEC("maps") slots = { ARRAY, 4, 8, 4, 0 };

SEC("raw") int program(__u64 *ctx)
{
	return bpf_map_lookup_elem(&counts, ctx) || bpf_map_lookup_elem(&slots, ctx);
}

char _license[] SEC("license") = "GPL";
