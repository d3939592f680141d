/* 100 calls of a function of the program itself. */
#include "kernel.h"

NOINLINE u64 step(u64 x, u64 y)
{
    return (x ^ y) * 0x9e3779b97f4a7c15ULL + (x >> 29);
}

KERNEL(calls)
{
    u64 x = *(u64 *)input;
    for (u32 i = 0; i < 100; i++)
        x = step(x, i);
    return x;
}
