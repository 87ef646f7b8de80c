/* test_privilege.c - from root to a user, for good. Each in a process of its own. */
#include "common/defs.h"
#include "common/privilege.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int in_child(int (*act)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(act());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int listens_low(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(803) };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
}

static int become_nobody(void)
{
	struct err err = { 0 };
	bool root = true;
	if (privilege_drop("nobody", &root, &err) < 0)
		return 1;
	if (root || geteuid() == 0 || getuid() == 0 || getegid() == 0)
		return 2;
	if (setuid(0) == 0 || seteuid(0) == 0)
		return 3;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 5;
	if (open("/etc/shadow", O_RDONLY) >= 0)
		return 6;
	return listens_low() ? 0 : 7;
}

Test(privilege, root_becomes_the_user_for_good_and_may_still_listen_below_1024)
{
	if (geteuid() != 0)
		cr_skip_test("needs to be started as root");
	cr_expect_eq(in_child(become_nobody), 0, "step %d", in_child(become_nobody));
}

static int stay(void)
{
	struct err err = { 0 };
	bool root = false;
	if (privilege_drop(NULL, &root, &err) < 0 || root != (geteuid() == 0))
		return 1;
	return umask(077) == 077 ? 0 : 2;
}

Test(privilege, without_a_user_it_stays_who_it_is_and_its_files_are_its_own)
{
	cr_expect_eq(in_child(stay), 0);
}

static int refused(void)
{
	struct err err = { 0 };
	bool root = false;
	if (privilege_drop("no-such-user-here", &root, &err) != E_INVALID)
		return 1;
	if (privilege_drop("root", &root, &err) != E_INVALID)
		return 2;
	if (geteuid() != 0)
		return privilege_drop("nobody", &root, &err) == E_INVALID ? 0 : 3;
	return 0;
}

Test(privilege, a_user_that_is_none_or_root_is_refused)
{
	cr_expect_eq(in_child(refused), 0);
}
