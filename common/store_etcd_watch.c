/* store_etcd_watch.c - follows a prefix: list, then stream from the next revision, again and again.
 *
 * The stream is one watch on a connection of its own. Whatever ends it (compaction, a lost
 * connection, an unreadable line, relist_ms) leads to a new listing: etcd 3.4 is known to lose and
 * to repeat watch events, so the stream is only ever trusted between two listings. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 2000, START_MS = 5000 };

struct etcd_watch {
	struct store_watch base;
	struct store_watch_ops ops;
	char *prefix;
	int64_t relist_ms;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stopped;
	int stopping;              /* set with the mutex held; fetch_stream reads it atomically */
	/* The thread's own: */
	int64_t revision;          /* all up to this one has been told */
	int64_t relist_mono_ms;
	struct buf line;           /* what came since the last line end */
	size_t scanned;            /* of line: holds no line end */
	struct arena *arena;
	struct etcd_item item;
	bool broken;               /* the stream cannot be trusted any longer */
};

static struct store_etcd *etcd_of(const struct etcd_watch *watch)
{
	return (struct store_etcd *)watch->base.store;
}

static bool stopping(struct etcd_watch *watch)
{
	return __atomic_load_n(&watch->stopping, __ATOMIC_ACQUIRE) != 0;
}

static void watch_pause(struct etcd_watch *watch, int ms)
{
	struct clock *clock = etcd_of(watch)->clock;
	int64_t until = clock_mono_ms(clock) + ms;
	pthread_mutex_lock(&watch->mutex);
	while (!watch->stopping && clock_wait(clock, &watch->stopped, &watch->mutex, until))
		;
	pthread_mutex_unlock(&watch->mutex);
}

/* --- listing --- */

struct sync {
	struct etcd_watch *watch;
	int64_t revision;          /* the listing's, from the first item on */
};

static int sync_item(void *context, const struct store_item *item, struct err *err)
{
	struct sync *sync = context;
	struct etcd_watch *watch = sync->watch;
	if (stopping(watch))
		return err_set(err, E_CANCELLED, "the watch is being stopped");
	watch->ops.sync(watch->ops.context, item, sync->revision);
	return 0;
}

static bool sync_all(struct etcd_watch *watch)
{
	struct err err = { 0 };
	struct sync sync = { .watch = watch };
	if (etcd_list_pages(etcd_of(watch), watch->prefix, NULL, sync_item, &sync, &sync.revision,
			    &err) < 0)
		return false;
	watch->ops.sync(watch->ops.context, NULL, sync.revision);
	watch->revision = sync.revision;
	watch->relist_mono_ms = clock_mono_ms(etcd_of(watch)->clock) + watch->relist_ms;
	return true;
}

/* --- stream --- */

static void tell(struct etcd_watch *watch, const struct etcd_item *item, bool deleted, bool last)
{
	struct store_event event = {
		.item = item->item, .deleted = deleted, .last_of_txn = last,
		.revision = item->item.mod_revision,
	};
	watch->ops.event(watch->ops.context, &event);
}

/* The revision of event i, 0 past the end: what tells where a transaction ends. */
static int64_t revision_at(const struct value *events, size_t i)
{
	int64_t revision = 0;
	struct err ignored = { 0 };
	const struct value *kv = value_get(value_at(events, i), "kv");
	return etcd_int(kv, "mod_revision", &revision, &ignored) < 0 ? 0 : revision;
}

/* A line holds whole transactions. What was told before (etcd repeats itself) is left out. */
static int tell_events(struct etcd_watch *watch, const struct value *events, struct err *err)
{
	int64_t told = watch->revision;
	for (size_t i = 0; i < value_len(events) && !stopping(watch); i++) {
		bool deleted = false;
		TRY(etcd_event_decode(value_at(events, i), etcd_of(watch)->prefix, &watch->item,
				      &deleted, err));
		int64_t revision = watch->item.item.mod_revision;
		if (revision <= told)
			continue;
		bool last = revision_at(events, i + 1) != revision;
		tell(watch, &watch->item, deleted, last);
		watch->revision = revision;
		if (last)
			told = revision;
	}
	return 0;
}

static int take_line(struct etcd_watch *watch, const char *text, size_t len, struct err *err)
{
	struct etcd_line line = { 0 };
	arena_reset(watch->arena);
	TRY(etcd_line_decode(watch->arena, text, len, &line, err));
	if (line.canceled)
		return err_set(err, E_UNAVAILABLE, "etcd cancelled the watch");
	return tell_events(watch, line.events, err);
}

static void drop_front(struct etcd_watch *watch, size_t len)
{
	watch->line.len -= len;
	memmove(watch->line.data, watch->line.data + len, watch->line.len);
}

/* Called with pieces of any size; a line may take hundreds of them. */
static bool on_data(void *context, const char *data, size_t len)
{
	struct etcd_watch *watch = context;
	struct err err = { 0 };
	if (buf_put(&watch->line, data, len) < 0) {
		watch->broken = true;
		return false;
	}
	size_t begin = 0;
	for (const uint8_t *end; (end = memchr(watch->line.data + watch->scanned, '\n',
					       watch->line.len - watch->scanned));) {
		size_t at = (size_t)(end - watch->line.data);
		const char *text = (const char *)watch->line.data + begin;
		if (at > begin && take_line(watch, text, at - begin, &err) < 0) {
			watch->broken = true;
			return false;
		}
		begin = watch->scanned = at + 1;
	}
	drop_front(watch, begin);
	watch->scanned = watch->line.len;
	return clock_mono_ms(etcd_of(watch)->clock) < watch->relist_mono_ms;
}

static int print_request(const struct etcd_watch *watch, struct buf *body, struct err *err)
{
	buf_puts(body, "{\"create_request\":{");
	etcd_print_key(body, etcd_of(watch), "key", watch->prefix);
	buf_puts(body, ",");
	etcd_print_end(body, etcd_of(watch), watch->prefix);
	buf_printf(body, ",\"start_revision\":\"%" PRId64 "\",\"progress_notify\":true}}",
		   watch->revision + 1);
	return buf_check(body, err);
}

static int stream(struct etcd_watch *watch, const char *endpoint, uint64_t *ret_serial,
		  struct err *err)
{
	struct store_etcd *etcd = etcd_of(watch);
	AUTO_BUF body;
	AUTO_BUF authorization;
	AUTO_BUF url;
	buf_init(&body, 4 * KIB);
	buf_init(&authorization, ETCD_TOKEN_MAX + 32);
	buf_init(&url, KIB);
	TRY(print_request(watch, &body, err));
	TRY(etcd_authorization(etcd, etcd_deadline(etcd), &authorization, ret_serial, err));
	buf_printf(&url, "%s/v3/watch", endpoint);
	TRY(buf_check(&url, err));
	/* Without hasleader a watch on a member that lost its quorum would stay silent for ever. */
	const char *headers[] = {
		"Content-Type: application/json", "Grpc-Metadata-hasleader: true",
		authorization.len ? (const char *)authorization.data : NULL, NULL,
	};
	struct fetch_call call = {
		.method = "POST", .url = (const char *)url.data, .headers = headers,
		.body = body.data,
		.body_len = body.len, .timeout_ms = START_MS,
	};
	int64_t left = watch->relist_mono_ms - clock_mono_ms(etcd->clock);
	int status = 0;
	return left <= 0 ? 0 : fetch_stream(etcd->fetch, &call, on_data, watch,
					    left < INT32_MAX ? (int)left : INT32_MAX,
					    &watch->stopping, &status, err);
}

/* True: it ended because it was time to list again. */
static bool follow(struct etcd_watch *watch)
{
	struct store_etcd *etcd = etcd_of(watch);
	struct err err = { 0 };
	uint64_t serial = 0;
	const char *endpoint = etcd_endpoint(etcd);
	buf_clear(&watch->line);
	watch->scanned = 0;
	watch->broken = false;
	int rc = stream(watch, endpoint, &serial, &err);
	if (rc < 0 && rc != E_TIMEOUT)
		etcd_endpoint_next(etcd, endpoint);
	return !watch->broken && clock_mono_ms(etcd->clock) >= watch->relist_mono_ms;
}

static void *watch_main(void *context)
{
	struct etcd_watch *watch = context;
	int pause_ms = PAUSE_FIRST_MS;
	while (!stopping(watch)) {
		bool fine = sync_all(watch);
		int64_t before = watch->revision;
		if (fine)
			fine = follow(watch);
		if (fine || watch->revision != before)
			pause_ms = PAUSE_FIRST_MS;
		if (fine)
			continue;
		watch_pause(watch, pause_ms);
		pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
	}
	return NULL;
}

/* --- life --- */

static void watch_release(struct etcd_watch *watch)
{
	buf_release(&watch->line);
	etcd_item_release(&watch->item);
	arena_free(watch->arena);
	free(watch->prefix);
	pthread_cond_destroy(&watch->stopped);
	pthread_mutex_destroy(&watch->mutex);
	free(watch);
}

int etcd_watch_new(struct store *store, const char *prefix, const struct store_watch_ops *ops,
		   int64_t relist_ms, struct store_watch **ret_watch, struct err *err)
{
	struct etcd_watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return err_set(err, E_NOMEM, "no memory for a watch");
	watch->base.store = store;
	watch->ops = *ops;
	watch->relist_ms = relist_ms;
	pthread_mutex_init(&watch->mutex, NULL);
	clock_cond_init(&watch->stopped);
	buf_init(&watch->line, ETCD_LINE_MAX);
	etcd_item_init(&watch->item);
	watch->prefix = strdup(prefix);
	int rc = watch->prefix ? arena_new((size_t)4 * ETCD_LINE_MAX, &watch->arena, err)
		: err_set(err, E_NOMEM, "no memory for a watch");
	if (rc == 0 && pthread_create(&watch->thread, NULL, watch_main, watch) != 0)
		rc = err_set(err, E_NOMEM, "no thread for a watch");
	if (rc < 0) {
		watch_release(watch);
		return rc;
	}
	etcd_follow((struct store_etcd *)store, 1);
	*ret_watch = &watch->base;
	return 0;
}

void etcd_watch_free(struct store_watch *base)
{
	struct etcd_watch *watch = (struct etcd_watch *)base;
	pthread_mutex_lock(&watch->mutex);
	__atomic_store_n(&watch->stopping, 1, __ATOMIC_RELEASE);
	pthread_cond_signal(&watch->stopped);
	pthread_mutex_unlock(&watch->mutex);
	pthread_join(watch->thread, NULL);
	etcd_follow(etcd_of(watch), -1);
	watch_release(watch);
}
