/* rules_sharing.c - Offers and Acceptances. An agreement between tenants is made by an
 * administrator on each side; inside a tenant the offering domain's owner suffices. */
#include "common/defs.h"
#include "control/rules_sharing.h"

#include "common/clock.h"
#include "control/audit.h"
#include "control/home.h"
#include "control/sharing.h"

#include <stdio.h>
#include <string.h>

enum { DOMAINS_MOST = 500 };

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static const char *other_tenant(const struct request *request, const struct value *spec)
{
	const char *tenant = value_get_str(value_get(spec, "to"), "tenant");
	return tenant && strcmp(tenant, request->tenant) != 0 ? tenant : NULL;
}

/* --- offers --- */

/* Whether the asker may bind its tenant by agreements: a tenant-admin, no domain's owner. */
static int may_agree(const struct request *request, struct err *err)
{
	const struct target target = {.tenant = request->tenant, .domain = request->domain};
	if (policy_decide(&request->asker, ACTION_ACCEPTANCE_WRITE, &target).allowed)
		return 0;
	return err_set(err, E_DENIED,
	               "spec.to.tenant: only a tenant-admin of %s makes or changes "
	               "an offer to another tenant; a domain's owner offers inside its tenant",
	               request->tenant);
}

static int own_items(const struct manifest *manifest, const char *field, struct err *err)
{
	char domain[64], name[64];
	const struct value *list = value_get(manifest->spec, field);
	for (size_t i = 0; i < value_len(list); i++) {
		TRY(catalog_ref(value_as_str(value_at(list, i)), manifest->domain, domain, name,
		                err));
		if (strcmp(domain, manifest->domain) != 0)
			return err_set(err, E_INVALID,
			               "spec.%s[%zu]: lies in the domain %s; a "
			               "domain offers only what is its own",
			               field, i, domain);
	}
	return 0;
}

static int check_to(struct control *control, const struct request *request,
                    const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct value *to = value_get(manifest->spec, "to");
	const char *domain = value_get_str(to, "domain");
	if (other_tenant(request, manifest->spec))
		return 0; /* what others have is not told by a refusal */
	if (!domain)
		return err_set(err, E_INVALID,
		               "spec.to: names a domain of this tenant, or another "
		               "tenant");
	if (strcmp(domain, manifest->domain) == 0)
		return err_set(err, E_INVALID,
		               "spec.to.domain: is the offer's own domain, which "
		               "reads it anyway");
	catalog_key(key, KIND_DOMAIN, request->tenant, NULL, domain);
	if (request->dry_run || catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_INVALID, "spec.to.domain: there is no domain %s; apply it first",
	               domain);
}

int rules_offer(struct control *control, struct request *request, const struct manifest *manifest,
                const struct value *before, struct err *err)
{
	int64_t at_ms = 0;
	const char *expires = value_get_str(manifest->spec, "expiresAt");
	if (!value_len(value_get(manifest->spec, "datasets")) &&
	    !value_len(value_get(manifest->spec, "featureViews")))
		return err_set(err, E_INVALID,
		               "spec: offers nothing; name datasets or "
		               "featureViews");
	if (expires && time_parse(expires, &at_ms, err) < 0)
		return err_prefix(err, "spec.expiresAt");
	TRY(own_items(manifest, "datasets", err));
	TRY(own_items(manifest, "featureViews", err));
	if (other_tenant(request, manifest->spec) ||
	    other_tenant(request, value_get(before, "spec")))
		TRY(may_agree(request, err));
	return check_to(control, request, manifest, err);
}

/* --- acceptances --- */

static int check_alias(struct control *control, const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL, manifest->name);
	if (home_is(manifest->name) || catalog_has(control->catalog, key))
		return err_set(err, E_INVALID,
		               "metadata.name: is what SQL calls the other's data "
		               "by, and %s is a domain already; name it otherwise",
		               manifest->name);
	return 0;
}

int rules_alias_free(struct control *control, const struct manifest *manifest, struct err *err)
{
	if (!sharing_has_alias(control, manifest->tenant, manifest->name))
		return 0;
	return err_set(err, E_INVALID,
	               "metadata.name: an acceptance of another tenant's offer has "
	               "the name %s, which is what SQL calls that data by; name the domain "
	               "otherwise",
	               manifest->name);
}

int rules_acceptance(struct control *control, struct request *request,
                     const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct value *from = value_get(manifest->spec, "from");
	const char *tenant = value_get_str(from, "tenant");
	const struct reader reader = {request->tenant, request->domain};
	struct value *offer = NULL;
	TRY(check_alias(control, manifest, err));
	if (same(tenant, request->tenant))
		return err_set(err, E_INVALID,
		               "spec.from.tenant: is this tenant itself; inside a "
		               "tenant an Offer alone suffices, and DOMAIN.NAME reads it");
	catalog_key(key, KIND_OFFER, tenant, value_get_str(from, "domain"),
	            value_get_str(from, "offer"));
	int code = catalog_get(control->catalog, request->arena, key, &offer, NULL, err);
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	if (code == 0 && sharing_is_for(offer, &reader, request->now_ms))
		return 0;
	return err_set(err, E_INVALID,
	               "spec.from: no such offer is made to this domain; the other "
	               "tenant's administrator makes it, to the tenant %s or its domain %s",
	               request->tenant, request->domain);
}

/* --- telling the other side --- */

struct telling {
	struct control *control;
	struct request *request;
	const char *rule;
};

static int tell(const struct telling *telling, const char *tenant, const char *path,
                struct err *err)
{
	struct request *request = telling->request;
	struct change *change = NULL;
	const struct audit_event event = {
		.tenant = tenant,
		.actor = request->tenant,
		.action = action_name(request->route->action),
		.resource = path,
		.result = "allowed",
		.rule = telling->rule,
		.at_ms = request->now_ms,
	};
	TRY(request_change(request, &change, err));
	return sharing_audit(telling->control, request->part, change, &event, err);
}

/* The provider is told of its own offer, and of the tenant that named it. The reader's own log
 * names the other side as well. */
static int tell_acceptance(const struct telling *telling, const struct value *acceptance,
                           struct err *err)
{
	char path[STORE_KEY_MAX], actor[2 * (NAME_MAX_LEN + 1)];
	struct request *request = telling->request;
	struct change *change = NULL;
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	const char *tenant = value_get_str(from, "tenant");
	snprintf(path, sizeof path, "/v1/tenants/%s/domains/%s/offers/%s", tenant,
	         value_get_str(from, "domain"), value_get_str(from, "offer"));
	snprintf(actor, sizeof actor, "%s/%s", request->asker.tenant, request->asker.principal);
	const struct audit_event own = {
		.tenant = request->tenant,
		.actor = actor,
		.action = action_name(request->route->action),
		.resource = path,
		.result = "allowed",
		.rule = telling->rule,
		.request = request->id,
		.at_ms = request->now_ms,
	};
	TRY(request_change(request, &change, err));
	TRY(audit_add(change, &own, err));
	return tell(telling, tenant, path, err);
}

struct accepted {
	const struct telling *telling;
	const struct value *offer;
};

static int tell_reader(void *context, const char *key, const struct value *acceptance,
                       int64_t revision, struct err *err)
{
	const struct accepted *accepted = context;
	char path[STORE_KEY_MAX];
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	const struct value *metadata = value_get(acceptance, "metadata");
	const struct value *offer = value_get(accepted->offer, "metadata");
	const char *tenant = value_get_str(metadata, "tenant");
	(void)key;
	(void)revision;
	if (!same(value_get_str(from, "tenant"), value_get_str(offer, "tenant")) ||
	    !same(value_get_str(from, "domain"), value_get_str(offer, "domain")) ||
	    !same(value_get_str(from, "offer"), value_get_str(offer, "name")))
		return 0;
	snprintf(path, sizeof path, "/v1/tenants/%s/domains/%s/acceptances/%s", tenant,
	         value_get_str(metadata, "domain"), value_get_str(metadata, "name"));
	return tell(accepted->telling, tenant, path, err);
}

/* The readers of an offer that was changed or withdrawn. */
static int tell_readers(const struct telling *telling, const struct value *offer, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool more = false;
	struct request *request = telling->request;
	const struct accepted accepted = {telling, offer};
	const char *to = other_tenant(request, value_get(offer, "spec"));
	if (!to)
		return 0;
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_ACCEPTANCE].name, to);
	return catalog_list(telling->control->catalog, request->arena, prefix, NULL, DOMAINS_MOST,
	                    tell_reader, (void *)(uintptr_t)&accepted, &more, err);
}

int rules_sharing_tell(struct control *control, struct request *request, const struct value *before,
                       const struct value *after, struct err *err)
{
	enum kind kind = request->route->kind;
	struct telling telling = {control, request, after ? "changed" : "withdrawn"};
	if (kind == KIND_OFFER)
		return before ? tell_readers(&telling, before, err) : 0;
	if (kind != KIND_ACCEPTANCE)
		return 0;
	const struct value *old = value_get(value_get(before, "spec"), "from");
	const struct value *new = value_get(value_get(after, "spec"), "from");
	if (value_equal(old, new))
		return 0;
	telling.rule = "ended";
	if (before)
		TRY(tell_acceptance(&telling, before, err));
	telling.rule = "accepted";
	return after ? tell_acceptance(&telling, after, err) : 0;
}
