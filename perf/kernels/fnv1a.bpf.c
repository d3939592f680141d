/* FNV-1a over 1 KiB: one byte, one multiplication at a time. */
#include "kernel.h"

KERNEL(fnv1a)
{
    u64 hash = 0xcbf29ce484222325ULL;
    for (u32 i = 0; i < 1024; i++) {
        hash ^= input[i];
        hash *= 0x100000001b3ULL;
    }
    return hash;
}
