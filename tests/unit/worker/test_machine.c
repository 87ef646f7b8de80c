/* test_machine.c - what a worker may use: the machine's, or less where a control group says so. */
#include "common/defs.h"
#include "worker/machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void put(const char *path, const char *text)
{
	char full[256];
	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *at = full + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(full, 0700);
		*at = '/';
	}
	FILE *file = fopen(full, "w");
	cr_assert_not_null(file, "%s", full);
	fputs(text, file);
	fclose(file);
}

static void setup(void)
{
	snprintf(root, sizeof root, "/tmp/machine-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static void teardown(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", root);
	cr_assert_eq(system(command), 0);
}
TestSuite(machine, .init = setup, .fini = teardown);

Test(machine, without_a_control_group_it_is_the_whole_machine)
{
	struct machine machine;
	machine_look(root, &machine);
	cr_expect_geq(machine.cpu_millis, 1000);
	cr_expect_eq(machine.memory_bytes,
	             (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

Test(machine, the_least_limit_on_the_way_up_counts)
{
	struct machine machine;
	put("/proc/self/cgroup", "1:name=systemd:/x\n0::/outer/inner\n");
	put("/sys/fs/cgroup/outer/cpu.max", "50000 100000\n");
	put("/sys/fs/cgroup/outer/memory.max", "max\n");
	put("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/outer/inner/memory.max", "67108864\n");
	machine_look(root, &machine);
	cr_expect_eq(machine.cpu_millis, 500);
	cr_expect_eq(machine.memory_bytes, 64 * MIB);
}

Test(machine, a_container_sees_its_group_as_the_root)
{
	struct machine machine;
	put("/proc/self/cgroup", "0::/\n");
	put("/sys/fs/cgroup/cpu.max", "20000 100000\n");
	put("/sys/fs/cgroup/memory.max", "134217728\n");
	machine_look(root, &machine);
	cr_expect_eq(machine.cpu_millis, 200);
	cr_expect_eq(machine.memory_bytes, 128 * MIB);
}

Test(machine, nonsense_limits_nothing_and_next_to_nothing_is_a_tenth_of_a_core)
{
	struct machine machine;
	put("/proc/self/cgroup", "0::/a\n");
	put("/sys/fs/cgroup/a/cpu.max", "-5 0\n");
	put("/sys/fs/cgroup/a/memory.max", "many\n");
	put("/sys/fs/cgroup/cpu.max", "1000 100000\n");
	machine_look(root, &machine);
	cr_expect_eq(machine.cpu_millis, 100);
	cr_expect_gt(machine.memory_bytes, 0);
}
