/* Every kind of map, type and global variable that a skeleton gives access to. */
#include "uring_bpf.h"

enum kind { KIND_NONE, KIND_READ = 3, KIND_FAR = 0x80000000 };

struct key {
    __u32 id;
    __u16 port;
    __u8 tail[2];
};

typedef struct {
    __s16 x, y;
} point_t;

struct event {
    __u64 when;
    enum kind kind;
    union {
        __s32 number;
        __u8 octets[4];
    };
    char name[16];
    point_t corners[2];
    __u32 low : 3, high : 29;
    _Bool done;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct key);
    __type(value, struct event);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} sums SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __s64);
} per_slot SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 8);
    __type(value, __u32);
} jobs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} records SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4);
    __uint(key_size, 3); /* no type: plain bytes */
    __uint(value_size, 4);
} plain SEC(".maps");

int target(void *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, sizeof(__u32));
    __array(values, int(void *));
} jump SEC(".maps") = { .values = { [1] = (void *)&target } };

const volatile __u32 scale = 3;
const volatile __u16 weights[3] = { 1, 2, 3 };
__s32 threshold = -7;
_Bool enabled;
enum kind last_kind = KIND_READ;
struct event latest;

/* r1 = 8 bytes: a struct key. */
SEC("raw")
int record(struct key *key)
{
    struct event *event, fresh = {};
    __u32 zero = 0;
    __u64 *sum;

    if (!enabled)
        return threshold;
    struct key copy = *key;
    fresh.when = copy.port * scale + weights[2];
    fresh.kind = KIND_FAR;
    fresh.number = threshold;
    fresh.name[0] = 'h';
    fresh.name[1] = 'i';
    fresh.corners[1].y = -2;
    fresh.done = 1;
    bpf_map_update_elem(&events, &copy, &fresh, BPF_ANY);
    event = bpf_map_lookup_elem(&events, &copy);
    if (!event)
        return -1;
    latest = *event;
    last_kind = KIND_NONE;
    sum = bpf_map_lookup_elem(&sums, &zero);
    if (sum)
        *sum += copy.id;
    bpf_map_push_elem(&jobs, &copy.id, BPF_ANY);
    bpf_ringbuf_output(&records, &copy, sizeof(copy), 0);
    return 0;
}

SEC("raw")
int jumper(void *ctx)
{
    static volatile int jumps;

    jumps++;
    bpf_tail_call(ctx, &jump, 1);
    return -1;
}

SEC("raw")
int target(void *ctx)
{
    return 42;
}

char _license[] SEC("license") = "MIT";
