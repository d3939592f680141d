/* What a completion hook does most: look at a 64-byte record and decide. */
#include "kernel.h"

struct record {
    u64 id;
    u32 kind, flags;
    u64 offset;
    u32 length, checksum;
    u8 key[16];
    u64 tail[2];
};

KERNEL(filter)
{
    struct record *record = (struct record *)input;
    if ((record->flags & 0x80) && record->kind > 1000)
        return 1;
    if (record->length > 65536 || (record->offset & 511))
        return 2;
    u32 sum = 0;
    for (u32 i = 0; i < 16; i++)
        sum = sum * 31 + record->key[i];
    if (sum == record->checksum)
        return 3;
    return (record->id ^ sum) & 0xff;
}
