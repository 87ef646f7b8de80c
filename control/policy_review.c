/* policy_review.c - see policy_review.h. Only names of the policy's own tenant are looked up (of
 * every one for the platform's): a warning tells nothing of another's. */
#include "common/defs.h"
#include "control/policy_review.h"

#include "policy/cedar_parse.h"
#include "policy/examples.h"

#include <stdio.h>
#include <string.h>

enum { WARNINGS_MAX = 100, NAME_PARTS = 5, PART_MAX = 512, SCRATCH_BYTES = 16 * MIB };

static const struct model_kind kinds[] = {
#define SUBTABLE(name, FIELDS)
#define KIND MODEL_KIND
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

int review_model(struct arena *arena, const struct model **ret_model, struct err *err)
{
	return model_new(arena, kinds, ARRAY_LEN(kinds), ret_model, err);
}

int review_schema(struct buf *out, struct err *err)
{
	return model_print(kinds, ARRAY_LEN(kinds), out, err);
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left to look at a policy");
}

/* --- names --- */

struct look {
	const struct review *review;
	const char *policy;
	struct value *warnings;
};

/* "T/D/NAME/COLUMN" in its parts; "" for what is not there. */
struct named {
	char parts[NAME_PARTS][PART_MAX];
	size_t count;
};

static bool split(const struct cedar_uid *uid, struct named *named)
{
	const char *at = uid->id.text, *end = at + uid->id.len;
	memset(named, 0, sizeof *named);
	while (named->count < NAME_PARTS) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t len = (size_t)((slash ? slash : end) - at);
		if (len >= PART_MAX || memchr(at, 0, len))
			return false;
		memcpy(named->parts[named->count++], at, len);
		if (!slash)
			return true;
		at = slash + 1;
	}
	return false;
}

static bool is(const struct cedar_uid *uid, const char *type)
{
	return cedar_str_is(uid->type, type);
}

static bool stored(const struct look *look, enum kind kind, const char *tenant, const char *domain,
                   const char *name)
{
	char key[STORE_KEY_MAX];
	if (strlen(tenant) + strlen(domain) + strlen(name) + 64 > STORE_KEY_MAX)
		return false;
	catalog_key(key, kind, tenant, domain, name);
	return catalog_has(look->review->control->catalog, key);
}

static bool has_column(const struct look *look, const struct named *named)
{
	char key[STORE_KEY_MAX];
	struct value *dataset = NULL;
	if (!stored(look, KIND_DATASET, named->parts[0], named->parts[1], named->parts[2]))
		return stored(look, KIND_FEATUREVIEW, named->parts[0], named->parts[1],
		              named->parts[2]);
	catalog_key(key, KIND_DATASET, named->parts[0], named->parts[1], named->parts[2]);
	if (catalog_get(look->review->control->catalog, look->review->arena, key, &dataset, NULL,
	                NULL) < 0)
		return true;
	const struct value *columns = value_get(value_get(dataset, "spec"), "schema");
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = value_get_str(value_at(columns, i), "name");
		if (name && strcmp(name, named->parts[3]) == 0)
			return true;
	}
	return value_len(columns) == 0;
}

static bool has_role(const struct look *look, const struct named *named)
{
	const char *domain = named->parts[1];
	if (!role_known(named->parts[named->count - 1]))
		return false;
	return named->count != 3 || strcmp(domain, "*") == 0 ||
	       stored(look, KIND_DOMAIN, named->parts[0], "", domain);
}

/* Logins and other tenants' readers are no Principals. */
static bool has_user(const struct look *look, const struct named *named)
{
	const char *name = named->parts[1];
	return strchr(name, ':') || strcmp(name, "*") == 0 ||
	       stored(look, KIND_PRINCIPAL, named->parts[0], "", name);
}

/* "T/D/NAME" of a kind, "T//NAME" or "T/NAME" of a tenant's. */
static bool has_resource(const struct look *look, const struct cedar_uid *uid,
                         const struct named *named)
{
	char type[64];
	snprintf(type, sizeof type, "%.*s", (int)uid->type.len, uid->type.text);
	enum kind kind = kind_by_name(type);
	if (kind == KIND_NONE || kind_info[kind].scope == SCOPE_PLATFORM)
		return true;
	const char *last = named->parts[named->count - 1];
	const char *domain = named->count > 2 ? named->parts[1] : "";
	/* ACCEPTANCE.NAME is another tenant's. */
	return strchr(last, '.') || stored(look, kind, named->parts[0], domain, last);
}

/* Whether it is there; what cannot be looked up is taken to be. */
static bool is_there(const struct look *look, const struct cedar_uid *uid,
                     const struct named *named)
{
	if (is(uid, "User"))
		return has_user(look, named);
	if (is(uid, "Role"))
		return has_role(look, named);
	if (is(uid, "Tenant") || is(uid, "Commons"))
		return stored(look, KIND_TENANT, "", "", named->parts[0]);
	if (is(uid, "Column"))
		return has_column(look, named);
	return has_resource(look, uid, named);
}

static int warn(const struct look *look, struct cedar_place place, const struct cedar_uid *uid,
                const char *what, struct err *err)
{
	struct arena *arena = look->review->arena;
	if (value_len(look->warnings) >= WARNINGS_MAX)
		return 0;
	const char *text = arena_printf(arena, "policy %s: line %u, column %u: %s::\"%s\" %s",
	                                look->policy, place.line, place.column,
	                                cedar_str_show(arena, uid->type),
	                                cedar_str_show(arena, uid->id), what);
	if (!text)
		return no_room(err);
	value_add_str(look->warnings, text);
	return value_check(look->warnings, err);
}

static int look_at(const struct look *look, struct cedar_place place, const struct cedar_uid *uid,
                   struct err *err)
{
	struct named named;
	const char *own = look->review->tenant;
	bool platforms = strcmp(own, "platform") == 0;
	bool someone = is(uid, "User") || is(uid, "Group") || is(uid, "Role");
	if (is(uid, "Action") || is(uid, "Platform"))
		return 0;
	if (!split(uid, &named))
		return warn(look, place, uid, "is no name that anything has", err);
	bool other = strcmp(named.parts[0], own) != 0 && !platforms;
	if (other && someone)    /* an operator's, or whoever another tenant's reader is */
		return 0;
	if (other)
		return warn(look, place, uid, "is of another tenant; these policies are not asked "
		            "about it", err);
	if (is_there(look, uid, &named))
		return 0;
	return warn(look, place, uid, "is not there now; it matches nothing", err);
}

static int look_through(const struct look *look, const struct cedar_expr *expr, struct err *err)
{
	if (expr->op == CEDAR_OP_LITERAL && expr->value.kind == CEDAR_ENTITY)
		TRY(look_at(look, expr->place, expr->value.uid, err));
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(look_through(look, expr->args[i], err));
	return 0;
}

static int look_at_names(const struct look *look, const struct cedar_policy *policy,
                         struct err *err)
{
	const struct cedar_scope *const scopes[] = { &policy->principal, &policy->resource };
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		for (size_t n = 0; n < scopes[i]->count; n++)
			TRY(look_at(look, scopes[i]->place, scopes[i]->uids[n], err));
	return policy->condition ? look_through(look, policy->condition, err) : 0;
}

/* --- text --- */

static const struct value *columns_of(void *context, const char *dataset)
{
	const struct review *review = context;
	char key[STORE_KEY_MAX];
	struct value *stored_dataset = NULL;
	if (strlen(dataset) + 16 > sizeof key)
		return NULL;
	snprintf(key, sizeof key, "r/dataset/%s", dataset);
	if (strncmp(dataset, review->tenant, strlen(review->tenant)) != 0 ||
	    dataset[strlen(review->tenant)] != '/' ||
	    catalog_get(review->control->catalog, review->arena, key, &stored_dataset, NULL,
	                NULL) < 0)
		return NULL;
	return value_get(value_get(stored_dataset, "spec"), "schema");
}

static int add_error(const struct review *review, const char *name, const char *what,
                     struct value *errors, struct err *err)
{
	const char *text = arena_printf(review->arena, "policy %s: %s", name, what);
	if (!text)
		return no_room(err);
	value_add_str(errors, text);
	return value_check(errors, err);
}

int review_policy(const struct review *review, const char *name, const char *text,
                  struct value *errors, struct value *warnings, struct err *err)
{
	struct cedar_policies policies;
	const struct cedar_finding *findings = NULL;
	size_t count = 0;
	struct err why = { 0 };
	struct review copy = *review;
	const struct model_data data = { .columns = columns_of, .context = &copy };
	int rc = cedar_parse_policies(review->arena, text, strlen(text), &policies, &why);
	if (rc == E_NOMEM)
		return no_room(err);
	if (rc < 0)
		return add_error(review, name, why.text, errors, err);
	TRY(model_check(review->model, review->arena, &policies, &data, &findings, &count, err));
	for (size_t i = 0; i < count; i++)
		TRY(add_error(review, name, findings[i].text, errors, err));
	const struct look look = { review, name, warnings };
	for (size_t i = 0; i < policies.count; i++)
		TRY(look_at_names(&look, &policies.items[i], err));
	return 0;
}

/* --- examples --- */

static int tell(const struct review *review, const char *name, const struct example *example,
                struct value *failed, struct err *err)
{
	const char *text = arena_printf(review->arena, "policy %s: the example %s does not hold: "
	                                "expected %s, got %s", name, example->name,
	                                example->expected, example->got);
	if (!text)
		return no_room(err);
	value_add_str(failed, text);
	return value_check(failed, err);
}

int review_examples(const struct review *review, const struct engine *engine, const char *name,
                    const struct value *examples, size_t most, struct value *failed, size_t *tried,
                    struct err *err)
{
	AUTO(arena) *scratch = NULL;
	struct example example;
	if (value_len(examples) > EXAMPLES_MAX)
		return err_set(err, E_INVALID, "spec.examples: has %zu, at most %d are allowed",
		               value_len(examples), EXAMPLES_MAX);
	TRY(arena_new(SCRATCH_BYTES, &scratch, err));
	for (size_t i = 0; i < value_len(examples) && value_len(failed) < most; i++) {
		arena_reset(scratch);
		++*tried;
		if (example_run(review->model, engine, scratch, review->tenant, examples, i,
		                &example, err) < 0)
			return err_prefix(err, "spec.examples[%zu]", i);
		if (!example.holds)
			TRY(tell(review, name, &example, failed, err));
	}
	return 0;
}
