/* cage.c - see cage.h. The order matters: a user namespace of one's own and a change of user take
 * the parent's death signal away again; what needs a privilege comes before it is given up; the
 * filter of system calls comes last, since it forbids most of the others. */
#include "common/defs.h"
#include "worker/cage.h"
#include "worker/cage_calls.h"
#include "worker/cage_files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	CAPABILITIES_MAX = 64,
	FILES_MAX = 8192, /* descriptors */
	PROCESSES_MAX = 288, /* threads of an engine, and ours */
	LOCKED_BYTES = 64 * 1024 * 1024, /* keys of files, two pages each */
	UID_FIRST = 1000000000, /* a process's own: this and its number, below 2^22 */
	UID_SMALL_FIRST = 20000, /* the same where only 65,536 users are known */
	UID_SMALL_COUNT = 40000
};

#define SHARED (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

/* --- namespaces and root, which executors share among them and with nobody else --- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

/* In a user namespace of one's own, one is oneself. */
static void map_user(unsigned uid, unsigned gid)
{
	char text[64];
	write_text("/proc/self/setgroups", "deny");
	snprintf(text, sizeof text, "%u %u 1", gid, gid);
	write_text("/proc/self/gid_map", text);
	snprintf(text, sizeof text, "%u %u 1", uid, uid);
	write_text("/proc/self/uid_map", text);
}

static bool leave(int flags)
{
	if (unshare(flags) == 0)
		return true;
	unsigned uid = geteuid(), gid = getegid();
	if (unshare(CLONE_NEWUSER | flags) != 0)
		return false;
	map_user(uid, gid);
	return true;
}

static void leave_namespaces(struct cage_report *report)
{
	if (leave(SHARED | CLONE_NEWNET)) {
		cage_report_on(report, CAGE_NETWORK);
		cage_report_on(report, CAGE_NAMESPACES);
		return;
	}
	const char *why = strerror(errno);
	cage_report_off(report, CAGE_NAMESPACES, "unshare: %s; neither CAP_SYS_ADMIN nor user "
	                "namespaces are to be had", why);
	if (leave(CLONE_NEWNET))
		cage_report_on(report, CAGE_NETWORK);
	else
		cage_report_off(report, CAGE_NETWORK, "unshare: %s; neither CAP_SYS_ADMIN nor "
		                "user namespaces are to be had", why);
}

/* The folder that is covered is any that is there: nobody else sees it. */
static const char *enter_empty(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return "mount";
	if (mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          "size=4k,nr_inodes=2,mode=0555") != 0)
		return "mount of an empty folder";
	if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
		return "pivot_root";
	if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return "umount";
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV |
	            MS_NOEXEC, NULL);
	return NULL;
}

static void leave_root(struct cage_report *report)
{
	if (!report->layers[CAGE_NAMESPACES].on) {
		cage_report_off(report, CAGE_ROOT, "it takes a mount namespace");
		return;
	}
	const char *failed = enter_empty();
	if (failed)
		cage_report_off(report, CAGE_ROOT, "%s: %s", failed, strerror(errno));
	else
		cage_report_on(report, CAGE_ROOT);
}

/* --- user and capabilities --- */

static bool become(unsigned id)
{
	return setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0;
}

/* While there are capabilities left. Whoever shares a user may see its processes, signal them and
 * take of its limits: so each executor has one to itself. */
static void leave_user(struct cage_report *report)
{
	unsigned pid = (unsigned)getpid(), before = getuid();
	if (before != 0) {
		cage_report_off(report, CAGE_UID, "the worker is not root, but user %u", before);
		return;
	}
	if (setgroups(0, NULL) != 0 ||
	    (!become(UID_FIRST + pid) && !become(UID_SMALL_FIRST + pid % UID_SMALL_COUNT))) {
		cage_report_off(report, CAGE_UID, "setresuid: %s; it takes CAP_SETUID and "
		                "CAP_SETGID", strerror(errno));
		return;
	}
	cage_report_on(report, CAGE_UID);
}

static void bound_capabilities(void)
{
	for (int i = 0; i < CAPABILITIES_MAX; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno == EINVAL)
			break;
	(void)!prctl(PR_SET_SECUREBITS,
	             SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	                     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
	             0, 0, 0);
	(void)!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static void leave_capabilities(struct cage_report *report)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
	if (syscall(SYS_capset, &header, none) != 0)
		cage_report_off(report, CAGE_CAPABILITIES, "capset: %s", strerror(errno));
	else
		cage_report_on(report, CAGE_CAPABILITIES);
}

/* --- limits and privileges --- */

static bool limit(int which, rlim_t most)
{
	struct rlimit now;
	if (getrlimit(which, &now) != 0)
		return false;
	rlim_t to = now.rlim_max < most ? now.rlim_max : most;
	return setrlimit(which, &(struct rlimit){to, to}) == 0;
}

/* Output leaves through pipes; a spill or a dump to a disk cannot happen. Processor time and memory
 * are the job's, and set by the agent when it hands it over. */
static int set_limits(struct cage_report *report, struct err *err)
{
	struct rlimit locked = {LOCKED_BYTES, LOCKED_BYTES};
	if (setrlimit(RLIMIT_MEMLOCK, &locked) != 0)    /* more than there is: a privilege */
		(void)!limit(RLIMIT_MEMLOCK, LOCKED_BYTES);
	if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_MSGQUEUE, 0) ||
	    !limit(RLIMIT_NOFILE, FILES_MAX))
		return err_errno(err, errno, "the executor's limits could not be set");
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_errno(err, errno, "the executor's signals could not be set");
	cage_report_on(report, CAGE_LIMITS);
	return 0;
}

static int leave_privileges(struct cage_report *report, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0) != 0)
		return err_errno(err, errno, "the executor's process could not be confined");
	cage_report_on(report, CAGE_PRIVILEGES);
	return 0;
}

/* --- the two halves --- */

int cage_prepare(struct cage *cage, int channel, struct err *err)
{
	*cage = (struct cage){.calls = NULL};
	/* First: making it takes a file of memory, which the limits forbid. */
	TRY(cage_calls_new(channel, &cage->calls, err));
	leave_namespaces(&cage->report);
	leave_root(&cage->report);
	cage_report_off(&cage->report, CAGE_CGROUP, "the worker has not given one");
	TRY(leave_privileges(&cage->report, err));
	return set_limits(&cage->report, err);
}

static void leave_files(struct cage_report *report)
{
	struct err err = {0};
	if (cage_files_enter(&err) < 0)
		cage_report_off(report, CAGE_LANDLOCK, "%.150s", err.text);
	else
		cage_report_on(report, CAGE_LANDLOCK);
}

int cage_enter(struct cage *cage, int parent, struct err *err)
{
	struct cage_report *report = &cage->report;
	/* Each its own, where that is to be had; otherwise the one that all of them share. */
	if (report->layers[CAGE_NETWORK].on)
		(void)!unshare(CLONE_NEWNET | CLONE_NEWIPC);
	bound_capabilities();
	leave_user(report);
	leave_capabilities(report);
	/* Of a user of one's own: others' threads would count too. */
	if (report->layers[CAGE_UID].on && !limit(RLIMIT_NPROC, PROCESSES_MAX))
		return err_errno(err, errno, "the executor's limits could not be set");
	TRY(leave_privileges(report, err));
	if (getppid() != parent)
		return err_set(err, E_UNAVAILABLE, "the worker that started this executor is gone");
	leave_files(report);
	TRY(cage_calls_enter(cage->calls, err));
	cage_report_on(report, CAGE_SECCOMP);
	return 0;
}

void cage_release(struct cage *cage)
{
	cage_calls_free(cage->calls);
	cage->calls = NULL;
}
