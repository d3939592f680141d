/* Global data: constants, initialised and zeroed variables, exported and static, in sections with and without suffix. */
#include "bpf_test.h"

struct settings { __u32 limit; __u8 mode; __u8 flags[3]; };

const volatile __u32 threshold = 5;
const volatile struct settings settings = { 100, 2, { 1, 2, 3 } };
__u64 counter = 7;
static volatile __u32 internal = 9;
__u64 zeroed;
static volatile __u64 also_zeroed[4];
__u32 named SEC(".data.named") = 11;
static const char *words[] = { "alpha", "beta", "gamma" };

SEC("raw") int reads(void *ctx)
{
	static volatile int calls = 1;
	calls++;
	counter += threshold;
	also_zeroed[2] = counter;
	internal++;
	zeroed += settings.limit + settings.flags[1];
	return zeroed + named + also_zeroed[3] + calls;
}

SEC("raw") int pointers(__u32 *ctx) { return (long)words[*ctx & 1]; }

char _license[] SEC("license") = "MIT";
