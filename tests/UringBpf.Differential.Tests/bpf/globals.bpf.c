// Global functions: verified once for all that their signature allows. Programs named ok_… are accepted, those named
// bad_CODE_… refused with that code. Socket programs, so that the kernel can judge them too.
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name

struct __sk_buff {
    __u32 len, pkt_type, mark, queue_mapping, protocol;
};

struct pair {
    __u64 first, second;
};

struct {
    __uint(type, 2);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, struct pair);
} pairs SEC(".maps");

struct {
    __uint(type, 27);
    __uint(max_entries, 4096);
} ring SEC(".maps");

struct {
    __uint(type, 3);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} programs SEC(".maps");

struct bpf_spin_lock { __u32 val; };

struct guarded {
    struct bpf_spin_lock lock;
    __u32 count;
};

struct {
    __uint(type, 2);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct guarded);
} locks SEC(".maps");

static void *(*const reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const submit)(void *record, __u64 flags) = (void *)132;
static long (*const tail_call)(void *ctx, void *map, __u32 which) = (void *)12;
static long (*const loop)(__u32 count, void *f, void *ctx, __u64 flags) = (void *)181;
static long (*const lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*const unlock)(struct bpf_spin_lock *lock) = (void *)94;
static void *(*const lookup)(void *map, const void *key) = (void *)1;
static __u32 (*const random)(void) = (void *)7;

__noinline int number(int a, __u64 b) { return a ? (int)(b & 7) : 5; }

__noinline int of_context(struct __sk_buff *ctx) { return ctx->len > 100; }

__noinline int of_tagged(void *ctx __arg_ctx) { return ((struct __sk_buff *)ctx)->len > 100; }

__noinline int checked(struct pair *p) { return p ? (int)p->first & 3 : 4; }

__noinline int nonnull(struct pair *p __arg_nonnull) { return (int)p->second & 3; }

__noinline int unchecked(struct pair *p) { return (int)p->second & 3; }

__noinline int past(struct pair *p __arg_nonnull) { return (int)p[1].first & 3; }

__noinline int writes(struct pair *p __arg_nonnull) { p->first = 7; return 0; }

__noinline int at_index(__u32 i)
{
    __u8 bytes[16] = {};
    __u32 key = 0;
    struct pair *p = lookup(&pairs, &key);
    if (p) *(volatile __u64 *)bytes = p->first;
    return i < 16 ? ((volatile __u8 *)bytes)[i] : 0;
}

__noinline int unchecked_index(__u32 i)
{
    __u8 bytes[16] = {};
    __u32 key = 0;
    struct pair *p = lookup(&pairs, &key);
    if (p) *(volatile __u64 *)bytes = p->first;
    return ((volatile __u8 *)bytes)[i];
}

__noinline int inner(struct pair *p __arg_nonnull) { return nonnull(p) + 1; }

__noinline int outer(struct pair *p) { return p ? inner(p) : 0; }

static __noinline int shared(struct pair *p) { return p ? (int)p->first & 1 : 2; }

__noinline int calls_shared(struct pair *p) { return shared(p) + 1; }

__noinline void nothing(struct pair *p) { if (p) p->second = 1; }

__noinline struct pair *gives(struct pair *p __arg_nonnull) { return p; }

__noinline int reads(const struct pair *p __arg_nonnull) { return (int)p->second & 3; }

__noinline int writes_constant(const struct pair *p __arg_nonnull) { ((struct pair *)p)->second = 1; return 0; }

__noinline int leaks(int n)
{
    __u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    record[0] = n;
    if (n == 7) return 1;
    submit(record, 0);
    return 0;
}

__noinline int reports(int n)
{
    __u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    record[0] = n;
    submit(record, 0);
    return 1;
}

__noinline int submits(__u64 *record __arg_nonnull)
{
    submit(record, 0);
    return 0;
}

__noinline int waits(int n)
{
    while (random() != n)
        ;
    return n;
}

__noinline int counts(__u32 n)
{
    __u32 sum = 0;
    volatile __u32 one = 1;
    if (n > 100) n = 100;
    for (__u32 i = 0; i < n; i++) sum += one;
    return sum;
}

__noinline int tail_calls(struct __sk_buff *ctx)
{
    tail_call(ctx, &programs, 0);
    return 0;
}

struct state { struct pair pair; __u32 rounds; };

__noinline int each(__u32 round, struct state *s) { if (s) s->rounds++; return round == 5; }

__noinline int locked(int n)
{
    __u32 key = 0;
    struct guarded *g = lookup(&locks, &key);
    if (!g) return 0;
    lock(&g->lock);
    g->count += n;
    unlock(&g->lock);
    return 1;
}

__noinline int d8(int n) { volatile __u64 x = n; return x; }
__noinline int d7(int n) { volatile __u64 x = n; return d8(n) + x; }
__noinline int d6(int n) { volatile __u64 x = n; return d7(n) + x; }
__noinline int d5(int n) { volatile __u64 x = n; return d6(n) + x; }
__noinline int d4(int n) { volatile __u64 x = n; return d5(n) + x; }
__noinline int d3(int n) { volatile __u64 x = n; return d4(n) + x; }
__noinline int d2(int n) { volatile __u64 x = n; return d3(n) + x; }
__noinline int d1(int n) { volatile __u64 x = n; return d2(n) + x; }

__noinline int t8(int n) { volatile __u64 x = n; return x; }
__noinline int t7(int n) { return t8(n) + t8(n + 1); }
__noinline int t6(int n) { return t7(n) + t7(n + 1); }
__noinline int t5(int n) { return t6(n) + t6(n + 1); }
__noinline int t4(int n) { return t5(n) + t5(n + 1); }
__noinline int t3(int n) { return t4(n) + t4(n + 1); }
__noinline int t2(int n) { return t3(n) + t3(n + 1); }

#define LOOK_UP(p) __u32 key = 1; struct pair *p = lookup(&pairs, &key); if (!p) return 0

SEC("socket") int ok_number(struct __sk_buff *ctx) { return number(ctx->len, ctx->mark); }
SEC("socket") int ok_context(struct __sk_buff *ctx) { return of_context(ctx); }
SEC("socket") int ok_tagged_context(struct __sk_buff *ctx) { return of_tagged(ctx); }
SEC("socket") int ok_null(struct __sk_buff *ctx) { return checked(0); }
SEC("socket") int ok_value(struct __sk_buff *ctx) { LOOK_UP(p); return checked(p); }
SEC("socket") int ok_value_or_null(struct __sk_buff *ctx) { __u32 key = 1; return checked(lookup(&pairs, &key)); }
SEC("socket") int ok_constant_read(struct __sk_buff *ctx) { struct pair p = { 1, 2 }; return reads(&p); }
SEC("socket") int ok_stack(struct __sk_buff *ctx) { struct pair p = { ctx->len, 2 }; return nonnull(&p) + (int)p.first; }
SEC("socket") int ok_nonnull(struct __sk_buff *ctx) { LOOK_UP(p); return nonnull(p); }
SEC("socket") int ok_index(struct __sk_buff *ctx) { return at_index(ctx->len); }
SEC("socket") int ok_chain(struct __sk_buff *ctx) { LOOK_UP(p); return outer(p) + inner(p); }
SEC("socket") int ok_static_too(struct __sk_buff *ctx) { LOOK_UP(p); return shared(p) + calls_shared(p); }
SEC("socket") int ok_void(struct __sk_buff *ctx) { LOOK_UP(p); nothing(p); return 1; }
SEC("socket") int ok_stack_written(struct __sk_buff *ctx)
{
    struct pair p = { 1, 2 };
    writes(&p);
    LOOK_UP(v);
    return p.first < 16 ? ((__u8 *)v)[p.first] : 0;
}

SEC("socket") int ok_reports(struct __sk_buff *ctx) { return reports(ctx->len); }
SEC("socket") int ok_waits(struct __sk_buff *ctx) { return waits(ctx->len); }
SEC("socket") int ok_counts(struct __sk_buff *ctx) { return counts(ctx->len); }
SEC("socket") int ok_locked(struct __sk_buff *ctx) { return locked(ctx->len) + locked(2); }
SEC("socket") int ok_result_in_bounds(struct __sk_buff *ctx) { LOOK_UP(p); return ((__u8 *)p)[counts(ctx->len) & 15]; }
SEC("socket") int ok_doubling(struct __sk_buff *ctx) { return t2(ctx->len); }
SEC("socket") int ok_deep(struct __sk_buff *ctx) { return d2(ctx->len); }
SEC("socket") int ok_record_over_a_call(struct __sk_buff *ctx)
{
    __u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    record[0] = counts(ctx->len);
    submit(record, 0);
    return 1;
}
SEC("socket") int ok_callback_that_is_global(struct __sk_buff *ctx)
{
    struct state s = {};
    loop(10, each, &s, 0);
    each(3, &s);
    return s.rounds;
}

SEC("socket") int bad_UB2111_constant_written(struct __sk_buff *ctx) { struct pair p = { 1, 2 }; return nonnull(&p); }
SEC("socket") int bad_UB2120_constant_parameter_written(struct __sk_buff *ctx) { LOOK_UP(p); return writes_constant(p); }
SEC("socket") int bad_UB2401_leak(struct __sk_buff *ctx) { return leaks(ctx->len); }
SEC("socket") int bad_UB2402_record_passed(struct __sk_buff *ctx)
{
    __u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    submits(record);
    return 0;
}
SEC("socket") int bad_UB2603_record_over_a_call_without_end(struct __sk_buff *ctx)
{
    __u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    record[0] = waits(ctx->len);
    submit(record, 0);
    return 1;
}
SEC("socket") int bad_UB2309_call_under_the_lock(struct __sk_buff *ctx)
{
    __u32 key = 0;
    struct guarded *g = lookup(&locks, &key);
    if (!g) return 0;
    lock(&g->lock);
    g->count += number(1, 2);
    unlock(&g->lock);
    return 1;
}
SEC("socket") int bad_UB2311_tail_call(struct __sk_buff *ctx) { return tail_calls(ctx); }
SEC("socket") int bad_UB2012_too_deep(struct __sk_buff *ctx) { return d1(ctx->len); }
SEC("socket") int bad_UB2103_result_not_in_bounds(struct __sk_buff *ctx) { LOOK_UP(p); return ((__u8 *)p)[number(ctx->len, ctx->mark) + 9]; }
SEC("socket") int bad_UB2102_uninitialised(struct __sk_buff *ctx) { struct pair p; p.first = ctx->len; return nonnull(&p); }
SEC("socket") int bad_UB2110_null_not_checked(struct __sk_buff *ctx) { LOOK_UP(p); return unchecked(p); }
SEC("socket") int bad_UB2104_past_what_is_pointed_to(struct __sk_buff *ctx) { struct pair p[2] = {}; return past(p); }
SEC("socket") int bad_UB2303_null_passed(struct __sk_buff *ctx) { return nonnull(0); }
SEC("socket") int bad_UB2110_may_be_null_passed(struct __sk_buff *ctx) { __u32 key = 1; return nonnull(lookup(&pairs, &key)); }
SEC("socket") int bad_UB2202_stack_that_it_wrote(struct __sk_buff *ctx)
{
    struct pair p = { 1, 2 };
    writes(&p);
    LOOK_UP(v);
    return ((__u8 *)v)[p.first];
}
SEC("socket") int bad_UB2103_too_small(struct __sk_buff *ctx) { LOOK_UP(p); return nonnull((struct pair *)&p->second); }
SEC("socket") int bad_UB2202_any_number(struct __sk_buff *ctx) { return unchecked_index(3); }
SEC("socket") int bad_UB2313_pointer_for_a_number(struct __sk_buff *ctx) { return number(1, (__u64)ctx); }
SEC("socket") int bad_UB2303_other_memory_for_the_context(struct __sk_buff *ctx) { struct __sk_buff s = {}; return of_context(&s); }

char _license[] SEC("license") = "GPL";
