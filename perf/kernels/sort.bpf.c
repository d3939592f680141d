/* Bubble sort of 64 numbers in place: data-dependent branches and stores. */
#include "kernel.h"

u32 numbers[64] __attribute__((aligned(64), visibility("default")));

KERNEL(sort)
{
    for (u32 i = 0; i < 64; i++)
        numbers[i] = ((u32 *)input)[i];
    for (u32 end = 63; end > 0; end--) {
        for (u32 i = 0; i < 63; i++) {
            if (i >= end)
                break;
            u32 a = numbers[i], b = numbers[i + 1];
            if (a > b) {
                numbers[i] = b;
                numbers[i + 1] = a;
            }
        }
    }
    u64 hash = 0;
    for (u32 i = 0; i < 64; i++)
        hash = hash * 31 + numbers[i];
    return hash;
}
