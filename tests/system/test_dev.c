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

static pid_t dev_start_in(struct system *system, const char *out, const char *data,
			  const char *files)
{
	struct dev dev = {system, 0, system_path(system, "%s", out)};
	const char *const args[] = {
		"dev",
		"--data",
		data,
		"--files",
		files,
		"--port",
		arena_printf(system_arena(system), "%d", system_port(system, 0)),
		NULL};
	dev.pid = system_cli_start(system, dev.out, args);
	cr_assert(wait_until(says_it_is_up, &dev, UP_MS), "not up after %d ms: %s", UP_MS,
		  file_text(system_arena(system), dev.out));
	return dev.pid;
}

/* The folder is the system's own: what `freehold dev` keeps lies as a test's system lies. */
static pid_t dev_start(struct system *system, const char *out)
{
	return dev_start_in(system, out, system_path(system, "dev"), system_path(system, "files"));
}

static void log_in(struct system *system)
{
	system_cli_ok(system, "login", "--url", system_url(system, PORT_API), "--key-file",
		      system_path(system, "dev/operator.key"), "--profile", "operator", NULL);
}

Test(dev, ctrl_c_ends_every_child_and_a_second_start_finds_everything)
{
	struct system *system = system_new();
	pid_t children[8], pid = dev_start(system, "out/dev-1");
	log_in(system);
	system_cli_ok(system, "apply", "-f", "deploy/demo/platform", NULL);
	size_t count = process_children(pid, children, 8);
	cr_assert_eq(count, 3);
	kill(pid, SIGINT);
	cr_assert_eq(process_wait(pid, UP_MS), 0);
	for (size_t i = 0; i < count; i++)
		cr_assert_not(process_alive(children[i]), "child %zu is left", i);
	pid = dev_start(system, "out/dev-2");
	const char *out = system_cli_ok(system, "get", "tenants", NULL);
	cr_assert(strstr(out, "acme") && strstr(out, "globex"), "%s", out);
	out = system_cli_ok(system, "apply", "-f", "deploy/demo/platform", NULL);
	cr_assert(strstr(out, "0 created, 0 configured"), "%s", out);
	kill(pid, SIGTERM);
	cr_assert_eq(process_wait(pid, UP_MS), 0);
	system_stop(system);
}

/* What stands in boxes of the page, but for the building and the line that starts this very system,
 * with the test's port. */
static const char *printed_script(struct system *system, const char *folder)
{
	struct arena *arena = system_arena(system);
	char *page = arena_strdup(arena, file_text(arena, "docs/getting-started.md"));
	const char *script = arena_printf(arena, "set -eu\ncd %s\n", folder);
	bool inside = false;
	int boxes = 0;
	for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
		char *port = strstr(line, ":7070");
		if (strncmp(line, "```", 3) == 0) {
			inside = !inside && strcmp(line, "```sh") == 0;
			boxes += inside;
			continue;
		}
		if (!inside || boxes == 1 || strncmp(line, "freehold dev ", 13) == 0)
			continue;
		if (port)
			line = arena_printf(arena, "%.*s:%d%s", (int)(port - line), line,
					    system_port(system, 0), port + 5);
		script = arena_printf(arena, "%s%s\n", script, line);
	}
	cr_assert_gt(boxes, 8);
	return script;
}

Test(dev, getting_started_works_as_it_is_printed)
{
	struct system *system = system_new();
	const char *folder = system_path(system, "first");
	const char *log = system_path(system, "out/printed");
	const char *script = system_path(system, "printed.sh");
	const char *const make[] = {"mkdir", "-p", system_path(system, "first/files"), NULL};
	const char *const args[] = {"sh", script, NULL};
	static const char *const told[] = {
		"4 rows,", "2 bad rows kept aside", "NOT_FOUND", "yes: acme/nel may dataset:read",
		"verified: the event below is number 42", "its deletion is cancelled"};
	cr_assert_eq(process_wait(process_start(make, log, NULL), 60000), 0);
	pid_t pid = dev_start_in(system, "out/dev-1", system_path(system, "first/freehold-data"),
				 system_path(system, "first/files"));
	file_write(script, printed_script(system, folder));
	setenv("PATH", arena_printf(system_arena(system), "%s:%s", getenv("FREEHOLD_BUILD"),
				    getenv("PATH")), 1);
	int code = process_wait(process_start(args, log, NULL), 240000);
	const char *out = file_text(system_arena(system), log);
	cr_assert_eq(code, 0, "%d: %s", code, out);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		cr_expect_not_null(strstr(out, told[i]), "no \"%s\" in: %s", told[i], out);
	kill(pid, SIGINT);
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
	cr_assert_eq(process_wait(pid, UP_MS), 0);
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

Test(dev, a_child_that_dies_is_started_again_and_none_outlives_a_killed_parent)
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
			cr_assert(waited < 60000, "%s is not started again", names[i]);
		cr_assert(wait_until(is_ready, &tried, UP_MS), "not ready after %s was killed",
			  names[i]);
	}
	system_cli_ok(system, "get", "tenants", NULL);
	size_t count = process_children(pid, children, 8);
	process_kill(pid);
	for (size_t i = 0; i < count; i++)
		for (int waited = 0; process_alive(children[i]); waited += 20, wait_ms(20))
			cr_assert(waited < 60000, "child %zu outlives its parent", i);
	system_stop(system);
}
