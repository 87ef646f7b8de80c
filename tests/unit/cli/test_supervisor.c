/* Children are kept running, are started again, and end in reverse order. Each test is a process of
 * its own, so what it forks and the signals it sends are its own too. */
#include "common/defs.h"
#include "api/cli/supervisor.h"

#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static char dir[40], log_file[64];
static struct supervisor *supervisor;

static void setup(void)
{
	struct err err = { 0 };
	snprintf(dir, sizeof dir, "/tmp/supervisor-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(log_file, sizeof log_file, "%s/log", dir);
	setenv("DIR", dir, 1);
	cr_assert_eq(supervisor_new(&supervisor, &err), 0, "%s", err.text);
	cr_redirect_stderr();        /* it tells there what it starts again */
}
static void teardown(void)
{
	char command[80];
	supervisor_free(supervisor);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}
TestSuite(supervisor, .init = setup, .fini = teardown);

static void pause_ms(long ms)
{
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&pause, NULL);
}

/* What stands in the log; valid until the next call. */
static const char *logged(void)
{
	static char text[4096];
	FILE *file = fopen(log_file, "r");
	text[0] = 0;
	if (file) {
		text[fread(text, 1, sizeof text - 1, file)] = 0;
		fclose(file);
	}
	return text;
}

static int count_of(const char *word)
{
	int count = 0;
	for (const char *at = logged(); (at = strstr(at, word)); at += strlen(word))
		count++;
	return count;
}

static bool comes(const char *word, int times)
{
	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		if (count_of(word) >= times)
			return true;
		pause_ms(10);
	}
	return false;
}

/* Starts `sh -c script`; $DIR is the test's folder. */
static void start(const char *name, const char *const argv[4], int stop_ms)
{
	struct child child = {
		.name = name, .argv = argv, .log_file = log_file, .stop_ms = stop_ms,
	};
	struct err err = { 0 };
	cr_assert_eq(supervisor_start(supervisor, &child, &err), 0, "%s", err.text);
}

#define SHELL(script) ((const char *const[4]) { "sh", "-c", script, NULL })
#define STAYS(name) SHELL("trap 'echo end-" name "; exit' TERM; echo begin-" name \
	"; while :; do sleep 0.02; done")

/* Runs the supervisor in this thread, and another that ends it once `word` came `times` times. */
struct ending {
	pthread_t main;
	const char *word;
	int times;
	bool came;
};

static void *end_later(void *context)
{
	struct ending *ending = context;
	ending->came = comes(ending->word, ending->times);
	pthread_kill(ending->main, SIGTERM);   /* other threads do not block it */
	return NULL;
}

static int run_until(const char *word, int times, struct err *err)
{
	pthread_t thread;
	struct ending ending = { .main = pthread_self(), .word = word, .times = times };
	cr_assert_eq(pthread_create(&thread, NULL, end_later, &ending), 0);
	int rc = supervisor_run(supervisor, err);
	pthread_join(thread, NULL);
	cr_expect(ending.came, "%s did not come %d times: %s", word, times, logged());
	return rc;
}

static int not_ready(void *context, struct err *err)
{
	(void)context;
	return err_set(err, E_UNAVAILABLE, "it does not answer");
}

static int ready_on_third(void *context, struct err *err)
{
	int *calls = context;
	return ++*calls < 3 ? err_set(err, E_UNAVAILABLE, "not yet") : 0;
}

Test(supervisor, children_end_in_reverse_order)
{
	start("one", STAYS("one"), 2000);
	start("two", STAYS("two"), 2000);
	start("three", STAYS("three"), 2000);
	cr_assert(comes("begin-", 3), "%s", logged());
	supervisor_free(supervisor);
	supervisor = NULL;
	const char *text = logged();
	const char *one = strstr(text, "end-one"), *two = strstr(text, "end-two");
	const char *three = strstr(text, "end-three");
	cr_assert(one && two && three, "%s", text);
	cr_expect(three < two && two < one, "%s", text);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}

Test(supervisor, a_child_that_dies_is_started_again_and_the_others_are_left_alone)
{
	struct err err = { 0 };
	start("steady", STAYS("steady"), 2000);
	start("mortal", SHELL("echo begin-mortal; exit 3"), 2000);
	cr_expect_eq(run_until("begin-mortal", 3, &err), 0, "%s", err.text);
	cr_expect_eq(count_of("begin-steady"), 1);
}

Test(supervisor, a_child_that_is_killed_is_started_again)
{
	struct err err = { 0 };
	start("mortal", SHELL("echo begin-mortal; kill -9 $$"), 2000);
	cr_expect_eq(run_until("begin-mortal", 2, &err), 0, "%s", err.text);
}

Test(supervisor, a_child_that_never_stays_up_ends_it_naming_child_and_log)
{
	struct err err = { 0 };
	start("mortal", SHELL("echo begin-mortal; exit 1"), 2000);
	cr_expect_eq(supervisor_run(supervisor, &err), E_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "mortal does not stay up"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, log_file), "%s", err.text);
	cr_expect_eq(count_of("begin-mortal"), 10);
}

Test(supervisor, a_child_that_ignores_the_signal_is_killed_when_its_time_is_over)
{
	struct timespec before, after;
	start("deaf", SHELL("trap '' TERM; echo begin-deaf; while :; do sleep 0.02; done"), 200);
	cr_assert(comes("begin-deaf", 1));
	clock_gettime(CLOCK_MONOTONIC, &before);
	supervisor_free(supervisor);
	supervisor = NULL;
	clock_gettime(CLOCK_MONOTONIC, &after);
	double took = (double)(after.tv_sec - before.tv_sec) +
		(double)(after.tv_nsec - before.tv_nsec) / 1e9;
	cr_expect(took >= 0.2 && took < 5, "%f s", took);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}

Test(supervisor, output_and_errors_go_to_the_log_behind_what_is_there)
{
	FILE *file = fopen(log_file, "w");
	cr_assert(file && fputs("before\n", file) >= 0 && fclose(file) == 0);
	start("loud", SHELL("echo said; echo wrong >&2; read x && echo heard; sleep 100"), 100);
	cr_assert(comes("wrong", 1), "%s", logged());
	cr_expect_not_null(strstr(logged(), "before\nsaid\n"), "%s", logged());
	cr_expect_eq(count_of("heard"), 0, "standard input is empty");
}

Test(supervisor, a_child_is_in_a_group_of_its_own_with_no_signal_blocked)
{
	int pid = 0, group = 0;
	unsigned long long blocked = 1;
	start("self", SHELL("exec grep -E '^(Pid|NSpgid|SigBlk)' /proc/self/status"), 100);
	cr_assert(comes("SigBlk", 1), "%s", logged());
	cr_assert_eq(sscanf(logged(), "Pid: %d", &pid), 1, "%s", logged());
	cr_assert_eq(sscanf(strstr(logged(), "NSpgid"), "NSpgid: %d SigBlk: %llx", &group,
	                    &blocked), 2, "%s", logged());
	cr_expect_eq(pid, group, "%s", logged());
	cr_expect_eq(blocked, 0, "%s", logged());
}

Test(supervisor, a_program_that_is_not_there_is_said_in_the_log)
{
	struct err err = { 0 };
	start("none", (const char *const[4]) { "/nonexistent/program", NULL }, 100);
	cr_expect_eq(supervisor_await(supervisor, "none", not_ready, NULL, 5000, &err),
	             E_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "none did not start; see"), "%s", err.text);
	cr_expect_not_null(strstr(logged(), "/nonexistent/program: No such file"), "%s", logged());
}

Test(supervisor, awaiting_calls_until_it_is_ready)
{
	int calls = 0;
	struct err err = { 0 };
	start("one", STAYS("one"), 2000);
	cr_expect_eq(supervisor_await(supervisor, "one", ready_on_third, &calls, 5000, &err), 0);
	cr_expect_eq(calls, 3);
}

Test(supervisor, awaiting_ends_with_its_time_and_says_why)
{
	struct err err = { 0 };
	start("one", STAYS("one"), 2000);
	cr_expect_eq(supervisor_await(supervisor, "one", not_ready, NULL, 1000, &err),
	             E_UNAVAILABLE);
	cr_expect_str_eq(err.text, "one is not ready after 1 s: it does not answer");
}

Test(supervisor, awaiting_ends_when_it_is_interrupted)
{
	struct err err = { 0 };
	start("one", STAYS("one"), 2000);
	raise(SIGINT);   /* blocked since supervisor_new, taken in the wait */
	cr_expect_eq(supervisor_await(supervisor, "one", not_ready, NULL, 5000, &err),
	             E_CANCELLED);
	cr_expect_not_null(strstr(err.text, "while one was starting"), "%s", err.text);
}

/* Waits until a process with this id is gone, or a zombie of somebody else's. */
static bool is_gone(int pid)
{
	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		char path[40], state = 'X';
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		FILE *file = fopen(path, "r");
		if (!file || fscanf(file, "%*d %*s %c", &state) != 1 || state == 'Z') {
			if (file)
				fclose(file);
			return true;
		}
		fclose(file);
		pause_ms(10);
	}
	return false;
}

Test(supervisor, children_die_with_it_however_it_dies)
{
	int pid = 0;
	pid_t keeper = fork();
	if (keeper == 0) {
		start("orphan", SHELL("echo pid $$; exec sleep 100"), 100);
		pause();
		_exit(0);
	}
	cr_assert(comes("pid", 1));
	cr_assert_eq(sscanf(logged(), "pid %d", &pid), 1);
	cr_expect_eq(kill(pid, 0), 0);
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	cr_expect(is_gone(pid));
}

Test(supervisor, without_memory_there_is_none)
{
	struct supervisor *other = NULL;
	alloc_fail_after(0);
	int rc = supervisor_new(&other, NULL);
	alloc_fail_after(-1);
	cr_expect_eq(rc, E_NOMEM);
	cr_expect_null(other);
}
