/* What a caged process has given up. Each is tried in a process of its own. */
#include "common/defs.h"
#include "worker/cage.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

/* What `act` returns in a process that is caged; 99: it could not be. */
static int caged(int (*act)(bool network, const void *context), const void *context)
{
	int parent = getpid(), status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		bool network = true;
		_exit(cage_enter(parent, &network, NULL) < 0 ? 99 : act(network, context));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int gave_up(bool network, const void *context)
{
	struct rlimit core, file;
	(void)network;
	(void)context;
	int signal_ = 0;
	if (prctl(PR_GET_PDEATHSIG, &signal_) != 0 || signal_ != SIGKILL)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 3;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 4;
	if (getrlimit(RLIMIT_FSIZE, &file) != 0 || file.rlim_cur != 0 || file.rlim_max != 0)
		return 5;
	return 0;
}

Test(cage, gives_up_privileges_dumps_and_files_for_good)
{
	cr_expect_eq(caged(gave_up, NULL), 0);
}

static int connects(bool network, const void *context)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool reached = fd >= 0 && connect(fd, context, sizeof(struct sockaddr_in)) == 0;
	return reached == network ? 0 : 1;
}

Test(cage, says_truly_whether_it_still_has_a_network)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t len = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
	cr_expect_eq(caged(connects, &here), 0);
	close(fd);
}

static int writes_to_nobody(bool network, const void *context)
{
	int pair[2];
	(void)network;
	(void)context;
	if (pipe(pair) != 0)
		return 1;
	close(pair[0]);
	return write(pair[1], "x", 1) < 0 && errno == EPIPE ? 0 : 2;
}

Test(cage, a_reader_that_went_is_an_error_and_no_death)
{
	cr_expect_eq(caged(writes_to_nobody, NULL), 0);
}

/* A process whose caged child holds the pipe's end and waits for ever. */
static void keep_a_child(int fd)
{
	int parent = getpid();
	if (fork() == 0) {
		bool network;
		if (cage_enter(parent, &network, NULL) == 0 && write(fd, "c", 1) == 1)
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
