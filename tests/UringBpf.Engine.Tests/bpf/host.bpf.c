/* Functions of the host: for each thing a prototype can ask for, a program that gives it and one that does not (bad_…). */
#include "uring_bpf.h"

extern int host_sum(const void *data, __u32 size) __ksym;
extern int host_fill(void *out, __u32 size) __ksym;
extern int host_stamp(__u64 *out) __ksym;
extern int host_bump(__u64 *counter) __ksym;
extern int host_optional(const void *data, __u32 size) __ksym;
extern int host_length(void *context) __ksym;
extern __u64 *host_find(void *map, const void *key) __ksym;
extern int host_put(void *map, const void *key, const void *value) __ksym;
extern int host_take(void *map, const void *key, void *value) __ksym;
extern __u8 *host_memory(__u32 size) __ksym;
extern const __u8 *host_constants(__u32 size) __ksym;
extern int host_constant(__u64 number) __ksym;
extern int host_text(const char *text) __ksym;
extern void host_nothing(__u64 number) __ksym;
static long (*host_twice)(long number) = (void *)0x10000;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} list SEC(".maps");

static const char hello[] = "hello";
__u64 sums[256];

#define RAW SEC("raw")

RAW int by_number(void *ctx) { return host_twice(21); }

RAW int sized_input(void *ctx) { __u8 data[3] = {1, 2, 3}; return host_sum(data, sizeof(data)); }
RAW int bad_sized_input(void *ctx) { __u8 data[3] = {1, 2, 3}; return host_sum(data, 4); }
RAW int bad_no_size(void *ctx) { __u8 data[3] = {1, 2, 3}; return host_sum(data, 0); }
RAW int bad_uninitialised(void *ctx) { __u8 data[8]; asm volatile("" : : "r"(data)); return host_sum(data, 8); }

/* The result's range is the prototype's: 0..255 may index, without a check. */
RAW int ranged_result(void *ctx) { __u8 one = 7; return ++sums[host_sum(&one, 1)]; }

RAW int sized_output(void *ctx) { __u8 data[16]; host_fill(data, sizeof(data)); return data[15]; }
RAW int bad_sized_output(void *ctx) { __u8 data[16]; host_fill(data, 17); return data[15]; }
RAW int bad_output_to_constants(void *ctx) { return host_fill((void *)hello, 4); }

RAW int fixed_output(void *ctx) { __u64 stamp; host_stamp(&stamp); return stamp; }
RAW int bad_fixed_output(void *ctx) { __u32 stamp[1]; return host_stamp((void *)stamp); }

RAW int in_and_out(void *ctx) { __u64 counter = 41; host_bump(&counter); return counter; }
RAW int bad_in_and_out(void *ctx) { __u64 counter; asm volatile("" : : "r"(&counter)); return host_bump(&counter); }

RAW int nullable(void *ctx) { __u8 one = 9; return host_optional(0, 0) * 100 + host_optional(&one, 1); }
RAW int bad_nullable(void *ctx) { return host_optional(0, 1); }
RAW int bad_not_nullable(void *ctx) { return host_sum(0, 1); }

RAW int context(void *ctx) { return host_length(ctx); }
RAW int bad_context(void *ctx) { __u64 other = 0; return host_length(&other); }

RAW int map_value(void *ctx)
{
    __u32 key = 3;
    __u64 value = 30, taken = 0;
    host_put(&table, &key, &value);
    __u64 *found = host_find(&table, &key);
    if (found) *found += 1;
    host_take(&table, &key, &taken);
    return host_find(&table, &key) ? -1 : taken;
}
RAW int bad_map_value(void *ctx) { __u32 key = 3; return *host_find(&table, &key); }
RAW int bad_map(void *ctx) { __u32 key = 3; __u64 *found = host_find(&list, &key); return found ? *found : 0; }
RAW int bad_key(void *ctx) { __u16 key = 3; __u64 *found = host_find(&table, &key); return found ? *found : 0; }

RAW int memory(void *ctx) { __u8 *bytes = host_memory(8); if (!bytes) return -1; bytes[7] += 5; return bytes[7]; }
RAW int bad_memory_unchecked(void *ctx) { return host_memory(8)[7]; }
RAW int bad_memory_bounds(void *ctx) { __u8 *bytes = host_memory(8); return bytes ? bytes[8] : -1; }
RAW int bad_memory_size(__u32 *ctx) { __u8 *bytes = host_memory(ctx[0]); return bytes ? 0 : -1; }

RAW int constants(void *ctx) { const __u8 *bytes = host_constants(8); return bytes ? bytes[0] : -1; }
RAW int bad_constants(void *ctx) { __u8 *bytes = (__u8 *)host_constants(8); if (!bytes) return -1; bytes[0] = 1; return 0; }

RAW int constant(void *ctx) { return host_constant(12); }
RAW int bad_constant(__u32 *ctx) { return host_constant(ctx[0]); }

RAW int text(void *ctx) { return host_text(hello); }
RAW int bad_text(void *ctx) { char other[4] = "abc"; return host_text(other); }

RAW int nothing(void *ctx) { host_nothing(1); return 4; }

char _license[] SEC("license") = "MIT";
