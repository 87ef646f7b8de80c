/* rules_policy.c - see rules_policy.h. A text that is stored already was checked by the rules of
 * its day: it is not refused by newer ones. */
#include "common/defs.h"
#include "control/rules_policy.h"

#include "control/grants.h"
#include "control/policies.h"
#include "control/policy_review.h"
#include "policy/examples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Other policies' examples that are run after a write, in all. */
enum { OTHERS_MAX = 2000, FAILED_MAX = 20, LIST_BYTES = 64 * MIB };

struct write {
	struct review review;
	struct engine *engine;           /* that would be */
	const char *name;
	struct value *warnings;
	size_t tried;
};

static int text_rules(const struct write *write, const struct manifest *manifest,
                      const struct value *before, struct err *err)
{
	struct value *errors = value_list(write->review.arena);
	const char *text = value_get_str(manifest->spec, "text");
	const char *old = value_get_str(value_get(before, "spec"), "text");
	TRY(review_policy(&write->review, manifest->name, text, errors, write->warnings, err));
	if (!value_len(errors))
		return 0;
	if (!old || strcmp(old, text) != 0)
		return err_set(err, E_INVALID, "%s%s", value_as_str(value_at(errors, 0)),
		               value_len(errors) > 1 ? " (and more after it)" : "");
	for (size_t i = 0; i < value_len(errors); i++)
		value_add(write->warnings, value_copy(write->review.arena, value_at(errors, i)));
	return value_check(write->warnings, err);
}

static int own_examples(struct write *write, const struct manifest *manifest, struct err *err)
{
	struct value *failed = value_list(write->review.arena);
	TRY(review_examples(&write->review, write->engine, manifest->name,
	                    value_get(manifest->spec, "examples"), 1, failed, &write->tried, err));
	if (!value_len(failed))
		return 0;
	return err_set(err, E_INVALID, "%s; mend the policy or the example",
	               value_as_str(value_at(failed, 0)));
}

static int another(void *context, const char *key, const struct value *value, int64_t revision,
                   struct err *err)
{
	struct write *write = context;
	const struct value *examples = value_get(value_get(value, "spec"), "examples");
	const char *name = strrchr(key, '/') + 1;
	struct err ignored;
	(void)revision;
	(void)err;
	if (!examples || strcmp(name, write->name) == 0 || write->tried > OTHERS_MAX)
		return 0;
	(void)!review_examples(&write->review, write->engine, name, examples, FAILED_MAX,
	                       write->warnings, &write->tried, &ignored);
	return 0;
}

static int other_examples(struct write *write, struct arena *scratch, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool more = false;
	struct err ignored;
	snprintf(prefix, sizeof prefix, "r/policy/%s/", write->review.tenant);
	if (catalog_list(write->review.control->catalog, scratch, prefix, NULL,
	                 ENGINE_POLICIES_MAX, another, write, &more, &ignored) < 0 ||
	    write->tried > OTHERS_MAX)
		value_add_str(write->warnings, "not every other policy's examples were run: there "
		              "are too many; `freehold policy test` runs them all");
	return value_check(write->warnings, err);
}

static int example_rules(struct write *write, const struct manifest *manifest, struct err *err)
{
	AUTO(engine) *engine = NULL;
	AUTO(arena) *scratch = NULL;
	const struct engine_policy change = { manifest->name,
		                              value_get_str(manifest->spec, "text") };
	struct value *domains = value_list(write->review.arena);
	examples_domains(write->review.model, write->review.arena, manifest->tenant,
	                 value_get(manifest->spec, "examples"), domains);
	TRY(value_check(domains, err));
	const struct policies_would would = { &change, 1, domains };
	TRY(arena_new(LIST_BYTES, &scratch, err));
	TRY(policies_would_be(write->review.control->policies, scratch, manifest->tenant,
	                      &would, &engine, err));
	write->engine = engine;
	TRY(own_examples(write, manifest, err));
	arena_reset(scratch);
	return other_examples(write, scratch, err);
}

int rules_policy(struct control *control, struct request *request, const struct manifest *manifest,
                 const struct value *before, struct err *err)
{
	struct write write = {
		.review = { .control = control, .arena = request->arena,
		            .tenant = manifest->tenant },
		.name = manifest->name, .warnings = value_list(request->arena),
	};
	TRY(grants_policy(control, request, value_get_str(value_get(before, "spec"), "text"),
	                  value_get_str(manifest->spec, "text"), err));
	TRY(policies_check(control->policies, request->arena, manifest->tenant, manifest->name,
	                   value_get_str(manifest->spec, "text"), &request->asker, request->now_ms,
	                   err));
	if (!control->policies)
		return 0;
	TRY(review_model(request->arena, &write.review.model, err));
	TRY(text_rules(&write, manifest, before, err));
	TRY(example_rules(&write, manifest, err));
	if (value_len(write.warnings))
		request->warnings = write.warnings;
	return 0;
}
