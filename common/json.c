/* json.c - JSON text <-> value. jansson parses; printing is ours, straight into the buffer.
 * jansson's own messages quote the input, so errors are worded here, by its codes. */
#include "common/defs.h"
#include "common/json.h"

#include "common/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINT_DEPTH_MAX = 4 * VALUE_DEPTH_MAX };  /* documents inside documents */

static int convert(struct arena *arena, const json_t *json, int depth, struct value **ret_value,
		   struct err *err);

static const char *reason(enum json_error_code code)
{
	switch (code) {
	case json_error_out_of_memory: return "out of memory";
	case json_error_stack_overflow: return "nested too deeply";
	case json_error_invalid_utf8: return "text that is not UTF-8";
	case json_error_premature_end_of_input: return "the document ends too early";
	case json_error_end_of_input_expected: return "text after the end of the document";
	case json_error_duplicate_key: return "a member appears twice";
	case json_error_numeric_overflow: return "a number too large for 64 bits";
	case json_error_null_character:
	case json_error_null_byte_in_key: return "a NUL character, which text may not hold";
	default: return "a syntax error";
	}
}

static int refuse(const json_error_t *error, struct err *err)
{
	enum json_error_code code = json_error_code(error);
	if (code == json_error_out_of_memory)
		return err_set(err, E_NOMEM, "no memory to parse a JSON document");
	return err_set(err, E_INVALID, "JSON line %d, column %d: %s", error->line, error->column,
	               reason(code));
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "the JSON document does not fit into the memory set aside for "
	               "it; send a smaller one");
}

static int convert_list(struct arena *arena, const json_t *json, int depth,
			struct value **ret_value, struct err *err)
{
	struct value *list = value_list(arena);
	for (size_t i = 0; i < json_array_size(json); i++) {
		struct value *item = NULL;
		TRY(convert(arena, json_array_get(json, i), depth, &item, err));
		value_add(list, item);
	}
	*ret_value = list;
	return list ? 0 : no_room(err);
}

static int convert_map(struct arena *arena, json_t *json, int depth, struct value **ret_value,
		       struct err *err)
{
	struct value *map = value_map(arena);
	for (void *at = json_object_iter(json); at; at = json_object_iter_next(json, at)) {
		struct value *member = NULL;
		TRY(convert(arena, json_object_iter_value(at), depth, &member, err));
		value_set(map, json_object_iter_key(at), member);
	}
	*ret_value = map;
	return map ? 0 : no_room(err);
}

static struct value *convert_scalar(struct arena *arena, const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_STRING: return value_strn(arena, json_string_value(json),
	                                    json_string_length(json));
	case JSON_INTEGER: return value_int(arena, json_integer_value(json));
	case JSON_REAL: return value_real(arena, json_real_value(json));
	case JSON_TRUE: return value_bool(arena, true);
	case JSON_FALSE: return value_bool(arena, false);
	default: return value_null(arena);
	}
}

static int convert(struct arena *arena, const json_t *json, int depth, struct value **ret_value,
		   struct err *err)
{
	bool list = json_is_array(json);
	if (list || json_is_object(json)) {
		if (depth >= VALUE_DEPTH_MAX)
			return err_set(err, E_INVALID, "JSON nested deeper than %d levels; flatten "
			               "the document", VALUE_DEPTH_MAX);
		return list ? convert_list(arena, json, depth + 1, ret_value, err)
		            : convert_map(arena, (json_t *)json, depth + 1, ret_value, err);
	}
	*ret_value = convert_scalar(arena, json);
	return *ret_value ? 0 : no_room(err);
}

int json_parse(struct arena *arena, const char *text, size_t len, struct value **ret_value,
	       struct err *err)
{
	json_error_t error;
	json_t *json = json_loadb(text ? text : "", text ? len : 0,
	                          JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json)
		return refuse(&error, err);
	struct value *value = NULL;
	int rc = convert(arena, json, 0, &value, err);
	json_decref(json);
	TRY(rc);
	if (value_check(value, NULL) < 0)
		return no_room(err);
	*ret_value = value;
	return 0;
}

static void print_escape(uint8_t c, struct buf *out)
{
	switch (c) {
	case '"': buf_puts(out, "\\\""); return;
	case '\\': buf_puts(out, "\\\\"); return;
	case '\n': buf_puts(out, "\\n"); return;
	case '\r': buf_puts(out, "\\r"); return;
	case '\t': buf_puts(out, "\\t"); return;
	default: buf_printf(out, "\\u%04x", c); return;
	}
}

static bool is_special(uint8_t c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

/* Bytes of the valid character at s, or 0; only for what is outside ASCII. */
static size_t char_len(const char *s, size_t len)
{
	for (size_t n = 2; n <= 4 && n <= len; n++)
		if (utf8_valid(s, n))
			return n;
	return 0;
}

/* Text that is not UTF-8 loses its bad bytes to U+FFFD: what is printed is JSON, always. */
static void print_repaired(const char *text, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len;) {
		uint8_t c = (uint8_t)text[i];
		size_t n = c < 0x80 ? 1 : char_len(text + i, len - i);
		if (n == 1 && is_special(c))
			print_escape(c, out);
		else if (n)
			buf_put(out, text + i, n);
		else
			buf_puts(out, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
}

void json_print_str(const char *text, size_t len, struct buf *out)
{
	buf_putc(out, '"');
	if (utf8_valid(text, len)) {
		size_t done = 0;
		for (size_t i = 0; i < len; i++) {
			if (!is_special((uint8_t)text[i]))
				continue;
			buf_put(out, text + done, i - done);
			print_escape((uint8_t)text[i], out);
			done = i + 1;
		}
		buf_put(out, text + done, len - done);
	} else {
		print_repaired(text, len, out);
	}
	buf_putc(out, '"');
}

static void print_int(int64_t i, struct buf *out)
{
	char digits[24];
	char *at = digits + sizeof digits;
	uint64_t left = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	do {
		*--at = (char)('0' + left % 10);
	} while (left /= 10);
	if (i < 0)
		*--at = '-';
	buf_put(out, at, (size_t)(digits + sizeof digits - at));
}

/* The fewest digits that read back as the same number; always recognisable as no integer. */
static void print_real(double d, struct buf *out)
{
	if (!isfinite(d)) {
		buf_puts(out, "null");
		return;
	}
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_puts(out, text);
	if (!strpbrk(text, ".e"))
		buf_puts(out, ".0");
}

static void print_bin(const struct value *value, struct buf *out)
{
	size_t len = 0;
	const void *data = value_as_bin(value, &len);
	buf_putc(out, '"');
	base64_print(data, len, out);
	buf_putc(out, '"');
}

static void new_line(bool pretty, int depth, struct buf *out)
{
	if (!pretty)
		return;
	buf_putc(out, '\n');
	for (int i = 0; i < depth; i++)
		buf_puts(out, "  ");
}

static void print(const struct value *value, bool pretty, int depth, struct buf *out);

static void print_many(const struct value *value, bool pretty, int depth, struct buf *out)
{
	bool map = value_kind(value) == VALUE_MAP;
	buf_putc(out, map ? '{' : '[');
	for (size_t i = 0; i < value_len(value); i++) {
		const char *name = NULL;
		if (i)
			buf_putc(out, ',');
		new_line(pretty, depth + 1, out);
		if (value_member(value, i, &name)) {
			json_print_str(name, strlen(name), out);
			buf_puts(out, pretty ? ": " : ":");
		}
		print(value_at(value, i), pretty, depth + 1, out);
	}
	if (value_len(value))
		new_line(pretty, depth, out);
	buf_putc(out, map ? '}' : ']');
}

static void print(const struct value *value, bool pretty, int depth, struct buf *out)
{
	switch (value_kind(value)) {
	case VALUE_NULL:
		buf_puts(out, "null");
		break;
	case VALUE_BOOL:
		buf_puts(out, value_as_bool(value, false) ? "true" : "false");
		break;
	case VALUE_INT:
		print_int(value_as_int(value, 0), out);
		break;
	case VALUE_REAL:
		print_real(value_as_real(value, 0), out);
		break;
	case VALUE_STR:
		json_print_str(value_as_str(value), value_len(value), out);
		break;
	case VALUE_BIN:
		print_bin(value, out);
		break;
	case VALUE_LIST:
	case VALUE_MAP:
		if (depth >= PRINT_DEPTH_MAX)
			out->failed = true;
		else
			print_many(value, pretty, depth, out);
		break;
	}
}

void json_print(const struct value *value, struct buf *out)
{
	print(value, false, 0, out);
}

void json_print_pretty(const struct value *value, struct buf *out)
{
	print(value, true, 0, out);
}
