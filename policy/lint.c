/* lint.c - see lint.h. */
#include "common/defs.h"
#include "policy/lint.h"

#include "policy/cedar_parse.h"
#include "policy/policy.h"

#include <string.h>

struct one {
	const char *text_name; /* of the Policy it is in */
	size_t number;
	const struct cedar_policy *policy;
	bool never, always;              /* by its condition */
	bool actions[CEDAR_ACTIONS_MAX]; /* of the schema: those that it may be about */
};

struct lint {
	const struct model *model;
	struct arena *arena;
	struct value *findings;
	struct one **all;
	size_t count, room;
	struct err *err;
};

static int no_room(struct lint *lint)
{
	return err_set(lint->err, E_NOMEM, "no memory left to look through policies");
}

static int find(struct lint *lint, bool error, const char *policy, const char *rule,
                const char *text)
{
	struct value *finding = value_map(lint->arena);
	if (value_len(lint->findings) >= LINT_FINDINGS_MAX)
		return 0;
	value_set_str(finding, "severity", error ? "error" : "warning");
	value_set_str(finding, "policy", policy);
	value_set_str(finding, "rule", rule);
	value_set_str(finding, "text", text);
	value_add(lint->findings, finding);
	return value_check(lint->findings, lint->err);
}

static int find_of(struct lint *lint, const struct one *one, const char *rule, const char *text)
{
	const char *name = arena_printf(lint->arena, "%s.%zu", one->text_name, one->number);
	const struct cedar_place place = one->policy->place;
	const char *placed = arena_printf(lint->arena, "line %u, column %u: %s", place.line,
	                                  place.column, text ? text : "");
	return name && placed && text ? find(lint, false, name, rule, placed) : no_room(lint);
}

/* --- read --- */

struct standing {
	const struct cedar_schema *schema;
	struct one *one;
	size_t environments, never, always;
};

static int stands(void *context, struct cedar_checker *checker, const struct cedar_policy *policy)
{
	struct standing *standing = context;
	struct cedar_typed typed = {cedar_type_bool(true), NULL};
	if (policy->condition)
		TRY(cedar_check(checker, policy->condition, NULL, &typed));
	standing->environments++;
	standing->always += typed.type->kind == CEDAR_TYPE_TRUE;
	if (typed.type->kind == CEDAR_TYPE_FALSE)
		standing->never++;
	else
		standing->one->actions[checker->action - standing->schema->actions] = true;
	return 0;
}

static int add_one(struct lint *lint, const char *name, size_t number,
                   const struct cedar_policy *policy)
{
	struct err ignored = {0};
	const struct cedar_schema *schema = model_schema(lint->model);
	struct one *one = arena_alloc(lint->arena, sizeof *one);
	struct standing standing = {.schema = schema, .one = one};
	struct cedar_checker checker = {.arena = lint->arena, .schema = schema, .err = &ignored};
	if (!one)
		return no_room(lint);
	*one = (struct one){.text_name = name, .number = number, .policy = policy};
	if (cedar_each_environment(&checker, policy, stands, &standing) == E_NOMEM)
		return no_room(lint);
	one->never = standing.environments && standing.never == standing.environments;
	one->always = standing.environments && standing.always == standing.environments;
	if (!(lint->count & (lint->count - 1))) {
		struct one **wider = arena_alloc(lint->arena, (lint->count ? 2 * lint->count : 1) *
		                                                      sizeof(struct one *));
		if (!wider)
			return no_room(lint);
		if (lint->count)
			memcpy(wider, lint->all, lint->count * sizeof *wider);
		lint->all = wider;
	}
	lint->all[lint->count++] = one;
	return 0;
}

static int look_fallible(struct lint *lint, const char *name, const struct cedar_policies *policies)
{
	const struct cedar_finding *findings = NULL;
	const struct model_data data = {.fallible = true};
	size_t count = 0;
	TRY(model_check(lint->model, lint->arena, policies, &data, &findings, &count, lint->err));
	for (size_t i = 0; i < count; i++) {
		const struct cedar_policy *policy = findings[i].policy;
		const struct one one = {.text_name = name,
		                        .policy = policy,
		                        .number = (size_t)(policy - policies->items)};
		if (policy->forbid)
			TRY(find_of(
				lint, &one, "fallible",
				arena_printf(lint->arena,
			                     "it fails, and then forbids nothing, where a value is "
			                     "missing: %s",
			                     findings[i].text)));
	}
	return 0;
}

static int read_text(struct lint *lint, const struct lint_text *text)
{
	struct cedar_policies policies;
	const struct cedar_finding *findings = NULL;
	struct err why = {0};
	size_t count = 0;
	int rc = cedar_parse_policies(lint->arena, text->text, strlen(text->text), &policies, &why);
	if (rc == E_NOMEM)
		return no_room(lint);
	if (rc < 0)
		return find(lint, true, text->name, "syntax", arena_strdup(lint->arena, why.text));
	TRY(model_check(lint->model, lint->arena, &policies, NULL, &findings, &count, lint->err));
	for (size_t i = 0; i < count; i++)
		TRY(find(lint, true, text->name, "model", findings[i].text));
	if (count)
		return 0;
	for (size_t i = 0; i < policies.count; i++)
		TRY(add_one(lint, text->name, i, &policies.items[i]));
	return look_fallible(lint, text->name, &policies);
}

/* --- each by itself --- */

static bool may_overflow(const struct cedar_expr *expr)
{
	bool sums = expr->op == CEDAR_OP_ADD || expr->op == CEDAR_OP_SUB ||
	            expr->op == CEDAR_OP_MUL || expr->op == CEDAR_OP_NEG;
	for (uint32_t i = 0; i < expr->count; i++) {
		if (may_overflow(expr->args[i]))
			return true;
		if (sums && expr->args[i]->op != CEDAR_OP_LITERAL)
			return true;
	}
	return false;
}

static bool is_any(const struct cedar_policy *policy)
{
	return policy->principal.kind == CEDAR_SCOPE_ANY &&
	       policy->action.kind == CEDAR_SCOPE_ANY && policy->resource.kind == CEDAR_SCOPE_ANY;
}

/* An action that is not in `role` among those of the policy; NULL: it has all. */
static const struct cedar_str *lacks(const struct lint *lint, const struct one *one,
                                     const char *role)
{
	const struct cedar_schema *schema = model_schema(lint->model);
	struct cedar_uid group;
	char id[80] = "role:";
	strncat(id, role, sizeof id - 8);
	cedar_uid_init(&group, CEDAR_STR("Action"), cedar_str(id));
	for (size_t i = 0; i < schema->action_count; i++)
		if (one->actions[i] && !cedar_action_below(&schema->actions[i], &group))
			return &schema->actions[i].uid.id;
	return NULL;
}

/* Of the roles that are a tenant's own. */
static int look_wide(struct lint *lint, const struct one *one)
{
	const struct cedar_str *lacking = NULL;
	for (size_t i = 0; i < role_count(); i++) {
		enum role_reach reach;
		const char *role = role_at(i, &reach);
		if (reach == REACH_PLATFORM)
			continue;
		const struct cedar_str *lack = lacks(lint, one, role);
		if (!lack)
			return 0;
		if (strcmp(role, "tenant-admin") == 0)
			lacking = lack;
	}
	return find_of(lint, one, "wide",
	               arena_printf(lint->arena,
	                            "permits actions that no one role of a tenant has together; "
	                            "tenant-admin lacks %s",
	                            lacking ? cedar_str_show(lint->arena, *lacking) : "some"));
}

static int look_at(struct lint *lint, const struct one *one)
{
	const struct cedar_policy *policy = one->policy;
	if (one->never)
		return find_of(lint, one, "never-applies", "its condition is true of no request");
	if (policy->forbid && is_any(policy) && (!policy->condition || one->always))
		TRY(find_of(lint, one, "forbids-everything", "forbids everything to everybody"));
	if (policy->forbid && policy->condition && may_overflow(policy->condition))
		TRY(find_of(lint, one, "fallible",
		            "a number may overflow; it fails then, and "
		            "forbids nothing"));
	return policy->forbid ? 0 : look_wide(lint, one);
}

/* --- of two --- */

static bool has_uid(const struct cedar_scope *scope, const struct cedar_uid *uid)
{
	for (size_t i = 0; i < scope->count; i++)
		if (cedar_uid_equal(scope->uids[i], uid))
			return true;
	return false;
}

static bool has_all(const struct cedar_scope *out, const struct cedar_scope *in)
{
	for (size_t i = 0; i < in->count; i++)
		if (!has_uid(out, in->uids[i]))
			return false;
	return in->count > 0;
}

/* Whatever meets `in` surely meets `out`. */
static bool covers(const struct cedar_scope *out, const struct cedar_scope *in)
{
	bool is = in->kind == CEDAR_SCOPE_IS || in->kind == CEDAR_SCOPE_IS_IN;
	switch ((enum cedar_scope_kind)out->kind) {
	case CEDAR_SCOPE_ANY: return true;
	case CEDAR_SCOPE_IS: return is && cedar_str_equal(out->type, in->type);
	case CEDAR_SCOPE_IS_IN:
		return is && cedar_str_equal(out->type, in->type) && has_all(out, in);
	case CEDAR_SCOPE_EQ: return in->kind == CEDAR_SCOPE_EQ && has_all(out, in);
	case CEDAR_SCOPE_IN: return has_all(out, in);
	}
	return false;
}

/* Actions by what they come to, so that a group covers its members. */
static bool covers_actions(const struct one *out, const struct one *in)
{
	for (size_t i = 0; i < CEDAR_ACTIONS_MAX; i++)
		if (in->actions[i] && !out->actions[i])
			return false;
	return true;
}

static bool shadows(const struct one *out, const struct one *in)
{
	bool effect = out->policy->forbid || !in->policy->forbid;
	bool same = in->policy->condition && out->policy->condition &&
	            cedar_expr_equal(in->policy->condition, out->policy->condition);
	bool masks = out->policy->forbid && cedar_policy_annotation(out->policy, "mask");
	return effect && !masks && (!out->policy->condition || out->always || same) &&
	       covers(&out->policy->principal, &in->policy->principal) &&
	       covers(&out->policy->resource, &in->policy->resource) && covers_actions(out, in);
}

static int look_shadowed(struct lint *lint, size_t i)
{
	const struct one *in = lint->all[i];
	for (size_t n = 0; n < lint->count; n++) {
		const struct one *out = lint->all[n];
		if (n == i || in->never || out->never || !shadows(out, in))
			continue;
		if (n > i && out->policy->forbid == in->policy->forbid && shadows(in, out))
			continue; /* the same twice: only the later one is told */
		return find_of(
			lint, in, "shadowed",
			arena_printf(lint->arena,
		                     "changes nothing beside %s.%zu, which %s all that it does",
		                     out->text_name, out->number,
		                     out->policy->forbid ? "forbids" : "permits"));
	}
	return 0;
}

static int look_twice(struct lint *lint, size_t i)
{
	const struct cedar_str *id = cedar_policy_annotation(lint->all[i]->policy, "id");
	for (size_t n = 0; id && n < i; n++) {
		const struct cedar_str *other = cedar_policy_annotation(lint->all[n]->policy, "id");
		if (other && cedar_str_equal(*id, *other))
			return find_of(lint, lint->all[i], "duplicate-id",
			               arena_printf(lint->arena, "has the @id of %s.%zu",
			                            lint->all[n]->text_name, lint->all[n]->number));
	}
	return 0;
}

int lint_policies(const struct model *model, struct arena *arena, const struct lint_text *texts,
                  size_t count, struct value **ret_findings, struct err *err)
{
	struct lint lint = {
		.model = model, .arena = arena, .findings = value_list(arena), .err = err};
	if (count > LINT_TEXTS_MAX)
		return err_set(err, E_INVALID,
		               "%zu policies; at most %d are looked through at "
		               "one time",
		               count, LINT_TEXTS_MAX);
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < i; n++)
			if (strcmp(texts[n].name, texts[i].name) == 0)
				TRY(find(&lint, true, texts[i].name, "duplicate-name",
				         "two policies have this name; give each its own"));
		TRY(read_text(&lint, &texts[i]));
	}
	for (size_t i = 0; i < lint.count; i++) {
		TRY(look_at(&lint, lint.all[i]));
		TRY(look_shadowed(&lint, i));
		TRY(look_twice(&lint, i));
	}
	*ret_findings = lint.findings;
	return value_check(lint.findings, err);
}
