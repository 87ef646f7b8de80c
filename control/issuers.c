/* issuers.c - see issuers.h.
 * Invariants, under the mutex: an entry that is being fetched is not reused; `waiters` counts who
 * waits for one, and is at most ISSUERS_WAITERS_MOST; an entry's keys are those of its address. */
#include "common/defs.h"
#include "control/issuers.h"

#include "common/crypto.h"
#include "common/fetch.h"
#include "common/json.h"
#include "common/log.h"
#include "common/netaddr.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	THREADS = 2, ID_MAX = 160, URL_MAX = 600, TIMEOUT_MS = 4000, CONNECT_MS = 2000,
	DOCUMENT_MAX = 64 * 1024, ARENA_MAX = 1024 * 1024
};

struct entry {
	char id[ID_MAX];             /* empty: free */
	char url[URL_MAX], jwks_uri[URL_MAX];
	struct jwks *jwks;           /* NULL: none were had yet */
	uint8_t sum[DIGEST_BYTES];   /* of their text */
	int64_t fetched_mono_ms, tried_mono_ms, used_mono_ms;
	bool tried, wanted, fetching;
	uint64_t tries;
};

struct issuers {
	struct issuers_conf conf;
	struct net_ranges networks;
	struct fetch *fetch;
	_Atomic uint64_t stamp, fetches;
	pthread_t threads[THREADS];
	int started;
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t wanted, fetched;
	bool ending;
	int waiters;
	struct entry *entries;       /* ISSUERS_MOST */
	size_t count;
};

static void *run(void *context);

/* --- life --- */

int issuers_new(const struct issuers_conf *conf, struct issuers **ret_issuers, struct err *err)
{
	const struct fetch_conf fetch = { .connect_timeout_ms = CONNECT_MS,
	                                  .connections_max = THREADS };
	AUTO(issuers) *issuers = calloc(1, sizeof *issuers);
	if (!issuers)
		return err_set(err, E_NOMEM, "no memory for identity providers");
	issuers->conf = *conf;
	issuers->conf.networks = NULL;
	if (!net_ranges_parse(conf->networks, &issuers->networks))
		return err_set(err, E_INVALID, "--issuer-networks is at most %d ranges like "
		               "10.0.0.0/8, with commas between", NET_RANGES_MAX);
	pthread_mutex_init(&issuers->mutex, NULL);
	pthread_cond_init(&issuers->wanted, NULL);
	pthread_cond_init(&issuers->fetched, NULL);
	issuers->entries = calloc(ISSUERS_MOST, sizeof *issuers->entries);
	if (!issuers->entries)
		return err_set(err, E_NOMEM, "no memory for identity providers");
	TRY(fetch_new(&fetch, &issuers->fetch, err));
	for (; issuers->started < THREADS; issuers->started++) {
		int code = pthread_create(&issuers->threads[issuers->started], NULL, run, issuers);
		if (code)
			return err_errno(err, code, "no thread for identity providers");
	}
	*ret_issuers = MOVE(issuers);
	return 0;
}

void issuers_free(struct issuers *issuers)
{
	if (!issuers)
		return;
	pthread_mutex_lock(&issuers->mutex);
	issuers->ending = true;
	pthread_cond_broadcast(&issuers->wanted);
	pthread_mutex_unlock(&issuers->mutex);
	for (int i = 0; i < issuers->started; i++)
		pthread_join(issuers->threads[i], NULL);
	for (size_t i = 0; i < issuers->count; i++)
		jwks_free(issuers->entries[i].jwks);
	fetch_free(issuers->fetch);
	free(issuers->entries);
	pthread_cond_destroy(&issuers->wanted);
	pthread_cond_destroy(&issuers->fetched);
	pthread_mutex_destroy(&issuers->mutex);
	free(issuers);
}

uint64_t issuers_stamp(struct issuers *issuers)
{
	return atomic_load(&issuers->stamp);
}

uint64_t issuers_fetches(struct issuers *issuers)
{
	return atomic_load(&issuers->fetches);
}

/* --- addresses --- */

static bool host_is(const char *at, const char *host)
{
	size_t len = strlen(host);
	return strncmp(at, host, len) == 0 && strchr(":/", at[len]);
}

int issuers_check_url(const struct issuers *issuers, const char *field, const char *url,
                      struct err *err)
{
	static const char *const near[] = { "127.0.0.1", "[::1]", "localhost" };
	bool fits = strlen(url) < URL_MAX - 64 && !strpbrk(url, "@?# \t\r\n\"\\");
	if (fits && strncmp(url, "https://", 8) == 0 && url[8] && url[8] != '/')
		return 0;
	bool plain = fits && issuers->conf.loopback && strncmp(url, "http://", 7) == 0;
	for (size_t i = 0; plain && i < ARRAY_LEN(near); i++)
		if (host_is(url + 7, near[i]))
			return 0;
	return err_set(err, E_INVALID, "%s: must be an https:// address without a user, query or "
	               "fragment (http:// only on loopback, with --issuer-loopback)", field);
}

/* --- fetching; the mutex is not held --- */

/* Tenants say where their issuers are: they shall not send this process about its own network. */
static bool may_connect(void *context, const struct sockaddr *socket)
{
	const struct issuers *issuers = context;
	struct netaddr address;
	if (!netaddr_of(socket, &address))
		return false;
	enum net_scope scope = netaddr_scope(&address);
	return scope == NET_PUBLIC || (scope == NET_LOOPBACK && issuers->conf.loopback) ||
	       (scope != NET_FORBIDDEN && net_ranges_have(&issuers->networks, &address));
}

static int get(struct issuers *issuers, const char *url, size_t most, struct buf *out,
               struct err *err)
{
	static const char *const headers[] = { "Accept: application/json", NULL };
	const struct fetch_call call = { .url = url, .headers = headers,
	                                 .timeout_ms = TIMEOUT_MS,
	                                 .may_connect = may_connect, .context = issuers };
	int status = 0;
	buf_init(out, most);
	TRY(fetch_call(issuers->fetch, &call, &status, out, NULL, err));
	TRY(buf_check(out, err));
	return status == 200 ? 0 : err_set(err, E_UNAVAILABLE, "it answered with %d", status);
}

/* The discovery document must speak of the very issuer it was asked of. */
static int discover(struct issuers *issuers, const char *url, char jwks_uri[URL_MAX],
                    struct err *err)
{
	char where[URL_MAX];
	size_t len = strlen(url);
	AUTO_BUF text;
	AUTO(arena) *arena = NULL;
	struct value *document = NULL;
	buf_init(&text, 0);
	snprintf(where, sizeof where, "%.*s/.well-known/openid-configuration",
	         (int)(len - (len && url[len - 1] == '/')), url);
	TRY(get(issuers, where, DOCUMENT_MAX, &text, err));
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(json_parse(arena, (char *)text.data, text.len, &document, err));
	const char *issuer = value_get_str(document, "issuer");
	const char *found = value_get_str(document, "jwks_uri");
	if (!issuer || strcmp(issuer, url) != 0)
		return err_set(err, E_INVALID, "its discovery document is another issuer's");
	if (!found)
		return err_set(err, E_INVALID, "its discovery document has no jwks_uri");
	TRY(issuers_check_url(issuers, "jwks_uri", found, err));
	snprintf(jwks_uri, URL_MAX, "%s", found);
	return 0;
}

static int fetch_keys(struct issuers *issuers, const struct entry *what,
                      struct jwks **ret_jwks, uint8_t sum[DIGEST_BYTES], struct err *err)
{
	char uri[URL_MAX];
	AUTO_BUF text;
	buf_init(&text, 0);
	atomic_fetch_add(&issuers->fetches, 1);
	snprintf(uri, sizeof uri, "%s", what->jwks_uri);
	if (!uri[0])
		TRY(discover(issuers, what->url, uri, err));
	TRY(get(issuers, uri, JWKS_BYTES_MAX, &text, err));
	digest(text.data, text.len, sum);
	return jwks_read((char *)text.data, text.len, ret_jwks, err);
}

/* --- entries; the mutex is held --- */

static int64_t now_of(const struct issuers *issuers)
{
	return clock_mono_ms(issuers->conf.clock);
}

static struct entry *place(struct issuers *issuers)
{
	struct entry *oldest = NULL;
	if (issuers->count < ISSUERS_MOST)
		return &issuers->entries[issuers->count++];
	for (size_t i = 0; i < issuers->count; i++) {
		struct entry *entry = &issuers->entries[i];
		bool idle = !entry->fetching && !entry->wanted;
		if (idle && (!oldest || entry->used_mono_ms < oldest->used_mono_ms))
			oldest = entry;
	}
	return oldest;
}

static struct entry *lookup(struct issuers *issuers, const struct issuer *issuer)
{
	for (size_t i = 0; i < issuers->count; i++)
		if (strcmp(issuers->entries[i].id, issuer->id) == 0)
			return &issuers->entries[i];
	return NULL;
}

/* The provider's entry, emptied when its addresses are others now. NULL: there is no room. */
static struct entry *entry_of(struct issuers *issuers, const struct issuer *issuer)
{
	const char *uri = issuer->jwks_uri ? issuer->jwks_uri : "";
	struct entry *entry = lookup(issuers, issuer);
	bool same = entry && strcmp(entry->url, issuer->url) == 0 &&
		strcmp(entry->jwks_uri, uri) == 0;
	if (same)
		return entry;
	if (entry && entry->fetching)
		return NULL;                     /* a moment later */
	entry = entry ? entry : place(issuers);
	if (!entry)
		return NULL;
	jwks_free(entry->jwks);
	*entry = (struct entry){ .tries = entry->tries };
	snprintf(entry->id, sizeof entry->id, "%s", issuer->id);
	snprintf(entry->url, sizeof entry->url, "%s", issuer->url);
	snprintf(entry->jwks_uri, sizeof entry->jwks_uri, "%s", uri);
	return entry;
}

static bool may_fetch(const struct entry *entry, int64_t now_ms)
{
	return !entry->wanted && !entry->fetching &&
		(!entry->tried || now_ms - entry->tried_mono_ms >= ISSUERS_PAUSE_MS);
}

static void want(struct issuers *issuers, struct entry *entry)
{
	entry->wanted = true;
	pthread_cond_signal(&issuers->wanted);
}

/* The set with that key, if what is known of it still does. */
static struct jwks *known(struct issuers *issuers, struct entry *entry, const char *kid,
                          enum signature_kind kind)
{
	int64_t age_ms = now_of(issuers) - entry->fetched_mono_ms;
	if (!entry->jwks || age_ms >= ISSUERS_KEPT_MS || !jwks_find(entry->jwks, kid, kind))
		return NULL;
	if (age_ms >= ISSUERS_FRESH_MS && may_fetch(entry, now_of(issuers)))
		want(issuers, entry);
	return jwks_ref(entry->jwks);
}

/* Waits until the entry's next try is over; false: there is none to wait for. */
static bool await_try(struct issuers *issuers, struct entry *entry, bool may_wait)
{
	uint64_t tries = entry->tries;
	if (may_fetch(entry, now_of(issuers)))
		want(issuers, entry);
	if (!may_wait || (!entry->wanted && !entry->fetching) ||
	    issuers->waiters >= ISSUERS_WAITERS_MOST)
		return false;
	issuers->waiters++;
	while (entry->tries == tries && !issuers->ending)
		pthread_cond_wait(&issuers->fetched, &issuers->mutex);
	issuers->waiters--;
	return true;
}

int issuers_find(struct issuers *issuers, const struct issuer *issuer, const char *kid,
                 enum signature_kind kind, struct jwks **ret_jwks, struct err *err)
{
	struct jwks *found = NULL;
	bool any = false;
	pthread_mutex_lock(&issuers->mutex);
	struct entry *entry = entry_of(issuers, issuer);
	if (entry) {
		entry->used_mono_ms = now_of(issuers);
		found = known(issuers, entry, kid, kind);
		if (!found && await_try(issuers, entry, issuer->may_wait))
			entry = lookup(issuers, issuer);
		if (!found && entry)
			found = known(issuers, entry, kid, kind);
		any = entry && entry->jwks;
	}
	pthread_mutex_unlock(&issuers->mutex);
	if (!found && any)
		return err_set(err, E_UNAUTHENTICATED, "the issuer has no key of that id");
	if (!found)
		return err_set(err, E_UNAVAILABLE, "the issuer's keys cannot be had now");
	*ret_jwks = found;
	return 0;
}

/* --- the threads --- */

static struct entry *next_wanted(struct issuers *issuers)
{
	for (size_t i = 0; i < issuers->count; i++)
		if (issuers->entries[i].wanted && !issuers->entries[i].fetching)
			return &issuers->entries[i];
	return NULL;
}

static void take_keys(struct issuers *issuers, struct entry *entry, struct jwks *jwks,
                      const uint8_t sum[DIGEST_BYTES])
{
	if (!entry->jwks || !bytes_equal(entry->sum, sum, DIGEST_BYTES))
		atomic_fetch_add(&issuers->stamp, 1);
	jwks_free(entry->jwks);
	entry->jwks = jwks;
	memcpy(entry->sum, sum, DIGEST_BYTES);
	entry->fetched_mono_ms = now_of(issuers);
}

/* The mutex is held, but not while the issuer is asked. */
static void fetch_one(struct issuers *issuers, struct entry *entry)
{
	struct entry what = *entry;
	struct jwks *jwks = NULL;
	uint8_t sum[DIGEST_BYTES];
	struct err err = { 0 };
	entry->wanted = false;
	entry->fetching = true;
	pthread_mutex_unlock(&issuers->mutex);
	int code = fetch_keys(issuers, &what, &jwks, sum, &err);
	if (code < 0)
		log_warn(NULL, "issuer_not_read", "provider=%s code=%s reason=\"%s\"", what.id,
		         err_name(code), err.text);
	pthread_mutex_lock(&issuers->mutex);
	entry->fetching = false;
	entry->tried = true;
	entry->tried_mono_ms = now_of(issuers);
	entry->tries++;
	if (code == 0)
		take_keys(issuers, entry, jwks, sum);
	pthread_cond_broadcast(&issuers->fetched);
}

static void *run(void *context)
{
	struct issuers *issuers = context;
	pthread_mutex_lock(&issuers->mutex);
	while (!issuers->ending) {
		struct entry *entry = next_wanted(issuers);
		if (entry)
			fetch_one(issuers, entry);
		else
			pthread_cond_wait(&issuers->wanted, &issuers->mutex);
	}
	pthread_cond_broadcast(&issuers->fetched);
	pthread_mutex_unlock(&issuers->mutex);
	return NULL;
}
