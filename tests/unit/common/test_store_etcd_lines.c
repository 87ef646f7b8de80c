/* store_etcd_lines: answers as etcd gives them, and as it never should. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	return arena;
}

static int decode(const char *text, struct etcd_item *ret_item, struct err *err)
{
	AUTO(arena) *arena = arena_make();
	const struct value *root = NULL;
	TRY(etcd_parse(arena, text, strlen(text), &root, err));
	return etcd_item_decode(root, "/f/", ret_item, err);
}

Test(store_etcd_lines, reads_a_key_with_its_numbers_as_text)
{
	struct err err = { 0 };
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	cr_assert_eq(decode("{\"key\":\"L2YvYQ==\",\"create_revision\":\"7\","
			    "\"mod_revision\":\"9223372036854775807\",\"version\":\"2\","
			    "\"value\":\"eA==\",\"lease\":\"12\"}", &item, &err), 0,
		     "%s", err.text);
	cr_assert_str_eq(item.item.key, "a");
	cr_assert_eq(item.item.mod_revision, INT64_MAX);
	cr_assert_eq(item.item.create_revision, 7);
	cr_assert(item.item.value_len == 1 && item.item.value[0] == 'x');
	cr_assert_eq(item.version, 2);
	cr_assert_eq(item.lease, 12);
	cr_assert_eq(decode("{\"key\":\"L2YvYQ==\",\"mod_revision\":\"1\"}", &item, &err), 0);
	cr_assert_eq(item.item.value_len, 0, "a field that was left out kept its last value");
	cr_assert_eq(item.lease, 0);
}

Test(store_etcd_lines, refuses_keys_that_cannot_be)
{
	static const char *const bad[] = {
		"[]", "{", "{}", "1",
		"{\"key\":\"L2YvYQ==\"}",                                        /* no revision */
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\"0\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\"1x\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\"\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\" 1\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\"9223372036854775808\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":1.5}",
		"{\"key\":\"L2YvYQ\",\"mod_revision\":\"1\"}",                   /* no padding */
		"{\"key\":\"L2cvYQ==\",\"mod_revision\":\"1\"}",              /* another prefix */
		"{\"key\":\"L2YvAGE=\",\"mod_revision\":\"1\"}",                 /* a NUL in it */
		"{\"key\":5,\"mod_revision\":\"1\"}",
		"{\"key\":\"L2YvYQ==\",\"mod_revision\":\"1\",\"value\":\"?\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { 0 };
		AUTO_ETCD_ITEM item;
		etcd_item_init(&item);
		cr_assert_eq(decode(bad[i], &item, &err), E_CORRUPT, "%s", bad[i]);
	}
}

Test(store_etcd_lines, tells_a_cancelled_watch_from_a_created_one)
{
	static const struct {
		const char *text;
		bool canceled;
		size_t events;
	} lines[] = {
		{ "{\"result\":{\"header\":{\"revision\":\"5\"},\"created\":true}}", false, 0 },
		{ "{\"result\":{\"header\":{\"revision\":\"5\"}}}", false, 0 },
		{ "{\"result\":{\"header\":{\"revision\":\"5\"},\"events\":[{},{}]}}", false, 2 },
		{ "{\"result\":{\"canceled\":true,\"compact_revision\":\"9\"}}", true, 0 },
		{ "{\"result\":{\"compact_revision\":\"9\"}}", true, 0 },
		{ "{\"result\":{\"watch_id\":\"-1\",\"created\":true,\"canceled\":true}}", true,
		  0 },
		{ "{\"error\":{\"grpc_code\":14,\"http_code\":503}}", true, 0 },
		{ "{}", true, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct err err = { 0 };
		struct etcd_line line = { 0 };
		AUTO(arena) *arena = arena_make();
		cr_assert_eq(etcd_line_decode(arena, lines[i].text, strlen(lines[i].text), &line,
					      &err), 0, "%s: %s", lines[i].text, err.text);
		cr_assert_eq(line.canceled, lines[i].canceled, "%s", lines[i].text);
		cr_assert_eq(value_len(line.events), lines[i].events);
	}
}

Test(store_etcd_lines, a_refusal_that_leaves_the_outcome_open_is_told_from_one_that_does_not)
{
	static const struct {
		int status;
		const char *text;
		int code;
	} cases[] = {
		{ 401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}",
		  E_UNAUTHENTICATED },
		{ 400, "{\"message\":\"etcdserver: revision of auth store is old\",\"code\":3}",
		  E_UNAUTHENTICATED },
		{ 400, "{\"error\":\"etcdserver: user name is empty\",\"code\":3}",
		  E_UNAUTHENTICATED },
		{ 400, "{\"error\":\"etcdserver: authentication failed, invalid user ID or "
		  "password\",\"code\":3}", E_DENIED },
		{ 400, "{\"error\":\"etcdserver: request is too large\",\"code\":3}", E_TOO_LARGE },
		{ 400, "{\"error\":\"etcdserver: duplicate key given in txn request\",\"code\":3}",
		  E_INTERNAL },
		{ 403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", E_DENIED },
		{ 429, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
		  E_NO_SPACE },
		{ 429, "{\"error\":\"etcdserver: too many requests\",\"code\":8}", E_UNAVAILABLE },
		{ 429, "{\"error\":\"grpc: received message larger than max\",\"code\":8}",
		  E_TOO_LARGE },
		{ 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}",
		  E_NOT_FOUND },
		{ 400, "{\"error\":\"etcdserver: mvcc: required revision has been compacted\","
		  "\"code\":11}", E_CONFLICT },
		{ 503, "{\"error\":\"etcdserver: request timed out\",\"code\":14}",
		  E_UNKNOWN_OUTCOME },
		{ 503, "{\"error\":\"etcdserver: leader changed\",\"code\":14}",
		  E_UNKNOWN_OUTCOME },
		{ 504, "{\"error\":\"context deadline exceeded\",\"code\":4}", E_UNKNOWN_OUTCOME },
		{ 500, "{\"error\":\"?\",\"code\":\"x\"}", E_UNKNOWN_OUTCOME },
		{ 502, "<html>Bad gateway</html>", E_UNKNOWN_OUTCOME },
		{ 404, "Not Found\n", E_INTERNAL },
		{ 501, "{\"code\":12}", E_INTERNAL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		int code = etcd_refusal(cases[i].status, cases[i].text, strlen(cases[i].text),
					&err);
		cr_assert_eq(code, cases[i].code, "%s: %s", cases[i].text, err.text);
		cr_assert_eq(err.code, code);
		cr_assert_neq(err.text[0], 0);
	}
}
