/* cage_report.c - see cage_report.h. */
#include "common/defs.h"
#include "worker/cage_report.h"
#include "common/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *name, *doc; } layers[CAGE_LAYERS] = {
#define LAYER(id, name, doc) {name, doc},
#include "worker/cage.def"
#undef LAYER
};

const char *cage_layer_name(enum cage_layer layer)
{
	REQUIRE(layer >= 0 && layer < CAGE_LAYERS);
	return layers[layer].name;
}

void cage_report_on(struct cage_report *report, enum cage_layer layer)
{
	report->layers[layer].on = true;
	report->layers[layer].why[0] = 0;
}

void cage_report_off(struct cage_report *report, enum cage_layer layer, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	report->layers[layer].on = false;
	vsnprintf(report->layers[layer].why, CAGE_WHY_MAX, fmt, args);
	va_end(args);
}

static int parse_one(const char *name, size_t len, unsigned *layers_, struct err *err)
{
	for (int i = 0; i < CAGE_LAYERS; i++) {
		if (strlen(layers[i].name) != len || memcmp(layers[i].name, name, len) != 0)
			continue;
		*layers_ |= 1u << i;
		return 0;
	}
	char known[CAGE_TEXT_MAX] = "";
	size_t at = 0;
	for (int i = 0; i < CAGE_LAYERS && at < sizeof known; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
		                       layers[i].name);
	return err_set(err, E_INVALID, "--require-cage: there is no layer \"%.*s\"; there are %s",
	               (int)(len < 32 ? len : 32), name, known);
}

int cage_layers_parse(const char *text, unsigned *ret_layers, struct err *err)
{
	unsigned found = 0;
	for (const char *at = text ? text : ""; *at;) {
		size_t len = strcspn(at, ", ");
		if (len > 0)
			TRY(parse_one(at, len, &found, err));
		at += len + (at[len] != 0);
	}
	*ret_layers = found;
	return 0;
}

struct value *cage_report_value(struct arena *arena, const struct cage_report *report)
{
	struct value *value = value_map(arena);
	for (int i = 0; i < CAGE_LAYERS; i++)
		value_set_str(value, layers[i].name,
		              report->layers[i].on ? "" : report->layers[i].why);
	return value;
}

void cage_report_read(const struct value *value, struct cage_report *ret_report)
{
	for (enum cage_layer i = 0; i < CAGE_LAYERS; i++) {
		const char *why = value_get_str(value, layers[i].name);
		if (why && !*why)
			cage_report_on(ret_report, i);
		else
			cage_report_off(ret_report, i, "%s", why ? why : "nothing is said of it");
	}
}

int cage_report_check(const struct cage_report *report, unsigned needed, struct err *err)
{
	for (int i = 0; i < CAGE_LAYERS; i++)
		if ((needed & 1u << i) && !report->layers[i].on)
			return err_set(err, E_UNAVAILABLE,
			               "--require-cage: executors have no \"%s\" (%s) here: %s; "
			               "change the host, or do not require it", layers[i].name,
			               layers[i].doc, report->layers[i].why);
	return 0;
}

void cage_report_print(const struct cage_report *report, char out[CAGE_TEXT_MAX])
{
	size_t at = 0;
	out[0] = 0;
	for (int off = 0; off < 2; off++) {
		bool first = true;
		for (int i = 0; i < CAGE_LAYERS && at < CAGE_TEXT_MAX; i++) {
			if (report->layers[i].on == (bool)off)
				continue;
			const char *lead = !first ? off ? ", " : " " : off && at ? "; not " :
			                   off ? "not " : "";
			at += (size_t)snprintf(out + at, CAGE_TEXT_MAX - at,
			                       off ? "%s%s (%s)" : "%s%s", lead, layers[i].name,
			                       report->layers[i].why);
			first = false;
		}
	}
}

void cage_report_short(const struct cage_report *report, char out[CAGE_SHORT_MAX])
{
	int on = 0;
	for (int i = 0; i < CAGE_LAYERS; i++)
		on += report->layers[i].on;
	size_t at = (size_t)snprintf(out, CAGE_SHORT_MAX, "%d of %d", on, CAGE_LAYERS);
	for (int i = 0, off = 0; i < CAGE_LAYERS && at < CAGE_SHORT_MAX; i++)
		if (!report->layers[i].on)
			at += (size_t)snprintf(out + at, CAGE_SHORT_MAX - at, "%s%s",
			                       off++ ? " " : ", not ", layers[i].name);
}

void cage_report_json(const struct cage_report *report, struct buf *out)
{
	for (int i = 0; i < CAGE_LAYERS; i++) {
		const char *detail = report->layers[i].on ? layers[i].doc : report->layers[i].why;
		buf_printf(out, "%s{\"name\":\"%s\",\"on\":%s,\"detail\":", i ? "," : "[",
		           layers[i].name, report->layers[i].on ? "true" : "false");
		json_print_str(detail, strlen(detail), out);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}
