/* store_etcd_call.c - one request to etcd: endpoints in turn, tokens, retries until the deadline.
 *
 * A request is sent again only when it surely did not happen (no connection, refused) or when its
 * caller says that repeating it is harmless. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include "common/crypto.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAUSE_FIRST_MS = 20, PAUSE_MAX_MS = 500, ATTEMPT_MIN_MS = 400, TOKENS_PER_CALL = 3,
	URL_MAX = 1024, PASSWORD_MAX = 1024
};

/* What changes from attempt to attempt of one call. */
struct attempts {
	int failed;                /* endpoints since the last pause */
	int pause_ms;
	int tokens;                /* renewed so far */
};

int64_t etcd_deadline(struct store_etcd *etcd)
{
	return clock_mono_ms(etcd->clock) + etcd->timeout_ms;
}

const char *etcd_endpoint(struct store_etcd *etcd)
{
	pthread_mutex_lock(&etcd->mutex);
	const char *endpoint = etcd->endpoints[etcd->current];
	pthread_mutex_unlock(&etcd->mutex);
	return endpoint;
}

/* Only the first of several threads that saw one endpoint fail moves on. */
void etcd_endpoint_next(struct store_etcd *etcd, const char *failed)
{
	pthread_mutex_lock(&etcd->mutex);
	if (etcd->endpoints[etcd->current] == failed)
		etcd->current = (etcd->current + 1) % etcd->endpoint_count;
	pthread_mutex_unlock(&etcd->mutex);
}

void etcd_answer_release(struct etcd_answer *answer)
{
	arena_free(answer->arena);
	answer->arena = NULL;
}

/* Half of what is left, so that a lost answer leaves time to try again or to find out. */
static int attempt_ms(struct store_etcd *etcd, int64_t deadline_mono_ms)
{
	int64_t left = deadline_mono_ms - clock_mono_ms(etcd->clock);
	int64_t ms = left > ATTEMPT_MIN_MS ? left / 2 : left;
	return ms > 1 ? (int)ms : 1;
}

static int post(struct store_etcd *etcd, const char *path, const struct buf *body,
		const char *authorization, int timeout_ms, struct buf *ret_body, struct err *err)
{
	const char *endpoint = etcd_endpoint(etcd);
	char url[URL_MAX];
	int len = snprintf(url, sizeof url, "%s%s", endpoint, path);
	REQUIRE(len > 0 && (size_t)len < sizeof url);
	const char *headers[] = { "Content-Type: application/json", authorization, NULL };
	struct fetch_call call = {
		.method = "POST", .url = url, .headers = headers, .body = body->data,
		.body_len = body->len, .timeout_ms = timeout_ms,
	};
	int status = 0;
	int rc = fetch_call(etcd->fetch, &call, &status, ret_body, NULL, err);
	if (rc == 0 && status != 200)
		rc = etcd_refusal(status, (const char *)ret_body->data, ret_body->len, err);
	if (rc == E_UNAVAILABLE || rc == E_UNKNOWN_OUTCOME)
		etcd_endpoint_next(etcd, endpoint);
	return rc;
}

/* --- tokens --- */

static int password_read(const char *path, struct buf *out, struct err *err)
{
	struct stat stat;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "etcd's password file cannot be opened");
	ssize_t len = -1;
	int rc = 0;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		rc = err_set(err, E_INVALID, "etcd's password file is not a regular file");
	else if (stat.st_mode & 077)
		rc = err_set(err, E_INVALID,
			     "etcd's password file has mode %04o; it may be readable "
			     "by its owner only (0600)", (unsigned)(stat.st_mode & 07777));
	else if (!buf_room(out, PASSWORD_MAX) || (len = read(fd, out->data, PASSWORD_MAX)) < 0)
		rc = err_set(err, E_IO, "etcd's password file cannot be read");
	close(fd);
	if (rc < 0)
		return rc;
	while (out->len < (size_t)len && out->data[out->len] != '\n')
		out->len++;
	if (out->len == 0 || out->len == PASSWORD_MAX)
		return err_set(err, E_INVALID, "etcd's password file must hold one line of 1 to %d "
			       "bytes", PASSWORD_MAX - 1);
	return 0;
}

static int token_of(const struct buf *answer, char **ret_token, struct err *err)
{
	AUTO(arena) *arena = NULL;
	const struct value *root = NULL;
	TRY(arena_new(MIB, &arena, err));
	TRY(etcd_parse(arena, (const char *)answer->data, answer->len, &root, err));
	const char *text = value_get_str(root, "token");
	if (!text || !*text || strlen(text) > ETCD_TOKEN_MAX || strpbrk(text, "\r\n"))
		return err_set(err, E_CORRUPT, "etcd's answer holds no usable token");
	char *token = strdup(text);
	if (!token)
		return err_set(err, E_NOMEM, "no memory for etcd's token");
	*ret_token = token;
	return 0;
}

static int login(struct store_etcd *etcd, const struct buf *password, struct buf *body,
		 int64_t deadline_mono_ms, char **ret_token, struct err *err)
{
	AUTO_BUF answer;
	buf_init(&answer, 64 * KIB);
	buf_puts(body, "{\"name\":");
	json_print_str(etcd->user, strlen(etcd->user), body);
	buf_puts(body, ",\"password\":");
	json_print_str((const char *)password->data, password->len, body);
	buf_puts(body, "}");
	TRY(buf_check(body, err));
	int rc = post(etcd, "/v3/auth/authenticate", body, NULL,
		      attempt_ms(etcd, deadline_mono_ms), &answer, err);
	if (rc == E_UNKNOWN_OUTCOME)
		return err_set(err, E_UNAVAILABLE, "etcd does not answer a login");
	return rc < 0 ? rc : token_of(&answer, ret_token, err);
}

static int authenticate(struct store_etcd *etcd, int64_t deadline_mono_ms, char **ret_token,
			struct err *err)
{
	AUTO_BUF password;
	AUTO_BUF body;
	buf_init(&password, PASSWORD_MAX);
	buf_init(&body, 16 * KIB);
	/* Room once: a buffer that grows would leave the password behind in freed memory. */
	if (!buf_room(&body, 16 * KIB))
		return err_set(err, E_NOMEM, "no memory to log in to etcd");
	int rc = password_read(etcd->password_file, &password, err);
	if (rc == 0)
		rc = login(etcd, &password, &body, deadline_mono_ms, ret_token, err);
	if (password.data)
		secret_wipe(password.data, password.cap);
	secret_wipe(body.data, body.cap);
	return rc;
}

/* Mutex held; released while etcd is asked. */
static int token_renew(struct store_etcd *etcd, int64_t deadline_mono_ms, struct err *err)
{
	char *token = NULL;
	etcd->authenticating = true;
	pthread_mutex_unlock(&etcd->mutex);
	int rc = authenticate(etcd, deadline_mono_ms, &token, err);
	pthread_mutex_lock(&etcd->mutex);
	etcd->authenticating = false;
	if (rc == 0) {
		free(etcd->token);
		etcd->token = token;
		etcd->token_serial++;
	}
	pthread_cond_broadcast(&etcd->changed);
	return rc;
}

int etcd_authorization(struct store_etcd *etcd, int64_t deadline_mono_ms, struct buf *ret_header,
		       uint64_t *ret_serial, struct err *err)
{
	buf_clear(ret_header);
	if (!etcd->user)
		return 0;
	int rc = 0;
	pthread_mutex_lock(&etcd->mutex);
	while (etcd->authenticating && !etcd->token)
		if (!clock_wait(etcd->clock, &etcd->changed, &etcd->mutex, deadline_mono_ms))
			break;
	if (!etcd->token && etcd->authenticating)
		rc = err_set(err, E_UNAVAILABLE, "etcd does not answer a login");
	else if (!etcd->token)
		rc = token_renew(etcd, deadline_mono_ms, err);
	if (rc == 0 && etcd->token)
		buf_printf(ret_header, "Authorization: %s", etcd->token);
	*ret_serial = etcd->token_serial;
	pthread_mutex_unlock(&etcd->mutex);
	return rc < 0 ? rc : buf_check(ret_header, err);
}

void etcd_token_drop(struct store_etcd *etcd, uint64_t serial)
{
	pthread_mutex_lock(&etcd->mutex);
	if (etcd->token && etcd->token_serial == serial) {
		secret_wipe(etcd->token, strlen(etcd->token));
		free(etcd->token);
		etcd->token = NULL;
	}
	pthread_mutex_unlock(&etcd->mutex);
}

/* --- a call --- */

static int answer_read(struct store_etcd *etcd, const struct buf *body,
		       struct etcd_answer *ret_answer, struct err *err)
{
	struct etcd_answer answer = { 0 };
	TRY(arena_new(64 * KIB + 16 * body->len, &answer.arena, err));
	int rc = etcd_parse(answer.arena, (const char *)body->data, body->len, &answer.root, err);
	if (rc == 0)
		rc = etcd_int(value_get(answer.root, "header"), "revision", &answer.revision, err);
	if (rc < 0) {
		arena_free(answer.arena);
		return rc;
	}
	pthread_mutex_lock(&etcd->mutex);
	if (answer.revision > etcd->seen_revision)
		etcd->seen_revision = answer.revision;
	pthread_mutex_unlock(&etcd->mutex);
	*ret_answer = answer;
	return 0;
}

static int attempt(struct store_etcd *etcd, const struct etcd_call *call, uint64_t *ret_serial,
		   struct etcd_answer *ret_answer, struct err *err)
{
	AUTO_BUF header;
	AUTO_BUF body;
	buf_init(&header, ETCD_TOKEN_MAX + 32);
	buf_init(&body, ETCD_ANSWER_MAX);
	TRY(etcd_authorization(etcd, call->deadline_mono_ms, &header, ret_serial, err));
	TRY(post(etcd, call->path, call->body, header.len ? (const char *)header.data : NULL,
		 attempt_ms(etcd, call->deadline_mono_ms), &body, err));
	int rc = answer_read(etcd, &body, ret_answer, err);
	if (rc < 0 && !call->repeatable)    /* it arrived, and what it said is lost */
		return err_set(err, E_UNKNOWN_OUTCOME, "etcd's answer cannot be read");
	return rc;
}

/* Whether the same request may be tried again. */
static bool again(struct store_etcd *etcd, const struct etcd_call *call, int rc, uint64_t serial,
		  struct attempts *attempts)
{
	if (rc == E_UNAUTHENTICATED && etcd->user && attempts->tokens < TOKENS_PER_CALL) {
		attempts->tokens++;
		etcd_token_drop(etcd, serial);
		return true;
	}
	return rc == E_UNAVAILABLE || (rc == E_UNKNOWN_OUTCOME && call->repeatable);
}

void etcd_wait(struct store_etcd *etcd, int64_t until_mono_ms)
{
	pthread_mutex_lock(&etcd->mutex);
	while (clock_wait(etcd->clock, &etcd->changed, &etcd->mutex, until_mono_ms))
		;
	pthread_mutex_unlock(&etcd->mutex);
}

/* After a round over all endpoints: wait, longer each time. False: the deadline comes first. */
static bool pause_between(struct store_etcd *etcd, const struct etcd_call *call, int rc,
			  struct attempts *attempts)
{
	int64_t now = clock_mono_ms(etcd->clock);
	if (rc == E_UNAUTHENTICATED || ++attempts->failed % etcd->endpoint_count != 0)
		return now < call->deadline_mono_ms;
	int64_t until = now + attempts->pause_ms;
	if (until >= call->deadline_mono_ms)
		return false;
	if (attempts->pause_ms < PAUSE_MAX_MS)
		attempts->pause_ms *= 2;
	etcd_wait(etcd, until);
	return true;
}

int etcd_call(struct store_etcd *etcd, const struct etcd_call *call, struct etcd_answer *ret_answer,
	      struct err *err)
{
	struct attempts attempts = { .pause_ms = PAUSE_FIRST_MS };
	struct err why = { 0 };
	for (;;) {
		uint64_t serial = 0;
		int rc = attempt(etcd, call, &serial, ret_answer, &why);
		if (rc == 0)
			return 0;
		bool retry = again(etcd, call, rc, serial, &attempts);
		if (retry && pause_between(etcd, call, rc, &attempts))
			continue;
		if (retry && call->repeatable)
			rc = E_UNAVAILABLE;
		return err_set(err, rc, "%s", why.text);
	}
}
