/* privilege.c - see privilege.h. Invariant: a process that was to become another user and could not
 * does not go on. */
#include "common/defs.h"
#include "common/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAMES_MAX = 16384 };

static int find(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	char names[NAMES_MAX];
	struct passwd entry, *found = NULL;
	int code = getpwnam_r(user, &entry, names, sizeof names, &found);
	if (!found)
		return err_set(err, E_INVALID, "--user: there is no user %.64s%s", user,
			       code ? " that can be looked up" : "");
	if (entry.pw_uid == 0)
		return err_set(err, E_INVALID, "--user: %.64s is root by another name", user);
	*ret_uid = entry.pw_uid;
	*ret_gid = entry.pw_gid;
	return 0;
}

/* Ports below 1024, and nothing else. */
static int keep_listening(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	data[0].effective = data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	return (int)syscall(SYS_capset, &header, data);
}

static int become(const char *user, uid_t uid, gid_t gid, struct err *err)
{
	/* Keys lie in locked memory; the limit is root's to raise. */
	const struct rlimit lock = { RLIM_INFINITY, RLIM_INFINITY };
	(void)setrlimit(RLIMIT_MEMLOCK, &lock);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(user, gid) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(err, errno, "--user: the process cannot become %.64s", user);
	(void)keep_listening();
	if (setuid(0) == 0 || geteuid() != uid || getegid() != gid)
		return err_set(err, E_DENIED, "--user: the process could become root again");
	/* Becoming another user made it dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, errno, "cannot make the process undumpable");
	return 0;
}

int privilege_drop(const char *user, bool *ret_root, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	umask(077);
	if (user)
		TRY(find(user, &uid, &gid, err));
	if (user && geteuid() == 0)
		TRY(become(user, uid, gid, err));
	if (geteuid() != uid)
		return err_set(err, E_INVALID, "--user: only root becomes %.64s; this process is "
			       "the user %u", user, (unsigned)geteuid());
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "cannot give up gaining rights");
	*ret_root = uid == 0;
	return 0;
}
