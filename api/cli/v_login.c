/* v_login.c - freehold login: checks a credential with the server, then keeps it in the profile
 * file. An API key is kept as it is; a token of an identity provider is exchanged for one of the
 * server's own first. */
#include "common/defs.h"
#include "api/cli/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int read_line(int fd, char text[CREDENTIAL_TEXT_MAX], const char *what, struct err *err)
{
	size_t len = 0;
	while (len < CREDENTIAL_TEXT_MAX - 1) {
		ssize_t n = read(fd, text + len, 1);
		if (n < 0)
			return err_errno(err, errno, "%s", what);
		if (n == 0 || text[len] == '\n')
			break;
		len++;
	}
	text[len] = 0;
	return len ? 0 : err_set(err, E_INVALID, "%s: no credential in it", what);
}

static int ask(const char *what, char text[CREDENTIAL_TEXT_MAX], struct err *err)
{
	struct termios shown, hidden;
	bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
	if (terminal) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "%s (not shown): ", what);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	int rc = read_line(STDIN_FILENO, text, "standard input", err);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	return rc;
}

int login_read(const char *path, const char *what, char text[CREDENTIAL_TEXT_MAX],
               struct err *err)
{
	if (!path || strcmp(path, "-") == 0)
		return ask(what, text, err);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s: %s", what, path);
	int rc = read_line(fd, text, path, err);
	close(fd);
	return rc;
}

static int authorize(struct cli *cli, const char *text, struct err *err)
{
	cli->authorization = arena_printf(cli->arena, "Authorization: Bearer %s", text);
	return cli->authorization ? 0 : err_set(err, E_NOMEM, "no memory for a credential");
}

/* A provider's token is good for one tenant's doors only after this. */
static int exchange(struct cli *cli, char text[CREDENTIAL_TEXT_MAX], struct err *err)
{
	struct value *body = value_map(cli->arena), *answer = NULL;
	const char *tenant = cli_option(cli, "tenant");
	value_set_str(body, "lifetime", "1h");
	struct call call = {
		.method = "POST", .body = body,
		.path = tenant ? client_path(cli, "/v1/token?tenant=%s", tenant) : "/v1/token",
	};
	TRY(client_call(cli, &call, &answer, err));
	const char *token = value_get_str(answer, "token");
	if (!token || strlen(token) >= CREDENTIAL_TEXT_MAX)
		return err_set(err, E_INTERNAL, "the server's answer holds no token");
	memcpy(text, token, strlen(token) + 1);
	return authorize(cli, text, err);
}

/* exchanged: it ends, and says when. */
static int get_credential(struct cli *cli, char text[CREDENTIAL_TEXT_MAX], struct err *err)
{
	const char *file = cli_option(cli, "token-file"), *issuer = cli_option(cli, "issuer");
	const struct device_ask device = {issuer, cli_option(cli, "client-id"),
	                                  cli_option(cli, "scope")};
	if (issuer && !device.client)
		return err_set(err, E_INVALID, "--issuer needs --client-id, as the provider knows "
		               "this program");
	if (!issuer && !file) {
		TRY(login_read(cli_option(cli, "key-file"), "API key", text, err));
		return authorize(cli, text, err);
	}
	if (issuer)
		TRY(device_login(cli, &device, text, err));
	else
		TRY(login_read(file, "token", text, err));
	TRY(authorize(cli, text, err));
	return exchange(cli, text, err);
}

static struct value *profile_of(struct cli *cli, const char *text, const struct value *who)
{
	struct value *profile = value_map(cli->arena);
	const char *tenant = cli_option(cli, "tenant");
	const char *domain = cli_option(cli, "domain");
	value_set_str(profile, "url", cli->url);
	value_set_str(profile, "key", text);
	value_set_str(profile, "caFile", cli->ca_file);
	value_set_str(profile, "tenant", tenant ? tenant : value_get_str(who, "tenant"));
	value_set_str(profile, "domain", domain ? domain : value_get_str(who, "domain"));
	return profile;
}

static int login(struct cli *cli, struct err *err)
{
	char text[CREDENTIAL_TEXT_MAX];
	const char *url = cli_option(cli, "url");
	cli->url = url ? url : "http://127.0.0.1:7070";
	cli->ca_file = cli_option(cli, "ca-file");
	struct fetch_conf conf = {.ca_file = cli->ca_file};
	TRY(fetch_new(&conf, &cli->fetch, err));
	TRY(get_credential(cli, text, err));
	struct value *who = NULL;
	struct call call = {.method = "GET", .path = "/v1/whoami"};
	TRY(client_call(cli, &call, &who, err));
	const char *tenant = value_get_str(who, "tenant"), *ends = value_get_str(who, "expiresAt");
	const char *name = cli_option(cli, "profile");
	if (!name)
		name = tenant ? tenant : "default";
	TRY(profile_save(cli, name, profile_of(cli, text, who), err));
	printf("logged in to %s as %s/%s (profile %s)%s%s\n", cli->url, tenant,
	       value_get_str(who, "principal"), name, ends ? " until " : "", ends ? ends : "");
	return 0;
}

static const struct option_row options[] = {
	{"url", "URL", "the API; default http://127.0.0.1:7070"},
	{"key-file", "FILE", "file with the API key; absent or -: asked on standard input"},
	{"token-file", "FILE", "file with a token of an identity provider; -: standard input"},
	{"issuer", "URL", "log in at that identity provider, by a browser elsewhere"},
	{"client-id", "ID", "how that provider knows this program"},
	{"scope", "TEXT", "what to ask the provider for; default openid"},
	{"ca-file", "FILE", "PEM certificates to trust instead of the system's"},
	{NULL, NULL, NULL}};

const struct verb verb_login = {
	.name = "login",
	.words = "",
	.summary = "Check a credential and keep it in a profile",
	.example = "freehold login --url http://127.0.0.1:7070 --key-file data/operator.key",
	.options = options,
	.offline = true,
	.run = login,
};
