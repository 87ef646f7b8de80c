/* transit.c - see transit.h. Invariants: an answer that may hold a key or a token is wiped before
 * its function returns; every wait has an end. */
#include "common/defs.h"
#include "tenant/transit.h"

#include "common/fetch.h"
#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	WAIT_MS = 30000, PAUSE_FIRST_MS = 200, PAUSE_MOST_MS = 5000, CALL_MS = 10000,
	BODY_MAX = 64 * 1024, TOKEN_MAX = 16 * 1024, URL_MAX_LEN = 1024
};

static const char pod_token[] = "/var/run/secrets/kubernetes.io/serviceaccount/token";

struct transit {
	struct transit_conf conf;
	struct clock *clock;
	struct fetch *fetch;
	pthread_mutex_t mutex;       /* only for waiting */
	pthread_cond_t never;
};

/* --- life --- */

static bool word_ok(const char *text)
{
	if (!*text || strstr(text, ".."))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_-./", *text))
			return false;
	return true;
}

static bool is_loopback(const char *url)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://localhost",
	                                     "http://[::1]" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		size_t len = strlen(hosts[i]);
		if (strncmp(url, hosts[i], len) == 0 && (!url[len] || strchr(":/", url[len])))
			return true;
	}
	return false;
}

static int check(const struct transit_conf *conf, struct err *err)
{
	if (strncmp(conf->url, "https://", 8) != 0 && !is_loopback(conf->url))
		return err_set(err, E_INVALID, "--transit-url must be https://HOST:PORT; http:// "
		               "is taken on loopback only, because keys pass through it");
	if (!conf->key || !word_ok(conf->key))
		return err_set(err, E_INVALID, "--transit-key-name must name the key of the "
		               "service that wraps the root key: letters, digits, '_', '-' and "
		               "'.'");
	if (!word_ok(conf->mount) || !word_ok(conf->k8s_mount))
		return err_set(err, E_INVALID, "--transit-mount and --transit-k8s-mount are paths "
		               "of letters, digits, '_', '-', '.' and '/'");
	if (!conf->token_file == !conf->k8s_role)
		return err_set(err, E_INVALID, "give either --transit-token-file or "
		               "--transit-k8s-role: one of them says who this is");
	return 0;
}

int transit_new(const struct transit_conf *conf, struct clock *clock,
                struct transit **ret_transit, struct err *err)
{
	AUTO(transit) *transit = calloc(1, sizeof *transit);
	if (!transit)
		return err_set(err, E_NOMEM, "no memory for a key service");
	transit->conf = *conf;
	transit->clock = clock;
	pthread_mutex_init(&transit->mutex, NULL);
	clock_cond_init(&transit->never);
	struct transit_conf *own = &transit->conf;
	own->mount = own->mount ? own->mount : "transit";
	own->k8s_mount = own->k8s_mount ? own->k8s_mount : "kubernetes";
	own->k8s_token_file = own->k8s_token_file ? own->k8s_token_file : pod_token;
	own->wait_ms = own->wait_ms ? own->wait_ms : WAIT_MS;
	TRY(check(own, err));
	const struct fetch_conf fetch = { .ca_file = own->ca_file };
	TRY(fetch_new(&fetch, &transit->fetch, err));
	*ret_transit = MOVE(transit);
	return 0;
}

void transit_free(struct transit *transit)
{
	if (!transit)
		return;
	fetch_free(transit->fetch);
	pthread_cond_destroy(&transit->never);
	pthread_mutex_destroy(&transit->mutex);
	free(transit);
}

/* --- reading answers --- */

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && *at && strchr(" \t\r\n", *at))
		at++;
	return at;
}

/* The bytes of the text that begins behind at's quote; 0: nothing that is taken. */
static size_t text_len(const char *at, const char *end)
{
	size_t n = 0, most = (size_t)(end - at);
	while (n < most && (isalnum((unsigned char)at[n]) || (at[n] && strchr("+/=:._-", at[n]))))
		n++;
	return n < most && at[n] == '"' && n <= TRANSIT_TEXT_MAX ? n : 0;
}

/* Behind `"name" : "` when that stands at `at`. */
static const char *member_at(const char *at, const char *end, const char *name)
{
	size_t len = strlen(name);
	if ((size_t)(end - at) < len + 2 || *at != '"' || memcmp(at + 1, name, len) != 0 ||
	    at[len + 1] != '"')
		return NULL;
	at = skip_space(at + len + 2, end);
	if (at == end || *at != ':')
		return NULL;
	at = skip_space(at + 1, end);
	return at < end && *at == '"' ? at + 1 : NULL;
}

const char *transit_member(const char *json, size_t len, const char *name, size_t *ret_len)
{
	const char *end = json + len;
	for (const char *at = json; at < end; at++) {
		const char *text = member_at(at, end, name);
		if (!text)
			continue;
		*ret_len = text_len(text, end);
		return *ret_len ? text : NULL;
	}
	return NULL;
}

static int take_text(const struct buf *body, const char *name, struct buf *ret_text,
                     struct err *err)
{
	size_t len = 0;
	const char *text = transit_member((const char *)body->data, body->len, name, &len);
	if (!text)
		return err_set(err, E_UNAVAILABLE, "the key service's answer has no \"%s\": is "
		               "--transit-url that of an OpenBao or Vault server?", name);
	buf_put(ret_text, text, len);
	return buf_check(ret_text, err);
}

static int take_key(const struct buf *body, struct secret **ret_key, struct err *err)
{
	size_t len = 0;
	AUTO_BUF bytes;
	const char *text = transit_member((const char *)body->data, body->len, "plaintext", &len);
	buf_init(&bytes, 2 * KEY_BYTES);
	bool read = text && base64_parse(text, len, &bytes, NULL) == 0 && bytes.len == KEY_BYTES;
	int rc = read ? secret_copy(bytes.data, KEY_BYTES, ret_key, err) :
	                err_set(err, E_CORRUPT, "the key service unwrapped no key of %d bytes: the "
	                        "stored text is of something else", KEY_BYTES);
	if (bytes.data)
		secret_wipe(bytes.data, bytes.len);
	return rc;
}

/* --- calls --- */

struct ask {
	const char *path;            /* behind /v1/ */
	const char *what;            /* "decrypt": for sentences */
	const struct buf *body;
	const char *token;           /* NULL: none, it is asked for */
};

static int refusal(const struct transit *transit, const struct ask *ask, int status,
                   struct err *err)
{
	const char *key = transit->conf.key;
	switch (status) {
	case 403:
		return err_set(err, E_DENIED, "the key service refuses %s: its policy must allow "
		               "\"update\" on %s, and the token or role must be valid", ask->what,
		               ask->path);
	case 404:
		return err_set(err, E_NOT_FOUND, "the key service has nothing at %s: the engine is "
		               "mounted elsewhere, or there is no key %s", ask->path, key);
	case 400:
		return err_set(err, E_CORRUPT, "the key service cannot %s: what is stored is not "
		               "of its key %s, or needs a version below its min_decryption_version",
		               ask->what, key);
	case 503:
		return err_set(err, E_UNAVAILABLE, "the key service is sealed (503): unseal it; "
		               "Freehold starts when it can");
	default:
		return err_set(err, E_UNAVAILABLE, "the key service answered %s with %d", ask->what,
		               status);
	}
}

static int call_once(struct transit *transit, const struct ask *ask, struct buf *ret_body,
                     struct err *err)
{
	char url[URL_MAX_LEN], space[256];
	AUTO(secret) *token = NULL;
	TRY(secret_new(TOKEN_MAX + 32, &token, err));
	char *header = (char *)secret_data(token);
	const char *headers[5] = { "Content-Type: application/json", "X-Vault-Request: true" };
	size_t count = 2;
	int len = snprintf(url, sizeof url, "%s/v1/%s", transit->conf.url, ask->path);
	if (len < 0 || (size_t)len >= sizeof url)
		return err_set(err, E_INVALID, "--transit-url is longer than %zu bytes",
		               sizeof url / 2);
	if (transit->conf.space) {
		snprintf(space, sizeof space, "X-Vault-Namespace: %.200s", transit->conf.space);
		headers[count++] = space;
	}
	if (ask->token) {
		snprintf(header, TOKEN_MAX + 32, "X-Vault-Token: %s", ask->token);
		headers[count++] = header;
	}
	const struct fetch_call call = { .method = "POST", .url = url, .headers = headers,
	                                 .body = ask->body->data, .body_len = ask->body->len,
	                                 .timeout_ms = CALL_MS };
	int status = 0;
	TRY(fetch_call(transit->fetch, &call, &status, ret_body, NULL, err));
	return status == 200 ? 0 : refusal(transit, ask, status, err);
}

static void wipe(struct buf *body)
{
	if (body->data)
		secret_wipe(body->data, body->len);
	buf_clear(body);
}

static void pause_for(struct transit *transit, int64_t until_ms)
{
	pthread_mutex_lock(&transit->mutex);
	while (!clock_wait(transit->clock, &transit->never, &transit->mutex, until_ms))
		if (clock_mono_ms(transit->clock) >= until_ms)
			break;
	pthread_mutex_unlock(&transit->mutex);
}

/* Again and again, ever slower, while it may be a matter of time. */
static int call(struct transit *transit, const struct ask *ask, struct buf *ret_body,
                struct err *err)
{
	int64_t end_ms = clock_mono_ms(transit->clock) + transit->conf.wait_ms;
	for (int64_t wait_ms = PAUSE_FIRST_MS;; wait_ms *= 2) {
		int rc = call_once(transit, ask, ret_body, err);
		int64_t now_ms = clock_mono_ms(transit->clock);
		bool again = rc == E_UNAVAILABLE || rc == E_UNKNOWN_OUTCOME || rc == E_TIMEOUT;
		if (!again || now_ms >= end_ms)
			return rc;
		wipe(ret_body);
		wait_ms = wait_ms < PAUSE_MOST_MS ? wait_ms : PAUSE_MOST_MS;
		pause_for(transit, now_ms + wait_ms < end_ms ? now_ms + wait_ms : end_ms);
	}
}

/* --- who this is --- */

static int check_token(const char *path, int fd, bool own, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot inspect the token file %s", path);
	if (own && (st.st_mode & 077))
		return err_set(err, E_INVALID, "the token file %s has mode %03o, so others may "
		               "read it; run: chmod 600 %s",
		               path, (unsigned)st.st_mode & 0777, path);
	return 0;
}

/* own: others may not read it; the pod's token is guarded by Kubernetes. */
static int read_token(const char *path, bool own, struct secret **ret_token, struct err *err)
{
	AUTO(secret) *token = NULL;
	TRY(secret_new(TOKEN_MAX + 1, &token, err));
	char *text = (char *)secret_data(token);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open the token file %s", path);
	int rc = check_token(path, fd, own, err);
	ssize_t len = rc == 0 ? read(fd, text, TOKEN_MAX) : 0;
	if (len < 0)
		rc = err_errno(err, errno, "cannot read the token file %s", path);
	close(fd);
	TRY(rc);
	text[len] = 0;
	text[strcspn(text, "\r\n")] = 0;
	for (const char *at = text; *at; at++)
		if (!isgraph((unsigned char)*at) || strchr("\"\\", *at))
			return err_set(err, E_INVALID, "the token file %s holds no token", path);
	if (!*text)
		return err_set(err, E_INVALID, "the token file %s is empty", path);
	*ret_token = MOVE(token);
	return 0;
}

static int login(struct transit *transit, struct secret **ret_token, struct err *err)
{
	char path[256];
	AUTO(secret) *pod = NULL;
	AUTO_BUF body, answer;
	buf_init(&body, TOKEN_MAX + 1024);
	buf_init(&answer, BODY_MAX);
	TRY(read_token(transit->conf.k8s_token_file, false, &pod, err));
	snprintf(path, sizeof path, "auth/%.128s/login", transit->conf.k8s_mount);
	buf_printf(&body, "{\"role\":\"%.128s\",\"jwt\":\"%s\"}", transit->conf.k8s_role,
	           (const char *)secret_bytes(pod));
	int rc = buf_check(&body, err);
	const struct ask ask = { path, "the login", &body, NULL };
	if (rc == 0)
		rc = call(transit, &ask, &answer, err);
	size_t len = 0;
	const char *text = rc < 0 ? NULL : transit_member((const char *)answer.data, answer.len,
	                                                  "client_token", &len);
	if (rc == 0 && !text)
		rc = err_set(err, E_UNAVAILABLE, "the key service's login gave no token");
	if (rc == 0)
		rc = secret_new(len + 1, ret_token, err);
	if (rc == 0)
		memcpy(secret_data(*ret_token), text, len);
	wipe(&body);
	wipe(&answer);
	return rc;
}

static int run(struct transit *transit, const char *what, const char *verb, const struct buf *body,
               struct buf *ret_body, struct err *err)
{
	char path[512];
	AUTO(secret) *token = NULL;
	const struct transit_conf *conf = &transit->conf;
	if (conf->k8s_role)
		TRY(login(transit, &token, err));
	else
		TRY(read_token(conf->token_file, true, &token, err));
	snprintf(path, sizeof path, "%.128s/%s/%.128s", conf->mount, verb, conf->key);
	const struct ask ask = { path, what, body, (const char *)secret_bytes(token) };
	return call(transit, &ask, ret_body, err);
}

/* --- what it does --- */

int transit_datakey(struct transit *transit, struct secret **ret_key, struct buf *ret_text,
                    struct err *err)
{
	AUTO(secret) *key = NULL;
	AUTO_BUF body, answer;
	buf_init(&body, 64);
	buf_init(&answer, BODY_MAX);
	buf_puts(&body, "{\"bits\":256}");
	TRY(buf_check(&body, err));
	int rc = run(transit, "a data key", "datakey/plaintext", &body, &answer, err);
	if (rc == 0)
		rc = take_key(&answer, &key, err);
	if (rc == 0)
		rc = take_text(&answer, "ciphertext", ret_text, err);
	wipe(&answer);
	if (rc == 0)
		*ret_key = MOVE(key);
	return rc;
}

int transit_encrypt(struct transit *transit, const struct secret *key, struct buf *ret_text,
                    struct err *err)
{
	AUTO_BUF body, answer;
	buf_init(&body, 256);
	buf_init(&answer, BODY_MAX);
	buf_puts(&body, "{\"plaintext\":\"");
	base64_print(secret_bytes(key), secret_len(key), &body);
	buf_puts(&body, "\"}");
	int rc = buf_check(&body, err);
	if (rc == 0)
		rc = run(transit, "encrypt", "encrypt", &body, &answer, err);
	if (rc == 0)
		rc = take_text(&answer, "ciphertext", ret_text, err);
	wipe(&body);
	wipe(&answer);
	return rc;
}

static int with_text(struct buf *body, const char *text, struct err *err)
{
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=:._-") !=
	    strlen(text) || strlen(text) > TRANSIT_TEXT_MAX)
		return err_set(err, E_CORRUPT, "the stored root key is no text of a key service");
	buf_printf(body, "{\"ciphertext\":\"%s\"}", text);
	return buf_check(body, err);
}

int transit_decrypt(struct transit *transit, const char *text, struct secret **ret_key,
                    struct err *err)
{
	AUTO_BUF body, answer;
	buf_init(&body, TRANSIT_TEXT_MAX + 64);
	buf_init(&answer, BODY_MAX);
	TRY(with_text(&body, text, err));
	int rc = run(transit, "decrypt", "decrypt", &body, &answer, err);
	if (rc == 0)
		rc = take_key(&answer, ret_key, err);
	wipe(&answer);
	return rc;
}

int transit_rewrap(struct transit *transit, const char *text, struct buf *ret_text,
                   struct err *err)
{
	AUTO_BUF body, answer;
	buf_init(&body, TRANSIT_TEXT_MAX + 64);
	buf_init(&answer, BODY_MAX);
	TRY(with_text(&body, text, err));
	TRY(run(transit, "rewrap", "rewrap", &body, &answer, err));
	return take_text(&answer, "ciphertext", ret_text, err);
}
