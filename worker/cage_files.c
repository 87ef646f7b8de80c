/* cage_files.c - see cage_files.h. A ruleset that handles all there is and allows nothing of it;
 * what a kernel handles depends on its version of the interface. Source: Linux's
 * Documentation/userspace-api/landlock.rst. */
#include "common/defs.h"
#include "worker/cage_files.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel: its own numbers. */
enum { CREATE_RULESET = 444, RESTRICT_SELF = 446, ASK_VERSION = 1 };

struct ruleset {
	uint64_t files, ports, scopes;
};

/* Rights over files by version: execute, read, write, list, remove, make (13 of them); refer;
 * truncate; ioctl. */
static uint64_t files_of(long version)
{
	unsigned bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
	return (UINT64_C(1) << bits) - 1;
}

int cage_files_enter(struct err *err)
{
	long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
	if (version < 1)
		return err_set(err, E_UNAVAILABLE, "the kernel has no Landlock, or it is switched "
		               "off (lsm=landlock)");
	struct ruleset ruleset = {
		.files = files_of(version),
		.ports = version >= 4 ? 3 : 0,  /* bind and connect, TCP */
		.scopes = version >= 6 ? 3 : 0, /* abstract sockets and signals of others */
	};
	size_t len = version >= 6 ? 24 : version >= 4 ? 16 : 8;
	int fd = (int)syscall(CREATE_RULESET, &ruleset, len, 0);
	if (fd < 0)
		return err_errno(err, errno, "Landlock");
	long rc = syscall(RESTRICT_SELF, fd, 0);
	int why = errno;
	close(fd);
	return rc == 0 ? 0 : err_errno(err, why, "Landlock");
}
