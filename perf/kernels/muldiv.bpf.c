/* Multiplications, divisions and remainders of both widths with divisors that are not constants. */
#include "kernel.h"

KERNEL(muldiv)
{
    u64 a = *(u64 *)input | 1, sum = 0;
    u32 b = *(u32 *)(input + 8) | 3;
    for (u32 i = 1; i <= 32; i++) {
        a = a * 6364136223846793005ULL + 1442695040888963407ULL;
        sum += a / (b + i);
        sum ^= a % (b | i);
        b = (u32)(a >> 33) / i + 3;
        sum += b % (i + 7);
    }
    return sum;
}
