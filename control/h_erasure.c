/* h_erasure.c - a tenant's deletion asked for, looked at and cancelled; the certificates of those
 * that were erased, and the keys to verify them with. */
#include "common/defs.h"
#include "control/resource.h"

#include "api/field.h"
#include "control/erasure.h"
#include "control/intake.h"
#include "control/signer.h"
#include "control/tenancy.h"

#include <string.h>

handler_fn h_deletion_begin, h_deletion_get, h_deletion_cancel, h_erasure_list, h_erasure_get,
	h_signer_list;

static const struct field deletion_fields[] = {
	{ FIELD_NAME, true, "name", NULL, NULL, "the tenant's name once more" },
	{ FIELD_TEXT, true, "reason", "256", NULL, "why" },
	{ FIELD_DURATION, false, "after", NULL, NULL, "how long it waits" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

/* The tenant as stored, and what is known of its deletion; record NULL: nothing. */
struct doomed {
	char key[STORE_KEY_MAX], erasing_key[STORE_KEY_MAX];
	struct value *tenant, *record;
	int64_t revision, record_revision;
};

static int find(struct control *control, struct request *request, struct doomed *doomed,
                struct err *err)
{
	struct catalog *catalog = control->catalog;
	catalog_key(doomed->key, KIND_TENANT, NULL, NULL, request->tenant);
	erasure_key(doomed->erasing_key, request->tenant);
	doomed->record = NULL;
	TRY(catalog_get(catalog, request->arena, doomed->key, &doomed->tenant, &doomed->revision,
	                err));
	int rc = catalog_get(catalog, request->arena, doomed->erasing_key, &doomed->record,
	                     &doomed->record_revision, err);
	if (rc == E_NOT_FOUND)
		doomed->record = NULL;
	return rc == E_NOT_FOUND ? 0 : rc;
}

/* --- begun --- */

static int read_due(struct control *control, const struct request *request, int64_t *ret_due_ms,
                    struct err *err)
{
	char least[TIME_TEXT_MAX];
	const char *after = value_get_str(request->body, "after");
	int64_t wait_ms = control->erase_after_ms;
	if (after)
		TRY(duration_parse(after, &wait_ms, err));
	if (wait_ms < control->erase_after_ms)
		return err_set(err, E_INVALID, "after: is shorter than this installation's "
		               "--erase-after-s, %s; give that or more",
		               duration_print(control->erase_after_ms, least));
	*ret_due_ms = request->now_ms + wait_ms;
	return 0;
}

static int read_request(const struct request *request, struct err *err)
{
	if (strcmp(request->tenant, "platform") == 0)
		return err_set(err, E_CONFLICT, "the tenant platform is the installation's own and "
		               "stays");
	TRY(fields_check(deletion_fields, request->body, "", err));
	if (strcmp(value_get_str(request->body, "name"), request->tenant) != 0)
		return err_set(err, E_INVALID, "name: is another than the path's; it must be %s, "
		               "the tenant that is to be deleted with all it has", request->tenant);
	return 0;
}

static int begun(struct control *control, struct request *request, struct err *err)
{
	if (request->change)
		erasures_wake(request->part->erasures);
	return request_reply(request, 202, erasure_show(control, request->arena, request->state),
	                     err);
}

/* The tenant's resource in the state that waits. */
static int mark(struct request *request, const struct doomed *doomed, int64_t due_ms,
                struct value **ret_tenant, struct err *err)
{
	struct arena *arena = request->arena;
	struct value *tenant = value_copy(arena, doomed->tenant);
	struct value *state = tenancy_state_new(arena, TENANT_DELETING, intake_principal(request),
	                                        value_get_str(request->body, "reason"),
	                                        value_get(doomed->tenant, "state"),
	                                        request->now_ms);
	value_set_int(state, "dueAt", due_ms);
	value_set(tenant, "state", state);
	*ret_tenant = tenant;
	return value_check(tenant, err);
}

static int write_begin(struct request *request, const struct doomed *doomed, int64_t due_ms,
                       struct err *err)
{
	struct value *tenant = NULL;
	struct change *change = NULL;
	TRY(mark(request, doomed, due_ms, &tenant, err));
	TRY(request_change(request, &change, err));
	TRY(change_put(change, doomed->key, tenant, doomed->revision, err));
	return change_put(change, doomed->erasing_key, request->state, 0, err);
}

/* Asked for again, it is as it is: the first request's time and reason stand. */
int h_deletion_begin(struct control *control, struct request *request, struct err *err)
{
	struct doomed doomed;
	int64_t due_ms = 0;
	TRY(request_needs_lead(request, err));
	TRY(read_request(request, err));
	TRY(find(control, request, &doomed, err));
	TRY(resource_if_match(request, doomed.revision, err));
	TRY(read_due(control, request, &due_ms, err));
	const struct erasure_asked asked = {
		.tenant = request->tenant, .by = intake_principal(request),
		.reason = value_get_str(request->body, "reason"), .resource = doomed.tenant,
		.now_ms = request->now_ms, .due_ms = due_ms,
	};
	request->finish = begun;
	request->state = doomed.record ? doomed.record : erasure_record(request->arena, &asked);
	TRY(value_check(request->state, err));
	return doomed.record || request->dry_run ? 0 : write_begin(request, &doomed, due_ms, err);
}

/* --- looked at --- */

static int none(const struct request *request, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "the tenant %s is not being deleted", request->tenant);
}

int h_deletion_get(struct control *control, struct request *request, struct err *err)
{
	struct doomed doomed;
	TRY(request_needs_lead(request, err));
	TRY(find(control, request, &doomed, err));
	if (!doomed.record)
		return none(request, err);
	return request_reply(request, 200, erasure_show(control, request->arena, doomed.record),
	                     err);
}

/* --- cancelled --- */

static int cancelled(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	return request_reply_result(request, "cancelled", err);
}

int h_deletion_cancel(struct control *control, struct request *request, struct err *err)
{
	struct doomed doomed;
	struct change *change = NULL;
	TRY(request_needs_lead(request, err));
	TRY(find(control, request, &doomed, err));
	if (!doomed.record)
		return none(request, err);
	const struct value *state = value_get(doomed.tenant, "state");
	const struct value *before = value_get(state, "before");
	if (value_get(state, "erasingAt"))
		return err_set(err, E_CONFLICT, "the tenant %s is being erased already; its keys "
		               "are gone or about to be, and nothing brings it back",
		               request->tenant);
	request->finish = cancelled;
	if (request->dry_run)
		return 0;
	struct value *tenant = value_copy(request->arena, doomed.tenant);
	TRY(value_check(tenant, err));
	value_remove(tenant, "state");
	if (before)
		value_set(tenant, "state", value_copy(request->arena, before));
	TRY(value_check(tenant, err));
	TRY(request_change(request, &change, err));
	TRY(change_put(change, doomed.key, tenant, doomed.revision, err));
	return change_delete(change, doomed.erasing_key, doomed.record_revision, err);
}

/* --- certificates --- */

static struct value *show(struct arena *arena, const struct value *stored, bool whole)
{
	static const char *const texts[] = { "tenant", "uid", "requestedBy", "reason" };
	static const char *const times[] = { "requestedAt", "completedAt" };
	struct value *shown = value_map(arena);
	char text[TIME_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		value_set_str(shown, texts[i], value_get_str(stored, texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		value_set_str(shown, times[i], time_print_ms(value_get_int(stored, times[i], 0),
		                                             text));
	if (whole)
		value_set_str(shown, "certificate", value_get_str(stored, "certificate"));
	return shown;
}

struct listing { struct arena *arena; struct value *items; const char *last; };

static int add(void *context, const char *key, const struct value *stored, int64_t revision,
               struct err *err)
{
	struct listing *listing = context;
	struct value *item = show(listing->arena, stored, false);
	(void)revision;
	listing->last = key;
	value_add(listing->items, item);
	return value_check(item, err);
}

/* Erased tenants are the platform's business: its operators', and its auditors'. */
static int may_read(const struct request *request, struct err *err)
{
	if (strcmp(request->asker.tenant, "platform") == 0)
		return 0;
	return err_set(err, E_DENIED, "%s/%s may not erasure:read: that is for operators and "
	               "auditors of the tenant platform; ask one for the certificate",
	               request->asker.tenant, request->asker.principal);
}

int h_erasure_list(struct control *control, struct request *request, struct err *err)
{
	struct listing listing = { request->arena, value_list(request->arena), NULL };
	const char *after = NULL, *resume = NULL, *from = request_query(request, "continue");
	int64_t limit = 0;
	bool more = false;
	TRY(may_read(request, err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	if (from && !id_valid(from))
		return err_set(err, E_INVALID, "continue is not a token of this list; begin again "
		               "without it");
	after = from ? arena_printf(request->arena, "r/erasure/%s", from) : NULL;
	TRY(catalog_list(control->catalog, request->arena, "r/erasure/", after, (size_t)limit, add,
	                 &listing, &more, err));
	if (more && listing.last)
		resume = strrchr(listing.last, '/') + 1;
	return request_reply_list(request, listing.items, resume, err);
}

int h_erasure_get(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	TRY(may_read(request, err));
	if (!id_valid(request->key))
		return err_set(err, E_NOT_FOUND, "no tenant with such a uid was erased");
	TRY(catalog_get(control->catalog, request->arena, erasure_done_key(key, request->key),
	                &stored, NULL, err));
	return request_reply(request, 200, show(request->arena, stored, true), err);
}

int h_signer_list(struct control *control, struct request *request, struct err *err)
{
	struct value *items = value_list(request->arena), *item = value_map(request->arena);
	struct note_verifier verifier;
	char key[NOTE_VERIFIER_MAX];
	TRY(signer_verifier(control, &verifier, err));
	note_verifier_print(&verifier, key);
	value_set_str(item, "name", verifier.name);
	value_set_str(item, "use", "erasure certificates and checkpoints of audit logs");
	value_set_str(item, "key", key);
	value_add(items, item);
	return request_reply_list(request, items, NULL, err);
}
