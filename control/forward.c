/* forward.c - see forward.h. Invariants: a leader is known by its key's latest value only; no lock
 * is held during a call; at most `most` calls are under way, so that a leader that hangs leaves
 * threads for what is answered here. */
#include "common/defs.h"
#include "control/forward.h"

#include "common/fetch.h"
#include "common/json.h"
#include "common/log.h"
#include "control/caller.h"
#include "control/may.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	RELIST_MS = 60000, TIMEOUT_MS = 10000, MOST = 16, TARGET_MAX = 16 * 1024,
	HEADERS_MAX = 64 * 1024, HEADERS_OURS = 11, LEADER_ARENA = 64 * 1024, WAIT_MOST_MS = 30000
};

#define LEADERS "leader/"

struct known {
	int64_t listed;              /* the listing that named it last */
	bool is_led;
	struct leader leader;
};

struct forward {
	const char *replica;
	struct fetch *fetch;
	struct store_watch *watch;
	int most, timeout_ms;
	bool ca_given;
	_Atomic int under_way;
	pthread_mutex_t mutex;       /* guards what follows */
	struct known known[PARTS_MAX];
};

/* --- who leads --- */

int leader_print(const char *replica, const char *url, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(LEADER_ARENA, &arena, err));
	struct value *value = value_map(arena);
	value_set_str(value, "replica", replica);
	value_set_str(value, "url", url);
	TRY(value_check(value, err));
	json_print(value, out);
	return buf_check(out, err);
}

/* A value that is none of ours is a leader without an address. */
static void leader_read(const struct store_item *item, struct leader *ret_leader)
{
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	*ret_leader = (struct leader){ .url = "" };
	if (arena_new(LEADER_ARENA, &arena, NULL) < 0 ||
	    json_parse(arena, (const char *)item->value, item->value_len, &value, NULL) < 0)
		return;
	const char *replica = value_get_str(value, "replica"), *url = value_get_str(value, "url");
	snprintf(ret_leader->replica, sizeof ret_leader->replica, "%s", replica ? replica : "");
	if (url && strlen(url) < sizeof ret_leader->url)
		memcpy(ret_leader->url, url, strlen(url) + 1);
}

/* "leader/N"; -1: no part's. */
static int part_index(const char *key)
{
	const char *digits = key + strlen(LEADERS);
	size_t len = strspn(digits, "0123456789");
	int index = len && len < 3 && !digits[len] ? atoi(digits) : -1;
	return index < PARTS_MAX ? index : -1;
}

/* Logged when it changes, not with every request that it concerns. leader NULL: nobody. */
static void note(struct forward *forward, int part, const struct leader *leader, int64_t listed)
{
	pthread_mutex_lock(&forward->mutex);
	struct known *known = &forward->known[part];
	bool news = known->is_led != (leader != NULL) ||
		(leader && memcmp(&known->leader, leader, sizeof *leader) != 0);
	known->is_led = leader != NULL;
	if (leader)
		known->leader = *leader;
	if (listed)
		known->listed = listed;
	pthread_mutex_unlock(&forward->mutex);
	if (news && leader)
		log_info(NULL, "leader_known", "shard=%d replica=%s url=%s", part, leader->replica,
		         leader->url);
	else if (news)
		log_warn(NULL, "leader_unknown", "shard=%d", part);
}

static void on_event(void *context, const struct store_event *event)
{
	struct leader leader;
	int part = part_index(event->item.key);
	if (part < 0)
		return;
	if (!event->deleted)
		leader_read(&event->item, &leader);
	note(context, part, event->deleted ? NULL : &leader, 0);
}

static void on_sync(void *context, const struct store_item *item, int64_t revision)
{
	struct forward *forward = context;
	struct leader leader;
	int part = item ? part_index(item->key) : -1;
	if (part >= 0) {
		leader_read(item, &leader);
		note(forward, part, &leader, revision);
	}
	for (part = 0; !item && part < PARTS_MAX; part++) {
		pthread_mutex_lock(&forward->mutex);
		bool gone = forward->known[part].is_led && forward->known[part].listed != revision;
		pthread_mutex_unlock(&forward->mutex);
		if (gone)
			note(forward, part, NULL, revision);
	}
}

bool forward_leader(struct forward *forward, int part, struct leader *ret_leader)
{
	pthread_mutex_lock(&forward->mutex);
	bool is_led = forward->known[part].is_led;
	if (is_led)
		*ret_leader = forward->known[part].leader;
	pthread_mutex_unlock(&forward->mutex);
	return is_led;
}

/* --- life --- */

int forward_new(const struct forward_conf *conf, struct forward **ret_forward, struct err *err)
{
	struct forward *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory to pass requests on");
	pthread_mutex_init(&made->mutex, NULL);
	made->replica = conf->replica;
	made->ca_given = conf->ca_file && conf->ca_file[0];
	made->most = conf->most ? conf->most : MOST;
	made->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	AUTO(forward) *forward = made;
	const struct fetch_conf fetch = { .ca_file = conf->ca_file,
	                                  .connections_max = made->most };
	const struct store_watch_ops ops = { .event = on_event, .sync = on_sync, .context = made };
	TRY(fetch_new(&fetch, &forward->fetch, err));
	TRY(store_watch_new(conf->store, LEADERS, &ops, RELIST_MS, &forward->watch, err));
	*ret_forward = MOVE(forward);
	return 0;
}

void forward_free(struct forward *forward)
{
	if (!forward)
		return;
	store_watch_free(forward->watch);
	fetch_free(forward->fetch);
	pthread_mutex_destroy(&forward->mutex);
	free(forward);
}

/* --- what is asked --- */

static void put_encoded(struct buf *out, const char *text, const char *also)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text) || strchr(also, *text))
			buf_putc(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)*text);
}

struct way {
	struct buf *out;
	bool held;                   /* it may wait there */
	char sep;
};

static void put_query(void *context, const char *name, const char *value)
{
	struct way *way = context;
	if (!way->held && strcmp(name, "waitMs") == 0)
		return;
	buf_putc(way->out, way->sep);
	put_encoded(way->out, name, "");
	buf_putc(way->out, '=');
	put_encoded(way->out, value, "");
	way->sep = '&';
}

static int put_target(const struct leader *leader, const struct request *request, bool held,
                      struct buf *out, struct err *err)
{
	const struct ask *ask = request->ask;
	struct way way = { out, held, '?' };
	buf_puts(out, leader->url);
	put_encoded(out, ask->path, "/");
	if (ask->queries)
		TRY(ask->queries(ask->source, put_query, &way, err));
	return buf_check(out, err);
}

/* At most HEADERS_OURS with the NULL at the end. */
static int headers_of(const struct forward *forward, struct control *control,
                      const struct request *request,
                      const char *ret_headers[HEADERS_OURS], struct err *err)
{
	static const char *const names[] = { "Authorization", "Content-Type", "Accept",
		                             "Idempotency-Key", "If-Match", "If-None-Match",
		                             PURPOSE_HEADER };
	const char *caller = NULL;
	int count = 0, own;
	TRY(caller_print(control, request, &caller, err));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = request_header(request, names[i]);
		if (value)
			ret_headers[count++] = arena_printf(request->arena, "%s: %s", names[i],
			                                    value);
		if (value && !ret_headers[count - 1])
			return err_set(err, E_NOMEM, "no memory to pass a request on");
	}
	own = count;
	ret_headers[count++] = arena_printf(request->arena, FORWARDED_HEADER ": %s",
	                                    forward->replica);
	if (caller)
		ret_headers[count++] = arena_printf(request->arena, CALLER_HEADER ": %s", caller);
	if (!ret_headers[count - 1] || !ret_headers[own])
		return err_set(err, E_NOMEM, "no memory to pass a request on");
	ret_headers[count] = NULL;
	return 0;
}

/* --- what is answered --- */

/* A header's value, in the arena; NULL: absent. */
static const char *header_of(struct arena *arena, const struct buf *headers, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = (const char *)headers->data; at && *at;) {
		size_t line = strcspn(at, "\r\n");
		if (line > len && strncasecmp(at, name, len) == 0 && at[len] == ':') {
			size_t skip = len + 1 + strspn(at + len + 1, " \t");
			return arena_strndup(arena, at + skip, line > skip ? line - skip : 0);
		}
		at += line + strspn(at + line, "\r\n");
	}
	return NULL;
}

static void fill_reply(struct request *request, int status, const struct buf *headers)
{
	struct reply *reply = request->reply;
	struct arena *arena = request->arena;
	const char *id = header_of(arena, headers, "X-Request-Id");
	const char *retry = header_of(arena, headers, "Retry-After");
	const char *revision = header_of(arena, headers, REVISION_HEADER);
	reply->status = status;
	reply->content_type = header_of(arena, headers, "Content-Type");
	reply->etag = header_of(arena, headers, "ETag");
	reply->location = header_of(arena, headers, "Location");
	reply->allow = header_of(arena, headers, "Allow");
	reply->retry_after_s = retry ? atoi(retry) : 0;
	reply->revision = revision ? strtoll(revision, NULL, 10) : 0;
	if (id && strlen(id) < sizeof reply->request_id)
		memcpy(reply->request_id, id, strlen(id) + 1);
}

/* --- the way there --- */

static int find_leader(struct forward *forward, const struct part *part,
                       struct leader *ret_leader, struct err *err)
{
	if (!forward_leader(forward, part->index, ret_leader))
		return err_set(err, E_UNAVAILABLE, "no replica leads shard %d at the moment; ask "
		               "again in a second", part->index);
	if (strcmp(ret_leader->replica, forward->replica) == 0)
		return err_set(err, E_NOT_LEADER, "the replica %s is about to lead shard %d; ask "
		               "again in a second", forward->replica, part->index);
	if (!ret_leader->url[0])
		return err_set(err, E_NOT_LEADER, "the replica %s does not lead shard %d, and does "
		               "not know where %s listens; ask that one, or start it with "
		               "--advertise-url", forward->replica, part->index,
		               ret_leader->replica);
	return 0;
}

static int call_leader(struct forward *forward, const struct fetch_call *call, int *ret_status,
                       struct buf *ret_body, struct buf *ret_headers, struct err *err)
{
	if (atomic_fetch_add(&forward->under_way, 1) >= forward->most) {
		atomic_fetch_sub(&forward->under_way, 1);
		return err_set(err, E_UNAVAILABLE, "%d requests wait for another replica already, "
		               "which is the most that may; ask again in a second",
		               forward->most);
	}
	int code = fetch_call(forward->fetch, call, ret_status, ret_body, ret_headers, err);
	atomic_fetch_sub(&forward->under_way, 1);
	return code;
}

/* A read that got no answer has changed nothing. */
static int explain(const struct forward *forward, const struct request *request,
                   const char *url, int code, struct err *err)
{
	bool reads = strcmp(request->route->method, "GET") == 0;
	if (code == E_UNKNOWN_OUTCOME && reads)
		return err_set(err, E_UNAVAILABLE, "the replica that leads gave no answer; ask "
		               "again");
	if (code == E_UNKNOWN_OUTCOME)
		return err_set(err, E_UNKNOWN_OUTCOME, "the replica that leads gave no answer; "
		               "read what became of it before you repeat it");
	if (code == E_UNAVAILABLE && !forward->ca_given && strncmp(url, "https:", 6) == 0)
		return err_prefix(err, "the replica that leads (without --peer-ca-file only the "
		                  "system's authorities are trusted)");
	if (code == E_UNAVAILABLE)
		return err_prefix(err, "the replica that leads");
	return code;
}

static int64_t wait_of(const struct request *request)
{
	int64_t wait_ms = 0;
	return request_number(request, "waitMs", 0, WAIT_MOST_MS, 0, &wait_ms, NULL) < 0 ? 0
	                                                                               : wait_ms;
}

static int call_for(struct forward *forward, const struct part *part,
                    const struct leader *leader, struct request *request, bool held,
                    struct err *err)
{
	AUTO_BUF url, headers;
	const char *lines[HEADERS_OURS];
	int status = 0;
	buf_init(&url, TARGET_MAX);
	buf_init(&headers, HEADERS_MAX);
	TRY(put_target(leader, request, held, &url, err));
	TRY(headers_of(forward, part->control, request, lines, err));
	const struct fetch_call call = {
		.method = request->ask->method, .url = (char *)url.data, .headers = lines,
		.body = request->ask->body_len ? request->ask->body : NULL,
		.body_len = request->ask->body_len,
		.timeout_ms = forward->timeout_ms + (held ? (int)wait_of(request) : 0),
	};
	buf_clear(&request->reply->body);
	int code = call_leader(forward, &call, &status, &request->reply->body, &headers, err);
	if (code == 0)
		code = buf_check(&headers, err);
	if (code < 0)
		return explain(forward, request, call.url, code, err);
	fill_reply(request, status, &headers);
	return 0;
}

int forward_request(struct forward *forward, const struct part *part, struct request *request,
                    struct err *err)
{
	struct control *control = part->control;
	struct leader leader;
	if (request_header(request, FORWARDED_HEADER))
		return err_set(err, E_NOT_LEADER, "the replica %s does not lead shard %d, and this "
		               "request was passed on to it already; ask again in a second",
		               forward->replica, part->index);
	TRY(find_leader(forward, part, &leader, err));
	/* A held request takes a thread here as well as there: only so many may be held. */
	if (wait_of(request) == 0)
		return call_for(forward, part, &leader, request, false, err);
	bool held = atomic_fetch_add(&control->held, 1) < control->held_max;
	int code = call_for(forward, part, &leader, request, held, err);
	atomic_fetch_sub(&control->held, 1);
	return code;
}

int forward_refer(struct forward *forward, const struct part *part, struct request *request,
                  struct err *err)
{
	AUTO_BUF url;
	struct leader leader;
	buf_init(&url, TARGET_MAX);
	TRY(find_leader(forward, part, &leader, err));
	TRY(put_target(&leader, request, true, &url, err));
	request->reply->location = arena_strdup(request->arena, (char *)url.data);
	request->reply->status = 307;
	return request->reply->location ? 0 : err_set(err, E_NOMEM, "no memory for an address");
}

int forward_get(struct forward *forward, const struct part *part, const struct request *request,
                const char *target, struct value **ret_body, struct err *err)
{
	AUTO_BUF body;
	struct leader leader;
	const char *lines[HEADERS_OURS];
	int status = 0;
	buf_init(&body, 16 * MIB);
	TRY(find_leader(forward, part, &leader, err));
	TRY(headers_of(forward, part->control, request, lines, err));
	const char *url = arena_printf(request->arena, "%s%s", leader.url, target);
	if (!url)
		return err_set(err, E_NOMEM, "no memory to ask another replica");
	const struct fetch_call call = { .method = "GET", .url = url, .headers = lines,
	                                 .timeout_ms = forward->timeout_ms };
	int code = call_leader(forward, &call, &status, &body, NULL, err);
	if (code < 0)
		return explain(forward, request, call.url, code, err);
	TRY(buf_check(&body, err));
	if (status != 200)
		return err_set(err, E_UNAVAILABLE, "the leader of shard %d answered with %d; ask "
		               "again", part->index, status);
	return json_parse(request->arena, (char *)body.data, body.len, ret_body, err);
}
