/* pack.c - msgpack <-> value. Writing goes through msgpack-c's packer into the buffer. Reading runs
 * msgpack-c's decoder template with callbacks that build our values: nothing is allocated for a
 * declared length before the bytes are there, and the template's fixed stack bounds the depth. */
#include "common/defs.h"
#include "common/pack.h"

#include "common/text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#define MSGPACK_EMBED_STACK_SIZE VALUE_DEPTH_MAX
#include <msgpack/unpack_define.h>
#include <msgpack/unpack.h>

/* ---- writing ---- */

enum { SORT_ON_STACK = 32 };

struct named {
	const char *name;
	const struct value *value;
};

static int write_value(msgpack_packer *packer, const struct value *value, int depth,
		       struct err *err);

static int append(void *out, const char *data, size_t len)
{
	return buf_put(out, data, len);
}

static bool text_ok(const char *text, size_t len)
{
	return utf8_valid(text, len) && !memchr(text, 0, len);
}

static int too_long(struct err *err)
{
	return err_set(err, E_TOO_LARGE, "a message holds at most %" PRIu32 " bytes or members in "
	               "one value", UINT32_MAX);
}

static int write_text(msgpack_packer *packer, const char *text, size_t len, struct err *err)
{
	if (len > UINT32_MAX)
		return too_long(err);
	if (!text_ok(text, len))
		return err_set(err, E_INVALID, "text in a message must be UTF-8 without NUL; send "
		               "other bytes as bytes");
	msgpack_pack_str(packer, len);
	msgpack_pack_str_body(packer, text, len);
	return 0;
}

static int write_bin(msgpack_packer *packer, const struct value *value, struct err *err)
{
	size_t len = 0;
	const void *data = value_as_bin(value, &len);
	if (len > UINT32_MAX)
		return too_long(err);
	msgpack_pack_bin(packer, len);
	msgpack_pack_bin_body(packer, data, len);
	return 0;
}

static int write_list(msgpack_packer *packer, const struct value *list, int depth,
		      struct err *err)
{
	msgpack_pack_array(packer, value_len(list));
	for (size_t i = 0; i < value_len(list); i++)
		TRY(write_value(packer, value_at(list, i), depth, err));
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int write_members(msgpack_packer *packer, const struct value *map, struct named *order,
			 int depth, struct err *err)
{
	size_t count = value_len(map);
	bool sorted = true;
	for (size_t i = 0; i < count; i++) {
		order[i].value = value_member(map, i, &order[i].name);
		sorted &= i == 0 || strcmp(order[i - 1].name, order[i].name) < 0;
	}
	if (!sorted)
		qsort(order, count, sizeof *order, by_name);
	msgpack_pack_map(packer, count);
	for (size_t i = 0; i < count; i++) {
		TRY(write_text(packer, order[i].name, strlen(order[i].name), err));
		TRY(write_value(packer, order[i].value, depth, err));
	}
	return 0;
}

static int write_map(msgpack_packer *packer, const struct value *map, int depth, struct err *err)
{
	struct named few[SORT_ON_STACK];
	if (value_len(map) <= SORT_ON_STACK)
		return write_members(packer, map, few, depth, err);
	struct named *many = calloc(value_len(map), sizeof *many);
	if (!many)
		return err_set(err, E_NOMEM, "no memory to sort %zu members", value_len(map));
	int rc = write_members(packer, map, many, depth, err);
	free(many);
	return rc;
}

static int write_many(msgpack_packer *packer, const struct value *value, int depth,
		      struct err *err)
{
	if (depth >= VALUE_DEPTH_MAX)
		return err_set(err, E_INVALID, "a message nests at most %d levels deep; flatten it",
		               VALUE_DEPTH_MAX);
	if (value_kind(value) == VALUE_LIST)
		return write_list(packer, value, depth + 1, err);
	return write_map(packer, value, depth + 1, err);
}

static int write_value(msgpack_packer *packer, const struct value *value, int depth,
		       struct err *err)
{
	double d;
	switch (value_kind(value)) {
	case VALUE_NULL:
		msgpack_pack_nil(packer);
		break;
	case VALUE_BOOL:
		if (value_as_bool(value, false))
			msgpack_pack_true(packer);
		else
			msgpack_pack_false(packer);
		break;
	case VALUE_INT:
		msgpack_pack_int64(packer, value_as_int(value, 0));
		break;
	case VALUE_REAL:
		d = value_as_real(value, 0);
		msgpack_pack_double(packer, isnan(d) ? (double)NAN : d);
		break;
	case VALUE_STR:
		return write_text(packer, value_as_str(value), value_len(value), err);
	case VALUE_BIN:
		return write_bin(packer, value, err);
	case VALUE_LIST:
	case VALUE_MAP:
		return write_many(packer, value, depth, err);
	}
	return 0;
}

int pack_write(const struct value *value, struct buf *out, struct err *err)
{
	size_t start = out->len;
	msgpack_packer packer;
	msgpack_packer_init(&packer, out, append);
	int rc = write_value(&packer, value, 0, err);
	if (rc == 0)
		rc = buf_check(out, err);
	if (rc < 0)
		out->len = start;
	return rc;
}

/* ---- reading ---- */

struct reader {
	struct arena *arena;
	int code;               /* why a callback gave up; 0: the bytes are no msgpack */
	const char *why;
};

static int give_up(struct reader *reader, int code, const char *why)
{
	reader->code = code;
	reader->why = why;
	return -1;
}

static int no_room(struct reader *reader)
{
	return give_up(reader, E_NOMEM, "it does not fit into the memory set aside for it; send "
	               "less");
}

static int keep(struct reader *reader, struct value *value, struct value **ret_value)
{
	*ret_value = value;
	return value ? 0 : no_room(reader);
}

static int grown(struct reader *reader, const struct value *container, size_t before)
{
	return value_len(container) > before ? 0 : no_room(reader);
}

#define msgpack_unpack_struct(name) struct template##name
#define msgpack_unpack_func(ret, name) static ret template##name
#define msgpack_unpack_callback(name) on##name
#define msgpack_unpack_object struct value *
#define msgpack_unpack_user struct reader

static struct value *on_root(struct reader *reader)
{
	(void)reader;
	return NULL;
}

static int on_int64(struct reader *reader, int64_t i, struct value **ret_value)
{
	return keep(reader, value_int(reader->arena, i), ret_value);
}

static int on_uint64(struct reader *reader, uint64_t u, struct value **ret_value)
{
	if (u > INT64_MAX)
		return give_up(reader, E_INVALID, "an integer is above 2^63 - 1");
	return on_int64(reader, (int64_t)u, ret_value);
}

/* The template names the width; a value has one. */
#define on_uint8 on_int64
#define on_uint16 on_int64
#define on_uint32 on_int64
#define on_int8 on_int64
#define on_int16 on_int64
#define on_int32 on_int64

static int on_double(struct reader *reader, double d, struct value **ret_value)
{
	return keep(reader, value_real(reader->arena, d), ret_value);
}
#define on_float on_double

static int on_nil(struct reader *reader, struct value **ret_value)
{
	return keep(reader, value_null(reader->arena), ret_value);
}

static int on_true(struct reader *reader, struct value **ret_value)
{
	return keep(reader, value_bool(reader->arena, true), ret_value);
}

static int on_false(struct reader *reader, struct value **ret_value)
{
	return keep(reader, value_bool(reader->arena, false), ret_value);
}

static int on_str(struct reader *reader, const char *base, const char *at, unsigned int len,
		  struct value **ret_value)
{
	(void)base;
	if (len && !text_ok(at, len))
		return give_up(reader, E_INVALID, "text must be UTF-8 without NUL");
	return keep(reader, value_strn(reader->arena, at, len), ret_value);
}

static int on_bin(struct reader *reader, const char *base, const char *at, unsigned int len,
		  struct value **ret_value)
{
	(void)base;
	return keep(reader, value_bin(reader->arena, at, len), ret_value);
}

static int on_ext(struct reader *reader, const char *base, const char *at, unsigned int len,
		  struct value **ret_value)
{
	(void)base, (void)at, (void)len, (void)ret_value;
	return give_up(reader, E_INVALID, "extension types are not accepted");
}

static int on_array(struct reader *reader, unsigned int count, struct value **ret_value)
{
	(void)count;        /* grows as items arrive, whatever is declared */
	return keep(reader, value_list(reader->arena), ret_value);
}

static int on_array_item(struct reader *reader, struct value **list, struct value *item)
{
	size_t before = value_len(*list);
	value_add(*list, item);
	return grown(reader, *list, before);
}

static int on_map(struct reader *reader, unsigned int count, struct value **ret_value)
{
	(void)count;
	return keep(reader, value_map(reader->arena), ret_value);
}

static int on_map_item(struct reader *reader, struct value **map, struct value *key,
		       struct value *member)
{
	const char *name = value_as_str(key);
	if (!name)
		return give_up(reader, E_INVALID, "a map has a key that is no text");
	if (value_get(*map, name))
		return give_up(reader, E_INVALID, "a map has the same key twice");
	size_t before = value_len(*map);
	value_set(*map, name, member);
	return grown(reader, *map, before);
}

#include <msgpack/unpack_template.h>

/* Messages on the failure of template_execute, whose rc is 0 when the input ends too early. */
static int refuse(const struct reader *reader, int rc, size_t at, struct err *err)
{
	if (reader->code)
		return err_set(err, reader->code, "msgpack at byte %zu: %s", at, reader->why);
	if (rc == 0)
		return err_set(err, E_INVALID, "msgpack ends at byte %zu, in the middle of a value",
		               at);
	if (rc == MSGPACK_UNPACK_NOMEM_ERROR)
		return err_set(err, E_INVALID, "msgpack at byte %zu: nested deeper than %d levels; "
		               "flatten the message", at, VALUE_DEPTH_MAX);
	return err_set(err, E_INVALID, "msgpack at byte %zu: no value begins like this", at);
}

int pack_read(struct arena *arena, const void *data, size_t len, struct value **ret_value,
	      struct err *err)
{
	struct template_context context = { .user = { .arena = arena } };
	template_init(&context);
	size_t end = 0;
	int rc = len ? template_execute(&context, data, len, &end) : 0;
	if (rc <= 0)
		return refuse(&context.user, rc, end, err);
	if (end != len)
		return err_set(err, E_INVALID, "%zu bytes follow the msgpack value of %zu; send "
		               "one value", len - end, end);
	*ret_value = template_data(&context);
	return 0;
}
