/* A tokenizer over 1 KiB of text: counts words, numbers and lines, sums the numbers. */
#include "kernel.h"

KERNEL(parse)
{
    u32 words = 0, numbers = 0, lines = 0, in_word = 0, in_number = 0;
    u64 sum = 0, value = 0;
    for (u32 i = 0; i < 1024; i++) {
        u8 c = input[i] & 0x7f;
        if (c >= '0' && c <= '9' && !in_word) {
            if (!in_number) {
                in_number = 1;
                numbers++;
                value = 0;
            }
            value = value * 10 + (c - '0');
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') {
            if (in_number) {
                in_number = 0;
                sum += value;
            }
            if (!in_word) {
                in_word = 1;
                words++;
            }
        } else {
            if (in_number)
                sum += value;
            in_number = 0;
            in_word = 0;
            if (c == '\n')
                lines++;
        }
    }
    return sum * 1000003 + words * 10007 + numbers * 101 + lines;
}
