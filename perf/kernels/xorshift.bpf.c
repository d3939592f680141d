/* A dependent chain of shifts and xors: nothing but register arithmetic. */
#include "kernel.h"

KERNEL(xorshift)
{
    u64 x = *(u64 *)input | 1;
    for (u32 i = 0; i < 1000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}
