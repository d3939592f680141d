// The running kernel's verdict on each program of some objects, one line each:
//   OBJECT <tab> PROGRAM <tab> accept|reject <tab> why
// Each program is loaded on its own. With --no-perfmon the loads are made without CAP_PERFMON (and CAP_SYS_ADMIN).
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1 << 24];

static void drop_perfmon(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {}, have[2] = {};
	unsigned keep[] = { CAP_BPF, CAP_NET_ADMIN, CAP_DAC_OVERRIDE, CAP_SYS_RESOURCE, CAP_IPC_LOCK, CAP_DAC_READ_SEARCH };

	syscall(SYS_capget, &header, have);
	for (unsigned i = 0; i < sizeof(keep) / sizeof(*keep); i++) {
		data[keep[i] / 32].permitted |= 1u << keep[i] % 32;
		data[keep[i] / 32].effective |= 1u << keep[i] % 32;
	}
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= have[i].permitted;
		data[i].effective &= have[i].permitted;
	}
	if (syscall(SYS_capset, &header, data)) {
		perror("capset");
		exit(1);
	}
}

// The line that says why: the last one that is neither statistics nor an instruction's effect. NULL when the log is one of
// a program that was accepted (the object was given up later, over another part of it).
static const char *reason(void)
{
	char *best = NULL;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, "processed ", 10) || !strncmp(line, "verification time", 17) || !strncmp(line, "stack depth", 11)
		    || !strncmp(line, "mark_precise", 12) || !strncmp(line, "old state", 9) || line[0] == ';')
			continue;
		best = line;
	}
	for (char *c = best; c && *c; c++)
		if (*c == '\t') *c = ' ';
	return best;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

int main(int count, char **arguments)
{
	int first = 1;

	libbpf_set_print(quiet);
	if (count > 1 && !strcmp(arguments[1], "--no-perfmon")) {
		drop_perfmon();
		first = 2;
	}
	for (int i = first; i < count; i++) {
		char *names[4096];
		int programs = 0;
		struct bpf_program *program;
		struct bpf_object *object = bpf_object__open_file(arguments[i], NULL);
		const char *file = strrchr(arguments[i], '/') ? strrchr(arguments[i], '/') + 1 : arguments[i];

		if (!object) continue;
		bpf_object__for_each_program(program, object) names[programs++] = strdup(bpf_program__name(program));
		bpf_object__close(object);
		for (int p = 0; p < programs; p++) {
			object = bpf_object__open_file(arguments[i], NULL);
			bpf_object__for_each_program(program, object)
				bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), names[p]));
			program = bpf_object__find_program_by_name(object, names[p]);
			text[0] = 0;
			bpf_program__set_log_buf(program, text, sizeof(text));
			bpf_program__set_log_level(program, 1);
			int error = bpf_object__load(object);
			const char *why = !error ? NULL : text[0] ? reason() : strerror(-error);
			printf("%s\t%s\t%s\t%s\n", file, names[p], why ? "reject" : "accept", why ? why : "");
			fflush(stdout);
			bpf_object__close(object);
		}
	}
	return 0;
}
