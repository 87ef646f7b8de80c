/* tagging.h - what data is: the tags in force of a dataset, a feature view and their columns. They
 * are what is declared on it (spec.tags, spec.columnTags, tags in spec.schema), and what it
 * inherits from the data it is made of (control/lineage.h), at the time of asking, less what was
 * lifted by a decision (control/lifts.h).
 *
 * A tag of a whole dataset is a tag of each of its columns too, but for one that it has only
 * because a tagged column decides which rows there are: that is the dataset's alone. */
#ifndef TAGGING_H
#define TAGGING_H

#include "control/snapshots.h"
#include "control/tagnode.h"

/* What was found, kept until the catalog changes. */
struct tagging;
MUST_USE int tagging_new(struct tagging **ret_tagging, struct err *err);
void tagging_free(struct tagging *tagging);
DEFINE_AUTO(tagging)
/* A key of the catalog has changed; true: it may matter to tags. tagging may be NULL. */
bool tagging_changed(struct tagging *tagging, const char *key);

/* In the asker's arena; names in no order. */
struct tags {
	const struct value *dataset; /* list: of the whole, dataset or view */
	const struct value *columns; /* map of lists: of columns or features that have more */
	const struct value *rest;    /* list: of every column that is not in `columns` */
};

/* Without a dataset (view) of that name: none. Fails without memory or when what is stored cannot
 * be read, and then whatever rests on tags is to be denied. Any thread. */
MUST_USE int tags_of(struct control *control, struct arena *arena, const char *tenant,
                     const char *domain, const char *dataset, struct tags *ret_tags,
                     struct err *err);
MUST_USE int tags_of_view(struct control *control, struct arena *arena, const char *tenant,
                          const char *domain, const char *view, struct tags *ret_tags,
                          struct err *err);
/* A view that shows another dataset from now on goes on to have what it showed online: its stored
 * form keeps what was known of that, `showed`, a list of {dataset, known}. before NULL: it is new.
 * E_CONFLICT: of the one before it cannot be said any more. */
MUST_USE int tagging_keep_showed(struct control *control, struct arena *arena,
                                 const struct value *before, struct value *stored,
                                 struct err *err);
/* The same with where each tag comes from. `dataset` may be ALIAS.NAME of what another tenant
 * shares with that domain: then it is told no farther than that. */
MUST_USE int tagging_node(struct control *control, struct arena *arena,
                          const struct dataset_at *at, struct tagnode *ret_node, struct err *err);
/* What a lineage keeps of an input: {flow, influence, rest, columns}, as the reader may see it. */
MUST_USE int tagging_known(struct control *control, struct arena *arena,
                           const struct dataset_at *at, const char *reader,
                           struct value **ret_known, struct err *err);
/* A list, never NULL; case does not count. */
const struct value *tags_of_column(const struct tags *tags, const char *column);

#endif
