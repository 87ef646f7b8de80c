/* yaml.c - YAML text <-> value. libyaml scans and emits; what a plain scalar means is decided here,
 * by the core schema alone. Reading follows libyaml's events, so depth is refused as it is met. */
#include "common/defs.h"
#include "common/yaml.h"

#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- the core schema ---- */

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool is_null(const char *text)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	return is_one_of(text, words, ARRAY_LEN(words));
}

static bool is_true(const char *text)
{
	static const char *const words[] = { "true", "True", "TRUE" };
	return is_one_of(text, words, ARRAY_LEN(words));
}

static bool is_false(const char *text)
{
	static const char *const words[] = { "false", "False", "FALSE" };
	return is_one_of(text, words, ARRAY_LEN(words));
}

static bool is_inf(const char *text)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF" };
	return is_one_of(text + (*text == '-' || *text == '+'), words, ARRAY_LEN(words));
}

static bool is_nan(const char *text)
{
	static const char *const words[] = { ".nan", ".NaN", ".NAN" };
	return is_one_of(text, words, ARRAY_LEN(words));
}

static const char decimal[] = "0123456789";

/* The base of an integer, or 0 when the text is none. */
static int int_base(const char *text)
{
	bool other = text[0] == '0' && (text[1] == 'o' || text[1] == 'x');
	const char *digits = !other ? decimal
		: text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
	const char *at = text + (other ? 2 : *text == '-' || *text == '+');
	if (!*at || at[strspn(at, digits)])
		return 0;
	return !other ? 10 : text[1] == 'o' ? 8 : 16;
}

static bool is_float(const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t whole = strspn(at, decimal), fraction = 0;
	at += whole;
	if (*at == '.') {
		fraction = strspn(at + 1, decimal);
		at += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		if (!*at)
			return false;
		at += strspn(at, decimal);
	}
	return !*at;
}

static bool is_text(const char *text)
{
	return !is_null(text) && !is_true(text) && !is_false(text) && !int_base(text) &&
		!is_float(text) && !is_inf(text) && !is_nan(text);
}

/* ---- reading ---- */

struct reader {
	struct arena *arena;
	struct err *err;
	yaml_parser_t parser;
	yaml_event_t event;         /* the current one; empty before the first */
};

static int read_node(struct reader *reader, int depth, struct value **ret_value);

static int refuse_at(struct reader *reader, const yaml_mark_t *mark, const char *why)
{
	return err_set(reader->err, E_INVALID, "YAML line %zu, column %zu: %s", mark->line + 1,
	               mark->column + 1, why);
}

static int refuse(struct reader *reader, const char *why)
{
	return refuse_at(reader, &reader->event.start_mark, why);
}

static int no_room(struct reader *reader)
{
	return err_set(reader->err, E_NOMEM, "the YAML document does not fit into the memory set "
	               "aside for it; send a smaller one");
}

static int advance(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	if (yaml_parser_parse(&reader->parser, &reader->event))
		return 0;
	const yaml_parser_t *parser = &reader->parser;
	if (parser->error == YAML_MEMORY_ERROR)
		return no_room(reader);
	return refuse_at(reader, parser->error == YAML_READER_ERROR ? &parser->mark
	                                                            : &parser->problem_mark,
	                 parser->problem ? parser->problem : "a syntax error");
}

static int keep(struct reader *reader, struct value *value, struct value **ret_value)
{
	if (!value)
		return no_room(reader);
	*ret_value = value;
	return 0;
}

static int read_number(struct reader *reader, const char *text, int base,
		       struct value **ret_value)
{
	errno = 0;
	if (base) {
		long long i = strtoll(text + (base == 10 ? 0 : 2), NULL, base);
		if (errno == ERANGE)
			return refuse(reader, "an integer beyond 64 bits; quote it to keep it "
			              "as text");
		return keep(reader, value_int(reader->arena, i), ret_value);
	}
	double d = strtod(text, NULL);
	if (isinf(d))
		return refuse(reader, "a number too large for 64 bits; quote it to keep it as "
		              "text");
	return keep(reader, value_real(reader->arena, d), ret_value);
}

static int read_plain(struct reader *reader, const char *text, struct value **ret_value)
{
	struct arena *arena = reader->arena;
	int base = int_base(text);
	if (is_null(text))
		return keep(reader, value_null(arena), ret_value);
	if (is_true(text) || is_false(text))
		return keep(reader, value_bool(arena, is_true(text)), ret_value);
	if (base || is_float(text))
		return read_number(reader, text, base, ret_value);
	if (is_inf(text))
		return keep(reader, value_real(arena, *text == '-' ? -INFINITY : INFINITY),
		            ret_value);
	if (is_nan(text))
		return keep(reader, value_real(arena, (double)NAN), ret_value);
	return keep(reader, value_str(arena, text), ret_value);
}

static int read_scalar(struct reader *reader, struct value **ret_value)
{
	const char *text = (const char *)reader->event.data.scalar.value;
	size_t len = reader->event.data.scalar.length;
	if (memchr(text, 0, len))
		return refuse(reader, "a NUL character, which text may not hold");
	if (reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return read_plain(reader, text, ret_value);
	return keep(reader, value_strn(reader->arena, text, len), ret_value);
}

static int read_list(struct reader *reader, int depth, struct value **ret_value)
{
	struct value *list = value_list(reader->arena);
	TRY(advance(reader));
	while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
		struct value *item = NULL;
		TRY(read_node(reader, depth, &item));
		value_add(list, item);
		TRY(advance(reader));
	}
	return keep(reader, list, ret_value);
}

static int read_map(struct reader *reader, int depth, struct value **ret_value)
{
	struct value *map = value_map(reader->arena);
	TRY(advance(reader));
	while (reader->event.type != YAML_MAPPING_END_EVENT) {
		struct value *key = NULL, *member = NULL;
		TRY(read_node(reader, depth, &key));
		if (value_kind(key) != VALUE_STR)
			return refuse(reader, "a key that is no text; quote it");
		if (value_get(map, value_as_str(key)))
			return refuse(reader, "a key that the map has already");
		TRY(advance(reader));
		TRY(read_node(reader, depth, &member));
		value_set(map, value_as_str(key), member);
		TRY(advance(reader));
	}
	return keep(reader, map, ret_value);
}

static int check_plain_node(struct reader *reader, const yaml_char_t *anchor,
			    const yaml_char_t *tag)
{
	if (anchor)
		return refuse(reader, "an anchor; write the value out where it is used");
	if (tag)
		return refuse(reader, "a tag; only plain YAML is accepted");
	return 0;
}

static int check_depth(struct reader *reader, int depth)
{
	const yaml_mark_t *mark = &reader->event.start_mark;
	if (depth < VALUE_DEPTH_MAX)
		return 0;
	return err_set(reader->err, E_INVALID, "YAML line %zu, column %zu: nested deeper than %d "
	               "levels; flatten the document", mark->line + 1, mark->column + 1,
	               VALUE_DEPTH_MAX);
}

static int read_node(struct reader *reader, int depth, struct value **ret_value)
{
	const yaml_event_t *event = &reader->event;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		TRY(check_plain_node(reader, event->data.scalar.anchor, event->data.scalar.tag));
		return read_scalar(reader, ret_value);
	case YAML_SEQUENCE_START_EVENT:
		TRY(check_plain_node(reader, event->data.sequence_start.anchor,
		                     event->data.sequence_start.tag));
		TRY(check_depth(reader, depth));
		return read_list(reader, depth + 1, ret_value);
	case YAML_MAPPING_START_EVENT:
		TRY(check_plain_node(reader, event->data.mapping_start.anchor,
		                     event->data.mapping_start.tag));
		TRY(check_depth(reader, depth));
		return read_map(reader, depth + 1, ret_value);
	default:
		return refuse(reader, "an alias; write the value out where it is used");
	}
}

static bool is_empty_node(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
		event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		!event->data.scalar.anchor && !event->data.scalar.tag;
}

static int read_documents(struct reader *reader, struct value **ret_list)
{
	struct value *list = value_list(reader->arena);
	do {
		TRY(advance(reader));
		if (reader->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		TRY(advance(reader));
		if (is_empty_node(&reader->event))
			continue;
		struct value *document = NULL;
		TRY(read_node(reader, 0, &document));
		value_add(list, document);
	} while (reader->event.type != YAML_STREAM_END_EVENT);
	if (value_check(list, NULL) < 0)
		return no_room(reader);
	*ret_list = list;
	return 0;
}

int yaml_parse(struct arena *arena, const char *text, size_t len, struct value **ret_list,
	       struct err *err)
{
	struct reader reader = { .arena = arena, .err = err };
	if (!yaml_parser_initialize(&reader.parser))
		return err_set(err, E_NOMEM, "no memory to parse a YAML document");
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text ? text : ""),
	                             text ? len : 0);
	int rc = read_documents(&reader, ret_list);
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
	return rc;
}

/* ---- printing ---- */

static int print_node(yaml_emitter_t *emitter, const struct value *value, int depth,
		      struct err *err);

static int put_bytes(void *out, unsigned char *bytes, size_t len)
{
	return buf_put(out, bytes, len) == 0;
}

/* `made` is what the event's initializer returned; emitting consumes the event, failed or not. */
static int emit(yaml_emitter_t *emitter, yaml_event_t *event, int made, struct err *err)
{
	if (made && yaml_emitter_emit(emitter, event))
		return 0;
	if (made && emitter->error == YAML_WRITER_ERROR)
		return err_set(err, E_TOO_LARGE, "the YAML text does not fit into its buffer");
	return err_set(err, E_NOMEM, "no memory to print YAML");
}

static int print_scalar(yaml_emitter_t *emitter, const char *text, size_t len,
			yaml_scalar_style_t style, struct err *err)
{
	yaml_event_t event;
	if (len > INT32_MAX)
		return err_set(err, E_TOO_LARGE, "a text of %zu bytes is too long for YAML", len);
	int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
	                                        (int)len, 1, 1, style);
	return emit(emitter, &event, made, err);
}

/* Words that readers of YAML 1.1 take for booleans. */
static bool is_old_bool(const char *text)
{
	static const char *const words[] = { "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No",
	                                     "NO", "on", "On", "ON", "off", "Off", "OFF" };
	return is_one_of(text, words, ARRAY_LEN(words));
}

/* Lines of visible text that read back the same as a literal block. */
static bool suits_literal(const char *text, size_t len)
{
	if (!memchr(text, '\n', len) || text[0] <= ' ' || text[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			return false;
	return !strstr(text, " \n");
}

static int print_text(yaml_emitter_t *emitter, const char *text, size_t len, struct err *err)
{
	if (!utf8_valid(text, len) || memchr(text, 0, len))
		return err_set(err, E_INVALID, "text in YAML must be UTF-8 without NUL");
	yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	if (suits_literal(text, len))
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (is_text(text) && !is_old_bool(text) && !strchr(text, '\n'))
		style = YAML_PLAIN_SCALAR_STYLE;
	return print_scalar(emitter, text, len, style, err);
}

static const char *special_real(double d)
{
	return isnan(d) ? ".nan" : d > 0 ? ".inf" : "-.inf";
}

/* Null, booleans and numbers look as in JSON, but for the numbers that JSON has not. */
static int print_plain(yaml_emitter_t *emitter, const struct value *value, struct err *err)
{
	double d = value_as_real(value, 0);
	AUTO_BUF text;
	buf_init(&text, 64);
	if (isfinite(d))
		json_print(value, &text);
	else
		buf_puts(&text, special_real(d));
	TRY(buf_check(&text, err));
	return print_scalar(emitter, (const char *)text.data, text.len, YAML_PLAIN_SCALAR_STYLE,
	                    err);
}

static int print_bin(yaml_emitter_t *emitter, const struct value *value, struct err *err)
{
	size_t len = 0;
	const void *data = value_as_bin(value, &len);
	AUTO_BUF text;
	buf_init(&text, len * 2 + 8);
	base64_print(data, len, &text);
	TRY(buf_check(&text, err));
	return print_text(emitter, (const char *)text.data, text.len, err);
}

static int print_list(yaml_emitter_t *emitter, const struct value *list, int depth,
		      struct err *err)
{
	yaml_event_t event;
	int made = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
	                                                YAML_BLOCK_SEQUENCE_STYLE);
	TRY(emit(emitter, &event, made, err));
	for (size_t i = 0; i < value_len(list); i++)
		TRY(print_node(emitter, value_at(list, i), depth, err));
	made = yaml_sequence_end_event_initialize(&event);
	return emit(emitter, &event, made, err);
}

static int print_map(yaml_emitter_t *emitter, const struct value *map, int depth,
		     struct err *err)
{
	yaml_event_t event;
	int made = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
	                                               YAML_BLOCK_MAPPING_STYLE);
	TRY(emit(emitter, &event, made, err));
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		const struct value *member = value_member(map, i, &name);
		TRY(print_text(emitter, name, strlen(name), err));
		TRY(print_node(emitter, member, depth, err));
	}
	made = yaml_mapping_end_event_initialize(&event);
	return emit(emitter, &event, made, err);
}

static int print_node(yaml_emitter_t *emitter, const struct value *value, int depth,
		      struct err *err)
{
	enum value_kind kind = value_kind(value);
	if (kind == VALUE_STR)
		return print_text(emitter, value_as_str(value), value_len(value), err);
	if (kind == VALUE_BIN)
		return print_bin(emitter, value, err);
	if (kind != VALUE_LIST && kind != VALUE_MAP)
		return print_plain(emitter, value, err);
	if (depth >= VALUE_DEPTH_MAX)
		return err_set(err, E_INVALID, "YAML nests at most %d levels deep; flatten the "
		               "document", VALUE_DEPTH_MAX);
	return kind == VALUE_LIST ? print_list(emitter, value, depth + 1, err)
	                          : print_map(emitter, value, depth + 1, err);
}

static int print_document(yaml_emitter_t *emitter, const struct value *value, struct err *err)
{
	yaml_event_t event;
	int made = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	TRY(emit(emitter, &event, made, err));
	made = yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
	TRY(emit(emitter, &event, made, err));
	TRY(print_node(emitter, value, 0, err));
	made = yaml_document_end_event_initialize(&event, 1);
	TRY(emit(emitter, &event, made, err));
	made = yaml_stream_end_event_initialize(&event);
	return emit(emitter, &event, made, err);
}

int yaml_print(const struct value *value, struct buf *out, struct err *err)
{
	size_t start = out->len;
	yaml_emitter_t emitter;
	if (!yaml_emitter_initialize(&emitter))
		return err_set(err, E_NOMEM, "no memory to print YAML");
	yaml_emitter_set_output(&emitter, put_bytes, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_indent(&emitter, 2);
	yaml_emitter_set_width(&emitter, -1);
	int rc = print_document(&emitter, value, err);
	yaml_emitter_delete(&emitter);
	if (rc == 0 || out->failed)   /* of memory or of room: the buffer knows */
		rc = buf_check(out, err);
	if (rc < 0)
		out->len = start;
	return rc;
}
