/* fuzz_cedar_policy.c - whatever parses is decided by the index as without it, validates or not,
 * and neither leaves its bounds. */
#include "common/defs.h"
#include "policy/cedar_parse.h"
#include "policy/cedar_set.h"
#include "policy/cedar_validate.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char schema_text[] =
	"entity G; entity T in [G] = { a: Long, b?: String, c: { d?: T } } tags Set<String>;\n"
	"action x; action y in [x] appliesTo { principal: T, resource: [T, G],\n"
	"context: { i: ipaddr, t: datetime, n: Long } };\n";

static struct cedar_uid uid(const char *type, const char *id)
{
	struct cedar_uid made;
	cedar_uid_init(&made, cedar_str(type), cedar_str(id));
	return made;
}

static void add(struct cedar_entities *entities, struct cedar_uid self,
		const struct cedar_uid *const *parents, const struct cedar_record *attrs)
{
	struct err err;
	struct cedar_entity entity = { .uid = self, .parents = parents, .parent_count = 1,
	                               .attrs = attrs, .tags = attrs };
	REQUIRE(cedar_entities_add(entities, &entity, &err) == 0);
}

static struct cedar_entities *some_entities(struct arena *arena,
					    const struct cedar_uid *const *parents)
{
	struct err err;
	struct cedar_entities *entities = NULL;
	const struct cedar_record *attrs = NULL;
	struct cedar_field fields[] = { { CEDAR_STR("a"), { .kind = CEDAR_LONG, .i = INT64_MAX } },
	                                { CEDAR_STR("b"), { .kind = CEDAR_STRING,
	                                                    .str = CEDAR_STR("ab") } } };
	struct cedar_field *kept = arena_alloc(arena, sizeof fields);
	REQUIRE(kept);
	memcpy(kept, fields, sizeof fields);
	REQUIRE(cedar_record_new(arena, kept, 2, &attrs, &err) == 0);
	REQUIRE(cedar_entities_new(arena, &entities, &err) == 0);
	add(entities, uid("T", "1"), parents, attrs);
	add(entities, uid("Action", "y"), parents + 1, NULL);
	REQUIRE(cedar_entities_close(entities, &err) == 0);
	return entities;
}

static void compare(const struct cedar_set *set, struct arena *arena,
		    const struct cedar_request *request, const struct cedar_entities *entities)
{
	struct err err, reason;
	struct cedar_env env;
	struct cedar_answer answer;
	size_t permits = 0, forbids = 0, errors = 0;
	if (cedar_set_decide(set, arena, request, entities, &answer, &err) < 0)
		return;
	cedar_env_init(&env, arena, request, entities, &reason);
	for (size_t i = 0; i < cedar_set_count(set); i++) {
		const struct cedar_policy *policy = cedar_set_at(set, i);
		bool applies = false;
		if (cedar_policy_is_template(policy))
			continue;
		int rc = cedar_policy_applies(&env, policy, &applies);
		if (rc == E_NOMEM)
			return;
		errors += rc < 0;
		permits += applies && !policy->forbid;
		forbids += applies && policy->forbid;
	}
	REQUIRE(errors == answer.error_count);
	REQUIRE(answer.allowed == (permits && !forbids));
	REQUIRE(answer.reason_count == (forbids ? forbids : permits));
}

static void run(const char *text, size_t len, struct arena *arena)
{
	struct err err;
	const struct cedar_schema *schema = NULL;
	const struct cedar_finding *findings = NULL;
	size_t count = 0;
	struct cedar_uid group = uid("G", "1"), action = uid("Action", "x");
	const struct cedar_uid *parents[] = { &group, &action };
	struct cedar_record context = { 0, NULL };
	AUTO(cedar_set) *set = NULL;
	REQUIRE(cedar_set_new(32 * MIB, &set, &err) == 0);
	if (cedar_set_add(set, text, len, "policy", &err) < 0 || cedar_set_close(set, &err) < 0)
		return;
	struct cedar_request request = { uid("T", "1"), uid("Action", "y"), uid("T", "2"),
		&context };
	struct cedar_entities *entities = some_entities(arena, parents);
	compare(set, arena, &request, entities);
	REQUIRE(cedar_schema_parse(arena, schema_text, strlen(schema_text), &schema, &err) == 0);
	if (cedar_set_count(set))
		(void)!cedar_validate(arena, schema, cedar_set_at(set, 0), cedar_set_count(set),
		                      &findings, &count, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(32 * MIB, &arena, &err) == 0);
	run((const char *)data, len, arena);
	return 0;
}
