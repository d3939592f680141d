/* More maps than a program may name. */
#include "../bpf_test.h"

#define M(n) struct { __uint(type, ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } m##n SEC(".maps");
#define M10(n) M(n##0) M(n##1) M(n##2) M(n##3) M(n##4) M(n##5) M(n##6) M(n##7) M(n##8) M(n##9)
#define L(n) if (bpf_map_lookup_elem(&m##n, &key)) found++;
#define L10(n) L(n##0) L(n##1) L(n##2) L(n##3) L(n##4) L(n##5) L(n##6) L(n##7) L(n##8) L(n##9)
M10(1) M10(2) M10(3) M10(4) M10(5) M10(6) M(70) M(71) M(72) M(73) M(74)
SEC("raw") int most(void *ctx)
{
	__u32 key = 0;
	int found = 0;
	L10(1) L10(2) L10(3) L10(4) L10(5) L10(6) L(70) L(71) L(72) L(73)
	return found;
}
#ifndef AT_LIMIT
SEC("raw") int program(void *ctx)
{
	__u32 key = 0;
	int found = 0;
	L10(1) L10(2) L10(3) L10(4) L10(5) L10(6) L(70) L(71) L(72) L(73) L(74)
	return found;
}
#endif

char _license[] SEC("license") = "GPL";
