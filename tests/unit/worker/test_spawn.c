/* Executors' processes: started, confined, ended. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/cage.h"
#include "worker/executor.h"
#include "worker/spawn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(spawn, starts_an_executor_and_ends_it)
{
	struct child child;
	struct err err = {0};
	cr_assert_eq(child_start(NULL, &child, &err), 0, "%s", err.text);
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
	cr_assert_eq(child_start("/bin/true", &child, &err), 0, "%s", err.text);
	cr_expect_eq(child_ready(&child, &err), E_UNAVAILABLE);
	child_end(&child, NULL, NULL);
}

Test(spawn, gives_an_executor_none_of_our_environment)
{
	struct child child;
	struct err err = {0};
	setenv("FREEHOLD_SECRET", "x", 1);
	cr_assert_eq(child_start(NULL, &child, &err), 0);
	cr_assert_eq(child_ready(&child, &err), 0);
	char path[40], text[4096];
	snprintf(path, sizeof path, "/proc/%d/environ", (int)child.pid);
	int fd = open(path, O_RDONLY);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof text) : 0;
	cr_expect_null(memmem(text, len > 0 ? (size_t)len : 0, "FREEHOLD_SECRET", 15));
	close(fd);
	child_end(&child, NULL, NULL);
}

/* In a child process: 0 when everything that must fail fails. */
static int try_everything(int parent)
{
	struct err err = {0};
	bool network = true;
	char path[] = "/tmp/cage-XXXXXX";
	int fd = mkstemp(path);
	unlink(path);
	if (cage_enter(parent, &network, &err) < 0)
		return 1;
	if (write(fd, "x", 1) != -1 || errno != EFBIG)
		return 2;
	int pipes[2];
	if (pipe(pipes) != 0 || write(pipes[1], "x", 1) != 1)
		return 3;
	return 0;
}

Test(cage, writes_pipes_and_no_files)
{
	int parent = getpid(), status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(try_everything(parent));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
}

Test(cage, is_not_entered_when_the_parent_is_gone)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		bool network;
		_exit(cage_enter(1, &network, NULL) == E_UNAVAILABLE ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}
