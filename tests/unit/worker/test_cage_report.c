/* What is said of the cage's layers, and what may be required of them. */
#include "common/defs.h"
#include "common/arena.h"
#include "worker/cage_report.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cage_report some(void)
{
	struct cage_report report;
	cage_report_read(NULL, &report);
	cage_report_on(&report, CAGE_NETWORK);
	cage_report_on(&report, CAGE_SECCOMP);
	cage_report_off(&report, CAGE_UID, "the worker is user %d", 7);
	return report;
}

Test(cage_report, is_read_back_as_it_was_told)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(64 * KIB, &arena, NULL), 0);
	struct cage_report report = some(), back;
	cage_report_read(cage_report_value(arena, &report), &back);
	for (int i = 0; i < CAGE_LAYERS; i++) {
		cr_expect_eq(back.layers[i].on, report.layers[i].on);
		cr_expect_str_eq(back.layers[i].why, report.layers[i].why);
	}
	arena_free(arena);
}

Test(cage_report, what_nothing_is_said_of_is_off)
{
	struct cage_report report;
	cage_report_read(NULL, &report);
	for (int i = 0; i < CAGE_LAYERS; i++)
		cr_expect_not(report.layers[i].on);
}

Test(cage_report, a_required_layer_that_is_off_is_refused_with_its_reason)
{
	struct cage_report report = some();
	struct err err = {0};
	unsigned layers = 0;
	cr_assert_eq(cage_layers_parse("network,seccomp", &layers, &err), 0);
	cr_expect_eq(cage_report_check(&report, layers, &err), 0);
	cr_assert_eq(cage_layers_parse("network, uid", &layers, &err), 0);
	cr_expect_eq(cage_report_check(&report, layers, &err), E_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "\"uid\""), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "the worker is user 7"), "%s", err.text);
}

Test(cage_report, a_layer_that_there_is_not_is_refused_with_those_there_are)
{
	unsigned layers = 0;
	struct err err = {0};
	cr_expect_eq(cage_layers_parse("network,jail", &layers, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "\"jail\""), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "landlock"), "%s", err.text);
	cr_expect_eq(layers, 0);
	cr_expect_eq(cage_layers_parse("", &layers, &err), 0);
	cr_expect_eq(cage_layers_parse(NULL, &layers, &err), 0);
}

Test(cage_report, is_printed_with_what_is_on_before_what_is_off)
{
	struct cage_report report = some();
	char text[CAGE_TEXT_MAX];
	cage_report_print(&report, text);
	cr_expect_eq(strncmp(text, "network seccomp; not ", 21), 0, "%s", text);
	cr_expect_not_null(strstr(text, "uid (the worker is user 7)"), "%s", text);
	struct buf json;
	buf_init(&json, 64 * KIB);
	cage_report_json(&report, &json);
	cr_assert_eq(buf_check(&json, NULL), 0);
	cr_expect_not_null(strstr((char *)json.data, "\"name\":\"uid\",\"on\":false,\"detail\":"
	                                             "\"the worker is user 7\""));
	buf_release(&json);
}
