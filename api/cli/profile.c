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

/* The file's text; NULL when there is no file. */
static int config_text(struct cli *cli, const char *path, const char **ret_text, size_t *ret_len,
                       struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret_text = NULL;
		return 0;
	}
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	char *text = arena_alloc(cli->arena, CONFIG_BYTES_MAX + 1);
	ssize_t len = text ? read(fd, text, CONFIG_BYTES_MAX + 1) : 0;
	int reason = errno;
	close(fd);
	if (!text)
		return err_set(err, E_NOMEM, "no memory for %s", path);
	if (len < 0)
		return err_errno(err, reason, "%s", path);
	if (len > CONFIG_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "%s: is over %d bytes; is it the right file?",
		               path, CONFIG_BYTES_MAX);
	*ret_text = text;
	*ret_len = (size_t)len;
	return 0;
}

/* What is no configuration is not overwritten either. */
static bool is_config(const struct value *documents)
{
	const struct value *config = value_at(documents, 0);
	const struct value *profiles = value_get(config, "profiles");
	return value_len(documents) == 1 && value_kind(config) == VALUE_MAP &&
	       (!profiles || value_kind(profiles) == VALUE_MAP);
}

/* The whole document; an empty map when there is none. */
static int config_read(struct cli *cli, const char *path, struct value **ret_config,
                       struct err *err)
{
	const char *text = NULL;
	size_t len = 0;
	struct value *documents = NULL;
	TRY(config_text(cli, path, &text, &len, err));
	if (text && yaml_parse(cli->arena, text, len, &documents, err) < 0)
		return err_prefix(err, "%s", path);
	if (value_len(documents) > 0 && !is_config(documents))
		return err_set(err, E_INVALID,
		               "%s: holds something else than logins; move it away or set "
		               "FREEHOLD_CONFIG to another file",
		               path);
	struct value *config = value_len(documents) > 0
	                               ? value_copy(cli->arena, value_at(documents, 0))
	                               : value_map(cli->arena);
	TRY(value_check(config, err));
	*ret_config = config;
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
	if (!cli->authorization)
		return err_set(err, E_NOMEM, "no memory for the key");
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
	unlink(fresh); /* of a login that was cut off, with a mode of its own */
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno, "%s", fresh);
	bool written = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
	int reason = errno;
	close(fd);
	if (written && rename(fresh, path) == 0)
		return 0;
	reason = written ? errno : reason;
	unlink(fresh);
	return err_errno(err, reason, "%s", path);
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
