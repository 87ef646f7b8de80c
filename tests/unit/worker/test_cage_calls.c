/* The filter of system calls, each tried in a process of its own. */
#include "common/defs.h"
#include "worker/cage_calls.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNEL = 3 };

#ifdef __SANITIZE_THREAD__
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static int filtered(int (*act)(void))
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct cage_calls *calls = NULL;
		if (cage_calls_new(CHANNEL, &calls, NULL) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		    cage_calls_enter(calls, NULL) < 0)
			_exit(99);
		_exit(act());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_death(int (*act)(void), const char *what)
{
	int status = filtered(act);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %x", what,
	          (unsigned)status);
}

#define DIES(name, call)                             \
	static int name(void)                        \
	{                                            \
		return (call) == -1 ? 1 : 2;         \
	}

DIES(makes_a_socket, socket(AF_INET, SOCK_STREAM, 0))
DIES(forks, fork())
DIES(executes, execl("/bin/true", "true", NULL))
DIES(kills, kill(getppid(), 0))
DIES(leaves, syscall(SYS_unshare, 0x10000000))
DIES(traces, syscall(SYS_ptrace, 16, getppid(), 0, 0))
DIES(rings, syscall(SYS_io_uring_setup, 8, NULL))
DIES(asks_keys, syscall(SYS_keyctl, 0, 0))
DIES(makes_code, mprotect((void *)((uintptr_t)&forks & ~(uintptr_t)4095), 4096,
                          PROT_READ | PROT_WRITE | PROT_EXEC))

Test(cage_calls, what_is_dangerous_ends_the_process)
{
	expect_death(makes_a_socket, "socket");
	expect_death(forks, "fork");
	expect_death(executes, "execve");
	expect_death(kills, "kill");
	expect_death(leaves, "unshare");
	expect_death(traces, "ptrace");
	expect_death(rings, "io_uring_setup");
	expect_death(asks_keys, "keyctl");
	expect_death(makes_code, "mprotect");
}

static int refused(long rc, int why)
{
	return rc == -1 && errno == why ? 0 : 1;
}

static int opens(void)
{
	return refused(syscall(SYS_openat, AT_FDCWD, "/etc/hosts", O_RDONLY), EACCES);
}

static int raises_a_limit(void)
{
	struct rlimit limit = {1, 1};
	return refused(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL), EPERM);
}

static int sends_elsewhere(void)
{
	return refused(syscall(SYS_sendto, 0, "x", 1, 0, NULL, 0), EPERM);
}

static int makes_a_file(void)
{
	return refused(syscall(SYS_memfd_create, "x", 0), EACCES);
}

Test(cage_calls, the_rest_fails)
{
	cr_expect_eq(filtered(opens), 0);
	cr_expect_eq(filtered(raises_a_limit), 0);
	cr_expect_eq(filtered(sends_elsewhere), 0);
	cr_expect_eq(filtered(makes_a_file), 0);
}

static void *nothing(void *context)
{
	return context;
}

static int works(void)
{
	pthread_t thread;
	struct rlimit limit;
	void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                    0);
	if (memory == MAP_FAILED || munmap(memory, 1 << 20) != 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 2;
	/* That sanitizer has no threads in a process that was forked off; executors' own are tried
	 * in every test that runs a task. */
	if (SANITIZED)
		return 0;
	return pthread_create(&thread, NULL, nothing, NULL) == 0 &&
	       pthread_join(thread, NULL) == 0 ? 0 : 3;
}

Test(cage_calls, memory_threads_and_looking_at_limits_are_allowed)
{
	cr_expect_eq(filtered(works), 0);
}
