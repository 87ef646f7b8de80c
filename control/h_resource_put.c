/* h_resource_put.c - creating and changing a resource.
 * Invariants: what is written compares the revision it was decided on; what would change nothing is
 * not written; a new tenant gets its key, a new dataset or view its own, in the same change. */
#include "common/defs.h"
#include "control/resource.h"

#include "common/crypto.h"
#include "common/pack.h"
#include "control/behalf.h"
#include "control/grants.h"
#include "control/keys.h"
#include "control/rules.h"
#include "control/rules_sharing.h"
#include "control/tagging.h"
#include "control/tenancy.h"

#include <inttypes.h>
#include <string.h>

handler_fn h_resource_put;

enum { CHANGED_MAX = 16 };

/* From handle to finish. */
struct put {
	struct manifest manifest;
	const char *result;          /* "created", "configured", "unchanged" */
	struct value *diff;
	bool renews;                 /* it is written though nothing differs */
	struct value *stored;        /* what is, or would be, stored */
	int64_t revision;            /* of what was read; 0: there was nothing */
	char key[STORE_KEY_MAX];
};

/* --- what was asked --- */

static int agrees(const char *field, const char *said, const char *path, struct err *err)
{
	if (!said || (path && strcmp(said, path) == 0))
		return 0;
	return err_set(err, E_INVALID,
	               "%s: is another than the path's, %s; make them agree or leave it "
	               "out",
	               field, path ? path : "which has none");
}

static int read_manifest(struct request *request, struct manifest *ret_manifest, struct err *err)
{
	struct manifest said, path;
	if (!request->body)
		return err_set(err, E_INVALID, "the body is empty; it must hold a manifest");
	TRY(manifest_check(request->body, &said, err));
	resource_named(request, &path);
	if (said.kind != path.kind)
		return err_set(err, E_INVALID, "kind: is %s, but this path takes a %s",
		               kind_info[said.kind].kind, kind_info[path.kind].kind);
	TRY(agrees("metadata.name", said.name, path.name, err));
	TRY(agrees("metadata.tenant", said.tenant, path.tenant, err));
	TRY(agrees("metadata.domain", said.domain, path.domain, err));
	said.name = path.name;
	said.tenant = path.tenant;
	said.domain = path.domain;
	*ret_manifest = said;
	return 0;
}

static int precondition(const struct request *request, int64_t revision, struct err *err)
{
	const char *match = request_header(request, "If-Match");
	const char *none = request_header(request, "If-None-Match");
	if (none && strcmp(none, "*") != 0)
		return err_set(err, E_INVALID,
		               "If-None-Match takes only *: write it if it does not exist");
	if (none && revision)
		return err_set(err, E_PRECONDITION,
		               "it exists already; leave If-None-Match out to change "
		               "it");
	if (match && !revision)
		return err_set(err, E_PRECONDITION,
		               "it does not exist; leave If-Match out to create it");
	return resource_if_match(request, revision, err);
}

/* --- keys --- */

static int add_tenant_key(struct control *control, struct request *request, const char *tenant,
                          struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *value = NULL;
	TRY(keys_make_tenant(control->keyring, request->arena, tenant, &value, err));
	return change_put(change, keys_tenant_key(key, tenant), value, 0, err);
}

/* Under the tenant's key as it is when this is committed: a version that is being retired gets
 * nothing new. */
static int add_own_key(struct control *control, struct request *request, struct put *put,
                       struct change *change, struct err *err)
{
	char at[STORE_KEY_MAX];
	int64_t revision = 0;
	const char *tenant = put->manifest.tenant;
	const char *uid = value_get_str(value_get(put->stored, "metadata"), "uid");
	struct value *tenant_key = NULL, *key = NULL;
	TRY(tenancy_needs(control, tenant, TENANCY_KEYS, err));
	TRY(catalog_get(control->catalog, request->arena, keys_tenant_key(at, tenant), &tenant_key,
	                &revision, err));
	TRY(change_expect(change, at, revision, err));
	TRY(keys_make_resource(control->keyring, request->arena, tenant, tenant_key, uid, &key,
	                       err));
	value_set(put->stored, "key", key);
	return value_check(put->stored, err);
}

static bool has_own_key(enum kind kind)
{
	return kind == KIND_DATASET || kind == KIND_FEATUREVIEW;
}

/* --- handle --- */

static int compare(struct control *control, struct request *request, struct put *put,
                   struct value **ret_before, struct err *err)
{
	struct value *before = NULL;
	int code = catalog_get(control->catalog, request->arena, put->key, &before, &put->revision,
	                       err);
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	TRY(precondition(request, put->revision, err));
	TRY(resource_store(request, &put->manifest, before, &put->stored, err));
	TRY(manifest_diff(request->arena, before, put->stored, &put->diff, err));
	put->result = !before ? "created" : value_len(put->diff) ? "configured" : "unchanged";
	*ret_before = before;
	return 0;
}

static int write_it(struct control *control, struct request *request, struct put *put,
                    struct err *err)
{
	struct change *change = NULL;
	enum kind kind = put->manifest.kind;
	TRY(request_change(request, &change, err));
	if (!put->revision && has_own_key(kind))
		TRY(add_own_key(control, request, put, change, err));
	if (!put->revision && kind == KIND_TENANT)
		TRY(add_tenant_key(control, request, put->manifest.name, change, err));
	return change_put(change, put->key, put->stored, put->revision, err);
}

/* A fingerprint of what is said, without saying it. */
static void set_digest(struct request *request, const char *name, const struct value *stored)
{
	AUTO_BUF packed;
	uint8_t hash[32];
	char text[2 * sizeof hash + 1];
	const struct value *spec = value_get(stored, "spec");
	buf_init(&packed, STORE_VALUE_MAX);
	if (!spec || pack_write(spec, &packed, NULL) < 0 || buf_check(&packed, NULL) < 0)
		return;
	sha256(packed.data, packed.len, hash);
	hex_print(hash, sizeof hash, text);
	value_set_str(request->detail, name, text);
}

/* For the audit log: which members were changed, their names alone, and from what to what. */
static int set_detail(struct request *request, const struct put *put, const struct value *before,
                      struct err *err)
{
	const struct value *spec = value_get(put->stored, "spec");
	struct value *changed = value_list(request->arena);
	request->verb = before ? VERB_UPDATE : VERB_CREATE;
	request->detail = value_map(request->arena);
	for (size_t i = 0; i < value_len(put->diff) && i < CHANGED_MAX; i++)
		value_add_str(changed, value_get_str(value_at(put->diff, i), "path"));
	set_digest(request, "before", before);
	set_digest(request, "after", put->stored);
	if (before)
		value_set(request->detail, "changed", changed);
	value_set_str(request->detail, "role", value_get_str(spec, "role"));
	return value_check(request->detail, err);
}

/* After the commit. Without an ETag when another write has followed already: the ETag of that one
 * would let this caller overwrite what it has not seen. */
static int finish(struct control *control, struct request *request, struct err *err)
{
	struct put *put = request->state;
	bool wrote = request->change != NULL;
	struct value *now = NULL, *shown = NULL, *body = value_map(request->arena);
	int64_t revision = wrote ? 0 : put->revision;
	if (wrote &&
	    catalog_get(control->catalog, request->arena, put->key, &now, &revision, NULL) < 0)
		revision = 0;
	if (wrote && revision && !value_equal(now, put->stored))
		revision = 0;
	TRY(resource_show(control, request->arena, put->stored, revision, &shown, err));
	value_set_str(body, "result", put->result);
	value_set(body, "diff", put->diff);
	if (request->warnings)
		value_set(body, "warnings", request->warnings);
	if (request->missing)
		value_set(body, "missing", request->missing);
	value_set(body, "resource", shown);
	request->reply->etag = revision ? resource_etag(request->arena, revision) : NULL;
	return request_reply(request, wrote && !put->revision ? 201 : 200, body, err);
}

/* What a schedule runs reads for whoever wrote it. One that was written before that was kept takes
 * its writer from whoever writes it next, though nothing else changes. */
static int keep_writer(const struct request *request, struct put *put, struct value *before,
                       struct err *err)
{
	struct behalf behalf;
	TRY(behalf_of(request, true, &behalf, err));
	behalf_set(request->arena, put->stored, &behalf);
	if (before && value_len(put->diff) == 0 && !value_get(before, "reader"))
		put->renews = true;
	return value_check(put->stored, err);
}

/* What is stored beside the manifest. */
static int keep_beside(struct control *control, const struct request *request, struct put *put,
                       struct value *before, struct err *err)
{
	if (request->via)
		value_set(put->stored, "via", request->via);
	if (put->manifest.kind == KIND_FEATUREVIEW)
		return tagging_keep_showed(control, request->arena, before, put->stored, err);
	return put->manifest.kind == KIND_SCHEDULE ? keep_writer(request, put, before, err) : 0;
}

int h_resource_put(struct control *control, struct request *request, struct err *err)
{
	struct put *put = arena_alloc(request->arena, sizeof *put);
	struct value *before = NULL;
	if (!put)
		return err_set(err, E_NOMEM, "no memory for a write");
	TRY(request_needs_lead(request, err));
	TRY(read_manifest(request, &put->manifest, err));
	resource_key(put->key, &put->manifest);
	TRY(compare(control, request, put, &before, err));
	TRY(rules_put(control, request, &put->manifest, before, err));
	TRY(keep_beside(control, request, put, before, err));
	if (value_len(put->diff) == 0 && before && !put->renews)
		put->stored = before;
	else if (!request->dry_run)
		TRY(write_it(control, request, put, err));
	TRY(set_detail(request, put, before, err));
	TRY(grants_guard(control, request, err));
	if (request->change)
		TRY(rules_sharing_tell(control, request, before, put->stored, err));
	request->state = put;
	request->finish = finish;
	return 0;
}
