/* tagnode.h - a dataset's tags, each with where it comes from, out of the catalog: what is
 * declared, what flows in through lineage, what is lifted. For tagging.c, which remembers it. */
#ifndef TAGNODE_H
#define TAGNODE_H

#include "control/lineage.h"

enum { TAG_ORIGINS_MAX = 64, TAG_STATE_MAX = 65, TAG_DEPTH_MAX = 64, TAG_NODES_MAX = 4096 };

/* Maps of tag to a list of origins, "TENANT/DOMAIN/DATASET" or with ".COLUMN"; columns: of column
 * to such a map, complete in itself. */
struct tagnode {
	struct value *flow;          /* of the whole, and so of every column */
	struct value *influence;     /* of the whole only: what decided its rows */
	struct value *rest;          /* of a column that is not in columns */
	struct value *columns;
	struct value *lifts;         /* list of {tag, column?, by, at, reason, state: "in force",
	                              * "lapsed"} */
	const char *state;           /* of its lineage, hex; "": it has none */
};

/* As control may see it; origins in another tenant's datasets are told no farther than what it
 * shares. */
MUST_USE int tagnode_make(struct control *control, struct arena *arena,
                          const struct dataset_at *at, struct tagnode *ret_node, struct err *err);
/* As another tenant sees it: all of it comes from there and no farther. */
MUST_USE int tagnode_close(struct arena *arena, const struct dataset_at *at, struct tagnode *node,
                           struct err *err);
/* The map of a column's tags: never NULL. */
const struct value *tagnode_column(const struct tagnode *node, const char *column);

/* --- for maps of tags --- */
void tagmap_add(struct arena *arena, struct value *map, const char *tag, const char *origin);
void tagmap_merge(struct arena *arena, struct value *map, const struct value *other);
/* The names in it, as a list. */
struct value *tagmap_names(struct arena *arena, const struct value *map);
/* The member whose name is that, case apart. */
const struct value *column_get(const struct value *columns, const char *name);

#endif
