/* A kernel setting that has no value here. */
#include "../bpf_test.h"

extern int CONFIG_HZ __kconfig;
SEC("raw") int program(void *ctx) { return CONFIG_HZ; }

char _license[] SEC("license") = "GPL";
