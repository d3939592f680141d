/* A kernel setting that is not a number. */
#include "../bpf_test.h"

extern char CONFIG_DEFAULT_HOSTNAME[8] __kconfig __weak;
SEC("raw") int program(void *ctx) { return CONFIG_DEFAULT_HOSTNAME[0]; }

char _license[] SEC("license") = "GPL";
