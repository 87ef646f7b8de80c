/* profile.c - who is logged in where. The file holds keys, hence 0600, written whole and renamed.
 */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_BYTES_MAX = 256 * 1024 };

static int config_path(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *path = getenv("FREEHOLD_CONFIG");
	if (path && *path) {
		*ret_path = path;
		return 0;
	}
	const char *home = getenv("HOME");
	if (!home || !*home)
		return err_set(err, E_INVALID,
		               "where is the login kept? set HOME or FREEHOLD_CONFIG");
	*ret_path = arena_printf(cli->arena, "%s/.config/freehold/config.yaml", home);
	return *ret_path ? 0 : err_set(err, E_NOMEM, "no memory for a path");
}

/* The whole document; an empty map when there is no file. */
static int config_read(struct cli *cli, const char *path, struct value **ret_config,
                       struct err *err)
{
	*ret_config = value_map(cli->arena);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	char *text = arena_alloc(cli->arena, CONFIG_BYTES_MAX);
	ssize_t len = text ? read(fd, text, CONFIG_BYTES_MAX) : -1;
	close(fd);
	if (len < 0)
		return err_set(err, E_IO, "%s cannot be read", path);
	struct value *documents = NULL;
	if (yaml_parse(cli->arena, text, (size_t)len, &documents, err) < 0)
		return err_prefix(err, "%s", path);
	if (value_len(documents) > 0)
		*ret_config = value_copy(cli->arena, value_at(documents, 0));
	return 0;
}

static int use_profile(struct cli *cli, const struct value *profile, struct err *err)
{
	const char *key = value_get_str(profile, "key");
	cli->url = value_get_str(profile, "url");
	cli->tenant = value_get_str(profile, "tenant");
	cli->domain = value_get_str(profile, "domain");
	cli->ca_file = value_get_str(profile, "caFile");
	if (!cli->url || !key)
		return err_set(err, E_INVALID, "profile %s has no url or key; log in anew",
		               cli->profile);
	cli->authorization = arena_printf(cli->arena, "Authorization: Bearer %s", key);
	struct fetch_conf conf = {.ca_file = cli->ca_file};
	return fetch_new(&conf, &cli->fetch, err);
}

int profile_load(struct cli *cli, struct err *err)
{
	const char *path = NULL;
	struct value *config = NULL;
	TRY(config_path(cli, &path, err));
	TRY(config_read(cli, path, &config, err));
	const char *name = cli_option(cli, "profile");
	if (!name)
		name = getenv("FREEHOLD_PROFILE");
	if (!name)
		name = value_get_str(config, "current");
	if (!name)
		return err_set(err, E_UNAUTHENTICATED,
		               "not logged in; see `freehold login --help`");
	const struct value *profile = value_get(value_get(config, "profiles"), name);
	if (!profile)
		return err_set(err, E_UNAUTHENTICATED,
		               "no profile %s; log in with: freehold login --profile %s ...", name,
		               name);
	cli->profile = name;
	return use_profile(cli, profile, err);
}

static void make_parent(const char *path)
{
	char dir[4096];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);
		if (len >= sizeof dir)
			return;
		memcpy(dir, path, len);
		dir[len] = 0;
		mkdir(dir, 0700); /* what fails here shows when the file is opened */
	}
}

static int write_whole(const char *path, const struct buf *text, struct err *err)
{
	char fresh[4096 + 8];
	if (strlen(path) > 4096)
		return err_set(err, E_INVALID, "the configuration's path is over 4096 bytes");
	strcpy(fresh, path);
	strcat(fresh, ".new");
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno, "%s", fresh);
	bool written = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
	int reason = errno;
	close(fd);
	if (!written || rename(fresh, path) < 0)
		return err_errno(err, written ? errno : reason, "%s", path);
	return 0;
}

int profile_save(struct cli *cli, const char *name, const struct value *profile, struct err *err)
{
	const char *path = NULL;
	struct value *config = NULL;
	TRY(config_path(cli, &path, err));
	TRY(config_read(cli, path, &config, err));
	if (!value_get(config, "profiles"))
		value_set(config, "profiles", value_map(cli->arena));
	value_set(value_get_mut(config, "profiles"), name, value_copy(cli->arena, profile));
	value_set_str(config, "current", name);
	TRY(value_check(config, err));
	AUTO_BUF text;
	buf_init(&text, CONFIG_BYTES_MAX);
	TRY(yaml_print(config, &text, err));
	TRY(buf_check(&text, err));
	make_parent(path);
	return write_whole(path, &text, err);
}
