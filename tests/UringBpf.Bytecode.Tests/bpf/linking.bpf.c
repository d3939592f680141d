/* Programs and subprograms: several programs in a section, static and global functions in .text and elsewhere,
 * callbacks by address, and calls in every form the compiler relocates. No maps, so it is whole without BTF as well. */
#include "bpf_test.h"

struct context { __u64 a, b; };

static __noinline __u64 multiply(__u64 a, __u64 b) { return a * b + 1; }

__noinline int global_add(int a, int b) { return a * b + a; }

static int count_up(__u32 index, void *context) { *(__u64 *)context += index; return 0; }

static __noinline SEC("raw") __u64 beside(__u64 a) { return a * 3; }

SEC("raw") int first(struct context *ctx)
{
	__u64 sum = 0;
	bpf_loop(4, count_up, &sum, 0);
	return multiply(ctx->a, sum) + global_add(sum, 3) + beside(ctx->b);
}

SEC("raw") int second(struct context *ctx) { return beside(ctx->a) + multiply(ctx->a, ctx->b); }

SEC("raw/third") int third(struct context *ctx) { return multiply(ctx->a, ctx->b); }

SEC("no/such/type") int unknown(struct context *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
__u32 _version SEC("version") = 0x060c00;
