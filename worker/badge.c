/* badge.c - see badge.h. Invariants: every file is written whole under another name, made
 * durable and renamed, with mode 0600 from its first moment; `joined` is written last, so that
 * where it is, all else is. */
#include "common/defs.h"
#include "worker/badge.h"

#include "common/fetch.h"
#include "common/json.h"
#include "common/loopback.h"
#include "common/text.h"
#include "common/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FOLDER_MAX = 3072, PATH_MAX_ = FOLDER_MAX + 64, FILE_MAX = 256 * 1024, TOKEN_MAX = 256,
	JOIN_TIMEOUT_MS = 30000, ARENA_MAX = 4 * 1024 * 1024
};

struct badge {
	char folder[FOLDER_MAX], ca_file[PATH_MAX_], link_file[PATH_MAX_];
	uint8_t public_key[BOX_PUBLIC_BYTES];
	struct secret *secret;
	bool joined, certified;
	uint8_t signing_key[SIGN_PUBLIC_BYTES];
	char *links;                 /* NULL: it was not told */
};

/* --- files --- */

static void path_in(const struct badge *badge, const char *name, char out[PATH_MAX_])
{
	snprintf(out, PATH_MAX_, "%s/%s", badge->folder, name);
}

static int check_private(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot inspect %s", path);
	if (st.st_mode & 077)
		return err_set(err, E_INVALID, "%s has mode %03o, and others can read it; run: "
		               "chmod 600 %s", path, (unsigned)st.st_mode & 0777, path);
	return 0;
}

/* The text of a file that only its owner can read; NUL-terminated. */
static int read_private(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	int rc = check_private(fd, path, err);
	uint8_t *room = rc == 0 ? buf_room(out, FILE_MAX) : NULL;
	ssize_t n = room ? read(fd, room, FILE_MAX - 1) : 0;
	int why = errno;
	close(fd);
	TRY(rc);
	if (!room)
		return err_set(err, E_NOMEM, "no memory for %s", path);
	if (n < 0)
		return err_errno(err, why, "cannot read %s", path);
	room[n] = 0;
	out->len += (size_t)n;
	return 0;
}

static int write_all(int fd, const char *path, const void *data, size_t len, struct err *err)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0)
			return err_errno(err, errno, "cannot write %s", path);
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : err_errno(err, errno, "cannot write %s", path);
}

static int sync_folder(const struct badge *badge, struct err *err)
{
	int fd = open(badge->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd), why = errno;
	if (fd >= 0)
		close(fd);
	return rc < 0 ? err_errno(err, why, "cannot make %s durable", badge->folder) : 0;
}

static int replace(const struct badge *badge, const char *name, const void *data,
                   size_t len, struct err *err)
{
	char path[PATH_MAX_], partial[PATH_MAX_];
	char partial_name[48];
	snprintf(partial_name, sizeof partial_name, "%s.partial", name);
	path_in(badge, name, path);
	path_in(badge, partial_name, partial);
	unlink(partial);
	int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", partial);
	int rc = write_all(fd, partial, data, len, err);
	close(fd);
	TRY(rc);
	if (rename(partial, path) < 0)
		return err_errno(err, errno, "cannot write %s", path);
	return sync_folder(badge, err);
}

/* --- the key --- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

bool badge_hex(const char *text, uint8_t out[KEY_BYTES])
{
	for (int i = 0; i < KEY_BYTES; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	const char *rest = text + 2 * KEY_BYTES;
	return rest[strspn(rest, "\r\n")] == 0;
}

static int write_key(const struct badge *badge, const char *name, const uint8_t *key,
                     struct err *err)
{
	char hex[2 * KEY_BYTES + 2];
	hex_print(key, KEY_BYTES, hex);
	hex[2 * KEY_BYTES] = '\n';
	int rc = replace(badge, name, hex, sizeof hex - 1, err);
	secret_wipe(hex, sizeof hex);
	return rc;
}

static int make_key(struct badge *badge, struct err *err)
{
	box_keypair(badge->public_key, secret_data(badge->secret));
	return write_key(badge, "node.key", secret_bytes(badge->secret), err);
}

static int read_key(struct badge *badge, struct err *err)
{
	AUTO_BUF text;
	char path[PATH_MAX_];
	buf_init(&text, FILE_MAX);
	path_in(badge, "node.key", path);
	int rc = read_private(path, &text, err);
	if (rc == E_NOT_FOUND)
		return make_key(badge, err);
	bool good = rc == 0 && badge_hex((char *)text.data, secret_data(badge->secret));
	if (text.data)
		secret_wipe(text.data, text.cap);
	TRY(rc);
	if (!good)
		return err_set(err, E_INVALID, "%s must hold 64 hex digits; restore it, or remove "
		               "the folder and join anew", path);
	box_public_of(secret_bytes(badge->secret), badge->public_key);
	return 0;
}

/* --- what control said --- */

static int keep_links(struct badge *badge, const char *links, struct err *err)
{
	badge->links = links ? strdup(links) : NULL;
	return !links || badge->links ? 0 : err_set(err, E_NOMEM, "no memory for the links");
}

static int take_joined(struct badge *badge, const struct value *said, struct err *err)
{
	const char *key = value_get_str(said, "signingKey");
	if (!key || strlen(key) != 2 * SIGN_PUBLIC_BYTES ||
	    !badge_hex(key, badge->signing_key))
		return err_set(err, E_CORRUPT, "%s/joined does not hold what control said; remove "
		               "the folder and join anew", badge->folder);
	badge->joined = true;
	badge->certified = value_get_bool(said, "certified", false);
	return keep_links(badge, value_get_str(said, "links"), err);
}

static int read_joined(struct badge *badge, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF text;
	char path[PATH_MAX_];
	struct value *said = NULL;
	buf_init(&text, FILE_MAX);
	path_in(badge, "joined", path);
	int rc = read_private(path, &text, err);
	if (rc == E_NOT_FOUND)
		return 0;
	TRY(rc);
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(json_parse(arena, (char *)text.data, text.len, &said, err));
	return take_joined(badge, said, err);
}

/* --- joining --- */

static int read_token(const char *path, char out[TOKEN_MAX], struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, FILE_MAX);
	TRY(read_private(path, &text, err));
	size_t len = strcspn((char *)text.data, " \r\n");
	if (len == 0 || len >= TOKEN_MAX)
		return err_set(err, E_INVALID, "--join-token-file: %s holds no token", path);
	memcpy(out, text.data, len);
	out[len] = 0;
	secret_wipe(text.data, text.cap);
	return 0;
}

static int print_request(const struct badge *badge, const struct badge_conf *conf,
                         struct arena *arena, const struct buf *request, struct buf *out,
                         struct err *err)
{
	char token[TOKEN_MAX], hex[2 * BOX_PUBLIC_BYTES + 1];
	struct value *body = value_map(arena);
	TRY(read_token(conf->token_file, token, err));
	hex_print(badge->public_key, BOX_PUBLIC_BYTES, hex);
	value_set_str(body, "token", token);
	value_set_str(body, "name", conf->name);
	value_set_str(body, "pool", conf->pool);
	value_set_str(body, "publicKey", hex);
	if (request->len > 0)
		value_set_str(body, "request", arena_strndup(arena, (char *)request->data,
		                                             request->len));
	secret_wipe(token, sizeof token);
	json_print(body, out);
	return buf_check(out, err);
}

static int refused(int status, const struct value *said, struct err *err)
{
	const char *detail = value_get_str(said, "detail");
	int code = status == 429 || status >= 500 ? E_UNAVAILABLE
	           : status == 401 ? E_UNAUTHENTICATED : E_DENIED;
	return err_set(err, code, "control does not let this worker join: %s",
	               detail ? detail : "it does not say why");
}

static int ask(const struct badge_conf *conf, const struct buf *body, struct arena *arena,
               struct value **ret_said, struct err *err)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	const struct fetch_conf with = { .ca_file = conf->api_ca_file };
	AUTO(fetch) *fetch = NULL;
	AUTO_BUF answer;
	int status = 0;
	buf_init(&answer, FILE_MAX);
	TRY(fetch_new(&with, &fetch, err));
	const struct fetch_call call = {
		.url = arena_printf(arena, "%s/v1/workers/join", conf->api), .headers = headers,
		.body = body->data, .body_len = body->len, .timeout_ms = JOIN_TIMEOUT_MS,
	};
	TRY(fetch_call(fetch, &call, &status, &answer, NULL, err));
	TRY(json_parse(arena, (char *)answer.data, answer.len, ret_said, err));
	return status == 201 ? 0 : refused(status, *ret_said, err);
}

int badge_store(struct badge *badge, const char *certificate, const struct secret *key,
                   struct err *err)
{
	AUTO_BUF text;
	const struct cert_set set = { NULL, certificate, (const char *)secret_bytes(key) };
	buf_init(&text, FILE_MAX);
	TRY(cert_set_check(&set, err));
	if (!buf_room(&text, FILE_MAX - 1))  /* all at once: no half of the key stays behind */
		return err_set(err, E_NOMEM, "no memory for a certificate");
	buf_puts(&text, certificate);
	buf_puts(&text, set.key);
	int rc = buf_check(&text, err);
	if (rc == 0)
		rc = replace(badge, "link.pem", text.data, text.len, err);
	secret_wipe(text.data, text.cap);
	return rc;
}

static int keep(struct badge *badge, struct arena *arena, const struct value *said,
                const struct secret *key, struct err *err)
{
	AUTO_BUF text;
	const char *certificate = value_get_str(said, "certificate");
	const char *ca = value_get_str(said, "ca");
	struct value *joined = value_map(arena);
	buf_init(&text, FILE_MAX);
	if (!ca || (key && !certificate))
		return err_set(err, E_INVALID, "control's answer to joining lacks a certificate");
	value_set_str(joined, "signingKey", value_get_str(said, "signingKey"));
	value_set_str(joined, "links", value_get_str(said, "links"));
	value_set_bool(joined, "certified", key != NULL);
	json_print(joined, &text);
	TRY(buf_check(&text, err));
	TRY(take_joined(badge, joined, err));
	if (key)
		TRY(badge_store(badge, certificate, key, err));
	TRY(replace(badge, "ca.pem", ca, strlen(ca), err));
	return replace(badge, "joined", text.data, text.len, err);
}

static int join(struct badge *badge, const struct badge_conf *conf, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(secret) *key = NULL;
	AUTO_BUF request, body;
	struct value *said = NULL;
	buf_init(&request, CERT_REQUEST_MAX);
	buf_init(&body, FILE_MAX);
	if (!conf->api)
		return err_set(err, E_INVALID, "--join-token-file needs --api, the URL to join at");
	TRY(loopback_check_url("--api", conf->api, err));
	TRY(arena_new(ARENA_MAX, &arena, err));
	if (!conf->own_certificate)
		TRY(cert_request(conf->name, &key, &request, err));
	int rc = print_request(badge, conf, arena, &request, &body, err);
	if (rc == 0)
		rc = ask(conf, &body, arena, &said, err);
	if (body.data)
		secret_wipe(body.data, body.cap);
	TRY(rc);
	return keep(badge, arena, said, key, err);
}

/* --- life --- */

static int open_folder(struct badge *badge, const char *folder, struct err *err)
{
	struct stat st;
	if (snprintf(badge->folder, FOLDER_MAX, "%s", folder) >= FOLDER_MAX)
		return err_set(err, E_INVALID, "--identity: the path is too long");
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "--identity: cannot make %s", folder);
	if (stat(folder, &st) < 0)
		return err_errno(err, errno, "--identity: cannot inspect %s", folder);
	if (st.st_mode & 022)
		return err_set(err, E_INVALID, "--identity: others may write to %s; run: chmod 700 "
		               "%s", folder, folder);
	path_in(badge, "ca.pem", badge->ca_file);
	path_in(badge, "link.pem", badge->link_file);
	return 0;
}

int badge_open(const struct badge_conf *conf, struct badge **ret_badge,
                  struct err *err)
{
	AUTO(badge) *badge = calloc(1, sizeof *badge);
	if (!badge)
		return err_set(err, E_NOMEM, "no memory for this worker's identity");
	TRY(secret_new(BOX_SECRET_BYTES, &badge->secret, err));
	TRY(open_folder(badge, conf->folder, err));
	TRY(read_key(badge, err));
	TRY(write_key(badge, "node.pub", badge->public_key, err));
	TRY(read_joined(badge, err));
	if (conf->token_file && !badge->joined)
		TRY(join(badge, conf, err));
	*ret_badge = MOVE(badge);
	return 0;
}

void badge_free(struct badge *badge)
{
	if (!badge)
		return;
	secret_free(badge->secret);
	free(badge->links);
	free(badge);
}

bool badge_joined(const struct badge *badge)
{
	return badge->joined;
}

const uint8_t *badge_signing_key(const struct badge *badge)
{
	return badge->signing_key;
}

const char *badge_links(const struct badge *badge)
{
	return badge->links;
}

const char *badge_ca_file(const struct badge *badge)
{
	return badge->joined ? badge->ca_file : NULL;
}

const char *badge_link_file(const struct badge *badge)
{
	return badge->certified ? badge->link_file : NULL;
}

int badge_agree(const struct badge *badge, const uint8_t signing_key[SIGN_PUBLIC_BYTES],
                   struct node_key **ret_key, struct err *err)
{
	uint8_t control_public[BOX_PUBLIC_BYTES];
	if (!sign_to_box(signing_key, control_public))
		return err_set(err, E_INVALID, "the key that control signs grants with is none");
	return node_key_new(control_public, secret_bytes(badge->secret), ret_key, err);
}
