/* refs.c - the walk over what a spec refers to. Only top-level fields refer (kinds.def). */
#include "common/defs.h"
#include "control/refs.h"

#include "control/catalog.h"

#include <stdio.h>
#include <string.h>

enum { PATH_TEXT_MAX = 200 };

struct walk {
	const char *own_domain;
	ref_visit_fn *visit;
	void *context;
};

static int visit_one(const struct walk *walk, const struct field *field, const char *path,
                     const struct value *value, struct err *err)
{
	struct ref ref = { .path = path, .field = field->name, .text = value_as_str(value),
	                   .kind = kind_by_name(field->arg) };
	REQUIRE(ref.kind != KIND_NONE);
	if (!ref.text)
		return 0;
	if (catalog_ref(ref.text, walk->own_domain, ref.domain, ref.name, err) < 0)
		return err_prefix(err, "%s", path);
	return walk->visit(walk->context, &ref, err);
}

static int visit_list(const struct walk *walk, const struct field *field, const char *path,
                      const struct value *list, struct err *err)
{
	char item[PATH_TEXT_MAX + 24];
	for (size_t i = 0; i < value_len(list); i++) {
		snprintf(item, sizeof item, "%s[%zu]", path, i);
		TRY(visit_one(walk, field, item, value_at(list, i), err));
	}
	return 0;
}

int refs_visit(const struct field *fields, const struct value *spec, const char *path,
               const char *own_domain, ref_visit_fn *visit, void *context, struct err *err)
{
	const struct walk walk = { own_domain, visit, context };
	char below[PATH_TEXT_MAX];
	for (const struct field *field = fields; field->name; field++) {
		const struct value *value = value_get(spec, field->name);
		snprintf(below, sizeof below, "%s.%s", path, field->name);
		if (field->kind == FIELD_REF)
			TRY(visit_one(&walk, field, below, value, err));
		if (field->kind == FIELD_REFS)
			TRY(visit_list(&walk, field, below, value, err));
	}
	return 0;
}
