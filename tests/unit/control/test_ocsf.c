/* test_ocsf.c - audit events as OCSF: the same record gives the same line, for ever. */
#include "common/defs.h"
#include "control/ocsf.h"

#include "common/json.h"
#include "policy/policy.h"

#include <criterion/criterion.h>
#include <string.h>

/* The line of a record that is written as JSON here. */
static char *line_of(struct arena *arena, const char *text)
{
	struct value *record = NULL;
	struct err err = {0};
	AUTO_BUF out;
	buf_init(&out, OCSF_LINE_MAX);
	cr_assert_eq(json_parse(arena, text, strlen(text), &record, &err), 0, "%s", err.text);
	cr_assert_eq(ocsf_print(record, &out, &err), 0, "%s", err.text);
	return arena_strdup(arena, (char *)out.data);
}

static struct arena *arena_of_test(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(1 << 20, &arena, NULL), 0);
	return arena;
}

/* These are leaves of logs that exist: a difference here is a broken log, not a test to adapt. */
Test(ocsf, prints_a_denied_read_as_it_always_did)
{
	AUTO(arena) *arena = arena_of_test();
	const char *line = line_of(
		arena,
		"{\"at\":1700000000123,\"tenant\":\"acme\",\"format\":1,\"class\":6003,"
		"\"activity\":2,\"actor\":\"acme/ada\",\"credential\":\"01J0\",\"action\":"
		"\"dataset:read\",\"operation\":\"getDataset\",\"resource\":"
		"\"/v1/tenants/acme/domains/sales/datasets/orders\",\"result\":\"denied\","
		"\"rule\":\"no-night.0\",\"policies\":[\"no-night.0\",\"no-eu.1\"],\"digest\":"
		"\"c0ffee\",\"purpose\":\"billing\",\"address\":\"192.0.2.7\",\"code\":"
		"\"E_DENIED\",\"request\":\"01K0\",\"seq\":42}");
	cr_expect_str_eq(
		line,
		"{\"activity_id\":2,\"actor\":{\"authorizations\":[{\"decision\":\"denied\","
		"\"policy\":{\"uid\":\"no-night.0\",\"version\":\"c0ffee\"}},{\"decision\":"
		"\"denied\",\"policy\":{\"uid\":\"no-eu.1\",\"version\":\"c0ffee\"}}],\"user\":"
		"{\"credential_uid\":\"01J0\",\"name\":\"ada\",\"type\":\"User\",\"type_id\":1,"
		"\"uid\":\"acme/ada\"}},\"api\":{\"operation\":\"getDataset\",\"request\":{"
		"\"uid\":\"01K0\"}},\"category_uid\":6,\"class_uid\":6003,\"metadata\":{"
		"\"event_code\":\"dataset:read\",\"log_name\":\"audit\",\"log_version\":\"1\","
		"\"product\":{\"name\":\"Freehold\",\"vendor_name\":\"Freehold\"},\"sequence\":42,"
		"\"tenant_uid\":\"acme\",\"uid\":\"acme/42\",\"version\":\"1.3.0\"},\"resources\":"
		"[{\"name\":\"orders\",\"type\":\"datasets\",\"uid\":"
		"\"/v1/tenants/acme/domains/sales/datasets/orders\"}],\"severity_id\":3,"
		"\"status\":\"denied\",\"status_code\":\"E_DENIED\",\"status_id\":2,"
		"\"src_endpoint\":{\"ip\":\"192.0.2.7\"},\"time\":1700000000123,\"type_uid\":"
		"600302,\"unmapped\":{\"code\":\"E_DENIED\",\"policies\":[\"no-night.0\","
		"\"no-eu.1\"],\"policy_digest\":\"c0ffee\",\"purpose\":\"billing\",\"rule\":"
		"\"no-night.0\"}}");
}

Test(ocsf, prints_what_the_platform_did_for_somebody_as_it_always_did)
{
	AUTO(arena) *arena = arena_of_test();
	const char *line = line_of(
		arena, "{\"at\":5,\"tenant\":\"acme\",\"format\":1,\"class\":6005,\"activity\":5,"
		       "\"actor\":\"worker/w1\",\"onBehalfOf\":\"acme/ada\",\"action\":"
		       "\"task:outcome\",\"resource\":\"01T0\",\"result\":\"succeeded\",\"task\":"
		       "\"01T0\",\"detail\":{\"outputs\":[{\"dataset\":\"orders\",\"rows\":3}]},"
		       "\"seq\":7}");
	cr_expect_str_eq(
		line,
		"{\"activity_id\":5,\"actor\":{\"user\":{\"name\":\"worker/w1\",\"type\":"
		"\"System\",\"type_id\":3,\"uid\":\"worker/w1\"}},\"api\":{\"operation\":"
		"\"task:outcome\"},\"category_uid\":6,\"class_uid\":6005,\"metadata\":{"
		"\"event_code\":\"task:outcome\",\"log_name\":\"audit\",\"log_version\":\"1\","
		"\"product\":{\"name\":\"Freehold\",\"vendor_name\":\"Freehold\"},\"sequence\":7,"
		"\"tenant_uid\":\"acme\",\"uid\":\"acme/7\",\"version\":\"1.3.0\"},\"resources\":[{"
		"\"name\":\"01T0\",\"type\":\"task\",\"uid\":\"01T0\"}],\"severity_id\":1,"
		"\"status\":\"succeeded\",\"status_id\":1,\"src_endpoint\":{\"name\":\"unknown\"},"
		"\"time\":5,\"type_uid\":600505,\"unmapped\":{\"detail\":{\"outputs\":[{"
		"\"dataset\":\"orders\",\"rows\":3}]},\"on_behalf_of\":\"acme/ada\",\"task\":"
		"\"01T0\"}}");
}

Test(ocsf, names_whose_account_or_access_was_changed)
{
	AUTO(arena) *arena = arena_of_test();
	const char *account = line_of(
		arena, "{\"class\":3001,\"activity\":1,\"actor\":\"a/b\",\"action\":"
		       "\"principal:write\",\"resource\":\"/v1/tenants/a/principals/c\"}");
	const char *access = line_of(
		arena, "{\"class\":3005,\"activity\":1,\"actor\":\"a/b\",\"action\":"
		       "\"rolebinding:write\",\"resource\":\"/v1/tenants/a/rolebindings/r\","
		       "\"detail\":{\"role\":\"producer\"}}");
	cr_expect_not_null(strstr(account, "\"user\":{\"name\":\"c\",\"type\":\"principals\","
	                                   "\"uid\":\"/v1/tenants/a/principals/c\"}"));
	cr_expect_not_null(strstr(access, "\"user\":{\"name\":\"r\",\"type\":\"rolebindings\""));
	cr_expect_not_null(strstr(access, "\"privileges\":[\"producer\"]"));
}

Test(ocsf, a_line_is_one_document_whatever_was_asked)
{
	AUTO(arena) *arena = arena_of_test();
	const char *line = line_of(arena, "{\"actor\":\"a\\\"\\n/\\u0001b\",\"action\":\"\\\\\","
	                                  "\"resource\":\"/v1/\\u2028\\n{[\",\"result\":\"}\"}");
	struct value *parsed = NULL;
	struct err err = {0};
	cr_expect_null(strchr(line, '\n'));
	cr_assert_eq(json_parse(arena, line, strlen(line), &parsed, &err), 0, "%s", err.text);
	cr_expect_eq(value_get_int(parsed, "type_uid", 0), 600399);
	cr_expect_str_eq(value_get_str(parsed, "activity_name"), "\\");
}

Test(ocsf, refuses_a_format_that_it_does_not_know)
{
	AUTO(arena) *arena = arena_of_test();
	struct err err = {0};
	AUTO_BUF out;
	buf_init(&out, OCSF_LINE_MAX);
	struct value *record = value_map(arena);
	value_set_int(record, "format", OCSF_FORMAT + 1);
	cr_expect_eq(ocsf_print(record, &out, &err), E_CORRUPT);
	cr_expect_eq(out.len, 0);
}

Test(ocsf, every_action_of_a_policy_has_a_class_and_no_read_of_metadata_is_one_of_data)
{
	struct ocsf_row row;
	size_t i = 0;
	for (; ocsf_row(i, &row); i++) {
		cr_expect_not_null(row.class_name, "%s", row.action);
		cr_expect(i >= ACTION_COUNT_ || !strcmp(row.action, action_name((enum action)i)));
		cr_expect_eq(row.meaning != NULL, i >= ACTION_COUNT_, "%s", row.action);
	}
	cr_expect_gt(i, ACTION_COUNT_);
	const struct ocsf_type metadata = ocsf_type("dataset:read", VERB_READ),
	                       data = ocsf_type("dataset:read", VERB_READ_DATA),
	                       made = ocsf_type("dataset:write", VERB_CREATE),
	                       gone = ocsf_type("principal:write", VERB_DELETE),
	                       key = ocsf_type("key:destroy", VERB_NONE),
	                       unknown = ocsf_type("nothing:known", VERB_NONE);
	cr_expect(metadata.class_uid == 6003 && metadata.activity_id == 2);
	cr_expect(data.class_uid == 6005 && data.activity_id == 1);
	cr_expect(made.class_uid == 6005 && made.activity_id == 6);
	cr_expect(gone.class_uid == 3001 && gone.activity_id == 6);
	cr_expect(key.class_uid == 6005 && key.activity_id == 7);
	cr_expect(unknown.class_uid == 6003 && unknown.activity_id == 99);
}

Test(ocsf, the_order_in_which_a_detail_was_made_does_not_show)
{
	AUTO(arena) *arena = arena_of_test();
	cr_expect_str_eq(line_of(arena, "{\"detail\":{\"b\":[{\"y\":1,\"x\":2},3],\"a\":true}}"),
	                 line_of(arena, "{\"detail\":{\"a\":true,\"b\":[{\"x\":2,\"y\":1},3]}}"));
	cr_expect_not_null(strstr(line_of(arena, "{\"detail\":{\"b\":1,\"a\":{}}}"),
	                          "\"detail\":{\"a\":{},\"b\":1}"));
}
