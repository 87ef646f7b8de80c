/* machine.c - see machine.h. A group's limits hold for all below it: the least on the way up
 * counts. */
#include "common/defs.h"
#include "worker/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_LEN = 4096, TEXT_LEN = 4096, CPU_LEAST = 100 };

static bool read_text(const char *path, char text[TEXT_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, text, TEXT_LEN - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	return len > 0;
}

/* "0::/a/b" of /proc/self/cgroup, which is the line of version 2. */
static bool own_group(const char *root, char group[TEXT_LEN])
{
	char path[PATH_LEN], text[TEXT_LEN];
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	if (!read_text(path, text))
		return false;
	const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return false;
	line = strchr(line, '/');
	size_t len = line ? strcspn(line, "\n") : 0;
	if (len == 0)
		return false;
	memcpy(group, line, len);
	group[len] = 0;
	return true;
}

/* "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static void take_cpu(const char *path, struct machine *machine)
{
	char text[TEXT_LEN];
	long long quota = 0, period = 0;
	if (!read_text(path, text) || sscanf(text, "%lld %lld", &quota, &period) != 2)
		return;
	if (quota > 0 && period > 0 && quota * 1000 / period < machine->cpu_millis)
		machine->cpu_millis = quota * 1000 / period;
}

static void take_memory(const char *path, struct machine *machine)
{
	char text[TEXT_LEN];
	unsigned long long most = 0;
	if (read_text(path, text) && sscanf(text, "%llu", &most) == 1 && most > 0 &&
	    most < machine->memory_bytes)
		machine->memory_bytes = most;
}

static void take_group(const char *root, const char *group, struct machine *machine)
{
	char path[PATH_LEN + TEXT_LEN];
	snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/cpu.max", root, group);
	take_cpu(path, machine);
	snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/memory.max", root, group);
	take_memory(path, machine);
}

void machine_look(const char *root, struct machine *ret_machine)
{
	char group[TEXT_LEN];
	cpu_set_t set;
	bool known = sched_getaffinity(0, sizeof set, &set) == 0;
	struct machine machine = {
		.cpu_millis = known ? CPU_COUNT(&set) * 1000 : sysconf(_SC_NPROCESSORS_ONLN) * 1000,
		.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
	};
	/* In a container of its own the group is "/", and its files lie at the mount's root. */
	for (bool more = own_group(root, group); more;) {
		take_group(root, strcmp(group, "/") == 0 ? "" : group, &machine);
		char *slash = strrchr(group, '/');
		more = slash && slash[1];
		if (more)
			slash[slash == group] = 0;
	}
	if (machine.cpu_millis < CPU_LEAST)
		machine.cpu_millis = CPU_LEAST;
	*ret_machine = machine;
}
