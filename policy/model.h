/* model.h - the platform's own model as a Cedar schema: which entities, attributes and actions a
 * policy of a tenant can speak of (policy/engine.h says what they mean), made of actions.def,
 * roles.def and the table of kinds, which lies above this layer and is passed in.
 *
 * A policy is checked against it by Cedar's strict rules, with two exceptions, for what is data:
 * - resource.labels may have any name, each a String, tested with `has` first;
 * - resource.row may have any column. Where the scope is one dataset whose columns are known they
 *   are checked by name and type; elsewhere a column fits whatever it is compared with. A column
 *   needs no `has`: in a row without a value such a policy fails, and is skipped. */
#ifndef MODEL_H
#define MODEL_H

#include "common/buf.h"
#include "common/value.h"
#include "policy/cedar_validate.h"

enum model_scope { MODEL_PLATFORM, MODEL_TENANT, MODEL_DOMAIN };
struct model_kind { const char *kind, *name; enum model_scope scope; };
/* static const struct model_kind kinds[] = { MODEL_KINDS of "api/kinds.def" }: */
#define MODEL_KIND(id, Kind, plural, scope, name, FIELDS) { #Kind, #name, MODEL_##scope },

struct model;
/* kinds is borrowed for as long as the model is used; the model lives in the arena. */
MUST_USE int model_new(struct arena *arena, const struct model_kind *kinds, size_t count,
		       const struct model **ret_model, struct err *err);
const struct cedar_schema *model_schema(const struct model *model);
/* "Dataset" or "dataset"; or NULL. */
const struct model_kind *model_kind_named(const struct model *model, const char *name);
/* The schema's text, which any program for Cedar reads; labels and rows are without names there. */
MUST_USE int model_print(const struct model_kind *kinds, size_t count, struct buf *out,
			 struct err *err);

/* "read" or "write": the group that an action is in besides those of the roles. */
const char *model_action_group(const char *action);

/* The columns of Dataset::"T/D/NAME", a list of {name, type}; NULL: not known. */
typedef const struct value *model_columns_fn(void *context, const char *dataset);
struct model_data {
	model_columns_fn *columns;       /* NULL: none is known */
	void *context;
	bool fallible;                   /* find columns that are not tested with `has`, too */
};
/* The first finding of each policy, as of cedar_validate: names, types, and @mask("ACTION") with
 * one of the actions of common/mask.h, on a forbid, that fits the column that its scope names. */
MUST_USE int model_check(const struct model *model, struct arena *arena,
			 const struct cedar_policies *policies, const struct model_data *data,
			 const struct cedar_finding **ret_findings, size_t *ret_count,
			 struct err *err);

#endif
