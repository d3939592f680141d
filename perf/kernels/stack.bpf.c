/* A 256-byte histogram on the stack, indexed by data. */
#include "kernel.h"

KERNEL(stack)
{
    u16 count[128];
    for (u32 i = 0; i < 128; i++)
        count[i] = 0;
    for (u32 i = 0; i < 128; i++)
        count[input[i] & 127] += (u16)(i + 1);
    u64 hash = 0;
    for (u32 i = 0; i < 128; i++)
        hash = hash * 33 + count[i];
    return hash;
}
