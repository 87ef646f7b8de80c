/* reading.h - what of a dataset or a feature view someone may read: which rows, which columns, and
 * which of these only masked. The one way to ask it, for whatever reads: a task's inputs, a query,
 * online reads.
 *
 * Rows: a policy on dataset:read (features:read of a view) with conditions on resource.row.COLUMN
 * becomes a filter; one without them permits or forbids all of it, and so do roles. Columns: a
 * forbid on column:read hides one, or masks it with @mask("ACTION") (policy/engine_reading.h).
 * Purposes: what has spec.purposes is read for one of these only.
 *
 * A feature view is its dataset seen through another door: what column:read forbids of the
 * dataset's column, it forbids of the feature of that name; the column's tags are that feature's,
 * too; the dataset's purposes are the view's. Its rows are those of the view, its own columns the
 * join key and the features.
 *
 * What another tenant shares is decided twice and both hold: by the owner's policies, to which the
 * reader is the User of the name * in its tenant, in no group or role; and by the reader's own, to
 * which it is Dataset::"TENANT/DOMAIN/ALIAS.NAME" in the domain that accepted it.
 *
 * The rows of freehold.audit are for whoever may audit:read.
 *
 * Without policies in force it is the roles' table and no more. Any thread. */
#ifndef READING_H
#define READING_H

#include "api/kinds.h"
#include "api/restriction.h"
#include "control/control.h"
#include "policy/policy.h"

/* The principal's name of whoever reads in another tenant. */
#define READING_ANYONE "*"

struct reading_ask {
	const struct asker *asker;
	const char *tenant, *domain;     /* whose it is */
	enum kind kind;                  /* KIND_DATASET or KIND_FEATUREVIEW */
	const char *name;
	const struct value *stored;      /* as its owner's catalog has it: tags, labels, purposes */
	const struct value *schema;      /* what is read: a list of {name, type, required?} */
	const char *purpose;             /* NULL: none is given */
	int64_t now_ms;
	bool offered;                    /* an Offer gives it: no role needs to */
};
/* All in the arena. */
struct reading {
	struct restriction restriction;
	const char *rule;                /* what allowed it: roles and policies, space between */
};
/* E_DENIED: no row of it, or not for that purpose; the sentence names who and what decided. A mask
 * that does not fit its column is logged; the column is hidden. */
MUST_USE int reading_decide(struct control *control, struct arena *arena,
			    const struct reading_ask *ask, struct reading *ret_reading,
			    struct err *err);
/* What both let through: the rows of both, the stricter mask, whatever either hides. */
MUST_USE int reading_both(struct arena *arena, const struct reading *a, const struct reading *b,
			  struct reading *ret_both, struct err *err);
/* {name, type, required} of a view's join key and features, as its online rows have them. */
MUST_USE int reading_view_schema(struct arena *arena, const char *join_key, const char *key_type,
				 const struct value *features, struct value **ret_schema,
				 struct err *err);
/* The purpose is one of those that spec.purposes lists, or it lists none. what: "the dataset
 * sales.orders". */
MUST_USE int reading_purpose(const struct value *stored, const char *what, const char *purpose,
			     struct err *err);

#endif
