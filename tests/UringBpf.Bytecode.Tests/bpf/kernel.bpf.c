/* CO-RE against the running kernel: what libbpf resolves these to, this library must as well. */
#include "bpf_test.h"

enum bpf_map_type { BPF_MAP_TYPE_RINGBUF = 1, BPF_MAP_TYPE_NEVER = 2 };

struct task_struct { int pid, tgid; unsigned int flags; struct task_struct *group_leader; char comm[16]; } __core;
struct file { unsigned int f_flags; __s64 f_pos; void *f_inode; } __core;
struct sk_buff { unsigned int len; __u8 pkt_type : 3, nohdr : 1; } __core;
struct never_in_a_kernel { int a; } __core;

#define FIELD(type, field, kind) __builtin_preserve_field_info(((struct type *)0)->field, kind)
#define TYPE(type, kind) __builtin_preserve_type_info(*(struct type *)0, kind)
#define ENUMERATOR(value, kind) __builtin_preserve_enum_value(*(enum bpf_map_type *)value, kind)

volatile __u64 out[32];

SEC("socket") int probe(void *ctx)
{
	out[0] = FIELD(task_struct, pid, 0);
	out[1] = FIELD(task_struct, tgid, 0);
	out[2] = FIELD(task_struct, comm, 0);
	out[3] = FIELD(task_struct, group_leader, 0);
	out[4] = FIELD(task_struct, comm, 1);
	out[5] = FIELD(task_struct, flags, 3);
	out[6] = FIELD(task_struct, pid, 3);
	out[7] = FIELD(file, f_pos, 0);
	out[8] = FIELD(file, f_inode, 0);
	out[9] = FIELD(file, f_flags, 0);
	out[10] = FIELD(sk_buff, len, 0);
	out[11] = FIELD(sk_buff, pkt_type, 0);
	out[12] = FIELD(sk_buff, pkt_type, 1);
	out[13] = FIELD(sk_buff, pkt_type, 4);
	out[14] = FIELD(sk_buff, pkt_type, 5);
	out[15] = FIELD(sk_buff, nohdr, 4);
	out[16] = FIELD(sk_buff, nohdr, 3);
	out[17] = TYPE(task_struct, 1);
	out[18] = TYPE(sk_buff, 0);
	out[19] = TYPE(never_in_a_kernel, 0);
	out[20] = ENUMERATOR(BPF_MAP_TYPE_RINGBUF, 1);
	out[21] = ENUMERATOR(BPF_MAP_TYPE_NEVER, 0);
	out[22] = __builtin_btf_type_id(*(struct task_struct *)0, 1);
#if __clang_major__ >= 15
	out[23] = TYPE(sk_buff, 2);
	out[24] = TYPE(file, 2);
#endif
	return 0;
}

char _license[] SEC("license") = "GPL";
