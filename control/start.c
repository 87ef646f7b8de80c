/* start.c - the order in which the parts of a control plane come and go. */
#include "common/defs.h"
#include "control/policies.h"
#include "control/start.h"

#include "common/log.h"
#include "control/admit.h"
#include "control/auditstore.h"
#include "control/backups.h"
#include "control/bindings.h"
#include "control/dispatch.h"
#include "control/events.h"
#include "control/forward.h"
#include "control/intents.h"
#include "control/keys.h"
#include "control/keyuse.h"
#include "control/late.h"
#include "control/refusals.h"
#include "control/logins.h"
#include "control/metrics.h"
#include "control/revoked.h"
#include "control/nodes.h"
#include "control/schedule.h"
#include "control/shard_interval.h"
#include "control/shard_emit.h"
#include "control/sharing.h"
#include "control/tagging.h"
#include "control/tenancy.h"
#include "control/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what a resource's change means to the rest --- */

/* "r/KIND/REST" is of a kind; ret_rest gets REST. */
static bool is_kind(const char *key, enum kind kind, const char **ret_rest)
{
	const char *name = kind_info[kind].name;
	size_t len = strlen(name);
	if (strncmp(key, "r/", 2) != 0 || strncmp(key + 2, name, len) != 0 || key[2 + len] != '/')
		return false;
	*ret_rest = key + 2 + len + 1;
	return true;
}

/* Of kind Quota, or Share. */
static void due_changed(struct control *control, enum kind kind, const char *rest,
                        const struct value *value)
{
	char tenant[64];
	struct err err = { 0 };
	size_t len = strcspn(rest, "/");
	if (!rest[len] || len >= sizeof tenant)
		return;
	memcpy(tenant, rest, len);
	tenant[len] = 0;
	struct part *part = part_of(control, tenant);
	const struct value *spec = value_get(value, "spec");
	int rc = kind == KIND_QUOTA
		? shard_quota(part->shard, tenant, rest + len + 1, spec, &err)
		: shard_share(part->shard, tenant, rest + len + 1, spec, &err);
	if (rc < 0) {
		const struct log_context context = { .tenant = tenant };
		log_error(&context, "not_applied", "kind=%s name=%s reason=\"%s\"",
		          kind_info[kind].name, rest + len + 1, err.text);
	}
	dispatch_wake(part->dispatch);
}

static void access_changed(struct control *control, const char *rest)
{
	char tenant[64];
	size_t len = strcspn(rest, "/");
	if (len >= sizeof tenant)
		return;
	memcpy(tenant, rest, len);
	tenant[len] = 0;
	dispatch_drop_access(part_of(control, tenant)->dispatch, tenant);
}

static void drop_reader(void *context, const char *tenant)
{
	struct control *control = context;
	dispatch_drop_access(part_of(control, tenant)->dispatch, tenant);
}

/* An offer, or the state of the tenant that made it: who accepted one reads no more on the strength
 * of an old grant. Only leaders have given any. */
static void provider_changed(struct control *control, const char *rest)
{
	char tenant[64];
	bool leads = false;
	snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(rest, "/"), rest);
	for (int i = 0; i < control->part_count; i++)
		leads |= part_leads(&control->parts[i]);
	if (leads)
		sharing_readers(control, tenant, drop_reader, control);
}

/* A dataset or view of a destroyed key: attempts of other tenants that read its tenant's data by an
 * agreement are handed back, to be planned by what is left. Its own end (keys_forget). */
static void lent_changed(struct control *control, const char *rest, const struct value *value)
{
	char tenant[64];
	if (!keys_destroyed(value))
		return;
	snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(rest, "/"), rest);
	for (int i = 0; i < control->part_count; i++)
		if (part_leads(&control->parts[i]))
			dispatch_seal(control->parts[i].dispatch, tenant);
}

static void worker_changed(struct control *control, const char *name)
{
	for (int i = 0; i < control->part_count; i++)
		dispatch_policy(control->parts[i].dispatch, name);
}

/* "r/node/NAME", and the authority that signs their certificates. */
static void node_changed(struct control *control, const char *key)
{
	if (strncmp(key, "r/authority/", 12) == 0)
		nodes_authority_made(control->nodes);
	if (strncmp(key, "r/node/", 7) != 0)
		return;
	nodes_changed(control->nodes, key + 7);
	for (int i = 0; i < control->part_count; i++)
		dispatch_node(control->parts[i].dispatch, key + 7);
}

static void rates_changed(struct control *control, const struct value *value)
{
	for (int i = 0; i < control->part_count; i++)
		shard_rates(control->parts[i].shard, value_get(value, "spec"));
}

/* "r/schedule/TENANT/...", "r/backfill/TENANT/..." and "r/head/TENANT/...". */
static void schedule_changed(struct control *control, const char *key)
{
	char tenant[64];
	const char *from = strncmp(key, "r/", 2) == 0 ? strchr(key + 2, '/') : NULL;
	size_t len = from ? strcspn(from + 1, "/") : 0;
	if (!from || len >= sizeof tenant)
		return;
	memcpy(tenant, from + 1, len);
	tenant[len] = 0;
	schedules_changed(part_of(control, tenant)->schedules, key);
}

static void identity_changed(struct control *control, const char *key)
{
	const char *rest = NULL;
	if (strncmp(key, "r/tokenkey/", strlen("r/tokenkey/")) == 0)
		tokens_changed(control->tokens);
	if (!is_kind(key, KIND_IDENTITYPROVIDER, &rest))
		return;
	logins_changed(control->logins);
	access_changed(control, rest);
}

/* Who may read what: online grants that rest on it are dropped. */
static void rights_changed(struct control *control, const char *key)
{
	static const enum kind access[] = { KIND_PRINCIPAL, KIND_GROUP, KIND_ROLEBINDING,
	                                    KIND_DOMAIN, KIND_FEATUREVIEW, KIND_ENTITY,
	                                    KIND_ACCEPTANCE };
	static const enum kind provider[] = { KIND_OFFER, KIND_TENANT, KIND_FEATUREVIEW,
	                                      KIND_ENTITY, KIND_POLICY };
	const char *rest = NULL;
	for (size_t i = 0; i < ARRAY_LEN(access); i++)
		if (is_kind(key, access[i], &rest))
			access_changed(control, rest);
	for (size_t i = 0; i < ARRAY_LEN(provider); i++)
		if (is_kind(key, provider[i], &rest))
			provider_changed(control, rest);
	if (is_kind(key, KIND_POLICY, &rest))
		policies_tenants(control->policies, rest, drop_reader, control);
}

static bool has_policies(struct control *control, const char *tenant)
{
	char prefix[STORE_KEY_MAX];
	snprintf(prefix, sizeof prefix, "r/policy/%s/", tenant);
	return catalog_has_prefix(control->catalog, prefix) ||
	       catalog_has_prefix(control->catalog, "r/policy/platform/");
}

static bool has_purposes(const struct value *resource)
{
	return value_len(value_get(value_get(resource, "spec"), "purposes")) > 0;
}

/* Tags that derived data inherits are asked for anew: by who reads it, here and in other tenants;
 * and so is what it may be read for. */
static void tags_changed(struct control *control, const char *key, const struct value *value)
{
	static const char *const prefixes[] = { "r/dataset/", "r/lineage/", "r/lift/" };
	char tenant[64];
	(void)tagging_changed(control->tagging, key);
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i]);
		if (strncmp(key, prefixes[i], len) != 0)
			continue;
		snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(key + len, "/"), key + len);
		if (has_policies(control, tenant) || has_purposes(value))
			access_changed(control, key + len);
		if (catalog_has_prefix(control->catalog, "r/acceptance/"))
			provider_changed(control, key + len);
	}
}

static void on_change(void *context, const char *key, const struct value *value)
{
	struct control *control = context;
	const char *rest = NULL;
	bindings_changed(control->bindings, key, value);
	policies_changed(control->policies, key);
	tags_changed(control, key, value);
	if (is_kind(key, KIND_QUOTA, &rest))
		due_changed(control, KIND_QUOTA, rest, value);
	if (is_kind(key, KIND_SHARE, &rest))
		due_changed(control, KIND_SHARE, rest, value);
	if (is_kind(key, KIND_RATECARD, &rest) && strcmp(rest, "default") == 0)
		rates_changed(control, value);
	if (is_kind(key, KIND_TENANT, &rest))
		tenancy_changed(control, rest, value);
	if (is_kind(key, KIND_DATASET, &rest) || is_kind(key, KIND_FEATUREVIEW, &rest))
		lent_changed(control, rest, value);
	if (strncmp(key, "r/key/", 6) == 0 && !value)
		keyring_forget(control->keyring, key + 6);
	if (is_kind(key, KIND_WORKER, &rest))
		worker_changed(control, rest);
	rights_changed(control, key);
	node_changed(control, key);
	if (strncmp(key, "r/key/", 6) == 0)      /* replaced or destroyed, by any replica */
		keyring_forget(control->keyring, key + 6);
	identity_changed(control, key);
	schedule_changed(control, key);
	late_changed(control, key, value);
}

/* --- the journal's --- */

static void on_record(void *context, const struct value *record)
{
	struct part *part = context;
	shard_record(part->shard, record);
	if (shard_interval_moved(part->shard))
		schedules_wake(part->schedules);
}

static void on_resource(void *context, const char *key, const struct value *value,
                        int64_t revision)
{
	struct part *part = context;
	catalog_apply(part->control->catalog, key, value, revision);
}

/* --- for checkpoints --- */

static int on_hold(void *context, struct err *err)
{
	struct part *part = context;
	return shard_hold(part->shard, err);
}

static int on_emit(void *context, emit_fn *emit, void *emit_context, struct err *err)
{
	struct part *part = context;
	return shard_emit(part->shard, emit, emit_context, err);
}

static void on_let_go(void *context)
{
	struct part *part = context;
	shard_let_go(part->shard);
}

/* In the journal's thread. */
static void on_lost(void *context)
{
	struct part *part = context;
	lead_look(part->lead);
}

/* --- life --- */

static int make_signer(struct control *control, struct err *err)
{
	AUTO(secret) *secret_key = NULL;
	TRY(secret_new(SIGN_SECRET_BYTES, &secret_key, err));
	keyring_signing_pair(control->keyring, control->signer_public, secret_data(secret_key));
	TRY(secret_new(BOX_SECRET_BYTES, &control->link_secret, err));
	sign_to_box_secret(secret_bytes(secret_key), secret_data(control->link_secret));
	return grant_signer_new(secret_bytes(secret_key), &control->signer, err);
}

static int make_journal(struct part *part, const struct start_conf *conf, struct err *err)
{
	const struct journal_conf journal = {
		.store = conf->store, .clock = conf->clock,
		.state_key = keyring_state_key(conf->keyring), .leader_key = part->leader_key,
		.prefix = part->journal_prefix, .window_ms = conf->journal_window_ms,
		.checkpoint_prefix = part->checkpoint_prefix,
		.checkpoint_ms = (int64_t)conf->checkpoint_interval_s * 1000,
		.checkpoint_bytes = (size_t)conf->checkpoint_bytes,
		.ops = {
			.record = on_record, .resource = on_resource, .lost = on_lost,
			.context = part, .hold = on_hold, .emit = on_emit, .let_go = on_let_go,
		},
	};
	if (conf->checkpoint_interval_s < 0 || conf->checkpoint_bytes < 0)
		return err_set(err, E_INVALID, "--checkpoint-interval-s and --checkpoint-mib may "
		               "not be negative");
	return journal_new(&journal, &part->journal, err);
}

static int make_parts(struct control *control, const struct start_conf *conf, struct err *err)
{
	int count = conf->shards ? conf->shards : 1;
	if (count < 1 || count > PARTS_MAX)
		return err_set(err, E_INVALID, "--shards is from 1 to %d, not %d", PARTS_MAX,
		               count);
	control->parts = calloc((size_t)count, sizeof *control->parts);
	if (!control->parts)
		return err_set(err, E_NOMEM, "no memory for %d shards", count);
	for (; control->part_count < count; control->part_count++) {
		struct part *part = &control->parts[control->part_count];
		part_init(part, control, control->part_count);
	}
	for (int i = 0; i < count; i++) {
		TRY(shard_new(conf->clock, &control->parts[i].shard, err));
		TRY(make_journal(&control->parts[i], conf, err));
	}
	return 0;
}

static int make_forward(struct control *control, const struct start_conf *conf, struct err *err)
{
	const struct forward_conf forward = {
		.store = conf->store, .replica = conf->replica, .ca_file = conf->peer_ca_file,
		.most = conf->forwards_max,
	};
	return forward_new(&forward, &control->forward, err);
}

static int start_parts(struct control *control, const struct start_conf *conf, struct err *err)
{
	for (int i = 0; i < control->part_count; i++)
		TRY(dispatch_new(&control->parts[i], &control->parts[i].dispatch, err));
	for (int i = 0; i < control->part_count; i++)
		TRY(schedules_new(&control->parts[i], &control->parts[i].schedules, err));
	catalog_on_change(control->catalog, on_change, control);
	TRY(catalog_follow(control->catalog, conf->store, err));
	TRY(make_forward(control, conf, err));
	for (int i = 0; i < control->part_count; i++) {
		TRY(lead_new(&control->parts[i], &conf->lead, &control->parts[i].lead, err));
		TRY(lead_start(control->parts[i].lead, err));
		TRY(archive_new(&control->parts[i], &conf->archive, &control->parts[i].archive,
		                err));
		TRY(erasures_new(&control->parts[i], &conf->erasure, &control->parts[i].erasures,
		                 err));
	}
	return 0;
}

static int make_events(struct control *control, const struct start_conf *conf, struct err *err)
{
	TRY(events_new(control, &conf->events, &control->events, err));
	for (int i = 0; i < control->part_count; i++)
		shard_set_board(control->parts[i].shard, events_board(control->events));
	return 0;
}

static int make_identity(struct control *control, const struct start_conf *conf, struct err *err)
{
	const struct keyuse_conf keyuse = {
		.clock = conf->clock, .store = conf->store, .catalog = control->catalog,
		.state_key = keyring_state_key(conf->keyring),
	};
	TRY(revoked_new(conf->store, &control->revoked, err));
	TRY(refusals_new(&control->refusals, err));
	TRY(tokens_new(conf->keyring, control->catalog, &control->tokens, err));
	const struct issuers_conf issuers = { .clock = conf->clock,
	                                      .loopback = conf->issuer_loopback,
	                                      .networks = conf->issuer_networks };
	TRY(logins_new(control->catalog, &issuers, &control->logins, err));
	return keyuse_new(&keyuse, &control->keyuse, err);
}

static int make_all(struct control *control, const struct start_conf *conf, struct err *err)
{
	TRY(intents_new(&control->intents, err));
	TRY(bindings_new(&control->bindings, err));
	TRY(metrics_new(route_count, &control->metrics, err));
	TRY(catalog_new(conf->clock, keyring_state_key(conf->keyring), &control->catalog, err));
	TRY(policies_new(control->catalog, &control->policies, err));
	TRY(tagging_new(&control->tagging, err));
	TRY(make_identity(control, conf, err));
	TRY(make_parts(control, conf, err));
	TRY(make_signer(control, err));
	TRY(nodes_new(control->catalog, control->link_secret, &control->nodes, err));
	TRY(backups_new(control, &control->backups, err));
	TRY(auditstore_older_new(control, &control->audit_older, err));
	TRY(make_events(control, conf, err));
	return start_parts(control, conf, err);
}

int control_new(const struct start_conf *conf, struct control **ret_control, struct err *err)
{
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return err_set(err, E_NOMEM, "no memory for the control plane");
	control->clock = conf->clock;
	control->store = conf->store;
	control->keyring = conf->keyring;
	control->era = conf->era;
	control->replica = conf->replica;
	control->held_max = conf->held_max;
	control->worker_silent_ms = conf->worker_silent_ms;
	control->nameless = conf->nameless;
	control->worker_links = conf->worker_links;
	control->link_ca_file = conf->link_ca_file;
	control->worker_cert_s = conf->worker_cert_s;
	control->erase_after_ms = conf->erase_after_ms;
	control->audit_days = conf->audit_days;
	int code = make_all(control, conf, err);
	if (code < 0)
		control_free(control);
	else
		*ret_control = control;
	return code;
}

static void stop_schedules(struct control *control)
{
	for (int i = 0; i < control->part_count; i++)
		if (control->parts[i].schedules)
			schedules_stop(control->parts[i].schedules);
}

void control_stop(struct control *control)
{
	stop_schedules(control);
	backups_stop(control->backups);
	if (control->events)
		events_stop(control->events);
	for (int i = 0; i < control->part_count; i++)
		if (control->parts[i].dispatch)
			dispatch_stop(control->parts[i].dispatch);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	struct catalog *catalog = control->catalog;
	stop_schedules(control);
	backups_free(MOVE(control->backups));
	if (control->events)
		events_stop(control->events);
	for (int i = 0; i < control->part_count; i++)
		if (control->parts[i].lead)
			lead_stop(control->parts[i].lead);
	for (int i = 0; i < control->part_count; i++) {
		archive_free(MOVE(control->parts[i].archive));
		erasures_free(MOVE(control->parts[i].erasures));
	}
	forward_free(control->forward);
	if (catalog)
		catalog_unfollow(catalog);
	for (int i = 0; i < control->part_count; i++)
		dispatch_free(MOVE(control->parts[i].dispatch));
	grant_signer_free(control->signer);
	nodes_free(control->nodes);
	secret_free(control->link_secret);
	for (int i = 0; i < control->part_count; i++) {
		journal_free(control->parts[i].journal);
		schedules_free(control->parts[i].schedules);
		shard_free(control->parts[i].shard);
		lead_free(control->parts[i].lead);
	}
	events_free(control->events);
	auditstore_older_free(control->audit_older);
	keyuse_free(control->keyuse);
	tokens_free(control->tokens);
	logins_free(control->logins);
	revoked_free(control->revoked);
	refusals_free(control->refusals);
	catalog_free(catalog);
	policies_free(control->policies);
	tagging_free(control->tagging);
	bindings_free(control->bindings);
	metrics_free(control->metrics);
	intents_free(control->intents);
	free(control->parts);
	free(control);
}
