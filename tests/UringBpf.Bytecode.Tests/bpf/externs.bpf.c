/* What an object uses and does not define: kfuncs, weak ones that do not exist, kernel configuration. */
#include "bpf_test.h"

extern int uring_emit(void *ctx, __u64 user_data, __u64 value) __ksym;
extern int uring_timeout(void *ctx, __u64 nanoseconds, __u64 user_data) __ksym __weak;
extern int not_there(void *ctx) __ksym __weak;
extern int LINUX_KERNEL_VERSION __kconfig;
extern __u64 CONFIG_HZ __kconfig __weak;
extern _Bool CONFIG_BPF __kconfig __weak;

SEC("uring/complete") int hook(void *ctx)
{
	uring_emit(ctx, LINUX_KERNEL_VERSION, CONFIG_HZ);
	if (uring_timeout)
		return uring_timeout(ctx, 1000, 1);
	if (not_there)
		return not_there(ctx);
	return CONFIG_BPF;
}

char _license[] SEC("license") = "GPL";
