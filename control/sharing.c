/* sharing.c - see sharing.h. Invariant: whatever the reason, another tenant's thing that is not
 * given looks like one that does not exist. */
#include "common/defs.h"
#include "control/sharing.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "control/audit.h"
#include "control/late.h"
#include "control/tenancy.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 64, PAGE_ARENA = 64 * 1024 * 1024, ACCEPTED_MAX = 100 };

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* --- what an offer gives --- */

static bool is_over(const struct value *spec, int64_t now_ms)
{
	int64_t at_ms = 0;
	const char *text = value_get_str(spec, "expiresAt");
	return text && (time_parse(text, &at_ms, NULL) < 0 || now_ms >= at_ms);
}

bool sharing_is_for(const struct value *offer, const struct reader *reader, int64_t now_ms)
{
	const struct value *spec = value_get(offer, "spec"), *to = value_get(spec, "to");
	const char *own = value_get_str(value_get(offer, "metadata"), "tenant");
	const char *tenant = value_get_str(to, "tenant"), *domain = value_get_str(to, "domain");
	if (!same(tenant ? tenant : own, reader->tenant) || is_over(spec, now_ms))
		return false;
	return domain ? same(domain, reader->domain) : tenant != NULL;
}

static bool lists(const struct value *offer, enum kind kind, const char *name)
{
	char in[64], found[64];
	const char *own = value_get_str(value_get(offer, "metadata"), "domain");
	const struct value *list = value_get(value_get(offer, "spec"),
	                                     kind == KIND_DATASET ? "datasets" : "featureViews");
	for (size_t i = 0; i < value_len(list); i++) {
		const char *ref = value_as_str(value_at(list, i));
		if (ref && catalog_ref(ref, own, in, found, NULL) == 0 && same(in, own) &&
		    same(found, name))
			return true;
	}
	return false;
}

/* --- across tenants --- */

bool sharing_is_alias(struct control *control, const struct reader *reader, const char *domain)
{
	char key[STORE_KEY_MAX];
	if (!reader->domain)
		return false;
	catalog_key(key, KIND_ACCEPTANCE, reader->tenant, reader->domain, domain);
	return catalog_has(control->catalog, key);
}

static int not_given(const char *alias, enum kind kind, const char *name, struct err *err)
{
	return err_set(err, E_INPUT,
	               "%s.%s: the offer that the acceptance %s names gives this "
	               "domain no %s of that name; it may have ended or been changed: ask the "
	               "tenant that made it",
	               alias, name, alias, kind_info[kind].name);
}

static int get(struct control *control, struct arena *arena, const char *key,
               struct value **ret_value, struct err *err)
{
	*ret_value = NULL;
	int code = catalog_get(control->catalog, arena, key, ret_value, NULL, err);
	return code == E_NOT_FOUND ? 0 : code;
}

/* The offer that an acceptance names, as long as it is for its reader; *ret_offer NULL: none. */
static int offer_of(struct control *control, struct arena *arena, const struct value *acceptance,
                    const struct reader *reader, struct value **ret_offer, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	const char *tenant = value_get_str(from, "tenant"), *domain = value_get_str(from, "domain");
	const char *name = value_get_str(from, "offer");
	struct value *offer = NULL;
	*ret_offer = NULL;
	if (!tenant || !domain || !name)
		return 0;
	catalog_key(key, KIND_OFFER, tenant, domain, name);
	TRY(get(control, arena, key, &offer, err));
	if (offer && sharing_is_for(offer, reader, clock_unix_ms(control->clock)) &&
	    tenant_state(control, tenant) == TENANT_ACTIVE)
		*ret_offer = offer;
	return 0;
}

int sharing_resolve(struct control *control, struct arena *arena, const struct reader *reader,
                    enum kind kind, const char *domain, const char *name, struct shared *ret_shared,
                    struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *acceptance = NULL, *offer = NULL;
	*ret_shared = (struct shared){reader->tenant, domain, name, NULL};
	if (!sharing_is_alias(control, reader, domain))
		return 0;
	catalog_key(key, KIND_ACCEPTANCE, reader->tenant, reader->domain, domain);
	TRY(get(control, arena, key, &acceptance, err));
	TRY(offer_of(control, arena, acceptance, reader, &offer, err));
	if (!offer || !lists(offer, kind, name))
		return not_given(domain, kind, name, err);
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	*ret_shared = (struct shared){
		.tenant = value_get_str(from, "tenant"),
		.domain = value_get_str(from, "domain"),
		.name = name,
		.offer = value_get_str(from, "offer"),
	};
	return 0;
}

/* --- lists, page by page, each page in memory of its own --- */

struct pages {
	catalog_visit_fn *visit;
	void *context;
	char last[STORE_KEY_MAX];
};

static int visit_one(void *context, const char *key, const struct value *value, int64_t revision,
                     struct err *err)
{
	struct pages *pages = context;
	snprintf(pages->last, sizeof pages->last, "%s", key);
	return pages->visit(pages->context, key, value, revision, err);
}

static int visit_all(struct control *control, const char *prefix, catalog_visit_fn *visit,
                     void *context, struct err *err)
{
	struct pages pages = {visit, context, ""};
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		char after[STORE_KEY_MAX];
		snprintf(after, sizeof after, "%s", pages.last);
		TRY(catalog_list(control->catalog, arena, prefix, after[0] ? after : NULL, PAGE,
		                 visit_one, &pages, &more, err));
	}
	return 0;
}

/* --- inside a tenant --- */

struct search {
	const struct reader *reader;
	enum kind kind;
	const char *name;
	int64_t now_ms;
	bool found;
};

static int look_for(void *context, const char *key, const struct value *offer, int64_t revision,
                    struct err *err)
{
	struct search *search = context;
	(void)key;
	(void)revision;
	(void)err;
	search->found |= sharing_is_for(offer, search->reader, search->now_ms) &&
	                 lists(offer, search->kind, search->name);
	return 0;
}

bool sharing_offers(struct control *control, struct arena *arena, const struct reader *reader,
                    enum kind kind, const char *domain, const char *name)
{
	char prefix[STORE_KEY_MAX];
	struct search search = {reader, kind, name, clock_unix_ms(control->clock), false};
	(void)arena;
	snprintf(prefix, sizeof prefix, "r/%s/%s/%s/", kind_info[KIND_OFFER].name, reader->tenant,
	         domain);
	return visit_all(control, prefix, look_for, &search, NULL) == 0 && search.found;
}

struct alias_search {
	const char *name;
	bool found;
};

static int look_for_alias(void *context, const char *key, const struct value *value,
                          int64_t revision, struct err *err)
{
	struct alias_search *search = context;
	(void)value;
	(void)revision;
	(void)err;
	search->found |= strcmp(strrchr(key, '/') + 1, search->name) == 0;
	return 0;
}

bool sharing_has_alias(struct control *control, const char *tenant, const char *name)
{
	char prefix[STORE_KEY_MAX];
	struct alias_search search = {name, false};
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_ACCEPTANCE].name, tenant);
	return visit_all(control, prefix, look_for_alias, &search, NULL) < 0 || search.found;
}

/* --- who accepted --- */

struct acceptances {
	struct control *control;
	const char *tenant, *domain, *offer; /* the offer; domain NULL: any of the tenant's */
	struct arena *arena;
	struct value *list;
	sharing_fn *visit;
	void *context;
	char last[64];
};

static bool names_offer(const struct acceptances *looked, const struct value *acceptance)
{
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	return same(value_get_str(from, "tenant"), looked->tenant) &&
	       (!looked->domain || (same(value_get_str(from, "domain"), looked->domain) &&
	                            same(value_get_str(from, "offer"), looked->offer)));
}

static int list_acceptance(void *context, const char *key, const struct value *acceptance,
                           int64_t revision, struct err *err)
{
	struct acceptances *looked = context;
	const struct value *metadata = value_get(acceptance, "metadata");
	(void)key;
	(void)revision;
	(void)err;
	if (!names_offer(looked, acceptance) || value_len(looked->list) >= ACCEPTED_MAX)
		return 0;
	struct value *item = value_map(looked->arena);
	value_set_str(item, "tenant", value_get_str(metadata, "tenant"));
	value_set_str(item, "domain", value_get_str(metadata, "domain"));
	value_add(looked->list, item);
	return 0;
}

static int tell_reader(void *context, const char *key, const struct value *acceptance,
                       int64_t revision, struct err *err)
{
	struct acceptances *looked = context;
	const char *tenant = value_get_str(value_get(acceptance, "metadata"), "tenant");
	(void)key;
	(void)revision;
	(void)err;
	if (!tenant || !names_offer(looked, acceptance) || same(looked->last, tenant))
		return 0;
	snprintf(looked->last, sizeof looked->last, "%s", tenant);
	looked->visit(looked->context, tenant);
	return 0;
}

void sharing_readers(struct control *control, const char *provider, sharing_fn *visit,
                     void *context)
{
	char prefix[STORE_KEY_MAX];
	struct acceptances looked = {
		.control = control, .tenant = provider, .visit = visit, .context = context};
	struct err err = {0};
	snprintf(prefix, sizeof prefix, "r/%s/", kind_info[KIND_ACCEPTANCE].name);
	if (visit_all(control, prefix, tell_reader, &looked, &err) < 0)
		log_error(&(struct log_context){.tenant = provider}, "readers_not_told",
		          "reason=\"%s\"", err.text);
}

/* Only the tenants that are addressed are looked at: who else may have named it is not told. */
static int offer_status(struct control *control, struct arena *arena, const struct value *stored,
                        struct value *status, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	const struct value *metadata = value_get(stored, "metadata"),
			   *spec = value_get(stored, "spec");
	const char *to = value_get_str(value_get(spec, "to"), "tenant");
	struct acceptances looked = {
		.tenant = value_get_str(metadata, "tenant"),
		.domain = value_get_str(metadata, "domain"),
		.offer = value_get_str(metadata, "name"),
		.arena = arena,
		.list = value_list(arena),
	};
	bool over = is_over(spec, clock_unix_ms(control->clock));
	value_set_str(status, "state", over ? "expired" : "active");
	if (!to || same(to, looked.tenant))
		return 0;
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_ACCEPTANCE].name, to);
	TRY(visit_all(control, prefix, list_acceptance, &looked, err));
	value_set(status, "acceptedBy", looked.list);
	return 0;
}

int sharing_status(struct control *control, struct arena *arena, const struct value *stored,
                   struct value **ret_status, struct err *err)
{
	enum kind kind = kind_by_name(value_get_str(stored, "kind"));
	const struct value *metadata = value_get(stored, "metadata");
	const struct reader reader = {value_get_str(metadata, "tenant"),
	                              value_get_str(metadata, "domain")};
	struct value *status = value_map(arena), *offer = NULL;
	*ret_status = NULL;
	if (kind == KIND_OFFER)
		TRY(offer_status(control, arena, stored, status, err));
	else if (kind != KIND_ACCEPTANCE)
		return 0;
	if (kind == KIND_ACCEPTANCE) {
		TRY(offer_of(control, arena, stored, &reader, &offer, err));
		value_set_str(status, "state", offer ? "active" : "ended");
	}
	TRY(value_check(status, err));
	*ret_status = status;
	return 0;
}

/* --- both logs --- */

int sharing_audit(struct control *control, struct part *part, struct change *change,
                  const struct audit_event *event, struct err *err)
{
	struct part *other = part_of(control, event->tenant);
	if (other == part)
		return audit_add(change, event, err);
	return late_post(control, event, err);
}

int sharing_audit_read(struct control *control, struct part *part, struct change *change,
                       const struct shared_read *read, struct err *err)
{
	char actor[2 * (NAME_MAX_LEN + 1)], path[STORE_KEY_MAX], rule[NAME_MAX_LEN + 16];
	const struct shared *shared = &read->shared;
	snprintf(actor, sizeof actor, "%s/%s", read->reader.tenant, read->principal);
	snprintf(path, sizeof path, "/v1/tenants/%s/domains/%s/%s/%s", shared->tenant,
	         shared->domain, kind_info[read->kind].plural, shared->name);
	snprintf(rule, sizeof rule, "offer:%s", shared->offer);
	struct audit_event event = {
		.tenant = read->reader.tenant,
		.actor = actor,
		.action = read->kind == KIND_DATASET ? "dataset:read" : "features:read",
		.verb = VERB_READ_DATA,
		.resource = path,
		.result = "allowed",
		.rule = rule,
		.task = read->task,
		.at_ms = read->at_ms,
	};
	TRY(audit_add(change, &event, err));
	event.tenant = shared->tenant;
	event.actor = read->reader.tenant;
	event.task = NULL;
	return sharing_audit(control, part, change, &event, err);
}
