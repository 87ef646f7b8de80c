/* start.c - the order in which the parts of a control plane come and go. */
#include "common/defs.h"
#include "control/start.h"

#include "common/log.h"
#include "control/admit.h"
#include "control/dispatch.h"
#include "control/intents.h"
#include "control/metrics.h"

#include <stdlib.h>
#include <string.h>

/* The whole: control first, so that a pointer to it is one to this. */
struct started {
	struct control control;
	struct lead *lead;
};

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

static void quota_changed(struct control *control, const char *rest, const struct value *value)
{
	char tenant[64];
	struct err err = { 0 };
	size_t len = strcspn(rest, "/");
	if (!rest[len] || len >= sizeof tenant)
		return;
	memcpy(tenant, rest, len);
	tenant[len] = 0;
	if (shard_quota(control->shard, tenant, rest + len + 1, value_get(value, "spec"), &err) <
	    0) {
		const struct log_context context = { .tenant = tenant };
		log_error(&context, "quota_not_applied", "name=%s reason=\"%s\"", rest + len + 1,
		          err.text);
	}
	dispatch_wake(control->dispatch);
}

static void access_changed(struct control *control, const char *rest)
{
	char tenant[64];
	size_t len = strcspn(rest, "/");
	if (len >= sizeof tenant)
		return;
	memcpy(tenant, rest, len);
	tenant[len] = 0;
	dispatch_drop_access(control->dispatch, tenant);
}

static void on_change(void *context, const char *key, const struct value *value)
{
	static const enum kind access[] = { KIND_PRINCIPAL, KIND_FEATUREVIEW, KIND_ENTITY };
	struct control *control = context;
	const char *rest = NULL;
	if (is_kind(key, KIND_QUOTA, &rest))
		quota_changed(control, rest, value);
	if (is_kind(key, KIND_RATECARD, &rest) && strcmp(rest, "default") == 0)
		shard_rates(control->shard, value_get(value, "spec"));
	for (size_t i = 0; i < ARRAY_LEN(access); i++)
		if (is_kind(key, access[i], &rest))
			access_changed(control, rest);
}

/* --- the journal's --- */

static void on_record(void *context, const struct value *record)
{
	struct control *control = context;
	shard_record(control->shard, record);
}

static void on_resource(void *context, const char *key, const struct value *value,
                        int64_t revision)
{
	struct control *control = context;
	catalog_apply(control->catalog, key, value, revision);
}

/* --- life --- */

static int make_signer(struct control *control, struct err *err)
{
	AUTO(secret) *secret_key = NULL;
	TRY(secret_new(SIGN_SECRET_BYTES, &secret_key, err));
	keyring_signing_pair(control->keyring, control->signer_public, secret_data(secret_key));
	return grant_signer_new(secret_bytes(secret_key), &control->signer, err);
}

static int make_journal(struct control *control, const struct start_conf *conf, struct err *err)
{
	const struct journal_conf journal = {
		.store = control->store, .clock = control->clock,
		.state_key = keyring_state_key(control->keyring), .leader_key = LEADER_KEY,
		.prefix = JOURNAL_PREFIX, .window_ms = conf->journal_window_ms,
		.ops = { .record = on_record, .resource = on_resource, .context = control },
	};
	return journal_new(&journal, &control->journal, err);
}

static int make_parts(struct started *started, const struct start_conf *conf, struct err *err)
{
	struct control *control = &started->control;
	TRY(intents_new(&control->intents, err));
	TRY(metrics_new(route_count, &control->metrics, err));
	TRY(catalog_new(conf->clock, keyring_state_key(conf->keyring), &control->catalog, err));
	TRY(shard_new(conf->clock, &control->shard, err));
	TRY(make_journal(control, conf, err));
	TRY(make_signer(control, err));
	TRY(dispatch_new(control, &control->dispatch, err));
	catalog_on_change(control->catalog, on_change, control);
	TRY(catalog_follow(control->catalog, conf->store, err));
	return lead_new(control, &conf->lead, &started->lead, err);
}

int control_new(const struct start_conf *conf, struct control **ret_control, struct err *err)
{
	struct started *started = calloc(1, sizeof *started);
	if (!started)
		return err_set(err, E_NOMEM, "no memory for the control plane");
	started->control.clock = conf->clock;
	started->control.store = conf->store;
	started->control.keyring = conf->keyring;
	started->control.replica = conf->replica;
	started->control.held_max = conf->held_max;
	int code = make_parts(started, conf, err);
	if (code < 0)
		control_free(&started->control);
	else
		*ret_control = &started->control;
	return code;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	struct started *started = (struct started *)control;
	struct catalog *catalog = control->catalog;
	lead_free(started->lead);
	if (catalog)
		catalog_unfollow(catalog);
	dispatch_free(MOVE(control->dispatch));
	grant_signer_free(control->signer);
	journal_free(control->journal);
	shard_free(control->shard);
	catalog_free(catalog);
	metrics_free(control->metrics);
	intents_free(control->intents);
	free(started);
}
