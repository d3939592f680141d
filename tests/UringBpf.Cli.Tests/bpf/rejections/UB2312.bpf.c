#include "common.h"

HOOK bad(struct uring_completion *ctx)
{
    register void *skb asm("r6") = ctx;
    register long byte asm("r0");
    asm volatile("r0 = *(u8 *)skb[0]" : "=r"(byte) : "r"(skb) : "r1", "r2", "r3", "r4", "r5");
    return byte & 1;
}

SEC("socket") int mended(void *ctx)
{
    register void *skb asm("r6") = ctx;
    register long byte asm("r0");
    asm volatile("r0 = *(u8 *)skb[0]" : "=r"(byte) : "r"(skb) : "r1", "r2", "r3", "r4", "r5");
    return byte & 1;
}
