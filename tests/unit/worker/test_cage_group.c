/* Control groups, on a tree of plain files that looks like the kernel's. */
#include "common/defs.h"
#include "worker/cage_group.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *root, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	FILE *file = fopen(path, "w");
	REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static const char *get(const char *root, const char *name, char text[256])
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(text, 1, 255, file) : 0;
	text[len] = 0;
	if (file)
		fclose(file);
	return text;
}

static void make_tree(char root[], const char *controllers)
{
	static const char *const folders[] = {"proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup",
	                                      "sys/fs/cgroup/w", "sys/fs/cgroup/w/agent",
	                                      "sys/fs/cgroup/w/executor-7"};
	char path[256];
	REQUIRE(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		REQUIRE(mkdir(path, 0700) == 0);
	}
	put(root, "proc/self/cgroup", "5:memory:/x\n0::/w\n");
	put(root, "sys/fs/cgroup/w/cgroup.controllers", controllers);
	static const char *const files[] = {
		"cgroup.procs", "cgroup.subtree_control", "agent/cgroup.procs",
		"executor-7/cgroup.procs", "executor-7/memory.max", "executor-7/pids.max",
		"executor-7/cpu.max"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "sys/fs/cgroup/w/%s", files[i]);
		put(root, path, "");
	}
}

static void remove_tree(const char *root)
{
	char command[256];
	snprintf(command, sizeof command, "rm -rf %s", root);
	REQUIRE(system(command) == 0);
}

Test(cage_group, an_executor_is_put_into_a_group_with_its_jobs_limits)
{
	char root[] = "/tmp/groups-XXXXXX", text[256];
	struct cage_groups *groups = NULL;
	struct err err = {0};
	make_tree(root, "cpuset cpu io memory pids\n");
	cr_assert_eq(cage_groups_new(root, &groups, &err), 0, "%s", err.text);
	cr_expect_str_eq(get(root, "sys/fs/cgroup/w/cgroup.subtree_control", text),
	                 "+memory +pids +cpu");
	cr_expect_eq(atoi(get(root, "sys/fs/cgroup/w/agent/cgroup.procs", text)), (int)getpid());
	struct limits limits = {.memory_bytes = 1 << 20, .threads = 2};
	cr_assert_eq(cage_groups_put(groups, 7, &limits, &err), 0, "%s", err.text);
	cr_expect_str_eq(get(root, "sys/fs/cgroup/w/executor-7/memory.max", text), "1048576");
	cr_expect_str_eq(get(root, "sys/fs/cgroup/w/executor-7/pids.max", text), "34");
	cr_expect_str_eq(get(root, "sys/fs/cgroup/w/executor-7/cgroup.procs", text), "7");
	cr_expect_not(cage_groups_killed(groups, 7));
	put(root, "sys/fs/cgroup/w/executor-7/memory.events", "oom 1\noom_kill 1\n");
	cr_expect(cage_groups_killed(groups, 7));
	cage_groups_free(groups);
	remove_tree(root);
}

Test(cage_group, a_host_without_the_controllers_gives_none_and_says_which)
{
	char root[] = "/tmp/groups-XXXXXX";
	struct cage_groups *groups = NULL;
	struct err err = {0};
	make_tree(root, "hugetlb pids\n");
	cr_expect_eq(cage_groups_new(root, &groups, &err), E_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "\"memory\""), "%s", err.text);
	cr_expect_null(groups);
	remove_tree(root);
}

Test(cage_group, where_there_are_no_groups_there_are_none)
{
	struct cage_groups *groups = NULL;
	struct err err = {0};
	cr_expect_eq(cage_groups_new("/tmp/nowhere", &groups, &err), E_UNAVAILABLE);
	cr_expect_null(groups);
}
