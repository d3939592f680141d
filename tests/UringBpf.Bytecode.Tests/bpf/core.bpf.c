/* Every kind of CO-RE relocation. The types are an older version of those in core_target.bpf.c, and of the library's own
 * context struct; each program leaves in r0, or in the context, what one relocation gives. */
#include "bpf_test.h"

enum color { RED = 1, GREEN = 2, PURPLE = 3 };
enum wide { NARROW = 2, WIDE = 0x7777777777LL };

struct point___older { __u32 y, x; } __core;

struct shape___older {
	__u32 width;
	__u32 depth;
	__u8 tag;
	__u32 items[4];
	__u32 mid : 9;
	__s32 shrunk;
	__s32 level;
	struct point___older points[2];
	__u32 gone;
	__u8 tail[];
} __core;

struct missing { int a; } __core;

/* uring_completion as an older header might have had it. */
struct uring_completion___older {
	__s32 res;
	__u64 user_data;
	__u64 scratch[2];
	__u32 opcode;
} __core;

#define FIELD(field, kind) __builtin_preserve_field_info(((struct shape___older *)0)->field, kind)
#define TYPE(type, kind) __builtin_preserve_type_info(*(type *)0, kind)
#define ENUMERATOR(type, value, kind) __builtin_preserve_enum_value(*(type *)value, kind)

SEC("raw") int field_width(struct shape___older *shape) { return shape->width; }
SEC("raw") int field_in_anonymous(struct shape___older *shape) { return shape->items[3]; }
SEC("raw") int field_narrowed(struct shape___older *shape) { return shape->depth; }
SEC("raw") int field_signed_narrowed(struct shape___older *shape) { return shape->shrunk; }
SEC("raw") int field_in_array(struct shape___older *shape) { return shape->points[1].x; }
SEC("raw") int field_flexible(struct shape___older *shape) { return shape->tail[9]; }
SEC("raw") int field_gone(struct shape___older *shape) { return shape->gone; }
SEC("raw") int field_stored(struct shape___older *shape) { shape->level = 7; return 0; }

SEC("raw") long byte_offset(void *ctx) { return FIELD(level, 0); }
SEC("raw") long byte_size(void *ctx) { return FIELD(depth, 1); }
SEC("raw") long bit_field_offset(void *ctx) { return FIELD(mid, 0); }
SEC("raw") long bit_field_size(void *ctx) { return FIELD(mid, 1); }
SEC("raw") long exists(void *ctx) { return FIELD(level, 2); }
SEC("raw") long exists_not(void *ctx) { return FIELD(gone, 2); }
SEC("raw") long is_signed(void *ctx) { return FIELD(level, 3); }
SEC("raw") long is_unsigned(void *ctx) { return FIELD(mid, 3); }
SEC("raw") long left_shift(void *ctx) { return FIELD(mid, 4); }
SEC("raw") long right_shift(void *ctx) { return FIELD(mid, 5); }

SEC("raw") long type_exists(void *ctx) { return TYPE(struct shape___older, 0); }
SEC("raw") long type_exists_not(void *ctx) { return TYPE(struct missing, 0); }
SEC("raw") long type_size(void *ctx) { return TYPE(struct shape___older, 1); }
SEC("raw") long type_size_missing(void *ctx) { return TYPE(struct missing, 1); }
SEC("raw") long type_id_local(void *ctx) { return __builtin_btf_type_id(*(struct shape___older *)0, 0); }
SEC("raw") long type_id_target(void *ctx) { return __builtin_btf_type_id(*(struct shape___older *)0, 1); }
#if __clang_major__ >= 15
SEC("raw") long type_matches(void *ctx) { return TYPE(struct point___older, 2); }
SEC("raw") long type_matches_not(void *ctx) { return TYPE(struct shape___older, 2); }
SEC("raw") long enumerator_value_wide(void *ctx) { return ENUMERATOR(enum wide, WIDE, 1); }
#endif

SEC("raw") long enumerator_exists(void *ctx) { return ENUMERATOR(enum color, GREEN, 0); }
SEC("raw") long enumerator_exists_not(void *ctx) { return ENUMERATOR(enum color, PURPLE, 0); }
SEC("raw") long enumerator_value(void *ctx) { return ENUMERATOR(enum color, GREEN, 1); }
SEC("raw") long enumerator_value_missing(void *ctx) { return ENUMERATOR(enum color, PURPLE, 1); }

SEC("uring/complete") int own_context(struct uring_completion___older *ctx)
{
	ctx->scratch[1] = ctx->user_data;
	return ctx->res + ctx->opcode;
}

SEC("raw") int guarded(struct shape___older *shape)
{
	if (FIELD(gone, 2))
		return shape->gone;
	return 1;
}

char _license[] SEC("license") = "GPL";
