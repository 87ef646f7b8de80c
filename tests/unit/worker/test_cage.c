/* What a caged process has given up. Each is tried in a process of its own. */
#include "common/defs.h"
#include "worker/cage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 60000, CHANNEL = 3 };

static int prepare(struct cage *cage, struct err *err)
{
	return cage_prepare(cage, CHANNEL, err);
}

/* How a process ends that goes into a cage and then does `act`; status 99: it could not go in. */
static int caged(int (*act)(const struct cage *cage))
{
	int parent = getpid(), status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct cage cage;
		struct err err = {0};
		if (prepare(&cage, &err) < 0 || cage_enter(&cage, parent, &err) < 0)
			_exit(99);
		_exit(act(&cage));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int has_the_least(const struct cage *cage)
{
	return cage->report.layers[CAGE_SECCOMP].on && cage->report.layers[CAGE_LIMITS].on &&
	       cage->report.layers[CAGE_PRIVILEGES].on ? 0 : 1;
}

Test(cage, has_a_filter_limits_and_no_new_privileges_on_any_host)
{
	cr_expect_eq(caged(has_the_least), 0);
}

static int says_why(const struct cage *cage)
{
	for (int i = 0; i < CAGE_LAYERS; i++)
		if (cage->report.layers[i].on == (cage->report.layers[i].why[0] != 0))
			return 1 + i;
	return 0;
}

Test(cage, says_of_every_layer_that_is_off_why)
{
	cr_expect_eq(caged(says_why), 0);
}

static int limited(const struct cage *cage)
{
	struct rlimit core, file;
	(void)cage;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
		return 1;
	return getrlimit(RLIMIT_FSIZE, &file) == 0 && file.rlim_max == 0 ? 0 : 2;
}

Test(cage, can_write_no_core_and_no_file)
{
	cr_expect_eq(caged(limited), 0);
}

static int sees_others_user(const struct cage *cage)
{
	return cage->report.layers[CAGE_UID].on && (getuid() == 0 || getgid() == 0) ? 1 : 0;
}

Test(cage, is_another_user_where_it_says_so)
{
	cr_expect_eq(caged(sees_others_user), 0);
}

static int opens(const struct cage *cage)
{
	(void)cage;
	return open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES ? 0 : 1;
}

Test(cage, opens_no_path)
{
	cr_expect_eq(caged(opens), 0);
}

static int writes_to_nobody(const struct cage *cage)
{
	static char byte = 'x';
	(void)cage;
	return write(STDIN_FILENO, &byte, 1) < 0 && errno == EPIPE ? 0 : 2;
}

Test(cage, a_reader_that_went_is_an_error_and_no_death)
{
	int pair[2];
	cr_assert_eq(pipe(pair), 0);
	close(pair[0]);
	cr_assert_eq(dup2(pair[1], STDIN_FILENO), STDIN_FILENO);
	close(pair[1]);
	cr_expect_eq(caged(writes_to_nobody), 0);
}

static int writes_a_file(const struct cage *cage)
{
	(void)cage;
	return write(STDIN_FILENO, "x", 1) == -1 && errno == EFBIG ? 0 : 1;
}

Test(cage, writes_no_file_that_is_open_already)
{
	char path[] = "/tmp/cage-XXXXXX";
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	unlink(path);
	cr_assert_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	cr_expect_eq(caged(writes_a_file), 0);
	close(fd);
}

Test(cage, is_not_entered_when_the_parent_is_gone)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct cage cage;
		if (prepare(&cage, NULL) < 0)
			_exit(2);
		_exit(cage_enter(&cage, getpid(), NULL) == E_UNAVAILABLE ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}

/* A process whose caged child holds the pipe's end and waits for ever. */
static void keep_a_child(int fd)
{
	int parent = getpid();
	if (fork() == 0) {
		struct cage cage;
		if (prepare(&cage, NULL) == 0 && cage_enter(&cage, parent, NULL) == 0 &&
		    write(fd, "c", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(fd);
	for (;;)
		pause();
}

Test(cage, dies_with_its_parent)
{
	int pair[2];
	char byte = 0;
	cr_assert_eq(pipe(pair), 0);
	pid_t keeper = fork();
	if (keeper == 0)
		keep_a_child(pair[1]);
	close(pair[1]);
	cr_assert_eq(read(pair[0], &byte, 1), 1);
	kill(keeper, SIGKILL);
	cr_assert_eq(waitpid(keeper, NULL, 0), keeper);
	struct pollfd ended = {.fd = pair[0], .events = POLLIN};
	cr_assert_eq(poll(&ended, 1, WAIT_MS), 1, "it lives on");
	cr_expect_eq(read(pair[0], &byte, 1), 0, "the pipe's last holder is gone");
	close(pair[0]);
}
