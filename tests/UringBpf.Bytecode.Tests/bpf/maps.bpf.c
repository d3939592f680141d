/* Map definitions in BTF: sizes by type and by number, declared entries, pinning, spin locks. */
#include "bpf_test.h"

struct bpf_spin_lock { __u32 value; };
struct locked { __u64 sum; struct bpf_spin_lock lock; __u32 rest; };

struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, 1);
	__type(key, __u64);
	__type(value, struct locked);
	__uint(pinning, 1);
} locks SEC(".maps");

struct {
	__uint(type, ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 24);
	__uint(max_entries, 3);
} sized SEC(".maps");

struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 5000);
} events SEC(".maps");

struct {
	__uint(type, BLOOM);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
	__type(value, __u32);
} filter SEC(".maps");

struct inner {
	__uint(type, ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} inner_a SEC(".maps"), inner_b SEC(".maps");

struct {
	__uint(type, ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &inner_a, [3] = &inner_b } };

int target(void *ctx);
struct {
	__uint(type, PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [1] = (void *)&target } };

SEC("raw") int target(void *ctx) { return 2; }

SEC("raw") int uses(void *ctx)
{
	__u32 key = 1;
	__u64 wide = 1;
	__u64 *counter = bpf_map_lookup_elem(&sized, &key);
	if (counter) (*counter)++;
	struct locked *locked = bpf_map_lookup_elem(&locks, &wide);
	if (locked) {
		bpf_spin_lock(&locked->lock);
		locked->sum++;
		bpf_spin_unlock(&locked->lock);
	}
	void *map = bpf_map_lookup_elem(&outer, &key);
	if (map && bpf_map_lookup_elem(map, &key)) return 1;
	bpf_tail_call(ctx, &jumps, 1);
	return 0;
}

char _license[] SEC("license") = "GPL";
