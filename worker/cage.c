/* cage.c - see cage.h. Namespaces of its own beyond the network, and a filter of system calls, come
 * with the sandbox's own issue. */
#include "common/defs.h"
#include "worker/cage.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool leave_network(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

int cage_enter(int parent, bool *ret_network, struct err *err)
{
	/* First: a user namespace of one's own would take the parent's death signal away again. */
	*ret_network = !leave_network();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0) != 0)
		return err_errno(err, errno, "the executor's process could not be confined");
	if (getppid() != parent)
		return err_set(err, E_UNAVAILABLE, "the worker that started this executor is gone");
	struct rlimit none = {0, 0};
	/* Output leaves through pipes; a spill or a dump to a disk cannot happen. */
	if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0)
		return err_errno(err, errno, "the executor's limits could not be set");
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_errno(err, errno, "the executor's signals could not be set");
	return 0;
}
