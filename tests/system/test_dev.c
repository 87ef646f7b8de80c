/* freehold dev: one command, one folder, one Ctrl-C. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UP_MS = 60000 };

struct dev {
	struct system *system;
	pid_t pid;
	const char *out;
};

static bool says_it_is_up(void *context)
{
	struct dev *dev = context;
	const char *out = file_text(system_arena(dev->system), dev->out);
	cr_assert(process_alive(dev->pid), "it ended: %s", out);
	return out && strstr(out, "Freehold is up");
}

/* The folder is the system's own: what `freehold dev` keeps lies as a test's system lies. */
static pid_t dev_start(struct system *system, const char *out)
{
	struct dev dev = {system, 0, system_path(system, "%s", out)};
	const char *const args[] = {
		"dev",
		"--data",
		system_path(system, "dev"),
		"--files",
		system_path(system, "files"),
		"--port",
		arena_printf(system_arena(system), "%d", system_port(system, 0)),
		NULL};
	dev.pid = system_cli_start(system, dev.out, args);
	cr_assert(wait_until(says_it_is_up, &dev, UP_MS), "not up after %d ms: %s", UP_MS,
		  file_text(system_arena(system), dev.out));
	return dev.pid;
}

static void log_in(struct system *system)
{
	system_cli_ok(system, "login", "--url", system_url(system, PORT_API), "--key-file",
		      system_path(system, "dev/operator.key"), "--profile", "operator", NULL);
}

Test(dev, ctrl_c_ends_every_child_and_a_second_start_finds_everything, .timeout = 240)
{
	struct system *system = system_new();
	pid_t children[8], pid = dev_start(system, "out/dev-1");
	log_in(system);
	system_cli_ok(system, "apply", "-f", "deploy/demo/platform", NULL);
	size_t count = process_children(pid, children, 8);
	cr_assert_eq(count, 3);
	kill(pid, SIGINT);
	cr_assert_eq(process_wait(pid, 40000), 0);
	for (size_t i = 0; i < count; i++)
		cr_assert_not(process_alive(children[i]), "child %zu is left", i);
	pid = dev_start(system, "out/dev-2");
	const char *out = system_cli_ok(system, "get", "tenants", NULL);
	cr_assert(strstr(out, "acme") && strstr(out, "globex"), "%s", out);
	out = system_cli_ok(system, "apply", "-f", "deploy/demo/platform", NULL);
	cr_assert(strstr(out, "0 created, 0 configured"), "%s", out);
	kill(pid, SIGTERM);
	cr_assert_eq(process_wait(pid, 40000), 0);
	system_stop(system);
}

Test(dev, a_second_one_on_the_same_folder_is_refused)
{
	struct system *system = system_new();
	pid_t pid = dev_start(system, "out/dev-1");
	struct ran second = system_cli(
		system, "dev", "--data", system_path(system, "dev"), "--port",
		arena_printf(system_arena(system), "%d", system_port(system, 0) + 100), NULL);
	cr_assert_eq(second.code, 5, "%d %s", second.code, second.out);
	cr_assert_not_null(strstr(second.out, "in use"), "%s", second.out);
	struct ran third =
		system_cli(system, "dev", "--data", system_path(system, "other"), "--port",
			   arena_printf(system_arena(system), "%d", system_port(system, 0)), NULL);
	cr_assert_eq(third.code, 1, "%d %s", third.code, third.out);
	cr_assert_not_null(strstr(third.out, "--port"), "%s", third.out);
	kill(pid, SIGINT);
	cr_assert_eq(process_wait(pid, 40000), 0);
	system_stop(system);
}

static pid_t child_named(pid_t parent, const char *name)
{
	pid_t children[8];
	size_t count = process_children(parent, children, 8);
	for (size_t i = 0; i < count && i < 8; i++) {
		char path[64], line[64] = "";
		snprintf(path, sizeof path, "/proc/%d/comm", (int)children[i]);
		FILE *comm = fopen(path, "re");
		if (comm && fgets(line, sizeof line, comm) &&
		    strncmp(line, name, strlen(name)) == 0) {
			fclose(comm);
			return children[i];
		}
		if (comm)
			fclose(comm);
	}
	return 0;
}

struct tried {
	struct system *system;
};

static bool is_ready(void *context)
{
	struct tried *tried = context;
	return system_call(tried->system, NULL, "GET", "/readyz", NULL).status == 200;
}

Test(dev, a_child_that_dies_is_started_again_and_none_outlives_a_killed_parent, .timeout = 240)
{
	static const char *const names[] = {"etcd", "freehold-contro", "freehold-worker"};
	struct system *system = system_new();
	pid_t children[8], pid = dev_start(system, "out/dev-1");
	log_in(system);
	struct tried tried = {system};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		pid_t child = child_named(pid, names[i]);
		cr_assert(child > 0, "no child %s", names[i]);
		kill(child, SIGKILL);
		for (int waited = 0;
		     !child_named(pid, names[i]) || child_named(pid, names[i]) == child;
		     waited += 50, wait_ms(50))
			cr_assert(waited < 10000, "%s is not started again", names[i]);
		cr_assert(wait_until(is_ready, &tried, 30000), "not ready after %s was killed",
			  names[i]);
	}
	system_cli_ok(system, "get", "tenants", NULL);
	size_t count = process_children(pid, children, 8);
	process_kill(pid);
	for (size_t i = 0; i < count; i++)
		for (int waited = 0; process_alive(children[i]); waited += 20, wait_ms(20))
			cr_assert(waited < 5000, "child %zu outlives its parent", i);
	system_stop(system);
}
