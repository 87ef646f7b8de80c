/* device.c - the device authorization grant (RFC 8628): the program that logs in has no browser, so
 * it says where a person confirms it, and asks until that is done. */
#include "common/defs.h"
#include "api/cli/device.h"

#include "common/clock.h"
#include "common/json.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	ANSWER_MAX = 256 * 1024, FORM_MAX = 8 * 1024, TIMEOUT_MS = 10000,
	INTERVAL_S = 5, INTERVAL_MOST_S = 60, SLOWER_S = 5, LIFETIME_MOST_S = 1800
};

struct device {
	struct cli *cli;
	struct fetch *fetch;
	const char *start_url, *token_url;
	const char *code;            /* a secret */
	int64_t interval_s, lifetime_s;
};

/* --- asking --- */

static void put_field(struct buf *form, const char *name, const char *text)
{
	buf_printf(form, "%s%s=", form->len ? "&" : "", name);
	for (; *text; text++) {
		bool plain = strchr("-._~", *text) || (*text >= '0' && *text <= '9') ||
		             (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
		if (plain)
			buf_putc(form, *text);
		else
			buf_printf(form, "%%%02X", (unsigned char)*text);
	}
}

/* form NULL: GET. An answer of 400 is one, too: it says what is awaited. */
static int ask(struct device *device, const char *url, struct buf *form,
               struct value **ret_answer, struct err *err)
{
	static const char *const headers[] = {
		"Accept: application/json", "Content-Type: application/x-www-form-urlencoded",
		NULL};
	AUTO_BUF answer;
	int status = 0;
	buf_init(&answer, ANSWER_MAX);
	if (form)
		TRY(buf_check(form, err));
	const struct fetch_call call = {
		.url = url, .headers = headers, .timeout_ms = TIMEOUT_MS,
		.body = form ? form->data : NULL, .body_len = form ? form->len : 0,
	};
	TRY(fetch_call(device->fetch, &call, &status, &answer, NULL, err));
	TRY(buf_check(&answer, err));
	if (status != 200 && status != 400)
		return err_set(err, E_UNAVAILABLE, "the provider answered with %d", status);
	return json_parse(device->cli->arena, (const char *)answer.data, answer.len, ret_answer,
	                  err);
}

static int need(const struct value *answer, const char *name, const char **ret_text,
                struct err *err)
{
	*ret_text = value_get_str(answer, name);
	return *ret_text ? 0 : err_set(err, E_INVALID, "the provider's answer has no %s; does it "
	                               "allow logins of devices?", name);
}

static int is_safe(const char *url, struct err *err)
{
	static const char *const near[] = {"http://127.0.0.1:", "http://localhost:",
	                                   "http://[::1]:"};
	if (strncmp(url, "https://", 8) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(near); i++)
		if (strncmp(url, near[i], strlen(near[i])) == 0)
			return 0;
	return err_set(err, E_INVALID, "the provider's addresses must be https:// ones");
}

static int discover(struct device *device, const char *issuer, struct err *err)
{
	struct value *document = NULL;
	const char *said = NULL;
	size_t len = strlen(issuer);
	const char *url = arena_printf(device->cli->arena, "%.*s/.well-known/openid-configuration",
	                               (int)(len - (len && issuer[len - 1] == '/')), issuer);
	if (!url)
		return err_set(err, E_NOMEM, "no memory for an address");
	TRY(is_safe(issuer, err));
	TRY(ask(device, url, NULL, &document, err));
	TRY(need(document, "issuer", &said, err));
	if (strcmp(said, issuer) != 0)
		return err_set(err, E_INVALID, "--issuer: the provider there calls itself %.200s",
		               said);
	TRY(need(document, "device_authorization_endpoint", &device->start_url, err));
	TRY(need(document, "token_endpoint", &device->token_url, err));
	TRY(is_safe(device->start_url, err));
	return is_safe(device->token_url, err);
}

/* --- the two steps --- */

static int64_t between(int64_t number, int64_t least, int64_t most)
{
	return number < least ? least : number > most ? most : number;
}

static int begin(struct device *device, const struct device_ask *what, struct err *err)
{
	struct value *answer = NULL;
	const char *user_code = NULL, *where = NULL;
	AUTO_BUF form;
	buf_init(&form, FORM_MAX);
	put_field(&form, "client_id", what->client);
	put_field(&form, "scope", what->scope ? what->scope : "openid");
	TRY(ask(device, device->start_url, &form, &answer, err));
	TRY(need(answer, "device_code", &device->code, err));
	TRY(need(answer, "user_code", &user_code, err));
	TRY(need(answer, "verification_uri", &where, err));
	device->interval_s = between(value_get_int(answer, "interval", INTERVAL_S), 1,
	                             INTERVAL_MOST_S);
	device->lifetime_s = between(value_get_int(answer, "expires_in", LIFETIME_MOST_S), 1,
	                             LIFETIME_MOST_S);
	fprintf(stderr, "open %.500s\nand enter %.100s\n", where, user_code);
	return 0;
}

static int take(const struct value *answer, char text[CREDENTIAL_TEXT_MAX], struct err *err)
{
	const char *token = value_get_str(answer, "id_token");
	if (!token)
		TRY(need(answer, "access_token", &token, err));
	if (strlen(token) >= CREDENTIAL_TEXT_MAX)
		return err_set(err, E_TOO_LARGE, "the provider's token is over %d bytes",
		               CREDENTIAL_TEXT_MAX - 1);
	memcpy(text, token, strlen(token) + 1);
	return 0;
}

/* 1: not yet. */
static int look(struct device *device, const char *client, char text[CREDENTIAL_TEXT_MAX],
                struct err *err)
{
	struct value *answer = NULL;
	AUTO_BUF form;
	buf_init(&form, FORM_MAX);
	put_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code");
	put_field(&form, "device_code", device->code);
	put_field(&form, "client_id", client);
	TRY(ask(device, device->token_url, &form, &answer, err));
	const char *error = value_get_str(answer, "error");
	if (!error)
		return take(answer, text, err);
	bool slower = strcmp(error, "slow_down") == 0;
	device->interval_s = between(device->interval_s + (slower ? SLOWER_S : 0), 1,
	                             INTERVAL_MOST_S);
	if (slower || strcmp(error, "authorization_pending") == 0)
		return 1;
	return err_set(err, E_DENIED, "the provider refused the login (%.64s)", error);
}

int device_login(struct cli *cli, const struct device_ask *what, char text[CREDENTIAL_TEXT_MAX],
                 struct err *err)
{
	const struct fetch_conf conf = {.connections_max = 1};
	struct device device = {.cli = cli};
	AUTO(fetch) *fetch = NULL;
	TRY(fetch_new(&conf, &fetch, err));
	device.fetch = fetch;
	TRY(discover(&device, what->issuer, err));
	TRY(begin(&device, what, err));
	int64_t until = clock_mono_ms(clock_system()) + device.lifetime_s * 1000;
	while (clock_mono_ms(clock_system()) < until) {
		poll(NULL, 0, (int)device.interval_s * 1000);
		int code = look(&device, what->client, text, err);
		if (code <= 0)
			return code;
	}
	return err_set(err, E_TIMEOUT, "nobody confirmed the login in %d s; begin again",
	               (int)device.lifetime_s);
}
