/* catalog.h - every resource, in memory: a copy of the store's keys under "r/", kept by the
 * journal's own commits, one prefix watch, and a re-list now and then. Never trusts the watch
 * alone: what matters is compared again (mod_revision) in the transaction that writes.
 *
 * Keys: r/tenant/TENANT, r/ratecard/NAME, r/KIND/TENANT/NAME, r/KIND/TENANT/DOMAIN/NAME, and beside
 * the manifests r/apikey/ID, r/key/TENANT (wrapped tenant keys), r/head/TENANT/DOMAIN/DATASET
 * (current snapshot). A value is a map; a manifest's holds {kind, metadata{name, tenant, domain,
 * uid, createdAt, updatedAt, labels, annotations}, spec, key?{version, box, tenantVersion}}. Any
 * thread. */
#ifndef CATALOG_H
#define CATALOG_H

#include "api/kinds.h"
#include "common/clock.h"
#include "common/store.h"

struct catalog;
MUST_USE int catalog_new(struct clock *clock, const uint8_t *state_key,
                         struct catalog **ret_catalog, struct err *err);
void catalog_free(struct catalog *catalog);
DEFINE_AUTO(catalog)

/* Lists and then watches the store's "r/". */
MUST_USE int catalog_follow(struct catalog *catalog, struct store *store, struct err *err);
void catalog_unfollow(struct catalog *catalog);        /* no change is told after it returns */
/* Lists once more, so that it is as current as the store is now: before leading. Waits for another
 * that does. */
MUST_USE int catalog_refresh(struct catalog *catalog, struct store *store, struct err *err);
/* False: memory was missing for a change, which is not known here; the next listing brings it. */
bool catalog_whole(struct catalog *catalog);
/* What the journal has just committed; older revisions than known are ignored. */
void catalog_apply(struct catalog *catalog, const char *key, const struct value *value,
                   int64_t revision);
/* Called after each change, outside the lock; set before catalog_follow. */
typedef void catalog_change_fn(void *context, const char *key, const struct value *value);
void catalog_on_change(struct catalog *catalog, catalog_change_fn *change, void *context);
int64_t catalog_revision(struct catalog *catalog);
/* The watch has told of everything up to that revision of the store. */
int64_t catalog_followed(struct catalog *catalog);

/* A copy in arena; E_NOT_FOUND with the sentence `KIND NAME does not exist`-like. ret_revision: the
 * ETag. */
MUST_USE int catalog_get(struct catalog *catalog, struct arena *arena, const char *key,
                         struct value **ret_value, int64_t *ret_revision, struct err *err);
bool catalog_has(struct catalog *catalog, const char *key);
bool catalog_has_prefix(struct catalog *catalog, const char *prefix);
/* In key order, from after `after` (NULL: the start), at most limit; visit gets copies in arena. */
typedef int catalog_visit_fn(void *context, const char *key, const struct value *value,
                             int64_t revision, struct err *err);
MUST_USE int catalog_list(struct catalog *catalog, struct arena *arena, const char *prefix,
                          const char *after, size_t limit, catalog_visit_fn *visit,
                          void *context, bool *ret_more, struct err *err);

/* Keys into out (STORE_KEY_MAX). NULL members for a scope that has none. */
const char *catalog_key(char out[STORE_KEY_MAX], enum kind kind, const char *tenant,
                        const char *domain, const char *name);
/* "NAME" or "DOMAIN.NAME" of a kind, seen from a domain: splits, checks the names. */
MUST_USE int catalog_ref(const char *ref, const char *own_domain, char domain[64], char name[64],
                         struct err *err);

#endif
