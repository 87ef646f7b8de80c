/* v_login.c - freehold login: checks a key with the server, then keeps it in the profile file. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { KEY_TEXT_MAX = 256 };

static int read_line(int fd, char key[KEY_TEXT_MAX], const char *what, struct err *err)
{
	size_t len = 0;
	while (len < KEY_TEXT_MAX - 1) {
		ssize_t n = read(fd, key + len, 1);
		if (n < 0)
			return err_errno(err, errno, "%s", what);
		if (n == 0 || key[len] == '\n')
			break;
		len++;
	}
	key[len] = 0;
	return len ? 0 : err_set(err, E_INVALID, "%s: no key in it", what);
}

static int ask_key(char key[KEY_TEXT_MAX], struct err *err)
{
	struct termios shown, hidden;
	bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
	if (terminal) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "API key (not shown): ");
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	int rc = read_line(STDIN_FILENO, key, "standard input", err);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	return rc;
}

static int get_key(struct cli *cli, char key[KEY_TEXT_MAX], struct err *err)
{
	const char *file = cli_option(cli, "key-file");
	if (!file || strcmp(file, "-") == 0)
		return ask_key(key, err);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "--key-file: %s", file);
	int rc = read_line(fd, key, file, err);
	close(fd);
	return rc;
}

static struct value *profile_of(struct cli *cli, const char *key, const struct value *who)
{
	struct value *profile = value_map(cli->arena);
	const char *tenant = cli_option(cli, "tenant");
	const char *domain = cli_option(cli, "domain");
	value_set_str(profile, "url", cli->url);
	value_set_str(profile, "key", key);
	value_set_str(profile, "caFile", cli->ca_file);
	value_set_str(profile, "tenant", tenant ? tenant : value_get_str(who, "tenant"));
	value_set_str(profile, "domain", domain ? domain : value_get_str(who, "domain"));
	return profile;
}

static int login(struct cli *cli, struct err *err)
{
	char key[KEY_TEXT_MAX];
	const char *url = cli_option(cli, "url");
	cli->url = url ? url : "http://127.0.0.1:7070";
	cli->ca_file = cli_option(cli, "ca-file");
	TRY(get_key(cli, key, err));
	cli->authorization = arena_printf(cli->arena, "Authorization: Bearer %s", key);
	struct fetch_conf conf = {.ca_file = cli->ca_file};
	TRY(fetch_new(&conf, &cli->fetch, err));
	struct value *who = NULL;
	struct call call = {.method = "GET", .path = "/v1/whoami"};
	TRY(client_call(cli, &call, &who, err));
	const char *tenant = value_get_str(who, "tenant");
	const char *name = cli_option(cli, "profile");
	if (!name)
		name = tenant ? tenant : "default";
	TRY(profile_save(cli, name, profile_of(cli, key, who), err));
	printf("logged in to %s as %s/%s (profile %s)\n", cli->url, tenant,
	       value_get_str(who, "principal"), name);
	return 0;
}

static const struct option_row options[] = {
	{"url", "URL", "the API; default http://127.0.0.1:7070"},
	{"key-file", "FILE", "file with the API key; absent or -: asked on standard input"},
	{"ca-file", "FILE", "PEM certificates to trust instead of the system's"},
	{NULL, NULL, NULL}};

const struct verb verb_login = {
	.name = "login",
	.words = "",
	.summary = "Check an API key and keep it in a profile",
	.example = "freehold login --url http://127.0.0.1:7070 --key-file data/operator.key",
	.options = options,
	.offline = true,
	.run = login,
};
