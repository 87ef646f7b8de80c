/* cage_report.h - which layers of the cage there are, and why the others are not. */
#ifndef CAGE_REPORT_H
#define CAGE_REPORT_H

#include "common/buf.h"
#include "common/value.h"

enum cage_layer {
#define LAYER(id, name, doc) CAGE_##id,
#include "worker/cage.def"
#undef LAYER
	CAGE_LAYERS
};

enum { CAGE_WHY_MAX = 160, CAGE_TEXT_MAX = 1024, CAGE_SHORT_MAX = 160 };

struct cage_report {
	struct {
		bool on;
		char why[CAGE_WHY_MAX]; /* when it is off */
	} layers[CAGE_LAYERS];
};

const char *cage_layer_name(enum cage_layer layer);
void cage_report_on(struct cage_report *report, enum cage_layer layer);
void cage_report_off(struct cage_report *report, enum cage_layer layer, const char *fmt, ...)
	PRINTF(3, 4);

/* "network,seccomp" as a set of bits, 1 << layer; E_INVALID for what is no layer. */
MUST_USE int cage_layers_parse(const char *text, unsigned *ret_layers, struct err *err);
/* {name: "" or why not}, as an executor tells it, and back. */
struct value *cage_report_value(struct arena *arena, const struct cage_report *report);
void cage_report_read(const struct value *value, struct cage_report *ret_report);
/* E_UNAVAILABLE when one of `layers` is off: names it, the reason and the way out. */
MUST_USE int cage_report_check(const struct cage_report *report, unsigned layers, struct err *err);
/* "network seccomp ...; not cgroup (why)", as it is shown. */
void cage_report_print(const struct cage_report *report, char out[CAGE_TEXT_MAX]);
/* "9 of 10, not cgroup" */
void cage_report_short(const struct cage_report *report, char out[CAGE_SHORT_MAX]);
/* [{"name":..,"on":..,"detail":..}, ...] */
void cage_report_json(const struct cage_report *report, struct buf *out);

#endif
