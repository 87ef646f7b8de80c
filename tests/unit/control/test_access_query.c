/* test_access_query.c - grants for queries: what they say, for whom, and that refusals tell
 * nothing. Datasets with rows in them are tests/journey/test_queries.c's. */
#include "common/defs.h"
#include "control/access_query.h"

#include "control/access.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SALES "/v1/tenants/acme/domains/sales"

static const char sum[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct world {
	struct plane *plane;
	const char *admin, *reader, *auditor, *globex;
	uint8_t box_public[BOX_PUBLIC_BYTES];
	struct secret *box_secret;
};

static void start(struct world *w)
{
	w->plane = plane_start();
	w->admin = plane_tenant(w->plane, "acme", "sales");
	w->globex = plane_tenant(w->plane, "globex", "own");
	plane_put(w->plane, w->admin, "Dataset", SALES "/datasets/orders", "{}");
	plane_put(w->plane, w->admin, "Domain", "/v1/tenants/acme/domains/hr", "{}");
	plane_put(w->plane, w->admin, "Dataset", "/v1/tenants/acme/domains/hr/datasets/pay", "{}");
	w->reader = plane_principal(w->plane, "acme", "reader", "'consumer'", "sales");
	w->auditor = plane_principal(w->plane, "acme", "auditor", "'auditor'", NULL);
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &w->box_secret, NULL), 0);
	box_keypair(w->box_public, secret_data(w->box_secret));
}

static void end(struct world *w)
{
	secret_free(w->box_secret);
	plane_stop(w->plane);
}

/* table NULL: the SQL names none. */
static int ask(struct world *w, const char *key, const char *table, const char *domain,
               struct buf *grant, struct err *err)
{
	AUTO(arena) *arena = NULL;
	const struct access_query query = {
		.id = "01query", .tables = &table, .table_count = table != NULL, .domain = domain,
		.sha256 = sum,
	};
	const struct access_ask asked = {
		.credential = key, .box_public = w->box_public, .purpose = "planning",
		.address = "127.0.0.1", .query = &query, .query_count = 1,
	};
	*err = (struct err){ 0 };
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	buf_init(grant, MIB);
	return access_answer(w->plane->control, arena, &asked, "w1", grant, err);
}

static int try_ask(struct world *w, const char *key, const char *table, const char *domain,
                   struct err *err)
{
	AUTO_BUF grant;
	int code = ask(w, key, table, domain, &grant, err);
	cr_expect(code == 0 || grant.len == 0, "a refusal carries no grant");
	return code;
}

Test(access_query, grants_one_sql_to_one_worker_for_a_minute)
{
	struct world w;
	struct err err;
	AUTO_BUF bytes;
	struct grant *grant = NULL;
	start(&w);
	cr_assert_eq(ask(&w, w.reader, NULL, NULL, &bytes, &err), 0, "%s", err.text);
	struct grant_opener opener = { .worker = "w1", .box_secret = w.box_secret };
	memcpy(opener.control_key, w.plane->control->signer_public, SIGN_PUBLIC_BYTES);
	memcpy(opener.box_public, w.box_public, BOX_PUBLIC_BYTES);
	int64_t now_ms = clock_unix_ms(clock_system());
	cr_assert_eq(grant_open(&opener, now_ms, w.plane->arena, bytes.data, bytes.len, &grant,
	                        &err), 0, "%s", err.text);
	cr_expect_eq(grant->type, TASK_QUERY);
	cr_expect_str_eq(grant->task, "01query");
	cr_expect_str_eq(grant->tenant, "acme");
	cr_expect_str_eq(grant->domain, "sales");
	cr_expect_str_eq(value_get_str(grant->work, "sha256"), sum);
	cr_expect_str_eq(value_get_str(grant->work, "account"), "sales");
	cr_expect_leq(grant->expires_ms, now_ms + QUERY_GRANT_MS + 1000);
	grant_wipe(grant);
	opener.worker = "w2";
	cr_expect_neq(grant_open(&opener, now_ms, w.plane->arena, bytes.data, bytes.len, &grant,
	                         &err), 0);
	end(&w);
}

Test(access_query, says_the_same_of_what_is_hidden_and_of_what_is_not_there)
{
	struct world w;
	struct err err;
	start(&w);
	const struct { const char *key, *table, *domain; } hidden[] = {
		{ w.reader, "nothing", NULL },       { w.reader, "hr.pay", NULL },
		{ w.reader, "hr.nothing", NULL },    { w.globex, "sales.orders", NULL },
		{ w.globex, "own.orders", NULL },    { w.globex, "nowhere.orders", NULL },
		{ w.plane->operator_key, "sales.orders", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		char said[256];
		cr_expect_eq(try_ask(&w, hidden[i].key, hidden[i].table, hidden[i].domain, &err),
		             E_NOT_FOUND, "%zu: %s", i, err.text);
		snprintf(said, sizeof said, "there is no dataset \"%s\" that you may read; write "
		         "DOMAIN.DATASET, or DATASET in your own domain", hidden[i].table);
		cr_expect_str_eq(err.text, said);
	}
	cr_expect_eq(try_ask(&w, w.reader, "pay", "hr", &err), E_NOT_FOUND, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "domain"), "%s", err.text);
	cr_expect_eq(try_ask(&w, w.reader, "orders", NULL, &err), E_INPUT);
	cr_expect_not_null(strstr(err.text, "no data yet"), "%s", err.text);
	cr_expect_eq(try_ask(&w, w.auditor, "sales.orders", NULL, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "dataset:query"), "%s", err.text);
	cr_expect_eq(try_ask(&w, w.admin, "orders", NULL, &err), E_INVALID);
	cr_expect_eq(try_ask(&w, w.admin, "orders", "sales", &err), E_INPUT, "%s", err.text);
	cr_expect_eq(try_ask(&w, "fh_nobody", "sales.orders", NULL, &err), E_UNAUTHENTICATED);
	end(&w);
}

Test(access_query, every_answer_is_in_the_log_with_a_digest_of_the_sql_and_never_its_text)
{
	struct world w;
	struct err err;
	start(&w);
	cr_assert_eq(try_ask(&w, w.reader, NULL, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(try_ask(&w, w.reader, "hr.pay", NULL, &err), E_NOT_FOUND);
	struct answer list = plane_call(w.plane, w.admin, "GET",
	                                "/v1/tenants/acme/audit?action=dataset:query", NULL);
	cr_assert_eq(list.status, 200, "%s", list.text);
	const struct value *items = value_get(list.body, "items");
	cr_assert_eq(value_len(items), 2, "%s", list.text);
	cr_expect_str_eq(value_get_str(value_at(items, 0), "result"), "denied");
	cr_expect_str_eq(value_get_str(value_at(items, 0), "resource"), "datasets/hr.pay");
	cr_expect_str_eq(value_get_str(value_at(items, 1), "result"), "allowed");
	cr_expect_str_eq(value_get_str(value_at(items, 1), "purpose"), "planning");
	cr_expect_not_null(strstr(list.text, sum));
	end(&w);
}

Test(access_query, gives_nothing_to_a_tenant_that_is_suspended_or_has_spent_its_queries)
{
	struct world w;
	struct err err;
	start(&w);
	plane_put(w.plane, w.plane->operator_key, "Quota", "/v1/tenants/acme/quotas/q",
	          "{'queries':0}");
	cr_expect_eq(try_ask(&w, w.reader, NULL, NULL, &err), E_QUOTA);
	cr_expect_not_null(strstr(err.text, "queries"), "%s", err.text);
	struct answer answer = plane_call(w.plane, w.plane->operator_key, "POST",
	                                  "/v1/tenants/acme/suspend", "{'reason':'unpaid'}");
	cr_assert_lt(answer.status, 300, "%s", answer.text);
	cr_expect_eq(try_ask(&w, w.reader, NULL, NULL, &err), E_CONFLICT, "%s", err.text);
	end(&w);
}
