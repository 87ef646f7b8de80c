/* store_etcd_lead.c - a campaign: read the key; when it is free, take a lease and create the key
 * with it; keep the lease alive and the key in sight; otherwise wait.
 *
 * It leads from when the key was created until `sure_mono_ms`, which is counted from before the
 * lease was last asked for: etcd's own count starts later, so it never ends earlier. A key that
 * holds our id but not our lease is an earlier process's and is waited out like anyone's. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 250, RETRY_MS = 100, REVOKE_MS = 1000, DRIFT_PART = 10 };

struct etcd_lead {
	struct store_lead base;
	char *key, *id;
	int64_t ttl_ms;
	store_lead_fn *change;
	void *context;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stopped;
	bool stopping;             /* by mutex */
	/* The thread's own: */
	int64_t leading;           /* the key's create revision; 0: it does not lead */
	int64_t lease;             /* 0: none */
	int64_t sure_mono_ms;      /* until then the lease cannot have run out */
	int64_t alive_mono_ms;     /* when to keep it alive next */
};

static struct store_etcd *etcd_of(const struct etcd_lead *lead)
{
	return (struct store_etcd *)lead->base.store;
}

static int64_t now_ms(const struct etcd_lead *lead)
{
	return clock_mono_ms(etcd_of(lead)->clock);
}

/* False when it is to stop. */
static bool lead_wait(struct etcd_lead *lead, int64_t until_mono_ms)
{
	struct clock *clock = etcd_of(lead)->clock;
	pthread_mutex_lock(&lead->mutex);
	while (!lead->stopping && clock_wait(clock, &lead->stopped, &lead->mutex, until_mono_ms))
		;
	bool go_on = !lead->stopping;
	pthread_mutex_unlock(&lead->mutex);
	return go_on;
}

/* A call may take a third of the lease, and no longer than the lead is sure. */
static int64_t call_deadline(const struct etcd_lead *lead)
{
	int64_t deadline = now_ms(lead) + lead->ttl_ms / 3;
	return lead->leading && lead->sure_mono_ms < deadline ? lead->sure_mono_ms : deadline;
}

/* Body: {"ID":"lease"} and more. */
static int lease_call(struct etcd_lead *lead, const char *path, int64_t ttl_s, int64_t deadline_ms,
		      struct etcd_answer *ret_answer, struct err *err)
{
	AUTO_BUF body;
	buf_init(&body, KIB);
	buf_printf(&body, "{\"ID\":\"%" PRId64 "\"", lead->lease);
	if (ttl_s)
		buf_printf(&body, ",\"TTL\":\"%" PRId64 "\"", ttl_s);
	buf_puts(&body, "}");
	TRY(buf_check(&body, err));
	struct etcd_call call = {
		.path = path, .body = &body, .deadline_mono_ms = deadline_ms, .repeatable = true,
	};
	return etcd_call(etcd_of(lead), &call, ret_answer, err);
}

static int lease_grant(struct etcd_lead *lead, struct err *err)
{
	AUTO_ETCD_ANSWER answer = { 0 };
	int64_t ttl_s = lead->ttl_ms / 1000, got_s = 0, id = 0, asked_ms = now_ms(lead);
	lead->lease = 0;
	TRY(lease_call(lead, "/v3/lease/grant", ttl_s, call_deadline(lead), &answer, err));
	TRY(etcd_int(answer.root, "ID", &id, err));
	TRY(etcd_int(answer.root, "TTL", &got_s, err));
	lead->lease = id;          /* so that it is revoked even if it is refused below */
	if (id == 0 || got_s < ttl_s)
		return err_set(err, E_CORRUPT, "etcd granted a lease of %" PRId64 " s instead of "
			       "%" PRId64, got_s, ttl_s);
	lead->sure_mono_ms = asked_ms + lead->ttl_ms - lead->ttl_ms / DRIFT_PART;
	lead->alive_mono_ms = asked_ms + lead->ttl_ms / 3;
	return 0;
}

/* Best effort: what is not revoked runs out. */
static void lease_revoke(struct etcd_lead *lead)
{
	AUTO_ETCD_ANSWER answer = { 0 };
	struct err ignored = { 0 };
	if (lead->lease)
		(void)!lease_call(lead, "/v3/lease/revoke", 0, now_ms(lead) + REVOKE_MS, &answer,
				  &ignored);
	lead->lease = 0;
}

/* E_NOT_FOUND: the lease is gone. */
static int lease_keep(struct etcd_lead *lead, struct err *err)
{
	AUTO_ETCD_ANSWER answer = { 0 };
	int64_t ttl_s = 0, asked_ms = now_ms(lead);
	TRY(lease_call(lead, "/v3/lease/keepalive", 0, call_deadline(lead), &answer, err));
	TRY(etcd_int(value_get(answer.root, "result"), "TTL", &ttl_s, err));
	if (ttl_s <= 0)
		return err_set(err, E_NOT_FOUND, "the leader's lease has run out");
	int64_t ttl_ms = ttl_s * 1000 < lead->ttl_ms ? ttl_s * 1000 : lead->ttl_ms;
	lead->sure_mono_ms = asked_ms + ttl_ms - ttl_ms / DRIFT_PART;
	lead->alive_mono_ms = asked_ms + ttl_ms / 3;
	return 0;
}

static int key_read(struct etcd_lead *lead, int64_t deadline_ms, int64_t *ret_create,
		    int64_t *ret_lease, struct err *err)
{
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	bool found = false;
	TRY(etcd_read(etcd_of(lead), lead->key, 0, deadline_ms, &item, &found, err));
	*ret_create = found ? item.item.create_revision : 0;
	*ret_lease = found ? item.lease : 0;
	return 0;
}

static int print_create(const struct etcd_lead *lead, struct buf *body, struct err *err)
{
	struct store_etcd *etcd = etcd_of(lead);
	buf_puts(body, "{\"compare\":[{\"result\":\"EQUAL\",\"target\":\"CREATE\",");
	etcd_print_key(body, etcd, "key", lead->key);
	buf_puts(body, ",\"create_revision\":\"0\"}],\"success\":[{\"request_put\":{");
	etcd_print_key(body, etcd, "key", lead->key);
	buf_puts(body, ",\"value\":\"");
	base64_print(lead->id, strlen(lead->id), body);
	buf_printf(body, "\",\"lease\":\"%" PRId64 "\"}}]}", lead->lease);
	return buf_check(body, err);
}

/* *ret_create stays 0 when another was first. A lost answer is resolved by whose lease holds it. */
static int key_create(struct etcd_lead *lead, int64_t *ret_create, struct err *err)
{
	AUTO_BUF body;
	AUTO_ETCD_ANSWER answer = { 0 };
	buf_init(&body, 8 * KIB);
	TRY(print_create(lead, &body, err));
	struct etcd_call call = {
		.path = "/v3/kv/txn", .body = &body, .deadline_mono_ms = call_deadline(lead),
	};
	int rc = etcd_call(etcd_of(lead), &call, &answer, err);
	if (rc == 0 && value_get_bool(answer.root, "succeeded", false))
		*ret_create = answer.revision;
	if (rc != E_UNKNOWN_OUTCOME)
		return rc;
	int64_t create = 0, lease = 0;
	TRY(key_read(lead, call_deadline(lead), &create, &lease, err));
	if (lease == lead->lease)
		*ret_create = create;
	return 0;
}

static void campaign(struct etcd_lead *lead)
{
	struct err err = { 0 };
	int64_t create = 0, lease = 0, look_ms = now_ms(lead) + LOOK_MS;
	bool free = key_read(lead, call_deadline(lead), &create, &lease, &err) == 0 && create == 0;
	if (free && lease_grant(lead, &err) == 0 && key_create(lead, &create, &err) == 0 &&
	    create != 0 && now_ms(lead) < lead->sure_mono_ms) {
		lead->leading = create;
		lead->change(lead->context, create);
		return;
	}
	lease_revoke(lead);
	lead_wait(lead, look_ms);
}

static void step_down(struct etcd_lead *lead)
{
	lead->leading = 0;
	lead->change(lead->context, 0);
	lease_revoke(lead);
}

/* False: it may lead no longer. */
static bool still_leads(struct etcd_lead *lead)
{
	struct err err = { 0 };
	int64_t create = 0, lease = 0;
	if (now_ms(lead) >= lead->alive_mono_ms) {
		int rc = lease_keep(lead, &err);
		if (rc == E_NOT_FOUND)
			return false;
		if (rc < 0)
			lead->alive_mono_ms = now_ms(lead) + RETRY_MS;
	}
	int rc = key_read(lead, call_deadline(lead), &create, &lease, &err);
	return (rc < 0 || create == lead->leading) && now_ms(lead) < lead->sure_mono_ms;
}

/* While it leads: looks at the key now and then, keeps the lease alive. */
static void hold(struct etcd_lead *lead)
{
	int64_t wake_ms = now_ms(lead) + 2 * LOOK_MS;
	if (lead->alive_mono_ms < wake_ms)
		wake_ms = lead->alive_mono_ms;
	if (lead->sure_mono_ms < wake_ms)
		wake_ms = lead->sure_mono_ms;
	if (lead_wait(lead, wake_ms) && !still_leads(lead))
		step_down(lead);
}

static void *lead_main(void *context)
{
	struct etcd_lead *lead = context;
	while (lead_wait(lead, 0)) {
		if (lead->leading)
			hold(lead);
		else
			campaign(lead);
	}
	if (lead->leading)
		step_down(lead);
	return NULL;
}

/* --- life --- */

static void lead_release(struct etcd_lead *lead)
{
	free(lead->key);
	free(lead->id);
	pthread_cond_destroy(&lead->stopped);
	pthread_mutex_destroy(&lead->mutex);
	free(lead);
}

int etcd_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
		  store_lead_fn *change, void *context, struct store_lead **ret_lead,
		  struct err *err)
{
	struct etcd_lead *lead = calloc(1, sizeof *lead);
	if (!lead)
		return err_set(err, E_NOMEM, "no memory for a campaign");
	pthread_mutex_init(&lead->mutex, NULL);
	clock_cond_init(&lead->stopped);
	lead->base.store = store;
	lead->key = strdup(key);
	lead->id = strdup(id);
	lead->ttl_ms = (int64_t)ttl_s * 1000;
	lead->change = change;
	lead->context = context;
	if (!lead->key || !lead->id || pthread_create(&lead->thread, NULL, lead_main, lead) != 0) {
		lead_release(lead);
		return err_set(err, E_NOMEM, "no memory or thread for a campaign");
	}
	etcd_follow((struct store_etcd *)store, 1);
	*ret_lead = &lead->base;
	return 0;
}

void etcd_lead_free(struct store_lead *base)
{
	struct etcd_lead *lead = (struct etcd_lead *)base;
	pthread_mutex_lock(&lead->mutex);
	lead->stopping = true;
	pthread_cond_signal(&lead->stopped);
	pthread_mutex_unlock(&lead->mutex);
	pthread_join(lead->thread, NULL);
	etcd_follow(etcd_of(lead), -1);
	lead_release(lead);
}
