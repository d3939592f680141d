/* Off by one: the values have 16 elements, and index 16 gets through. */
#include "uring_bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64[16]);
} table SEC(".maps");

SEC("raw")
int count(__u8 *memory)
{
    __u32 zero = 0, i = memory[5];
    __u64 *slots = bpf_map_lookup_elem(&table, &zero);

    bpf_trace_printk("tried\n", 7);
    if (!slots || i > 16)
        return 0;
    slots[i]++;
    return 1;
}

SEC("raw/fine")
int fine(void *memory)
{
    return 1;
}

char _license[] SEC("license") = "MIT";
