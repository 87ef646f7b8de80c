/* access.c - access grants.
 * Invariants: no grant leaves before its audit event is durable; opened keys are wiped whatever
 * happens; a refusal says the same for what is hidden and for what does not exist. */
#include "common/defs.h"
#include "control/access.h"

#include "api/access_grant.h"
#include "common/log.h"
#include "common/text.h"
#include "control/access_query.h"
#include "control/admit.h"
#include "control/audit.h"
#include "control/identity.h"
#include "control/keys.h"
#include "control/may.h"
#include "control/reading.h"
#include "control/sharing.h"
#include "control/tenancy.h"

#include <stdio.h>
#include <string.h>

enum { DOMAINS_MOST = 500 };

struct asked {
	struct control *control;
	struct part *part;           /* the asker's */
	struct arena *arena;
	struct asker asker;
	int64_t now_ms;
	const char *purpose;         /* NULL: not said */
	const char *rule;            /* what allowed the first of the views */
	struct access_view *views;
	struct shared_read *reads;   /* one a view; shared.offer NULL: the tenant's own */
	size_t count;
};

static int hidden(struct err *err)
{
	return err_set(err, E_NOT_FOUND, "there is no feature view of that name that you may read; "
	               "write VIEW or DOMAIN.VIEW");
}

/* --- which view --- */

/* view NULL: whichever. */
static bool may(const struct asked *asked, enum action action, const char *domain,
                const char *view)
{
	const struct target target = { .tenant = asked->asker.tenant, .domain = domain };
	return may_asker(asked->control, asked->arena, &asked->asker, action, &target,
	                 view ? KIND_FEATUREVIEW : KIND_NONE, view)
		.allowed;
}

struct search {
	const struct asked *asked;
	const char *name;
	char domain[64];
	int found;
};

static int look(void *context, const char *key, const struct value *domain, int64_t revision,
                struct err *err)
{
	struct search *search = context;
	char at[STORE_KEY_MAX];
	const char *name = strrchr(key, '/') + 1;
	(void)domain;
	(void)revision;
	(void)err;
	catalog_key(at, KIND_FEATUREVIEW, search->asked->asker.tenant, name, search->name);
	if (!catalog_has(search->asked->control->catalog, at) ||
	    !may(search->asked, ACTION_FEATURES_READ, name, search->name))
		return 0;
	search->found++;
	snprintf(search->domain, sizeof search->domain, "%s", name);
	return 0;
}

/* A name without its domain, from a principal of the whole tenant: the one there is. */
static int search_domain(const struct asked *asked, const char *name, char domain[64],
                         struct err *err)
{
	char prefix[STORE_KEY_MAX];
	struct search search = { .asked = asked, .name = name };
	bool more = false;
	snprintf(prefix, sizeof prefix, "r/domain/%s/", asked->asker.tenant);
	TRY(name_check("the name of a view", name, err));
	TRY(catalog_list(asked->control->catalog, asked->arena, prefix, NULL, DOMAINS_MOST, look,
	                 &search, &more, err));
	if (search.found > 1)
		return err_set(err, E_INVALID,
		               "%d domains have a view of that name; write DOMAIN.VIEW",
		               search.found);
	if (!search.found)
		return hidden(err);
	memcpy(domain, search.domain, sizeof search.domain);
	return 0;
}

static int place(const struct asked *asked, const char *ref, char domain[64], char name[64],
                 struct err *err)
{
	char key[STORE_KEY_MAX];
	const char *own = asked->asker.domain;
	if (strchr(ref, '.'))
		return catalog_ref(ref, own, domain, name, err);
	if (own)
		TRY(catalog_ref(ref, own, domain, name, err));
	if (own && catalog_has(asked->control->catalog,
	                       catalog_key(key, KIND_FEATUREVIEW, asked->asker.tenant, own, name)))
		return 0;
	int code = search_domain(asked, ref, domain, err);
	if (code == E_NOT_FOUND && own)      /* then it is its own domain that lacks it */
		return catalog_ref(ref, own, domain, name, err);
	TRY(code);
	snprintf(name, 64, "%s", ref);
	return 0;
}

/* An acceptance's name holds in its own domain: the first of those that the asker may read in. */
static int look_for_alias(void *context, const char *key, const struct value *domain,
                          int64_t revision, struct err *err)
{
	struct search *search = context;
	const char *name = strrchr(key, '/') + 1;
	const struct reader reader = { search->asked->asker.tenant, name };
	(void)domain;
	(void)revision;
	(void)err;
	if (search->found || !may(search->asked, ACTION_FEATURES_READ, name, NULL) ||
	    !sharing_is_alias(search->asked->control, &reader, search->name))
		return 0;
	search->found++;
	snprintf(search->domain, sizeof search->domain, "%s", name);
	return 0;
}

/* Where the rights to read it count: in the domain itself, or in that which accepted it. */
static int find_reader(const struct asked *asked, const char *domain, char reader[64],
                       struct err *err)
{
	char key[STORE_KEY_MAX];
	struct search search = { .asked = asked, .name = domain };
	bool more = false;
	snprintf(reader, 64, "%s", domain);
	catalog_key(key, KIND_DOMAIN, asked->asker.tenant, NULL, domain);
	if (catalog_has(asked->control->catalog, key))
		return 0;
	snprintf(key, sizeof key, "r/domain/%s/", asked->asker.tenant);
	TRY(catalog_list(asked->control->catalog, asked->arena, key, NULL, DOMAINS_MOST,
	                 look_for_alias, &search, &more, err));
	if (search.found)
		snprintf(reader, 64, "%s", search.domain);
	return 0;
}

/* Whoever may see the views of a domain is told that it may not read them, whether they exist or
 * not; everyone else, that there is nothing. */
static int authorize(const struct asked *asked, const char *domain, const char *view,
                     struct err *err)
{
	if (may(asked, ACTION_FEATURES_READ, domain, view))
		return 0;
	if (!may(asked, ACTION_FEATUREVIEW_READ, domain, view))
		return hidden(err);
	return err_set(err, E_DENIED,
	               "%s/%s may not features:read in the domain %s; the role consumer "
	               "permits it",
	               asked->asker.tenant, asked->asker.principal, domain);
}

/* --- what the grant says of it --- */

static int get(const struct asked *asked, const char *tenant, enum kind kind, const char *domain,
               const char *name, struct value **ret_value, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, kind, tenant, domain, name);
	int code = catalog_get(asked->control->catalog, asked->arena, key, ret_value, NULL, err);
	return code == E_NOT_FOUND ? hidden(err) : code;
}

static int fill_entity(const struct asked *asked, const struct shared *shared,
                       const struct value *spec, struct access_view *view, struct err *err)
{
	char domain[64], name[64];
	struct value *entity = NULL;
	const char *ref = value_as_str(value_at(value_get(spec, "entities"), 0));
	if (!ref)
		return hidden(err);
	TRY(catalog_ref(ref, shared->domain, domain, name, err));
	TRY(get(asked, shared->tenant, KIND_ENTITY, domain, name, &entity, err));
	const struct value *own = value_get(entity, "spec");
	const char *type = value_get_str(own, "valueType");
	view->join_key = value_get_str(own, "joinKey");
	view->key_type = type ? type : "string";
	return 0;
}

static int fill_features(const struct asked *asked, const struct value *spec,
                         struct access_view *view, struct err *err)
{
	const struct value *list = value_get(spec, "features");
	const char *ttl = value_get_str(spec, "ttl");
	size_t count = value_len(list);
	struct access_feature *features = arena_alloc(asked->arena, (count + 1) * sizeof *features);
	if (!features)
		return err_set(err, E_NOMEM, "no memory for the features of a view");
	for (size_t i = 0; i < count; i++)
		features[i] = (struct access_feature){
			.name = value_get_str(value_at(list, i), "name"),
			.type = value_get_str(value_at(list, i), "type"),
		};
	view->features = features;
	view->feature_count = count;
	view->ttl_ms = 0;
	return ttl ? duration_parse(ttl, &view->ttl_ms, err) : 0;
}

/* Until a view is materialized under its new key, what is online lies under the one before. */
static int fill_key(const struct asked *asked, const char *tenant,
                    const struct value *resource, struct access_view *view, struct err *err)
{
	uint8_t newest[KEY_BYTES], old[KEY_BYTES];
	struct key_pair pair = { .key = newest, .old_key = old };
	int rc = keys_open_pair(asked->control, asked->arena, tenant, resource, &pair, err);
	if (rc == 0) {
		view->key_version = pair.old_version ? pair.old_version : pair.version;
		memcpy(view->key, pair.old_version ? old : newest, KEY_BYTES);
	}
	secret_wipe(newest, sizeof newest);
	secret_wipe(old, sizeof old);
	return rc;
}

/* Of another tenant: whose, and that the reader's domain pays. */
static int fill_shared(struct asked *asked, const char *reader, struct access_view *view,
                       struct shared_read *read, struct err *err)
{
	const struct reader who = { asked->asker.tenant, reader };
	int code = sharing_resolve(asked->control, asked->arena, &who, KIND_FEATUREVIEW,
	                           view->domain, view->name, &read->shared, err);
	if (code == E_INPUT)
		return hidden(err);
	TRY(code);
	if (!read->shared.offer)
		return 0;
	view->tenant = read->shared.tenant;
	view->account = arena_strdup(asked->arena, reader);
	read->reader = (struct reader){ asked->asker.tenant, view->account };
	return view->account ? 0 : err_set(err, E_NOMEM, "no memory for a view");
}

/* --- what of it they may see --- */

/* Another tenant's: what its policies let out, and what the reader's own let in, to which it has
 * the name that it was accepted under. */
static int read_shared(const struct asked *asked, const struct shared_read *read,
                       const struct access_view *view, struct reading_ask *ask,
                       struct reading *ret_reading, struct err *err)
{
	const struct asker away = { .tenant = asked->asker.tenant, .principal = READING_ANYONE };
	struct reading given, own;
	struct reading_ask out = *ask;
	out.asker = &away;
	out.tenant = read->shared.tenant;
	out.domain = read->shared.domain;
	out.name = read->shared.name;
	out.offered = true;
	ask->domain = view->account;
	ask->name = arena_printf(asked->arena, "%s.%s", view->domain, view->name);
	if (!ask->name)
		return err_set(err, E_NOMEM, "no memory for a view");
	TRY(reading_decide(asked->control, asked->arena, &out, &given, err));
	TRY(reading_decide(asked->control, asked->arena, ask, &own, err));
	return reading_both(asked->arena, &given, &own, ret_reading, err);
}

static int hide_all(const struct asked *asked, const struct access_view *view, struct err *err)
{
	return err_set(err, E_DENIED, "every feature of the view %s.%s is hidden from %s/%s by "
	               "policies; a tenant-admin can change them", view->domain, view->name,
	               asked->asker.tenant, asked->asker.principal);
}

static int apply(const struct asked *asked, const struct restriction *restriction,
                 struct access_view *view, struct err *err)
{
	/* They are our own: fill_features made them. */
	struct access_feature *features = (struct access_feature *)(uintptr_t)view->features;
	size_t seen = 0;
	for (size_t i = 0; i < view->feature_count; i++) {
		features[i].hidden = restriction_hides(restriction, features[i].name);
		if (!features[i].hidden)
			features[i].mask = restriction_mask(restriction, features[i].name);
		seen += !features[i].hidden;
	}
	view->filter = restriction->filter;
	return seen || !view->feature_count ? 0 : hide_all(asked, view, err);
}

static int restrict_view(struct asked *asked, const struct shared_read *read,
                         const struct value *resource, struct access_view *view, struct err *err)
{
	struct value *schema = NULL;
	struct reading reading;
	TRY(reading_view_schema(asked->arena, view->join_key, view->key_type,
	                        value_get(value_get(resource, "spec"), "features"), &schema, err));
	struct reading_ask ask = {
		.asker = &asked->asker, .tenant = asked->asker.tenant, .domain = view->domain,
		.kind = KIND_FEATUREVIEW, .name = view->name, .stored = resource,
		.schema = schema, .purpose = asked->purpose, .now_ms = asked->now_ms,
	};
	if (view->tenant)
		TRY(read_shared(asked, read, view, &ask, &reading, err));
	else
		TRY(reading_decide(asked->control, asked->arena, &ask, &reading, err));
	asked->rule = asked->count ? asked->rule : reading.rule;
	return apply(asked, &reading.restriction, view, err);
}

/* --- all of it --- */

static int fill_view(struct asked *asked, const char *reader, struct access_view *view,
                     struct shared_read *read, struct err *err)
{
	struct value *resource = NULL;
	TRY(fill_shared(asked, reader, view, read, err));
	const struct shared *shared = &read->shared;
	TRY(get(asked, shared->tenant, KIND_FEATUREVIEW, shared->domain, shared->name, &resource,
	        err));
	view->uid = value_get_str(value_get(resource, "metadata"), "uid");
	if (!view->uid)
		return err_set(err, E_CORRUPT, "a feature view has no uid");
	TRY(fill_entity(asked, shared, value_get(resource, "spec"), view, err));
	TRY(fill_features(asked, value_get(resource, "spec"), view, err));
	TRY(restrict_view(asked, read, resource, view, err));
	return fill_key(asked, shared->tenant, resource, view, err);
}

/* Who may not read the whole view may still be permitted some of its rows; who may not either is
 * answered as one who may not. */
static int fill(struct asked *asked, const char *ref, struct access_view *view,
                struct shared_read *read, struct err *err)
{
	char domain[64], name[64], reader[64];
	struct err why = { 0 };
	TRY(place(asked, ref, domain, name, err));
	TRY(find_reader(asked, domain, reader, err));
	int rights = authorize(asked, reader, name, err);
	if (rights < 0 && !policies_in_force(asked->control->policies, asked->asker.tenant))
		return rights;
	view->domain = arena_strdup(asked->arena, domain);
	view->name = arena_strdup(asked->arena, name);
	if (!view->domain || !view->name)
		return err_set(err, E_NOMEM, "no memory for a view");
	int rc = fill_view(asked, reader, view, read, rights < 0 ? &why : err);
	return rc < 0 && rights < 0 ? rights : rc;
}

/* The domain whose rights and quota count. */
static const char *account_of(const struct access_view *view)
{
	return view->account ? view->account : view->domain;
}

static int check_quota(const struct asked *asked, struct err *err)
{
	struct amounts one = { .v = { 0 } };
	one.v[DIM_ONLINE_READS] = 1;
	for (size_t i = 0; i < asked->count; i++)
		TRY(shard_check(asked->part->shard, asked->asker.tenant,
		                account_of(&asked->views[i]), &one, err));
	return 0;
}

static int decide(struct asked *asked, const struct access_ask *ask, struct err *err)
{
	if (!ask->view_count || ask->view_count > ACCESS_VIEWS_MAX)
		return err_set(err, E_INVALID, "a request reads from 1 to %d views, not %zu",
		               ACCESS_VIEWS_MAX, ask->view_count);
	TRY(tenancy_needs(asked->control, asked->asker.tenant, TENANCY_RUN, err));
	asked->views = arena_alloc(asked->arena, ask->view_count * sizeof *asked->views);
	asked->reads = arena_alloc(asked->arena, ask->view_count * sizeof *asked->reads);
	if (!asked->views || !asked->reads)
		return err_set(err, E_NOMEM, "no memory for %zu views", ask->view_count);
	for (; asked->count < ask->view_count; asked->count++)
		TRY(fill(asked, ask->views[asked->count], &asked->views[asked->count],
		         &asked->reads[asked->count], err));
	return check_quota(asked, err);
}

/* --- audit and signature --- */

/* As api/datapath.h; what was refused as it was written. */
static const char *views_text(const struct asked *asked, const struct access_ask *ask)
{
	AUTO_BUF text;
	buf_init(&text, 1024);
	for (size_t i = 0; i < asked->count; i++)
		buf_printf(&text, "%sfeatureviews/%s.%s", i ? " " : "", asked->views[i].domain,
		           asked->views[i].name);
	for (size_t i = asked->count; i < ask->view_count; i++)
		buf_printf(&text, "%sfeatureviews/%.130s", i ? " " : "", ask->views[i]);
	(void)!buf_check(&text, NULL);     /* an event names what fits */
	return text.data ? arena_strndup(asked->arena, (char *)text.data, text.len) : NULL;
}

static int audit_shared(const struct asked *asked, struct change *change, struct err *err)
{
	for (size_t i = 0; i < asked->count; i++) {
		struct shared_read *read = &asked->reads[i];
		if (!read->shared.offer)
			continue;
		read->kind = KIND_FEATUREVIEW;
		read->principal = asked->asker.principal;
		read->at_ms = asked->now_ms;
		TRY(sharing_audit_read(asked->control, asked->part, change, read, err));
	}
	return 0;
}

static int audit(const struct asked *asked, const struct access_ask *ask, int code, struct err *err)
{
	char actor[ACTOR_TEXT_MAX];
	snprintf(actor, sizeof actor, "%s/%s", asked->asker.tenant, asked->asker.principal);
	const struct audit_event event = {
		.tenant = asked->asker.tenant,
		.actor = actor,
		.credential = asked->asker.credential,
		.action = action_name(ACTION_FEATURES_READ),
		.verb = VERB_READ_DATA,
		.operation = "online",
		.purpose = asked->purpose,
		.address = asked->asker.address,
		.resource = views_text(asked, ask),
		.result = !code             ? "allowed"
		          : code == E_QUOTA || code == E_CONFLICT ? "refused"
		                            : "denied",
		.rule = code ? NULL : asked->rule,
		.code = code ? err_name(code) : NULL,
		.at_ms = asked->now_ms,
	};
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	TRY(audit_add(change, &event, err));
	if (!code)
		TRY(audit_shared(asked, change, err));
	return journal_commit(asked->part->journal, change, err);
}

static void audit_refusal(const struct asked *asked, const struct access_ask *ask, int code)
{
	struct err err = { 0 };
	if (code != E_NOT_FOUND && code != E_DENIED && code != E_QUOTA && code != E_CONFLICT)
		return;
	const struct log_context context = { .tenant = asked->asker.tenant };
	if (audit(asked, ask, code, &err) < 0)
		log_warn(&context, "refusal_not_audited", "action=features:read reason=\"%s\"",
		         err.text);
}

/* A grant does not outlive the credential that it was asked with. */
static int64_t grant_ends(const struct asked *asked)
{
	int64_t most = asked->now_ms + ACCESS_GRANT_MS, ends = asked->asker.expires_ms;
	return ends != 0 && ends < most ? ends : most;
}

static int sign(const struct asked *asked, const struct access_ask *ask, const char *worker,
                struct buf *ret_grant, struct err *err)
{
	char id[ID_LEN + 1];
	uint8_t random[10];
	random_bytes(random, sizeof random);
	id_make(asked->now_ms, random, id);
	const struct access_grant grant = {
		.id = id,
		.worker = worker,
		.tenant = asked->asker.tenant,
		.principal = asked->asker.principal,
		.views = asked->views,
		.view_count = asked->count,
		.expires_ms = grant_ends(asked),
	};
	return access_sign(asked->control->signer, &grant, ask->box_public, ret_grant, err);
}

/* A replica that leads nothing may not have heard of a new key: it refuses nobody. */
int access_identify(struct control *control, struct arena *arena, const struct access_ask *ask,
                    struct asker *ret_asker, struct part **ret_part, struct err *err)
{
	bool leads = false;
	for (int i = 0; i < control->part_count; i++)
		leads |= part_leads(&control->parts[i]);
	if (!leads)
		return part_needs_lead(&control->parts[0], err);
	const struct identity_ask who = { .credential = ask->credential, .audience = "serving",
	                                  .now_ms = clock_unix_ms(control->clock) };
	TRY(identity_check(control, arena, &who, ret_asker, err));
	ret_asker->address = ask->address;
	*ret_part = part_of(control, ret_asker->tenant);
	return part_needs_lead(*ret_part, err);
}

int access_shard(struct control *control, struct arena *arena, const struct access_ask *ask)
{
	struct asker asker;
	const struct identity_ask who = { .credential = ask->credential, .audience = "serving",
	                                  .now_ms = clock_unix_ms(control->clock) };
	if (identity_check(control, arena, &who, &asker, NULL) < 0)
		return -1;
	return part_of(control, asker.tenant)->index;
}

int access_answer(struct control *control, struct arena *arena, const struct access_ask *ask,
                  const char *worker, struct buf *ret_grant, struct err *err)
{
	struct asked asked = { .control = control, .arena = arena, .purpose = ask->purpose,
	                       .now_ms = clock_unix_ms(control->clock) };
	if (ask->query_count > 0)
		return access_query(control, arena, ask, worker, ret_grant, err);
	TRY(access_identify(control, arena, ask, &asked.asker, &asked.part, err));
	int code = decide(&asked, ask, err);
	if (code < 0)
		audit_refusal(&asked, ask, code);
	else
		code = audit(&asked, ask, 0, err);
	if (code == 0)
		code = sign(&asked, ask, worker, ret_grant, err);
	if (asked.views)
		secret_wipe(asked.views, ask->view_count * sizeof *asked.views);
	return code;
}
