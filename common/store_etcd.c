/* store_etcd.c - the etcd backing: its configuration, its reads, its housekeeping.
 * Every key has the configured prefix in etcd and loses it on the way back. */
#include "common/defs.h"
#include "common/loopback.h"
#include "common/store_etcd_impl.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	TIMEOUT_MS = 5000, TIMEOUT_MAX_MS = 600000, PAGE_FIRST = 64, PAGE_KEYS = 1000,
	PAGE_BYTES = 4 * 1024 * 1024
};

/* --- requests --- */

void etcd_print_key(struct buf *out, const struct store_etcd *etcd, const char *name,
		    const char *key)
{
	char full[ETCD_FULL_KEY_MAX + 1];
	size_t prefix_len = strlen(etcd->prefix), key_len = strlen(key);
	REQUIRE(prefix_len + key_len < sizeof full);
	memcpy(full, etcd->prefix, prefix_len);
	memcpy(full + prefix_len, key, key_len);
	buf_printf(out, "\"%s\":\"", name);
	base64_print(full, prefix_len + key_len, out);
	buf_puts(out, "\"");
}

/* The first key after all that begin with the prefix: keys are below 0x7f, so nothing carries. */
void etcd_print_end(struct buf *out, const struct store_etcd *etcd, const char *prefix)
{
	char full[ETCD_FULL_KEY_MAX + 1];
	size_t prefix_len = strlen(etcd->prefix), len = prefix_len + strlen(prefix);
	REQUIRE(len > 0 && len < sizeof full);
	memcpy(full, etcd->prefix, prefix_len);
	memcpy(full + prefix_len, prefix, len - prefix_len);
	full[len - 1]++;
	buf_puts(out, "\"range_end\":\"");
	base64_print(full, len, out);
	buf_puts(out, "\"");
}

/* --- reads --- */

int etcd_read(struct store_etcd *etcd, const char *key, int64_t revision, int64_t deadline_mono_ms,
	      struct etcd_item *ret_item, bool *ret_found, struct err *err)
{
	AUTO_BUF body;
	buf_init(&body, 4 * KIB);
	buf_puts(&body, "{");
	etcd_print_key(&body, etcd, "key", key);
	buf_printf(&body, ",\"revision\":\"%" PRId64 "\"}", revision);
	TRY(buf_check(&body, err));
	AUTO_ETCD_ANSWER answer = { 0 };
	struct etcd_call call = {
		.path = "/v3/kv/range", .body = &body, .deadline_mono_ms = deadline_mono_ms,
		.repeatable = true,
	};
	TRY(etcd_call(etcd, &call, &answer, err));
	const struct value *kv = value_at(value_get(answer.root, "kvs"), 0);
	if (kv)
		TRY(etcd_item_decode(kv, etcd->prefix, ret_item, err));
	*ret_found = kv != NULL;
	return 0;
}

static int get(struct store *store, const char *key, store_visit_fn *visit, void *context,
	       struct err *err)
{
	struct store_etcd *etcd = (struct store_etcd *)store;
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	bool found = false;
	TRY(etcd_read(etcd, key, 0, etcd_deadline(etcd), &item, &found, err));
	if (!found)
		item.item = (struct store_item){ .key = key };
	int rc = visit(context, &item.item, err);
	return rc < 0 ? rc : 0;
}

/* A listing under way. */
struct listing {
	struct store_etcd *etcd;
	const char *prefix;
	store_visit_fn *visit;
	void *context;
	int64_t *revision;         /* 0: the first page decides */
	int limit;                 /* keys a page, by how large they are */
	bool more;
	struct etcd_item item;     /* its key is where the next page begins */
};

static int listing_ask(struct listing *listing, struct etcd_answer *ret_answer, struct err *err)
{
	struct store_etcd *etcd = listing->etcd;
	AUTO_BUF body;
	buf_init(&body, 4 * KIB);
	buf_puts(&body, "{");
	if (listing->item.key.len) {
		buf_puts(&body, "\"key\":\"");   /* the last key and a NUL: the next one */
		base64_print(listing->item.key.data, listing->item.key.len + 1, &body);
		buf_puts(&body, "\"");
	} else {
		etcd_print_key(&body, etcd, "key", listing->prefix);
	}
	buf_puts(&body, ",");
	etcd_print_end(&body, etcd, listing->prefix);
	buf_printf(&body, ",\"limit\":\"%d\",\"revision\":\"%" PRId64 "\"}", listing->limit,
		   *listing->revision);
	TRY(buf_check(&body, err));
	struct etcd_call call = {
		.path = "/v3/kv/range", .body = &body, .deadline_mono_ms = etcd_deadline(etcd),
		.repeatable = true,
	};
	return etcd_call(etcd, &call, ret_answer, err);
}

/* The next page's keys: as many as PAGE_BYTES hold when they are like the ones that came. */
static void listing_pace(struct listing *listing, size_t keys, size_t bytes)
{
	size_t limit = bytes > 0 ? keys * PAGE_BYTES / bytes : PAGE_KEYS;
	listing->limit = limit > PAGE_KEYS ? PAGE_KEYS : limit > 1 ? (int)limit : 1;
}

static int listing_page(struct listing *listing, struct err *err)
{
	size_t bytes = 0;
	AUTO_ETCD_ANSWER answer = { 0 };
	int rc = listing_ask(listing, &answer, err);
	if (rc == E_TOO_LARGE && listing->limit > 1) {
		listing->limit /= 4;
		listing->limit += listing->limit == 0;
		return 0;
	}
	if (rc == E_CONFLICT)
		return err_set(err, E_UNAVAILABLE, "the store was compacted during a listing; list "
			       "again");
	TRY(rc);
	if (*listing->revision == 0)
		*listing->revision = answer.revision;
	const struct value *kvs = value_get(answer.root, "kvs");
	listing->more = value_get_bool(answer.root, "more", false) && value_len(kvs) > 0;
	for (size_t i = 0; i < value_len(kvs); i++) {
		TRY(etcd_item_decode(value_at(kvs, i), listing->etcd->prefix, &listing->item, err));
		bytes += listing->item.key.len + listing->item.value.len;
		TRY(listing->visit(listing->context, &listing->item.item, err));
	}
	listing_pace(listing, value_len(kvs), bytes);
	return 0;
}

static int listing_begin(struct listing *listing, const char *after, struct err *err)
{
	struct buf *key = &listing->item.key;
	if (!after)
		return 0;
	buf_puts(key, listing->etcd->prefix);
	buf_puts(key, after);
	return buf_check(key, err);
}

int etcd_list_pages(struct store_etcd *etcd, const char *prefix, const char *after,
		    store_visit_fn *visit, void *context, int64_t *revision, struct err *err)
{
	struct listing listing = {
		.etcd = etcd, .prefix = prefix, .visit = visit, .context = context,
		.revision = revision, .limit = PAGE_FIRST, .more = true,
	};
	etcd_item_init(&listing.item);
	int rc = listing_begin(&listing, after, err);
	while (rc == 0 && listing.more)
		rc = listing_page(&listing, err);
	etcd_item_release(&listing.item);
	return rc;
}

static int list(struct store *store, const char *prefix, const char *after, store_visit_fn *visit,
		void *context, int64_t *ret_revision, struct err *err)
{
	int64_t revision = 0;
	TRY(etcd_list_pages((struct store_etcd *)store, prefix, after, visit, context, &revision,
			    err));
	if (ret_revision)
		*ret_revision = revision;
	return 0;
}

/* --- housekeeping --- */

static int compact(struct store *store, int64_t revision, struct err *err)
{
	struct store_etcd *etcd = (struct store_etcd *)store;
	AUTO_BUF body;
	AUTO_ETCD_ANSWER answer = { 0 };
	buf_init(&body, KIB);
	buf_printf(&body, "{\"revision\":\"%" PRId64 "\"}", revision);
	TRY(buf_check(&body, err));
	struct etcd_call call = {
		.path = "/v3/kv/compaction", .body = &body, .deadline_mono_ms = etcd_deadline(etcd),
		.repeatable = true,
	};
	struct err why = { 0 };
	int rc = etcd_call(etcd, &call, &answer, &why);
	if (rc == E_CONFLICT && strstr(why.text, "has been compacted"))
		return 0;
	if (rc == E_CONFLICT)
		rc = E_INVALID;
	return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

static int size(struct store *store, int64_t *ret_bytes, struct err *err)
{
	struct store_etcd *etcd = (struct store_etcd *)store;
	AUTO_BUF body;
	AUTO_ETCD_ANSWER answer = { 0 };
	buf_init(&body, KIB);
	buf_puts(&body, "{}");
	TRY(buf_check(&body, err));
	struct etcd_call call = {
		.path = "/v3/maintenance/status", .body = &body,
		.deadline_mono_ms = etcd_deadline(etcd), .repeatable = true,
	};
	TRY(etcd_call(etcd, &call, &answer, err));
	return etcd_int(answer.root, "dbSize", ret_bytes, err);
}

void etcd_follow(struct store_etcd *etcd, int by)
{
	pthread_mutex_lock(&etcd->mutex);
	etcd->followers += by;
	pthread_mutex_unlock(&etcd->mutex);
}

/* --- life --- */

static void etcd_free(struct store *store)
{
	struct store_etcd *etcd = (struct store_etcd *)store;
	REQUIRE(etcd->followers == 0);
	for (int i = 0; i < etcd->endpoint_count; i++)
		free(etcd->endpoints[i]);
	etcd_token_drop(etcd, etcd->token_serial);
	free(etcd->prefix);
	free(etcd->user);
	free(etcd->password_file);
	fetch_free(etcd->fetch);
	pthread_cond_destroy(&etcd->changed);
	pthread_mutex_destroy(&etcd->mutex);
	free(etcd);
}

static const struct store_ops etcd_ops = {
	.get = get, .list = list, .commit = etcd_commit, .compact = compact, .size = size,
	.free = etcd_free,
	.watch_new = etcd_watch_new, .watch_free = etcd_watch_free,
	.lead_new = etcd_lead_new, .lead_free = etcd_lead_free,
};

static int endpoint_add(struct store_etcd *etcd, const char *text, size_t len, struct err *err)
{
	while (len > 0 && text[len - 1] == '/')
		len--;
	if (etcd->endpoint_count == ETCD_ENDPOINTS_MAX)
		return err_set(err, E_INVALID, "etcd endpoints: at most %d", ETCD_ENDPOINTS_MAX);
	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return err_set(err, E_INVALID,
			       "etcd endpoint %d must begin with http:// or https://",
			       etcd->endpoint_count + 1);
	if (len > STORE_KEY_MAX || len < strlen("http://h"))
		return err_set(err, E_INVALID,
			       "etcd endpoint %d has %zu bytes; it may have %zu to %d",
			       etcd->endpoint_count + 1, len, strlen("http://h"), STORE_KEY_MAX);
	char *endpoint = strndup(text, len);
	if (!endpoint)
		return err_set(err, E_NOMEM, "no memory for etcd's endpoints");
	int rc = loopback_check_url("an etcd endpoint", endpoint, err);
	if (rc < 0) {
		free(endpoint);
		return rc;
	}
	etcd->endpoints[etcd->endpoint_count++] = endpoint;
	return 0;
}

static int endpoints_parse(struct store_etcd *etcd, const char *list, struct err *err)
{
	for (const char *at = list ? list : ""; *at;) {
		at += strspn(at, ", ");
		size_t len = strcspn(at, ", ");
		if (len > 0)
			TRY(endpoint_add(etcd, at, len, err));
		at += len;
	}
	if (etcd->endpoint_count == 0)
		return err_set(err, E_INVALID, "etcd endpoints: at least one is needed, such as "
			       "http://127.0.0.1:2379");
	return 0;
}

static int conf_check(const struct store_etcd_conf *conf, struct err *err)
{
	size_t len = conf->prefix ? strlen(conf->prefix) : 0;
	if (len == 0 || len > ETCD_PREFIX_MAX)
		return err_set(err, E_INVALID,
			       "the etcd key prefix has %zu bytes; it may have 1 to %d",
			       len, ETCD_PREFIX_MAX);
	for (size_t i = 0; i < len; i++)
		if (conf->prefix[i] < 0x21 || conf->prefix[i] > 0x7e)
			return err_set(err, E_INVALID,
				       "the etcd key prefix must be printable ASCII "
				       "without spaces");
	if (conf->user && !conf->password_file)
		return err_set(err, E_INVALID, "an etcd user is set without a password file");
	if (conf->timeout_ms < 0 || conf->timeout_ms > TIMEOUT_MAX_MS)
		return err_set(err, E_INVALID,
			       "the etcd timeout is %d ms; it may be 1 to %d, or 0 for "
			       "%d", conf->timeout_ms, TIMEOUT_MAX_MS, TIMEOUT_MS);
	return 0;
}

static int copy_text(const char *text, char **ret_copy, struct err *err)
{
	if (!text)
		return 0;
	*ret_copy = strdup(text);
	return *ret_copy ? 0 : err_set(err, E_NOMEM, "no memory for the store");
}

static int fill(struct store_etcd *etcd, const struct store_etcd_conf *conf, struct err *err)
{
	TRY(endpoints_parse(etcd, conf->endpoints, err));
	TRY(copy_text(conf->prefix, &etcd->prefix, err));
	TRY(copy_text(conf->user, &etcd->user, err));
	TRY(copy_text(conf->password_file, &etcd->password_file, err));
	struct fetch_conf fetch = {
		.ca_file = conf->ca_file, .cert_file = conf->cert_file, .key_file = conf->key_file,
		.connections_max = conf->connections_max,
	};
	return fetch_new(&fetch, &etcd->fetch, err);
}

int store_etcd_new(const struct store_etcd_conf *conf, struct clock *clock,
		   struct store **ret_store, struct err *err)
{
	TRY(conf_check(conf, err));
	struct store_etcd *etcd = calloc(1, sizeof *etcd);
	if (!etcd)
		return err_set(err, E_NOMEM, "no memory for the store");
	etcd->base.ops = &etcd_ops;
	etcd->clock = clock;
	etcd->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	pthread_mutex_init(&etcd->mutex, NULL);
	clock_cond_init(&etcd->changed);
	AUTO(store) *store = &etcd->base;
	TRY(fill(etcd, conf, err));
	*ret_store = MOVE(store);
	return 0;
}
