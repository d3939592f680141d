/* What it costs to enter and leave a program. */
#include "kernel.h"

KERNEL(empty)
{
    return 0;
}
