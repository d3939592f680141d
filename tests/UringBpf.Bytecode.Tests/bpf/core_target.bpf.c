/* The newer version of the types that core.bpf.c was written against: what its relocations are resolved to. */
#include "bpf_test.h"

enum color { BLUE = 5, RED = 10, GREEN = 20 };
enum wide { NARROW = 1, WIDE = 0x123456789abLL };

struct point { __u32 x, y; };

struct shape {
	__u64 added;
	__u32 width;
	__u16 depth;
	struct { __u8 tag; __u32 items[16]; };
	__u32 low : 3, mid : 7, high : 22;
	__s16 shrunk;
	__s32 level;
	struct point points[4];
	struct shape *next;
	enum color color;
	__u8 tail[];
};

struct shape shape SEC(".data");
enum wide wide SEC(".data");

SEC("raw") int target(void *ctx) { return 0; }
char _license[] SEC("license") = "GPL";
