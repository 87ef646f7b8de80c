/* lookup.c - invariant: cells[column * rows + row] is NULL or points at a whole value. */
#include "common/defs.h"
#include "worker/lookup.h"

#include "common/crypto.h"
#include "common/json.h"
#include "worker/cell.h"
#include "worker/meter.h"
#include "worker/row_veil.h"

#include <string.h>

enum { VEIL_ARENA_MAX = 4 * 1024 * 1024 };

#define EPOCH_TEXT "\"1970-01-01T00:00:00Z\""

struct lookup {
	const struct access_plan *plan;
	const struct ask *ask;
	struct lookup_room *room;
	size_t used;                 /* of room->bytes, without an arena */
	int64_t now_us;
	struct buf *out;
	struct arena *rows;          /* for a restricted row at a time; NULL: none is */
	struct mask_salt salt;       /* of this answer alone */
};

int lookup_room_new(struct arena *arena, const struct access_plan *plan, const struct ask *ask,
                    struct lookup_room *ret_room, struct err *err)
{
	struct lookup_room room = {
		.found_max = ask->rows * plan->view_count,
		.cell_max = ask->rows * plan->column_count,
		.byte_max = ONLINE_ROOM, .arena = arena,
	};
	room.found = arena_alloc(arena, room.found_max * sizeof *room.found);
	room.cells = arena_alloc(arena, room.cell_max * sizeof *room.cells);
	room.bytes = arena_alloc(arena, room.byte_max);
	if (!room.found || !room.cells || !room.bytes)
		return err_set(err, E_NOMEM, "no memory for %zu rows of %zu features at once; try "
		               "again, or ask in parts", ask->rows, plan->column_count);
	*ret_room = room;
	return 0;
}

/* ---- reading ---- */

static int find_entity(const struct lookup *lookup, const struct access_source *source,
                       const struct ask_entity **ret_entity, struct err *err)
{
	for (size_t i = 0; i < lookup->ask->entity_count; i++) {
		const struct ask_entity *entity = &lookup->ask->entities[i];
		if (entity->name_len == source->join_key_len &&
		    memcmp(entity->name, source->join_key, entity->name_len) == 0) {
			*ret_entity = entity;
			return 0;
		}
	}
	return err_set(err, E_INVALID, "entities: a list for the join key \"%s\" is missing",
	               source->join_key);
}

/* An entity that no view is read by is a mistake of the caller's, most likely in its name. */
static int check_entities(const struct lookup *lookup, struct err *err)
{
	for (size_t i = 0; i < lookup->ask->entity_count; i++) {
		const struct ask_entity *entity = &lookup->ask->entities[i];
		size_t v = 0;
		while (v < lookup->plan->view_count &&
		       (lookup->plan->views[v].join_key_len != entity->name_len ||
		        memcmp(lookup->plan->views[v].join_key, entity->name,
		               entity->name_len) != 0))
			v++;
		if (v == lookup->plan->view_count)
			return err_set(err, E_INVALID, "entities: no view that is asked for has "
			               "the join key \"%.*s\"", (int)(entity->name_len < 64
			                                              ? entity->name_len : 64),
			               entity->name);
	}
	return 0;
}

/* The values are kept for the printing. */
static int keep_bytes(struct lookup *lookup, const uint8_t **ret_at, size_t len, struct err *err)
{
	struct lookup_room *room = lookup->room;
	if (!room->arena) {
		*ret_at = room->bytes + lookup->used;
		lookup->used += len;
		return 0;
	}
	uint8_t *copy = arena_alloc(room->arena, len + 1);
	if (!copy && arena_has_room(room->arena, len + 1))
		return err_set(err, E_NOMEM, "no memory for the values of %zu rows; try again",
		               lookup->ask->rows);
	if (!copy)
		return err_set(err, E_TOO_LARGE, "entities: the values of %zu rows are too much at "
		               "once; ask in parts", lookup->ask->rows);
	memcpy(copy, room->bytes, len);
	*ret_at = copy;
	return 0;
}

static int take_cells(struct lookup *lookup, const struct access_source *source, size_t row,
                      const uint8_t *data, size_t len, struct err *err)
{
	const uint8_t *at = NULL, *end = data + len, **cells = lookup->room->cells;
	int64_t count = cell_list(data, len, &at);
	for (int64_t i = 0; i < count; i++) {
		const uint8_t *next = cell_end(at, end);
		if (!next)
			return err_set(err, E_CORRUPT, "online store: a value is no list of "
			               "scalars");
		if ((size_t)i < source->feature_count && source->column_of[i] >= 0)
			cells[(size_t)source->column_of[i] * lookup->ask->rows + row] = at;
		at = next;
	}
	return count < 0 ? err_set(err, E_CORRUPT, "online store: a value is no list") : 0;
}

static void note_time(struct found *found, int64_t event_us)
{
	uint8_t text[64];
	struct buf out = { .data = text, .cap = sizeof text, .max = sizeof text - 1 };
	buf_putc(&out, '"');
	cell_print_time(event_us, &out);
	buf_putc(&out, '"');
	memcpy(found->time, text, out.len);
	found->time_len = (uint8_t)out.len;
}

/* What lies at room->bytes + used becomes what may be seen of it; 0: nothing. */
static int veil_row(struct lookup *lookup, const struct row_veil *veil, const struct ask_key *key,
                    size_t *len, struct err *err)
{
	uint8_t *at = lookup->room->bytes + lookup->used;
	const uint8_t *seen = NULL;
	arena_reset(lookup->rows);
	int rc = row_veil_apply(veil, lookup->rows, &lookup->salt, key, at, *len, &seen, len, err);
	if (rc <= 0)
		return rc;
	if (*len > lookup->room->byte_max - lookup->used)
		return err_set(err, E_TOO_LARGE, "entities: the values of %zu rows are too much at "
		               "once; ask in parts", lookup->ask->rows);
	memcpy(at, seen, *len);
	return 1;
}

static int read_one(struct lookup *lookup, const struct access_source *source,
                    const struct ask_key *key, size_t row, struct found *found, struct err *err)
{
	struct lookup_room *room = lookup->room;
	const uint8_t *data = NULL;
	int64_t event_us = 0;
	size_t len = 0;
	found->here = found->stale = false;
	int rc = online_get(source->online, key->text, key->len, &event_us,
	                    room->bytes + lookup->used, room->byte_max - lookup->used, &len, err);
	if (rc > 0 && source->veil)
		rc = veil_row(lookup, source->veil, key, &len, err);
	if (rc <= 0)
		return rc;
	TRY(keep_bytes(lookup, &data, len, err));
	TRY(take_cells(lookup, source, row, data, len, err));
	found->here = true;
	found->stale = source->ttl_us > 0 && event_us < lookup->now_us - source->ttl_us;
	note_time(found, event_us);
	return 0;
}

static int read_view(struct lookup *lookup, size_t v, struct err *err)
{
	const struct access_source *source = &lookup->plan->views[v];
	const struct ask_entity *entity = NULL;
	TRY(find_entity(lookup, source, &entity, err));
	struct found *found = lookup->room->found + v * lookup->ask->rows;
	for (size_t row = 0; row < lookup->ask->rows; row++)
		TRY(read_one(lookup, source, &entity->keys[row], row, &found[row], err));
	return 0;
}

/* ---- printing ---- */

static void put_text(struct buf *out, const char *text)
{
	buf_put(out, text, strlen(text));
}

static void print_names(const struct lookup *lookup)
{
	put_text(lookup->out, "{\"metadata\":{\"feature_names\":[");
	for (size_t i = 0; i < lookup->ask->entity_count; i++) {
		if (i)
			buf_putc(lookup->out, ',');
		json_print_str(lookup->ask->entities[i].name, lookup->ask->entities[i].name_len,
		               lookup->out);
	}
	for (size_t i = 0; i < lookup->plan->column_count; i++) {
		buf_putc(lookup->out, ',');
		put_text(lookup->out, lookup->plan->columns[i].name);
	}
	put_text(lookup->out, "]},\"results\":[");
}

/* The same text for every row. */
static void print_repeated(const struct lookup *lookup, const char *text)
{
	for (size_t row = 0; row < lookup->ask->rows; row++) {
		if (row)
			buf_putc(lookup->out, ',');
		put_text(lookup->out, text);
	}
}

static void print_entity(const struct lookup *lookup, const struct ask_entity *entity)
{
	put_text(lookup->out, "{\"values\":[");
	for (size_t row = 0; row < lookup->ask->rows; row++) {
		const struct ask_key *key = &entity->keys[row];
		if (row)
			buf_putc(lookup->out, ',');
		if (key->number)
			buf_put(lookup->out, key->text, key->len);
		else
			json_print_str(key->text, key->len, lookup->out);
	}
	put_text(lookup->out, "],\"statuses\":[");
	print_repeated(lookup, "\"PRESENT\"");
	put_text(lookup->out, "],\"event_timestamps\":[");
	print_repeated(lookup, EPOCH_TEXT);
	put_text(lookup->out, "]}");
}

static const char *status_of(const struct found *found, const uint8_t *cell)
{
	if (!found->here || !cell)
		return "\"NOT_FOUND\"";
	if (cell_is_null(cell))
		return "\"NULL_VALUE\"";
	return found->stale ? "\"OUTSIDE_MAX_AGE\"" : "\"PRESENT\"";
}

static void print_column(const struct lookup *lookup, size_t column)
{
	size_t rows = lookup->ask->rows;
	const uint8_t *const *cells = lookup->room->cells + column * rows;
	const struct found *found = lookup->room->found + lookup->plan->columns[column].view * rows;
	put_text(lookup->out, ",{\"values\":[");
	for (size_t row = 0; row < rows; row++) {
		if (row)
			buf_putc(lookup->out, ',');
		if (cells[row])
			cell_print(cells[row], lookup->out);
		else
			put_text(lookup->out, "null");
	}
	put_text(lookup->out, "],\"statuses\":[");
	for (size_t row = 0; row < rows; row++) {
		if (row)
			buf_putc(lookup->out, ',');
		put_text(lookup->out, status_of(&found[row], cells[row]));
	}
	put_text(lookup->out, "],\"event_timestamps\":[");
	for (size_t row = 0; row < rows; row++) {
		if (row)
			buf_putc(lookup->out, ',');
		if (found[row].here && cells[row])
			buf_put(lookup->out, found[row].time, found[row].time_len);
		else
			put_text(lookup->out, EPOCH_TEXT);
	}
	put_text(lookup->out, "]}");
}

static int print_all(const struct lookup *lookup, struct err *err)
{
	print_names(lookup);
	for (size_t i = 0; i < lookup->ask->entity_count; i++) {
		if (i)
			buf_putc(lookup->out, ',');
		print_entity(lookup, &lookup->ask->entities[i]);
	}
	for (size_t i = 0; i < lookup->plan->column_count; i++)
		print_column(lookup, i);
	put_text(lookup->out, "]}");
	return buf_check(lookup->out, err);
}

static int read_all(struct lookup *lookup, struct err *err)
{
	AUTO(arena) *rows = NULL;
	bool veiled = false;
	for (size_t v = 0; v < lookup->plan->view_count; v++)
		veiled = veiled || lookup->plan->views[v].veil;
	if (veiled) {
		TRY(arena_new(VEIL_ARENA_MAX, &rows, err));
		random_bytes(lookup->salt.bytes, sizeof lookup->salt.bytes);
		lookup->rows = rows;
	}
	for (size_t v = 0; v < lookup->plan->view_count; v++)
		TRY(read_view(lookup, v, err));
	lookup->rows = NULL;
	return 0;
}

int lookup_print(const struct access_plan *plan, const struct ask *ask, int64_t now_us,
                 struct lookup_room *room, struct meter *meter, struct buf *out,
                 struct err *err)
{
	struct lookup lookup = {
		.plan = plan, .ask = ask, .room = room, .now_us = now_us, .out = out,
	};
	size_t cells = ask->rows * plan->column_count;
	if (cells > room->cell_max || ask->rows * plan->view_count > room->found_max)
		return err_set(err, E_TOO_LARGE, "entities: more rows than there is room for");
	memset(room->cells, 0, cells * sizeof *room->cells);
	TRY(check_entities(&lookup, err));
	TRY(read_all(&lookup, err));
	TRY(print_all(&lookup, err));
	for (size_t v = 0; v < plan->view_count; v++)
		meter_add(meter, plan->views[v].meter_slot, (int64_t)ask->rows);
	return 0;
}
