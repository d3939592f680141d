/* Copies 4 KiB word by word. */
#include "kernel.h"

u64 output[512] __attribute__((aligned(64), visibility("default")));

#ifdef __bpf__
/* BPF has no library: keeps clang from making a call of memcpy out of the loop. It costs no instruction. */
#define KEEP_LOOP() __asm__ volatile("" ::: "memory")
#else
#define KEEP_LOOP()
#endif

KERNEL(copy)
{
    for (u32 i = 0; i < 512; i++) {
        output[i] = ((u64 *)input)[i];
        KEEP_LOOP();
    }
    return output[0] ^ output[255] ^ output[511];
}
