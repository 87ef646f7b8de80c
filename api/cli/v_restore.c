/* v_restore.c - freehold restore: a backup into an empty etcd. The root key is freehold-control's
 * to read, so it does the work; this verb brings the objects and shows what it says. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/cli/crate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passed on as they are. */
static const char *const passed[] = {
	"root-key-file", "root-record-file", "etcd", "etcd-prefix", "etcd-user",
	"etcd-password-file", "etcd-ca-file", "etcd-cert-file", "etcd-key-file", "shards"
};

enum { ARGS_MAX = 2 * ARRAY_LEN(passed) + 8 };

static const char *program(struct cli *cli)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 32);
	char *slash = NULL;
	if (len > 0) {
		self[len] = 0;
		slash = strrchr(self, '/');
	}
	if (!slash)
		return "freehold-control";
	*slash = 0;
	return arena_printf(cli->arena, "%s/freehold-control", self);
}

static int await(pid_t pid, struct err *err)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "freehold-control");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, E_INVALID, "nothing was restored, for the reason above");
}

static int run(struct cli *cli, const char *mode, const char *objects, struct err *err)
{
	const char *args[ARGS_MAX] = { program(cli), mode, "--archive-file", cli_word(cli, 0) };
	size_t count = 4;
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *value = cli_option(cli, passed[i]);
		if (!value)
			continue;
		args[count++] = arena_printf(cli->arena, "--%s", passed[i]);
		args[count++] = value;
	}
	if (objects) {
		args[count++] = "--archive-objects";
		args[count++] = objects;
	}
	for (size_t i = 0; i < count; i++)
		if (!args[i])
			return err_set(err, E_NOMEM, "no memory for a command");
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "freehold-control");
	if (pid == 0) {
		execvp(args[0], (char *const *)args);
		fprintf(stderr, "freehold: cannot run %s: %s\n", args[0], strerror(errno));
		_exit(127);
	}
	return await(pid, err);
}

/* Where the root key is may be said by the environment, which freehold-control inherits. */
static bool knows_root(const struct cli *cli)
{
	return cli_option(cli, "root-key-file") || getenv("FREEHOLD_ROOT_KEY_FILE") ||
		getenv("FREEHOLD_ROOT_KEY_ENV") || getenv("FREEHOLD_TRANSIT_URL");
}

static int restore(struct cli *cli, struct err *err)
{
	struct crate_count count = { .copied = 0 };
	const struct crate_conf crate = {
		.from = cli_option(cli, "objects-from"), .to = cli_option(cli, "objects"),
	};
	if (!knows_root(cli))
		return err_set(err, E_INVALID, "--root-key-file is needed: without the root key "
		               "the archive opens nothing");
	if (cli_switch(cli, "check"))
		return run(cli, "verify-backup", crate.from ? crate.from : crate.to, err);
	if (crate.from && !crate.to)
		return err_set(err, E_INVALID, "--objects-from needs --objects, the folder they go "
		               "to");
	if (crate.from) {
		TRY(run(cli, "verify-backup", crate.from, err));
		TRY(crate_fill(&crate, &count, err));
		printf("%s: %" PRIu64 " objects copied, %" PRIu64 " were there\n", crate.to,
		       count.copied, count.kept);
	}
	return run(cli, "restore", crate.to, err);
}

static const struct option_row options[] = {
	{"root-key-file", "FILE", "the root key it was made under"},
	{"root-record-file", "FILE", "the copy of the wrapped key, where the root was replaced"},
	{"check", NULL, "only verify the archive, and the objects it names"},
	{"objects", "FOLDER", "the restored system's objects: each that is named must be there"},
	{"objects-from", "FOLDER", "the backup's FILE.objects: copied to --objects first"},
	{"etcd", "URLS", "the empty etcd"},
	{"etcd-prefix", "TEXT", "before every key in etcd; default /freehold/"},
	{"etcd-user", "NAME", "etcd user"},
	{"etcd-password-file", "FILE", "that user's password"},
	{"etcd-ca-file", "FILE", "what etcd's certificate is checked with"},
	{"etcd-cert-file", "FILE", "certificate shown to etcd"},
	{"etcd-key-file", "FILE", "key of that certificate"},
	{"shards", "NUMBER", "as the installation had"},
	{NULL, NULL, NULL}};

const struct verb verb_restore = {
	.name = "restore",
	.words = "FILE",
	.words_min = 1,
	.words_max = 1,
	.summary = "Bring up what a backup holds on an empty etcd; or --check it",
	.options = options,
	.offline = true,
	.run = restore,
	.example = "freehold restore monday.fhb --root-key-file root.key --etcd "
		   "http://127.0.0.1:2379 --objects-from monday.fhb.objects --objects /srv/objects",
};
