/* examples.c - see examples.h. */
#include "common/defs.h"
#include "policy/examples.h"

#include "common/clock.h"
#include "policy/attributes.h"
#include "policy/cedar_json.h"

#include <stdio.h>
#include <string.h>

#define EXAMPLE_NOW "2026-01-01T00:00:00Z"

struct reading {
	const struct model *model;
	struct arena *arena;
	const char *tenant;
	struct err *err;
};

static int no_room(const struct reading *reading)
{
	return err_set(reading->err, E_NOMEM, "no memory left for an example");
}

static int read_groups(const struct reading *reading, const struct value *groups,
                       struct asker *asker)
{
	for (size_t i = 0; i < value_len(groups); i++) {
		const char *name = value_as_str(value_at(groups, i));
		const char *slash = name ? strchr(name, '/') : NULL;
		if (asker->group_count == GROUPS_MAX)
			return err_set(reading->err, E_INVALID, "groups: more than %d", GROUPS_MAX);
		if (name)
			asker->groups[asker->group_count++] = slash ? slash + 1 : name;
	}
	return 0;
}

static int read_asker(const struct reading *reading, const struct value *example,
                      struct asker *ret_asker)
{
	const char *strength = value_get_str(example, "strength");
	const struct value *roles = value_get(example, "roles");
	const char *principal = value_get_str(example, "principal");
	struct asker asker = { .tenant = reading->tenant, .auth = AUTH_KEY };
	TRY(naming_principal(reading->arena, reading->tenant, principal ? principal : "",
	                     &asker.principal, reading->err));
	if (strength && strcmp(strength, "token") == 0)
		asker.auth = AUTH_TOKEN;
	if (strength && strcmp(strength, "oidc") == 0)
		asker.auth = AUTH_OIDC;
	TRY(read_groups(reading, value_get(example, "groups"), &asker));
	asker.attributes = value_get(example, "attributes");
	TRY(attributes_check(asker.attributes, "attributes", reading->err));
	for (size_t i = 0; i < value_len(roles); i++) {
		const char *role = value_as_str(value_at(roles, i));
		TRY(naming_role(reading->arena, role ? role : "", &asker, reading->err));
	}
	*ret_asker = asker;
	return 0;
}

static int read_row(const struct reading *reading, const struct value *row,
                    struct engine_resource *resource)
{
	if (!row)
		return 0;
	if (cedar_json_record(reading->arena, row, NULL, &resource->row, reading->err) < 0)
		return err_prefix(reading->err, "row");
	return 0;
}

static int read_ask(const struct reading *reading, const struct value *example,
                    const struct asker *asker, struct engine_ask *ret_ask)
{
	const struct value *context = value_get(example, "context");
	const char *now = value_get_str(context, "now");
	const char *text = value_get_str(example, "action");
	const char *resource = value_get_str(example, "resource");
	enum action action = ACTION_SELF;
	struct engine_ask ask = { .asker = asker, .address = value_get_str(context, "address"),
		                  .purpose = value_get_str(context, "purpose") };
	TRY(naming_action(text ? text : "", &action, reading->err));
	ask.action = action_name(action);
	TRY(naming_resource(reading->model, reading->arena, reading->tenant, action,
	                    resource ? resource : "", &ask.resource, reading->err));
	if (time_parse(now ? now : EXAMPLE_NOW, &ask.now_ms, reading->err) < 0)
		return err_prefix(reading->err, "context.now");
	ask.resource.tags = value_get(example, "tags");
	ask.resource.labels = value_get(example, "labels");
	TRY(read_row(reading, value_get(example, "row"), &ask.resource));
	*ret_ask = ask;
	return 0;
}

/* "salaries" is any policy of salaries; "salaries.0" the first. */
static bool is_among(const char *wanted, const struct engine_answer *answer)
{
	size_t len = strlen(wanted);
	for (size_t i = 0; i < answer->rule_count; i++)
		if (strncmp(answer->rules[i], wanted, len) == 0 &&
		    (!answer->rules[i][len] || answer->rules[i][len] == '.'))
			return true;
	return false;
}

static const char *listed(struct arena *arena, const char *decision, const char *const *rules,
                          size_t count)
{
	const char *text = decision;
	for (size_t i = 0; text && i < count; i++)
		text = arena_printf(arena, "%s %s%s", text, i ? "and " : "by ", rules[i]);
	return text;
}

static int tell(const struct reading *reading, bool allow, const char *const *wanted, size_t count,
                const struct engine_answer *answer, struct example *ret_example)
{
	struct arena *arena = reading->arena;
	const char *got = "deny by default";
	if (answer->rule_count)
		got = listed(arena, answer->allowed ? "allow" : "deny", answer->rules,
		             answer->rule_count);
	if (got && answer->failure)
		got = arena_printf(arena, "%s; skipped: %s", got, answer->failure);
	ret_example->expected = listed(arena, allow ? "allow" : "deny", wanted, count);
	ret_example->got = got;
	return ret_example->expected && got ? 0 : no_room(reading);
}

static int judge(const struct reading *reading, const struct value *example,
                 const struct engine_answer *answer, struct example *ret_example)
{
	const struct value *policies = value_get(example, "policies");
	const char *expect = value_get_str(example, "expect");
	const char *wanted[ENGINE_RULES_MAX];
	size_t count = 0;
	bool allow = expect && strcmp(expect, "allow") == 0;
	ret_example->holds = allow == answer->allowed;
	for (size_t i = 0; i < value_len(policies) && count < ENGINE_RULES_MAX; i++) {
		wanted[count] = value_as_str(value_at(policies, i));
		if (wanted[count] && !is_among(wanted[count], answer))
			ret_example->holds = false;
		count += wanted[count] != NULL;
	}
	return tell(reading, allow, wanted, count, answer, ret_example);
}

int example_run(const struct model *model, const struct engine *engine, struct arena *arena,
                const char *tenant, const struct value *examples, size_t i,
                struct example *ret_example, struct err *err)
{
	const struct reading reading = { model, arena, tenant, err };
	const struct value *example = value_at(examples, i);
	const char *name = value_get_str(example, "name");
	struct example told = { .name = name ? name : arena_printf(arena, "#%zu", i + 1) };
	struct engine_answer answer = { .allowed = false };
	struct engine_ask ask;
	struct asker asker;
	if (!told.name)
		return no_room(&reading);
	TRY(read_asker(&reading, example, &asker));
	TRY(read_ask(&reading, example, &asker, &ask));
	TRY(engine_decide(engine, arena, &ask, &answer, err));
	TRY(judge(&reading, example, &answer, &told));
	*ret_example = told;
	return 0;
}

/* --- the domains --- */

static void add_domain(struct value *domains, const char *domain)
{
	for (size_t i = 0; domain && i < value_len(domains); i++)
		if (strcmp(value_as_str(value_at(domains, i)), domain) == 0)
			return;
	if (domain)
		value_add_str(domains, domain);
}

void examples_domains(const struct model *model, struct arena *arena, const char *tenant,
                      const struct value *examples, struct value *domains)
{
	struct err ignored;
	const struct reading reading = { model, arena, tenant, &ignored };
	for (size_t i = 0; i < value_len(examples); i++) {
		struct asker asker;
		struct engine_ask ask;
		if (read_asker(&reading, value_at(examples, i), &asker) < 0 ||
		    read_ask(&reading, value_at(examples, i), &asker, &ask) < 0)
			continue;
		add_domain(domains, ask.resource.domain);
		for (size_t n = 0; n < asker.binding_count; n++)
			add_domain(domains, asker.bindings[n].domain);
	}
}
