/* 100 helper calls. */
#include "kernel.h"

KERNEL(helpers)
{
    u64 sum = 0;
    for (u32 i = 0; i < 100; i++)
        sum += helper_call() ? i : 2 * i;
    /* The slot or CPU number differs between engines: only its use counts. */
    return sum >> 63;
}
