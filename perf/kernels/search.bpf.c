/* 64 binary searches in a sorted table of 512 numbers. */
#include "kernel.h"

u32 table[512] __attribute__((aligned(64), visibility("default")));

KERNEL(search)
{
    u64 found = 0;
    for (u32 i = 0; i < 512; i++)
        table[i] = i * 7;
    for (u32 i = 0; i < 64; i++) {
        u32 want = ((u32 *)input)[i] & 4095;
        u32 low = 0, high = 512;
        for (u32 step = 0; step < 10 && low < high; step++) {
            u32 middle = (low + high) / 2;
            if (middle >= 512)
                break;
            if (table[middle] < want)
                low = middle + 1;
            else
                high = middle;
        }
        found = found * 31 + low;
    }
    return found;
}
