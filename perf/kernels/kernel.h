/* One source for three targets: BPF bytecode (verified and run by this engine and by the running kernel) and native code.
 * A kernel reads `input`, may write `output`, and returns a checksum, so that every engine's work can be compared. The
 * arrays are global data: map values for BPF, plain memory for native code. */
#ifndef KERNEL_H
#define KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#ifdef __bpf__
#define KERNEL(name) __attribute__((section("syscall"), used)) u64 name(void *ctx)
#define NOINLINE static __attribute__((noinline))
static u32 (*const helper_call)(void) = (void *)8; /* bpf_get_smp_processor_id */
#else
#define KERNEL(name) __attribute__((visibility("default"))) u64 name(void *ctx)
#define NOINLINE static __attribute__((noinline))
/* The peer of a helper call: a call to a function the compiler can't see through. */
u32 helper_slot;
__attribute__((noinline)) u32 helper_call(void)
{
    __asm__ volatile("" ::: "memory");
    return helper_slot;
}
#endif

/* The largest input any kernel takes. The host fills it before the run. */
#define INPUT_SIZE 4096
u8 input[INPUT_SIZE] __attribute__((aligned(64), visibility("default")));

#endif
