/* No file by any path, where the kernel has Landlock. */
#include "common/defs.h"
#include "worker/cage_files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NONE = 77 };

static int closed(void)
{
	struct err err = {0};
	int before = open("/etc/hosts", O_RDONLY);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 1;
	int rc = cage_files_enter(&err);
	if (rc == E_UNAVAILABLE)
		return NONE;
	char byte;
	if (rc != 0)
		return 2;
	if (open("/etc/hosts", O_RDONLY) != -1 || errno != EACCES)
		return 3;
	if (open("/tmp/cage-new", O_WRONLY | O_CREAT, 0600) != -1 || errno != EACCES)
		return 4;
	return before < 0 || read(before, &byte, 1) == 1 ? 0 : 5;
}

Test(cage_files, what_is_open_stays_and_nothing_else_opens)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(closed());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == NONE)
		fprintf(stderr, "skipped: this kernel has no Landlock\n");
	else
		cr_expect_eq(WEXITSTATUS(status), 0);
}
