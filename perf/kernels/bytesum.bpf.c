/* The sum of 4 KiB of bytes: a reduction that vectors like. */
#include "kernel.h"

KERNEL(bytesum)
{
    u64 sum = 0;
    for (u32 i = 0; i < 4096; i++)
        sum += input[i];
    return sum;
}
