/* Executors' processes: started, confined, ended. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/executor.h"
#include "worker/spawn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Test(spawn, starts_an_executor_and_ends_it)
{
	struct child child;
	struct err err = {0};
	cr_assert_eq(child_start(NULL, "executor", &child, &err), 0, "%s", err.text);
	cr_assert_eq(child_ready(&child, &err), 0, "%s", err.text);
	cr_expect(child_alive(&child));
	cr_expect_geq(child_cpu_ms(&child), 0);
	cr_expect_gt(child_memory_bytes(&child), 0);
	struct usage usage = {0};
	child_end(&child, &usage, NULL);
	cr_expect_gt(usage.memory_peak_bytes, 0);
	cr_expect_eq(child.pid, -1);
}

Test(spawn, tells_that_a_program_is_no_executor)
{
	struct child child;
	struct err err = {0};
	cr_assert_eq(child_start("/bin/true", "executor", &child, &err), 0, "%s", err.text);
	cr_expect_eq(child_ready(&child, &err), E_UNAVAILABLE);
	child_end(&child, NULL, NULL);
}

Test(spawn, gives_an_executor_none_of_our_environment)
{
	struct child child;
	struct err err = {0};
	setenv("FREEHOLD_SECRET", "x", 1);
	cr_assert_eq(child_start(NULL, "executor", &child, &err), 0);
	cr_assert_eq(child_ready(&child, &err), 0);
	char path[40], text[4096];
	snprintf(path, sizeof path, "/proc/%d/environ", (int)child.pid);
	int fd = open(path, O_RDONLY);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof text) : 0;
	cr_expect_null(memmem(text, len > 0 ? (size_t)len : 0, "FREEHOLD_SECRET", 15));
	close(fd);
	child_end(&child, NULL, NULL);
}

Test(spawn, tells_what_a_program_printed_that_could_not_start)
{
	struct child child;
	struct err err = {0};
	/* Run as `sh executor`: it says that there is no such script. */
	cr_assert_eq(child_start("/bin/sh", "executor", &child, &err), 0, "%s", err.text);
	cr_expect_lt(child_ready(&child, &err), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	cr_expect_not_null(strstr(err.text, "it printed: "), "%s", err.text);
#endif
	child_end(&child, NULL, NULL);
}

Test(spawn, an_executor_says_which_layers_its_cage_has)
{
	struct child child;
	struct err err = {0};
	cr_assert_eq(child_start(NULL, "executor", &child, &err), 0, "%s", err.text);
	cr_assert_eq(child_ready(&child, &err), 0, "%s", err.text);
	cr_expect(child.cage.layers[CAGE_SECCOMP].on);
	cr_expect(child.cage.layers[CAGE_LIMITS].on);
	cr_expect_not(child.cage.layers[CAGE_CGROUP].on);
	child_end(&child, NULL, NULL);
}
