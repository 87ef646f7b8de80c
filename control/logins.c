/* logins.c - see logins.h.
 * Invariants: no claim is used before the signature holds under a key of the very provider whose
 * rules are applied; under the mutex, the index names each provider once. */
#include "common/defs.h"
#include "control/logins.h"

#include "common/pack.h"
#include "control/bindings.h"
#include "control/identity.h"
#include "tenant/jwt.h"
#include "tenant/verified.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "r/identityprovider/";

enum { ISSUER_MAX = 512, PAGE = 64, PAGE_ARENA = 8 * 1024 * 1024, GROUP_MAX = 256,
       SKEW_DEFAULT_MS = 30000 };

struct provider {
	char tenant[64], name[64], issuer[ISSUER_MAX + 1];
};

struct logins {
	struct catalog *catalog;
	struct issuers *issuers;
	struct verified *verified;
	atomic_bool stale;
	_Atomic uint64_t stamp;      /* of the providers */
	pthread_mutex_t mutex;       /* guards all below */
	struct provider *providers;  /* room for LOGIN_PROVIDERS_MOST */
	size_t count;
};

int logins_new(struct catalog *catalog, const struct issuers_conf *conf,
               struct logins **ret_logins, struct err *err)
{
	AUTO(logins) *logins = calloc(1, sizeof *logins);
	if (!logins)
		return err_set(err, E_NOMEM, "no memory for logins");
	pthread_mutex_init(&logins->mutex, NULL);
	logins->catalog = catalog;
	atomic_store(&logins->stale, true);
	logins->providers = calloc(LOGIN_PROVIDERS_MOST, sizeof *logins->providers);
	if (!logins->providers)
		return err_set(err, E_NOMEM, "no memory for logins");
	TRY(issuers_new(conf, &logins->issuers, err));
	TRY(verified_new(&logins->verified, err));
	*ret_logins = MOVE(logins);
	return 0;
}

void logins_free(struct logins *logins)
{
	if (!logins)
		return;
	issuers_free(logins->issuers);
	verified_free(logins->verified);
	free(logins->providers);
	pthread_mutex_destroy(&logins->mutex);
	free(logins);
}

struct issuers *logins_issuers(struct logins *logins)
{
	return logins->issuers;
}

void logins_changed(struct logins *logins)
{
	atomic_fetch_add(&logins->stamp, 1);
	atomic_store(&logins->stale, true);
}

static uint64_t stamp_of(struct logins *logins)
{
	return (atomic_load(&logins->stamp) << 32) + issuers_stamp(logins->issuers);
}

static int refused(struct err *err, const char *why)
{
	return err_set(err, E_UNAUTHENTICATED, "%s", why);
}

/* --- the index of providers --- */

struct listing { struct provider *providers; size_t count; char last[STORE_KEY_MAX]; };

static int list_one(void *context, const char *key, const struct value *stored, int64_t revision,
                    struct err *err)
{
	struct listing *listing = context;
	const struct value *metadata = value_get(stored, "metadata");
	const char *tenant = value_get_str(metadata, "tenant");
	const char *name = value_get_str(metadata, "name");
	const char *issuer = value_get_str(value_get(stored, "spec"), "issuer");
	(void)revision;
	(void)err;
	snprintf(listing->last, sizeof listing->last, "%s", key);
	if (!tenant || !name || !issuer || listing->count >= LOGIN_PROVIDERS_MOST)
		return 0;
	struct provider *provider = &listing->providers[listing->count++];
	snprintf(provider->tenant, sizeof provider->tenant, "%s", tenant);
	snprintf(provider->name, sizeof provider->name, "%s", name);
	snprintf(provider->issuer, sizeof provider->issuer, "%s", issuer);
	return 0;
}

static int list_all(struct logins *logins, struct listing *listing, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		char after[STORE_KEY_MAX];
		snprintf(after, sizeof after, "%s", listing->last);
		TRY(catalog_list(logins->catalog, arena, prefix, after[0] ? after : NULL, PAGE,
		                 list_one, listing, &more, err));
	}
	return 0;
}

/* Lists again after a change. */
static int look(struct logins *logins, struct err *err)
{
	struct listing listing = { .count = 0 };
	if (!atomic_exchange(&logins->stale, false))
		return 0;
	listing.providers = calloc(LOGIN_PROVIDERS_MOST, sizeof *listing.providers);
	int code = listing.providers ? list_all(logins, &listing, err)
	                             : err_set(err, E_NOMEM, "no memory for logins");
	if (code < 0) {
		atomic_store(&logins->stale, true);
		free(listing.providers);
		return code;
	}
	pthread_mutex_lock(&logins->mutex);
	struct provider *old = logins->providers;
	logins->providers = listing.providers;
	logins->count = listing.count;
	pthread_mutex_unlock(&logins->mutex);
	free(old);
	return 0;
}

/* --- which provider --- */

struct choice {
	char tenant[64], name[64];
	const struct value *spec;
	int rank;                    /* 3: the path's tenant; 2: the platform; 1: another */
	int count;                   /* of that rank */
};

static const struct value *spec_of(struct logins *logins, struct arena *arena,
                                   const char *tenant, const char *name)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	catalog_key(key, KIND_IDENTITYPROVIDER, tenant, NULL, name);
	if (catalog_get(logins->catalog, arena, key, &stored, NULL, NULL) < 0)
		return NULL;
	return value_get(stored, "spec");
}

static int rank_of(const struct provider *provider, const char *tenant)
{
	if (tenant && strcmp(provider->tenant, tenant) == 0)
		return 3;
	return strcmp(provider->tenant, "platform") == 0 ? 2 : 1;
}

static void consider(struct logins *logins, struct arena *arena,
                     const struct provider *provider, const struct jwt *jwt, const char *tenant,
                     struct choice *choice)
{
	int rank = rank_of(provider, tenant);
	if (rank < choice->rank)
		return;
	const struct value *spec = spec_of(logins, arena, provider->tenant, provider->name);
	if (!spec || !jwt_is_for(jwt, value_get(spec, "audiences")))
		return;
	int count = rank == choice->rank ? choice->count + 1 : 1;
	*choice = (struct choice){ .spec = spec, .rank = rank, .count = count };
	snprintf(choice->tenant, sizeof choice->tenant, "%s", provider->tenant);
	snprintf(choice->name, sizeof choice->name, "%s", provider->name);
}

static int choose(struct logins *logins, struct arena *arena, const struct jwt *jwt,
                  const char *tenant, struct choice *ret_choice, struct err *err)
{
	TRY(look(logins, err));
	pthread_mutex_lock(&logins->mutex);
	for (size_t i = 0; i < logins->count; i++)
		if (strcmp(logins->providers[i].issuer, jwt->issuer) == 0)
			consider(logins, arena, &logins->providers[i], jwt, tenant, ret_choice);
	pthread_mutex_unlock(&logins->mutex);
	if (!ret_choice->rank)
		return refused(err, "no provider trusts that issuer for that audience");
	if (ret_choice->count > 1)
		return refused(err, "several providers fit; say which tenant is meant");
	return 0;
}

/* --- verifying --- */

static bool algorithm_allowed(const struct value *spec, enum signature_kind kind)
{
	const struct value *list = value_get(spec, "algorithms");
	for (size_t i = 0; i < value_len(list); i++) {
		const char *name = value_as_str(value_at(list, i));
		enum signature_kind listed;
		if (signature_by_name(name, &listed) && listed == kind)
			return true;
	}
	return value_len(list) == 0;
}

static int check_signature(struct logins *logins, const struct choice *choice,
                           const struct jwt *jwt, bool may_wait, struct err *err)
{
	char id[160];
	AUTO(jwks) *jwks = NULL;
	const struct issuer issuer = { .id = id, .url = value_get_str(choice->spec, "issuer"),
		.jwks_uri = value_get_str(choice->spec, "jwksUri"), .may_wait = may_wait };
	snprintf(id, sizeof id, "%s/%s", choice->tenant, choice->name);
	if (!algorithm_allowed(choice->spec, jwt->kind))
		return refused(err, "the provider does not allow that algorithm");
	TRY(issuers_find(logins->issuers, &issuer, jwt->kid, jwt->kind, &jwks, err));
	const struct signature_key *key = jwks_find(jwks, jwt->kid, jwt->kind);
	if (!key || !jwt_verify(jwt, key))
		return refused(err, "the signature does not hold");
	return 0;
}

static int64_t skew_of(const struct value *spec)
{
	int64_t skew_ms = SKEW_DEFAULT_MS;
	const char *text = value_get_str(spec, "clockSkew");
	if (text && duration_parse(text, &skew_ms, NULL) < 0)
		return 0;
	return skew_ms <= JWT_SKEW_MOST_MS ? skew_ms : JWT_SKEW_MOST_MS;
}

/* Printable and without spaces: it stands in logs, events and lists. */
static bool subject_fits(const char *subject)
{
	size_t len = subject ? strlen(subject) : 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)subject[i] <= ' ' || subject[i] == 127)
			return false;
	return len > 0 && len <= LOGIN_SUBJECT_MAX;
}

static void add_group(struct value *list, const char *group)
{
	if (group && *group && strlen(group) <= GROUP_MAX)
		value_add_str(list, group);
}

/* Only groups that the provider maps: others give nothing, and would fill the token. */
static bool is_mapped(const struct value *spec, const char *group)
{
	const struct value *mappings = value_get(spec, "groups");
	for (size_t i = 0; group && i < value_len(mappings); i++) {
		const char *claim = value_get_str(value_at(mappings, i), "claim");
		if (claim && strcmp(claim, group) == 0)
			return true;
	}
	return false;
}

static struct value *groups_of(struct arena *arena, const struct value *spec,
                               const struct value *claims)
{
	const char *name = value_get_str(spec, "groupsClaim");
	const struct value *said = value_get(claims, name ? name : "groups");
	struct value *list = value_list(arena);
	if (value_kind(said) == VALUE_STR && is_mapped(spec, value_as_str(said)))
		add_group(list, value_as_str(said));
	for (size_t i = 0; value_kind(said) == VALUE_LIST && i < value_len(said); i++) {
		const char *group = value_as_str(value_at(said, i));
		if (value_len(list) < GROUPS_MAX && is_mapped(spec, group))
			add_group(list, group);
	}
	return list;
}

static int make_proof(struct arena *arena, const struct choice *choice, const struct jwt *jwt,
                      int64_t expires_ms, struct value **ret_proof, struct err *err)
{
	const char *name = value_get_str(choice->spec, "subjectClaim");
	const char *before = value_get_str(choice->spec, "usernamePrefix");
	const char *subject = value_get_str(jwt->claims, name ? name : "sub");
	struct value *proof = value_map(arena);
	if (!subject_fits(subject))
		return refused(err, "the subject is none, too long, or not printable");
	value_set_str(proof, "kind", "oidc");
	value_set_str(proof, "tenant", choice->tenant);
	value_set_str(proof, "idp", choice->name);
	value_set_str(proof, "subject", arena_printf(arena, "%s%s", before ? before : "",
	                                             subject));
	value_set(proof, "groups", groups_of(arena, choice->spec, jwt->claims));
	value_set_int(proof, "expiresMs", expires_ms);
	TRY(value_check(proof, err));
	*ret_proof = proof;
	return 0;
}

static int check_all(struct logins *logins, struct arena *arena, const struct login_ask *ask,
                     struct value **ret_proof, struct err *err)
{
	struct jwt jwt;
	struct choice choice = { .rank = 0 };
	int64_t expires_ms = 0;
	TRY(jwt_read(arena, ask->text, &jwt, err));
	TRY(choose(logins, arena, &jwt, ask->tenant, &choice, err));
	const struct jwt_rules rules = {
		.issuer = value_get_str(choice.spec, "issuer"), .now_ms = ask->now_ms,
		.audiences = value_get(choice.spec, "audiences"), .skew_ms = skew_of(choice.spec),
	};
	/* Cheap checks first: a token that could not do anyway makes nobody fetch keys. */
	TRY(jwt_check(&jwt, &rules, &expires_ms, err));
	TRY(check_signature(logins, &choice, &jwt, ask->may_wait, err));
	return make_proof(arena, &choice, &jwt, expires_ms, ret_proof, err);
}

/* Found by the text and what decides between tenants. */
static int name_of(struct logins *logins, const char *text, const char *tenant,
                   uint8_t name[DIGEST_BYTES], struct err *err)
{
	AUTO_BUF whole;
	buf_init(&whole, JWT_TEXT_MAX + 128);
	buf_printf(&whole, "%.64s\n%s", tenant ? tenant : "", text);
	TRY(buf_check(&whole, err));
	verified_name(logins->verified, (char *)whole.data, name);
	return 0;
}

static void keep(struct logins *logins, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                 int64_t now_ms, const struct value *proof)
{
	int64_t ends_ms = value_get_int(proof, "expiresMs", 0);
	AUTO_BUF packed;
	buf_init(&packed, VERIFIED_BYTES_MAX);
	/* Not for long: a key that its issuer has withdrawn is to be noticed. */
	if (ends_ms > now_ms + ISSUERS_FRESH_MS)
		ends_ms = now_ms + ISSUERS_FRESH_MS;
	if (pack_write(proof, &packed, NULL) == 0 && buf_check(&packed, NULL) == 0)
		verified_put(logins->verified, name, stamp, ends_ms, packed.data, packed.len);
}

int logins_verify(struct logins *logins, struct arena *arena, const struct login_ask *ask,
                  struct value **ret_proof, struct err *err)
{
	uint8_t name[DIGEST_BYTES];
	AUTO_BUF packed;
	buf_init(&packed, VERIFIED_BYTES_MAX);
	if (!jwt_is(ask->text))
		return refused(err, "it has not the form of a JWT");
	uint64_t stamp = stamp_of(logins);
	TRY(name_of(logins, ask->text, ask->tenant, name, err));
	if (verified_get(logins->verified, name, stamp, ask->now_ms, &packed) &&
	    pack_read(arena, packed.data, packed.len, ret_proof, NULL) == 0)
		return 0;
	TRY(check_all(logins, arena, ask, ret_proof, err));
	keep(logins, name, stamp, ask->now_ms, *ret_proof);
	return 0;
}

/* --- who they are --- */

static bool has(const struct value *list, const char *text)
{
	for (size_t i = 0; text && i < value_len(list); i++) {
		const char *item = value_as_str(value_at(list, i));
		if (item && strcmp(item, text) == 0)
			return true;
	}
	return false;
}

static void map_group(const struct value *mapping, struct asker *asker)
{
	const struct value *roles = value_get(mapping, "roles");
	const struct value *groups = value_get(mapping, "groups");
	const char *domain = value_get_str(mapping, "domain");
	for (size_t i = 0; i < value_len(roles); i++)
		if (!asker_bind(asker, value_as_str(value_at(roles, i)), domain))
			return;
	for (size_t i = 0; i < value_len(groups) && asker->group_count < GROUPS_MAX; i++)
		asker->groups[asker->group_count++] = value_as_str(value_at(groups, i));
}

int logins_asker(struct logins *logins, struct arena *arena, const struct value *proof,
                 struct asker *asker, struct err *err)
{
	const char *tenant = value_get_str(proof, "tenant"), *name = value_get_str(proof, "idp");
	const char *subject = value_get_str(proof, "subject");
	const struct value *spec = tenant && name ? spec_of(logins, arena, tenant, name) : NULL;
	if (!spec || !subject)
		return err_set(err, E_NOT_FOUND, "the identity provider is gone");
	const struct value *mappings = value_get(spec, "groups");
	asker->tenant = tenant;
	asker->principal = arena_printf(arena, "%s:%s", name, subject);
	if (!asker->principal)
		return err_set(err, E_NOMEM, "no memory for a login");
	for (size_t i = 0; i < value_len(mappings); i++) {
		const struct value *mapping = value_at(mappings, i);
		if (has(value_get(proof, "groups"), value_get_str(mapping, "claim")))
			map_group(mapping, asker);
	}
	return 0;
}

/* --- rules --- */

static int check_roles(const struct request *request, const struct manifest *manifest,
                       const struct value *roles, const char *field, struct err *err)
{
	if (!has(roles, "operator"))
		return 0;
	if (strcmp(manifest->tenant, "platform") != 0)
		return err_set(err, E_INVALID, "%s: operators are of the tenant platform only",
		               field);
	if (!request->rule || strcmp(request->rule, "operator") != 0)
		return err_set(err, E_DENIED, "%s: only an operator may make operators", field);
	return 0;
}

static int check_mapping(struct control *control, const struct request *request,
                         const struct manifest *manifest, const struct value *mapping, size_t at,
                         struct err *err)
{
	char key[STORE_KEY_MAX], field[64];
	const struct value *roles = value_get(mapping, "roles");
	const char *domain = value_get_str(mapping, "domain");
	snprintf(field, sizeof field, "spec.groups[%zu]", at);
	if (!value_len(roles) && !value_len(value_get(mapping, "groups")))
		return err_set(err, E_INVALID, "%s: gives neither roles nor groups", field);
	TRY(check_roles(request, manifest, roles, field, err));
	catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL, domain ? domain : "");
	if (domain && !catalog_has(control->catalog, key) && !request->dry_run)
		return err_set(err, E_INVALID, "%s: there is no domain %s; apply it first", field,
		               domain);
	return 0;
}

static int check_count(struct control *control, struct request *request,
                       const struct manifest *manifest, struct err *err)
{
	char own[STORE_KEY_MAX];
	struct listing listing = { .count = 0 };
	bool more = false;
	listing.providers = arena_alloc(request->arena, (LOGIN_PROVIDERS_OF_TENANT + 1) *
	                                sizeof *listing.providers);
	if (!listing.providers)
		return err_set(err, E_NOMEM, "no memory for identity providers");
	snprintf(own, sizeof own, "%s%s/", prefix, manifest->tenant);
	TRY(catalog_list(control->catalog, request->arena, own, NULL, LOGIN_PROVIDERS_OF_TENANT + 1,
	                 list_one, &listing, &more, err));
	if (listing.count < LOGIN_PROVIDERS_OF_TENANT)
		return 0;
	return err_set(err, E_CONFLICT, "the tenant %s has %d identity providers, which is the "
	               "most; delete one first", manifest->tenant, LOGIN_PROVIDERS_OF_TENANT);
}

int logins_rules(struct control *control, struct request *request,
                 const struct manifest *manifest, const struct value *before, struct err *err)
{
	const struct value *spec = manifest->spec, *mappings = value_get(spec, "groups");
	const char *skew = value_get_str(spec, "clockSkew"), *uri = value_get_str(spec, "jwksUri");
	struct issuers *issuers = logins_issuers(control->logins);
	int64_t skew_ms = 0;
	TRY(issuers_check_url(issuers, "spec.issuer", value_get_str(spec, "issuer"), err));
	if (uri)
		TRY(issuers_check_url(issuers, "spec.jwksUri", uri, err));
	if (skew)
		TRY(duration_parse(skew, &skew_ms, err));
	if (skew_ms > JWT_SKEW_MOST_MS)
		return err_set(err, E_INVALID, "spec.clockSkew: is at most 60s");
	for (size_t i = 0; i < value_len(mappings); i++)
		TRY(check_mapping(control, request, manifest, value_at(mappings, i), i, err));
	return before ? 0 : check_count(control, request, manifest, err);
}
