/* cage_calls.c - see cage_calls.h. The program is made once, with libseccomp, and loaded by each
 * executor as it is: that costs microseconds. Names, not numbers: a call that an architecture does
 * not have is passed over. */
#include "common/defs.h"
#include "worker/cage_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROGRAM_MAX = 4096 };

/* What pthread_create asks for, and nothing else may be: no process, no namespace. */
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

struct cage_calls {
	struct sock_fprog program;
	struct sock_filter filters[PROGRAM_MAX];
};

/* Work on what the process has already. */
static const char *const allowed[] = {
	"read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "close", "close_range",
	"lseek", "fstat", "poll", "ppoll", "pause", "restart_syscall",
	"brk", "munmap", "mremap", "madvise", "mincore", "msync", "mlock", "munlock", "membarrier",
	"futex", "futex_waitv", "set_robust_list", "set_tid_address", "rseq", "sched_yield",
	"sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getrusage", "times", "sysinfo", "uname", "exit", "exit_group",
};

/* What no task has a reason for: whoever makes one of these is not DuckDB any more. */
static const char *const fatal[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kill",
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendmmsg",
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
	"fsconfig", "fspick", "mount_setattr", "unshare", "setns", "bpf", "perf_event_open",
	"userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key",
	"request_key", "kexec_load", "kexec_file_load", "open_by_handle_at", "name_to_handle_at",
	"init_module", "finit_module", "delete_module", "setuid", "setgid", "setreuid", "setregid",
	"setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset", "personality",
	"iopl", "ioperm", "modify_ldt", "reboot", "swapon", "swapoff", "quotactl", "acct",
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
	"setdomainname", "lookup_dcookie", "nfsservctl", "vhangup", "mbind", "migrate_pages",
	"move_pages", "fanotify_init", "quotactl_fd", "landlock_create_ruleset",
	"memfd_secret", "remap_file_pages",
};

/* Paths: said to be not allowed, as for a file that belongs to somebody else. */
static const char *const paths[] = {
	"open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access",
	"faccessat", "faccessat2", "readlink", "readlinkat", "statfs", "getdents64", "unlink",
	"unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link",
	"linkat", "symlink", "symlinkat", "truncate", "ftruncate", "chmod", "fchmodat", "chown",
	"fchownat", "mknod", "mknodat", "chdir", "fchdir", "getcwd", "inotify_init1",
	"memfd_create",
};

static int failed(int rc, struct err *err)
{
	return err_errno(err, -rc, "the filter of system calls could not be made");
}

static int add_all(scmp_filter_ctx filter, uint32_t answer, const char *const *names, size_t count,
                   struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		if (number == __NR_SCMP_ERROR)
			continue;
		int rc = seccomp_rule_add(filter, answer, number, 0);
		if (rc < 0)
			return failed(rc, err);
	}
	return 0;
}

/* A call that is allowed by what one of its arguments is. */
static int add_if(scmp_filter_ctx filter, uint32_t answer, const char *name,
                  struct scmp_arg_cmp compare, struct err *err)
{
	int rc = seccomp_rule_add_array(filter, answer, seccomp_syscall_resolve_name(name), 1,
	                                &compare);
	return rc < 0 ? failed(rc, err) : 0;
}

/* Memory never becomes code, nor code what was memory. */
static int add_memory(scmp_filter_ctx filter, struct err *err)
{
	TRY(add_if(filter, SCMP_ACT_ALLOW, "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), err));
	TRY(add_if(filter, SCMP_ACT_KILL_PROCESS, "mmap",
	           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC), err));
	TRY(add_if(filter, SCMP_ACT_ALLOW, "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
	           err));
	return add_if(filter, SCMP_ACT_KILL_PROCESS, "mprotect",
	              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC), err);
}

static int add_threads(scmp_filter_ctx filter, struct err *err)
{
	TRY(add_if(filter, SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_EQ, THREAD_FLAGS), err));
	TRY(add_if(filter, SCMP_ACT_KILL_PROCESS, "clone", SCMP_A0(SCMP_CMP_NE, THREAD_FLAGS),
	           err));
	/* Its flags lie in memory, where a filter cannot look; libc then takes clone. */
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc < 0 ? failed(rc, err) : 0;
}

static int add_messages(scmp_filter_ctx filter, int socket, struct err *err)
{
	static const char *const calls[] = {"sendto", "sendmsg", "recvfrom", "recvmsg"};
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		TRY(add_if(filter, SCMP_ACT_ALLOW, calls[i],
		           SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)socket), err));
	return 0;
}

static int add_narrow(scmp_filter_ctx filter, struct err *err)
{
	static const int controls[] = {F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL};
	for (size_t i = 0; i < ARRAY_LEN(controls); i++)
		TRY(add_if(filter, SCMP_ACT_ALLOW, "fcntl",
		           SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)controls[i]), err));
	TRY(add_if(filter, SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME), err));
	/* Limits are read, of this process, and never set. */
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
	                          SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	return rc < 0 ? failed(rc, err) : 0;
}

static int add_rules(scmp_filter_ctx filter, int socket, struct err *err)
{
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a search tree */
	if (rc < 0)
		return failed(rc, err);
	TRY(add_all(filter, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed), err));
	TRY(add_all(filter, SCMP_ACT_KILL_PROCESS, fatal, ARRAY_LEN(fatal), err));
	TRY(add_all(filter, SCMP_ACT_ERRNO(EACCES), paths, ARRAY_LEN(paths), err));
	TRY(add_memory(filter, err));
	TRY(add_threads(filter, err));
	TRY(add_messages(filter, socket, err));
	return add_narrow(filter, err);
}

/* The library gives its program to a descriptor only. */
static int read_program(scmp_filter_ctx filter, struct cage_calls *calls, struct err *err)
{
	int fd = memfd_create("calls", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "the filter of system calls could not be made");
	int rc = seccomp_export_bpf(filter, fd);
	ssize_t len = rc < 0 ? 0 : pread(fd, calls->filters, sizeof calls->filters, 0);
	close(fd);
	if (rc < 0)
		return failed(rc, err);
	if (len <= 0 || len == (ssize_t)sizeof calls->filters)
		return err_set(err, E_INTERNAL, "the filter of system calls has %zd bytes", len);
	calls->program.len = (unsigned short)((size_t)len / sizeof calls->filters[0]);
	calls->program.filter = calls->filters;
	return 0;
}

int cage_calls_new(int socket, struct cage_calls **ret_calls, struct err *err)
{
	AUTO(cage_calls) *calls = calloc(1, sizeof *calls);
	scmp_filter_ctx filter = calls ? seccomp_init(SCMP_ACT_ERRNO(EPERM)) : NULL;
	if (!filter)
		return err_set(err, E_NOMEM, "no memory for the filter of system calls");
	int rc = add_rules(filter, socket, err);
	if (rc == 0)
		rc = read_program(filter, calls, err);
	seccomp_release(filter);
	TRY(rc);
	*ret_calls = MOVE(calls);
	return 0;
}

void cage_calls_free(struct cage_calls *calls)
{
	free(calls);
}

int cage_calls_enter(const struct cage_calls *calls, struct err *err)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &calls->program) != 0)
		return err_errno(err, errno, "the filter of system calls was refused");
	return 0;
}
