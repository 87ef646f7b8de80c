/* renewal.c - see renewal.h. What is renewed is written into the badge's folder; the watch of that
 * file takes it up, as it would any other's. */
#include "common/defs.h"
#include "worker/renewal.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pemwatch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_LEAST_MS = 1000, RETRY_MOST_MS = 60000, ASK_MS = 10000, ARENA_MAX = 1024 * 1024 };

struct renewal {
	struct renewal_conf conf;
	struct pemwatch *link, *door;        /* NULL: that one is plain */
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t changed;
	bool ending;
	int64_t from_ms, until_ms;   /* of the link's certificate; 0: not known */
};

int64_t renewal_due_ms(int64_t from_ms, int64_t until_ms)
{
	return until_ms - (until_ms - from_ms) / 3;
}

/* --- taking up --- */

static void on_link(void *context, const struct cert_set *set, const struct cert_facts *facts,
                    const struct err *why)
{
	struct renewal *renewal = context;
	struct err err;
	if (!set) {
		pemwatch_log("link", why->code, NULL, why);
		return;
	}
	int rc = peer_set_tls(renewal->conf.peer, set, &err);
	pemwatch_log("link", rc, facts, &err);
	if (rc < 0)
		return;
	pthread_mutex_lock(&renewal->mutex);
	renewal->from_ms = facts->from_ms;
	renewal->until_ms = facts->until_ms;
	pthread_cond_signal(&renewal->changed);
	pthread_mutex_unlock(&renewal->mutex);
}

static void on_door(void *context, const struct cert_set *set, const struct cert_facts *facts,
                    const struct err *why)
{
	struct renewal *renewal = context;
	struct err err;
	if (!set) {
		pemwatch_log("serving", why->code, NULL, why);
		return;
	}
	pemwatch_log("serving", http_server_set_tls(renewal->conf.http, set, &err), facts, &err);
}

/* --- renewing --- */

static int ask(struct renewal *renewal, struct arena *arena, const struct buf *request,
               const char **ret_pem, struct err *err)
{
	struct value *body = value_map(arena);
	const struct value *said = NULL;
	value_set_str(body, "request", arena_strndup(arena, (char *)request->data, request->len));
	TRY(value_check(body, err));
	TRY(peer_ask_leader(renewal->conf.peer, "renew", body, ASK_MS, arena, &said, err));
	*ret_pem = value_get_str(said, "certificate");
	return *ret_pem ? 0 : err_set(err, E_INVALID, "control's answer holds no certificate");
}

static int renew(struct renewal *renewal, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(secret) *key = NULL;
	AUTO_BUF request;
	const char *pem = NULL;
	buf_init(&request, CERT_REQUEST_MAX);
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(cert_request(renewal->conf.name, &key, &request, err));
	TRY(ask(renewal, arena, &request, &pem, err));
	TRY(badge_store(renewal->conf.badge, pem, key, err));
	pemwatch_again(renewal->link);
	return 0;
}

/* Waits until `until` (monotonic) or until something changed; true: it is to end. */
static bool pause_renewal(struct renewal *renewal, int64_t until)
{
	pthread_mutex_lock(&renewal->mutex);
	if (!renewal->ending)
		clock_wait(clock_system(), &renewal->changed, &renewal->mutex, until);
	bool ending = renewal->ending;
	pthread_mutex_unlock(&renewal->mutex);
	return ending;
}

/* How long until it is to be renewed, by the wall's clock, which may step: looked at again. */
static int64_t left_ms(struct renewal *renewal)
{
	pthread_mutex_lock(&renewal->mutex);
	int64_t from_ms = renewal->from_ms, until_ms = renewal->until_ms;
	pthread_mutex_unlock(&renewal->mutex);
	if (!until_ms)
		return RETRY_MOST_MS;
	int64_t left = renewal_due_ms(from_ms, until_ms) - clock_unix_ms(clock_system());
	return left < 0 ? 0 : left < RETRY_MOST_MS ? left : RETRY_MOST_MS;
}

/* After a renewal the file's watch tells the new times, which wakes this. */
static int64_t try_renewal(struct renewal *renewal, int64_t wait_ms)
{
	struct err err;
	if (renew(renewal, &err) == 0)
		return RETRY_LEAST_MS;
	log_warn(NULL, "certificate_not_renewed", "code=%s reason=\"%s\"", err_name(err.code),
	         err.text);
	return wait_ms * 2 < RETRY_MOST_MS ? wait_ms * 2 : RETRY_MOST_MS;
}

static void *run(void *context)
{
	struct renewal *renewal = context;
	int64_t wait_ms = RETRY_LEAST_MS;
	for (bool ending = false; !ending;) {
		int64_t left = left_ms(renewal), now_ms = clock_mono_ms(clock_system());
		if (left > 0) {
			wait_ms = RETRY_LEAST_MS;
			ending = pause_renewal(renewal, now_ms + left);
			continue;
		}
		wait_ms = try_renewal(renewal, wait_ms);
		ending = pause_renewal(renewal, clock_mono_ms(clock_system()) + wait_ms);
	}
	return NULL;
}

/* --- life --- */

static int start_watches(struct renewal *renewal, struct err *err)
{
	const struct renewal_conf *conf = &renewal->conf;
	const struct pemwatch_conf link = {
		.ca_file = conf->tls.ca_file, .cert_file = conf->tls.cert_file,
		.key_file = conf->tls.key_file, .interval_ms = conf->interval_ms,
		.changed = on_link, .context = renewal,
	};
	const struct pemwatch_conf door = {
		.cert_file = conf->cert_file, .key_file = conf->key_file,
		.interval_ms = conf->interval_ms, .changed = on_door, .context = renewal,
	};
	if (conf->tls.ca_file && conf->tls.cert_file && conf->tls.key_file)
		TRY(pemwatch_new(&link, &renewal->link, err));
	if (conf->http && conf->cert_file)
		TRY(pemwatch_new(&door, &renewal->door, err));
	return 0;
}

int renewal_new(const struct renewal_conf *conf, struct renewal **ret_renewal, struct err *err)
{
	struct renewal *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory to renew certificates");
	pthread_mutex_init(&made->mutex, NULL);
	clock_cond_init(&made->changed);
	made->conf = *conf;
	AUTO(renewal) *renewal = made;
	TRY(start_watches(renewal, err));
	if (conf->badge && badge_link_file(conf->badge) && renewal->link) {
		int rc = pthread_create(&renewal->thread, NULL, run, renewal);
		if (rc)
			return err_errno(err, rc, "start a thread to renew certificates");
		renewal->started = true;
	}
	*ret_renewal = MOVE(renewal);
	return 0;
}

void renewal_free(struct renewal *renewal)
{
	if (!renewal)
		return;
	pthread_mutex_lock(&renewal->mutex);
	renewal->ending = true;
	pthread_cond_signal(&renewal->changed);
	pthread_mutex_unlock(&renewal->mutex);
	if (renewal->started)
		pthread_join(renewal->thread, NULL);
	pemwatch_free(renewal->link);
	pemwatch_free(renewal->door);
	pthread_cond_destroy(&renewal->changed);
	pthread_mutex_destroy(&renewal->mutex);
	free(renewal);
}
