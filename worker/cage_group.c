/* cage_group.c - see cage_group.h. Invariant: what could not be made whole is taken back, so that a
 * host without delegation is left as it was. */
#include "common/defs.h"
#include "worker/cage_group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LEN = 1024, TEXT_LEN = 4096, SPARE_THREADS = 32, PERIOD_US = 100000 };

struct cage_groups {
	char base[PATH_LEN]; /* the group that the worker began in */
};

static bool read_text(const char *path, char text[TEXT_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_LEN - 1);
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = 0;
	return len >= 0;
}

/* A group's file takes one value a write. */
static int write_text(const char *folder, const char *name, const char *text, struct err *err)
{
	char path[2 * PATH_LEN];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : write(fd, text, strlen(text));
	int why = errno;
	if (fd >= 0)
		close(fd);
	return len >= 0 ? 0 : err_set(err, E_UNAVAILABLE, "%s of its control group: %s", name,
	                              strerror(why));
}

/* The line of version 2, "0::/a/b". */
static bool own_group(const char *root, char base[PATH_LEN])
{
	char path[PATH_LEN], text[TEXT_LEN];
	struct stat stat_;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	const char *line = read_text(path, text) ? strstr(text, "0::/") : NULL;
	if (!line || (line > text && line[-1] != '\n'))
		return false;
	size_t len = strcspn(line + 3, "\n");
	snprintf(path, sizeof path, "%s/sys/fs/cgroup/unified", root);
	bool hybrid = stat(path, &stat_) == 0;
	return (size_t)snprintf(base, PATH_LEN, "%s/sys/fs/cgroup%s%.*s", root,
	                        hybrid ? "/unified" : "", len == 1 ? 0 : (int)len, line + 3) <
	       PATH_LEN;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') && strchr(" \n", at[len]))
			return true;
	return false;
}

static int check_controllers(const struct cage_groups *groups, struct err *err)
{
	char path[2 * PATH_LEN], text[TEXT_LEN];
	static const char *const needed[] = {"memory", "pids", "cpu"};
	snprintf(path, sizeof path, "%s/cgroup.controllers", groups->base);
	if (!read_text(path, text))
		return err_set(err, E_UNAVAILABLE, "no control groups of version 2 are mounted");
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!has_word(text, needed[i]))
			return err_set(err, E_UNAVAILABLE, "control groups of version 2 have no "
			               "controller \"%s\" here", needed[i]);
	return 0;
}

/* Processes may not be in a group whose children are limited. */
static int make_room(const struct cage_groups *groups, struct err *err)
{
	char agent[2 * PATH_LEN], pid[24];
	snprintf(agent, sizeof agent, "%s/agent", groups->base);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	if (mkdir(agent, 0755) != 0 && errno != EEXIST)
		return err_set(err, E_UNAVAILABLE, "its control group may not be written (%s); "
		               "delegate one to the worker", strerror(errno));
	int rc = write_text(agent, "cgroup.procs", pid, err);
	if (rc == 0)
		rc = write_text(groups->base, "cgroup.subtree_control", "+memory +pids +cpu", err);
	if (rc == 0)
		return 0;
	(void)!write_text(groups->base, "cgroup.procs", pid, NULL);
	rmdir(agent);
	return err_set(err, E_UNAVAILABLE, "its control group is not the worker's alone, or may "
	               "not be written; delegate one to it");
}

int cage_groups_new(const char *root, struct cage_groups **ret_groups, struct err *err)
{
	AUTO(cage_groups) *groups = calloc(1, sizeof *groups);
	if (!groups)
		return err_set(err, E_NOMEM, "no memory for control groups");
	if (!own_group(root, groups->base))
		return err_set(err, E_UNAVAILABLE, "the worker is in no control group of version "
		               "2");
	TRY(check_controllers(groups, err));
	TRY(make_room(groups, err));
	*ret_groups = MOVE(groups);
	return 0;
}

void cage_groups_free(struct cage_groups *groups)
{
	free(groups);
}

static void path_of(const struct cage_groups *groups, int pid, char out[2 * PATH_LEN])
{
	snprintf(out, 2 * PATH_LEN, "%s/executor-%d", groups->base, pid);
}

static int fill(const char *path, int pid, const struct limits *limits, struct err *err)
{
	char text[64];
	snprintf(text, sizeof text, "%" PRIu64, limits->memory_bytes);
	TRY(write_text(path, "memory.max", text, err));
	(void)!write_text(path, "memory.swap.max", "0", NULL);      /* not everywhere */
	(void)!write_text(path, "memory.oom.group", "1", NULL);
	snprintf(text, sizeof text, "%d", limits->threads + SPARE_THREADS);
	TRY(write_text(path, "pids.max", text, err));
	snprintf(text, sizeof text, "%d %d", (limits->threads + 1) * PERIOD_US, PERIOD_US);
	TRY(write_text(path, "cpu.max", text, err));
	snprintf(text, sizeof text, "%d", pid);
	return write_text(path, "cgroup.procs", text, err);
}

int cage_groups_put(struct cage_groups *groups, int pid, const struct limits *limits,
                    struct err *err)
{
	char path[2 * PATH_LEN];
	path_of(groups, pid, path);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return err_set(err, E_UNAVAILABLE, "an executor's control group: %s",
		               strerror(errno));
	int rc = fill(path, pid, limits, err);
	if (rc < 0)
		rmdir(path);
	return rc;
}

bool cage_groups_killed(const struct cage_groups *groups, int pid)
{
	char path[3 * PATH_LEN], text[TEXT_LEN];
	char folder[2 * PATH_LEN];
	path_of(groups, pid, folder);
	snprintf(path, sizeof path, "%s/memory.events", folder);
	const char *line = read_text(path, text) ? strstr(text, "oom_kill ") : NULL;
	return line && strtol(line + 9, NULL, 10) > 0;
}

void cage_groups_drop(struct cage_groups *groups, int pid)
{
	char path[2 * PATH_LEN];
	path_of(groups, pid, path);
	rmdir(path);
}
