/* A single function without a section of its own is a program; where there are more, those in .text are subprograms. */
int alone(void *ctx) { return 7; }
