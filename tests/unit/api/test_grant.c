/* Grants: opened by the worker they are for, in time, unchanged, and by nobody else. */
#include "common/defs.h"
#include "api/access_grant.h"

#include "common/json.h"
#include "common/pack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { NOW = 1700000000 };
#define NOW_MS (INT64_C(1000) * NOW)

struct bench {                   /* control's key and one worker */
	struct arena *arena;
	struct grant_signer *signer;
	struct grant_opener opener;
	struct secret *box_secret;
	struct buf out;
};

static void bench_init(struct bench *bench)
{
	uint8_t sign_secret[SIGN_SECRET_BYTES], box_secret[BOX_SECRET_BYTES];
	memset(bench, 0, sizeof *bench);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(16 * MIB, &bench->arena, NULL), 0);
	sign_keypair(bench->opener.control_key, sign_secret);
	cr_assert_eq(grant_signer_new(sign_secret, &bench->signer, NULL), 0);
	box_keypair(bench->opener.box_public, box_secret);
	cr_assert_eq(secret_copy(box_secret, sizeof box_secret, &bench->box_secret, NULL), 0);
	bench->opener.worker = "w-1";
	bench->opener.box_secret = bench->box_secret;
	buf_init(&bench->out, GRANT_BYTES_MAX);
}

static void bench_release(struct bench *bench)
{
	buf_release(&bench->out);
	secret_free(bench->box_secret);
	grant_signer_free(bench->signer);
	arena_free(bench->arena);
}

static const struct grant_file files[] = { { "acme/flights/1-1/part-0", 1000, 10 } };

static struct grant sample(struct bench *bench)
{
	static struct grant_table input, output;
	static uint8_t in_key[KEY_BYTES], out_key[KEY_BYTES];
	struct value *work = value_map(bench->arena);
	value_set_str(work, "sql", "SELECT 1");
	input = (struct grant_table) {
		.domain = "flights", .name = "raw", .uid = "01in", .snapshot = 3, .key_version = 1,
		.files = files, .file_count = 1,
	};
	memset(in_key, 0xa1, KEY_BYTES);
	input.key = in_key;
	output = (struct grant_table) {
		.domain = "flights", .name = "hourly", .uid = "01out", .key_version = 2,
	};
	memset(out_key, 0xb2, KEY_BYTES);
	output.key = out_key;
	return (struct grant) {
		.task = "01task", .token = { 7, 9 }, .attempt = 1, .worker = "w-1",
		.tenant = "acme",
		.domain = "flights", .type = TASK_TRANSFORM, .work = work, .inputs = &input,
		.input_count = 1, .outputs = &output, .output_count = 1,
		.limits = { 60000, 1 << 30, 2, 60000, 3 }, .expires_ms = NOW_MS + 60000,
		.output_prefix = "acme/flights/7-9",
	};
}

static void sign(struct bench *bench, const struct grant *grant)
{
	struct err err = { 0 };
	buf_clear(&bench->out);
	cr_assert_eq(grant_sign(bench->signer, grant, bench->opener.box_public, &bench->out, &err),
	             0, "%s", err.text);
}

static int open_grant(struct bench *bench, int64_t now_ms, struct grant **ret_grant,
                      struct err *err)
{
	return grant_open(&bench->opener, now_ms, bench->arena, bench->out.data, bench->out.len,
	                  ret_grant, err);
}

Test(grant, the_worker_it_is_for_opens_it_with_its_keys)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench), *got;
	struct err err = { 0 };
	sign(&bench, &grant);
	cr_assert_eq(open_grant(&bench, NOW_MS, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got->task, "01task");
	cr_expect_eq(got->token.counter, 9);
	cr_expect_eq(got->type, TASK_TRANSFORM);
	cr_expect_str_eq(value_get_str(got->work, "sql"), "SELECT 1");
	cr_expect(memcmp(got->inputs[0].key, grant.inputs[0].key, KEY_BYTES) == 0);
	cr_expect(memcmp(got->outputs[0].key, grant.outputs[0].key, KEY_BYTES) == 0);
	cr_expect_eq(got->inputs[0].snapshot, 3);
	cr_expect_str_eq(got->inputs[0].files[0].path, files[0].path);
	cr_expect_eq(got->limits.memory_bytes, 1 << 30);
	grant_wipe(got);
	cr_expect_null(got->keys);
	cr_expect_null(got->inputs[0].key);
	cr_expect_null(got->outputs[0].key);
	bench_release(&bench);
}

static bool holds(const struct buf *buf, const uint8_t *key)
{
	return memmem(buf->data, buf->len, key, KEY_BYTES) != NULL;
}

Test(grant, its_bytes_do_not_hold_the_keys)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench);
	sign(&bench, &grant);
	cr_expect_not(holds(&bench.out, grant.inputs[0].key));
	cr_expect_not(holds(&bench.out, grant.outputs[0].key));
	bench_release(&bench);
}

Test(grant, a_flipped_bit_anywhere_is_refused)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench), *got;
	sign(&bench, &grant);
	for (size_t i = 0; i < bench.out.len; i++) {
		bench.out.data[i] ^= 1;
		cr_expect_lt(open_grant(&bench, NOW_MS, &got, NULL), 0, "byte %zu", i);
		bench.out.data[i] ^= 1;
	}
	cr_expect_eq(open_grant(&bench, NOW_MS, &got, NULL), 0);
	bench_release(&bench);
}

Test(grant, another_worker_another_life_another_signer_and_too_late_are_refused)
{
	struct bench bench, other;
	bench_init(&bench);
	bench_init(&other);
	struct grant grant = sample(&bench), *got;
	struct err err = { 0 };
	sign(&bench, &grant);
	cr_expect_eq(open_grant(&bench, NOW_MS + 60000, &got, &err), E_EXPIRED);
	bench.opener.worker = "w-2";
	cr_expect_eq(open_grant(&bench, NOW_MS, &got, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "\"w-1\""), "%s", err.text);
	bench.opener.worker = "w-1";
	struct grant_opener later = bench.opener;
	memcpy(later.box_public, other.opener.box_public, BOX_PUBLIC_BYTES);
	later.box_secret = other.box_secret;
	cr_expect_eq(grant_open(&later, NOW_MS, bench.arena, bench.out.data, bench.out.len, &got,
	                        &err),
	             E_DENIED);
	cr_expect_not_null(strstr(err.text, "this life"), "%s", err.text);
	memcpy(bench.opener.control_key, other.opener.control_key, SIGN_PUBLIC_BYTES);
	cr_expect_eq(open_grant(&bench, NOW_MS, &got, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "signature"), "%s", err.text);
	bench_release(&other);
	bench_release(&bench);
}

/* Signs a body as it is, so that the worker's own checks are what refuses it. */
static int open_signed(struct bench *bench, const char *label, const struct value *body,
                       const uint8_t sign_secret[SIGN_SECRET_BYTES], struct err *err)
{
	AUTO_BUF packed, covered, outer;
	buf_init(&packed, MIB);
	buf_init(&covered, MIB);
	buf_init(&outer, MIB);
	uint8_t sig[SIGNATURE_BYTES];
	cr_assert_eq(pack_write(body, &packed, NULL), 0);
	buf_put(&covered, label, strlen(label) + 1);
	buf_put(&covered, packed.data, packed.len);
	sign_make(sign_secret, covered.data, covered.len, sig);
	struct value *map = value_map(bench->arena);
	value_set_str(map, "alg", "Ed25519");
	value_set_bin(map, "body", packed.data, packed.len);
	value_set_bin(map, "sig", sig, sizeof sig);
	cr_assert_eq(pack_write(map, &outer, NULL), 0);
	struct grant *got;
	return grant_open(&bench->opener, NOW_MS, bench->arena, outer.data, outer.len, &got, err);
}

static struct value *body_of(struct bench *bench)
{
	struct value *outer, *body;
	size_t len;
	cr_assert_eq(pack_read(bench->arena, bench->out.data, bench->out.len, &outer, NULL), 0);
	const void *data = value_get_bin(outer, "body", &len);
	cr_assert_eq(pack_read(bench->arena, data, len, &body, NULL), 0);
	return body;
}

#define LABEL "freehold-task-grant-v1"

static void expect_refusal(struct bench *bench, const uint8_t *secret, const char *name,
                           struct value *value, const char *says)
{
	struct value *body = body_of(bench);
	struct err err = { 0 };
	if (value)
		value_set(body, name, value);
	else
		value_remove(body, name);
	cr_expect_lt(open_signed(bench, LABEL, body, secret, &err), 0, "%s", name);
	cr_expect_not_null(strstr(err.text, says), "%s: %s", name, err.text);
}

Test(grant, the_worker_refuses_by_name_what_a_grant_may_not_say)
{
	struct bench bench;
	uint8_t secret[SIGN_SECRET_BYTES];
	bench_init(&bench);
	struct grant grant = sample(&bench);
	sign(&bench, &grant);
	sign_keypair(bench.opener.control_key, secret);
	struct arena *a = bench.arena;
	struct err err = { 0 };
	cr_expect_eq(open_signed(&bench, LABEL, body_of(&bench), secret, &err), 0, "%s", err.text);
	expect_refusal(&bench, secret, "task", NULL, "task is missing");
	expect_refusal(&bench, secret, "extra", value_int(a, 1), "unknown name \"extra\"");
	expect_refusal(&bench, secret, "attempt", value_int(a, 0), "attempt must be an integer "
	               "from 1");
	expect_refusal(&bench, secret, "attempt", value_str(a, "1"), "attempt must be an integer");
	expect_refusal(&bench, secret, "type", value_str(a, "shell"), "type must be one of");
	expect_refusal(&bench, secret, "tenant", value_str(a, "../globex"), "tenant");
	expect_refusal(&bench, secret, "outputPrefix", value_str(a, "globex/flights/7-9"),
	               "outputPrefix must be \"acme/flights/7-9\"");
	expect_refusal(&bench, secret, "outputPrefix", value_str(a, "acme/flights/7-10"),
	               "outputPrefix must be");
	expect_refusal(&bench, secret, "work", value_map(a), "sql");
	expect_refusal(&bench, secret, "type", value_str(a, "probe"), "0 to 0 inputs");
	expect_refusal(&bench, secret, "outputs", value_list(a), "1 outputs");
	expect_refusal(&bench, secret, "keys", value_bin(a, secret, 64), "keys must hold one key");
	bench_release(&bench);
}

Test(grant, a_signature_made_for_an_access_grant_is_none_for_a_task)
{
	struct bench bench;
	uint8_t secret[SIGN_SECRET_BYTES];
	bench_init(&bench);
	struct grant grant = sample(&bench);
	sign(&bench, &grant);
	sign_keypair(bench.opener.control_key, secret);
	struct err err = { 0 };
	cr_expect_eq(open_signed(&bench, "freehold-access-grant-v1", body_of(&bench), secret, &err),
	             E_DENIED);
	bench_release(&bench);
}

static int sign_with_path(struct bench *bench, const char *path, struct err *err)
{
	struct grant grant = sample(bench);
	struct grant_table input = grant.inputs[0];
	struct grant_file file = { path, 1, 1 };
	input.files = &file;
	grant.inputs = &input;
	buf_clear(&bench->out);
	return grant_sign(bench->signer, &grant, bench->opener.box_public, &bench->out, err);
}

Test(grant, control_does_not_sign_what_leads_out_of_the_tenants_objects)
{
	struct bench bench;
	struct err err = { 0 };
	bench_init(&bench);
	cr_expect_eq(sign_with_path(&bench, "acme/d/1-1/part-0", &err), 0, "%s", err.text);
	static const char *const bad[] = {
		"globex/d/part-0", "acme", "acme/", "acme/../globex/x", "/acme/x", "acme//x",
		"acme/a b",
		"acmeX/d/x", "acme/.hidden",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(sign_with_path(&bench, bad[i], &err), E_INVALID, "%s", bad[i]);
	bench_release(&bench);
}

Test(grant, a_refused_grant_still_says_which_attempt_it_was)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench);
	struct grant_hint hint;
	sign(&bench, &grant);
	cr_assert_eq(grant_peek(bench.arena, bench.out.data, bench.out.len, &hint, NULL), 0);
	cr_expect_str_eq(hint.task, "01task");
	cr_expect_eq(hint.token.epoch, 7);
	cr_expect_eq(hint.token.counter, 9);
	cr_expect_eq(hint.memory_bytes, 1 << 30);
	cr_expect_lt(grant_peek(bench.arena, "junk", 4, &hint, NULL), 0);
	bench_release(&bench);
}

static const struct access_feature features[] = {
	{ .name = "departures", .type = "int64" },
	{ .name = "delay", .type = "float64" },
};

static struct access_grant access_sample(void)
{
	static struct access_view view;
	view = (struct access_view) {
		.domain = "flights", .name = "delays", .uid = "01view", .join_key = "airport",
		.key_type = "string", .ttl_ms = 1000, .key_version = 1, .features = features,
		.feature_count = 2,
	};
	memset(view.key, 0xc3, KEY_BYTES);
	return (struct access_grant) {
		.id = "01access", .worker = "w-1", .tenant = "acme", .principal = "ann",
		.views = &view,
		.view_count = 1, .expires_ms = NOW_MS + 60000,
	};
}

Test(grant, an_access_grant_opens_for_its_worker_until_it_expires)
{
	struct bench bench;
	bench_init(&bench);
	struct access_grant grant = access_sample(), *got;
	struct err err = { 0 };
	cr_assert_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             0, "%s", err.text);
	cr_expect_not(holds(&bench.out, grant.views[0].key));
	cr_assert_eq(access_open(&bench.opener, NOW_MS, bench.arena, bench.out.data, bench.out.len,
	                         &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got->principal, "ann");
	cr_expect_str_eq(got->views[0].features[1].type, "float64");
	cr_expect(memcmp(got->views[0].key, grant.views[0].key, KEY_BYTES) == 0);
	access_wipe(got);
	cr_expect_eq(got->views[0].key[5], 0);
	cr_expect_eq(access_open(&bench.opener, NOW_MS + 60000, bench.arena, bench.out.data,
	                         bench.out.len, &got, &err), E_EXPIRED);
	struct grant *task;
	cr_expect_eq(open_grant(&bench, NOW_MS, &task, &err), E_DENIED);
	bench_release(&bench);
}

Test(grant, an_access_grant_of_a_day_or_of_an_unknown_type_is_refused)
{
	struct bench bench;
	bench_init(&bench);
	struct access_grant grant = access_sample(), *got;
	struct err err = { 0 };
	grant.expires_ms = NOW_MS + 24 * 3600 * 1000;
	cr_assert_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             0);
	cr_expect_eq(access_open(&bench.opener, NOW_MS, bench.arena, bench.out.data, bench.out.len,
	                         &got, &err), E_INVALID);
	struct access_view view = grant.views[0];
	view.key_type = "uuid";
	grant.views = &view;
	cr_expect_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             E_INVALID);
	bench_release(&bench);
}

Test(grant, a_worker_with_a_weak_box_key_gets_nothing_and_ends_nothing)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench);
	static const uint8_t weak[BOX_PUBLIC_BYTES] = { 1 };
	struct err err = { 0 };
	cr_expect_eq(grant_sign(bench.signer, &grant, weak, &bench.out, &err), E_INVALID);
	cr_expect_eq(bench.out.len, 0);
	bench_release(&bench);
}

Test(grant, one_key_agreement_seals_many_grants_to_one_life_of_a_worker)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench), *got = NULL;
	struct grant_seal *seal = NULL, *other = NULL;
	struct err err = { 0 };
	uint8_t life_public[BOX_PUBLIC_BYTES], life_secret[BOX_SECRET_BYTES];
	box_keypair(life_public, life_secret);
	cr_assert_eq(grant_seal_new(bench.opener.box_public, &seal, &err), 0, "%s", err.text);
	cr_assert_eq(grant_seal_new(life_public, &other, &err), 0, "%s", err.text);
	for (int i = 0; i < 3; i++) {
		buf_clear(&bench.out);
		cr_assert_eq(grant_sign_with(bench.signer, &grant, seal, &bench.out, &err), 0);
		cr_assert_eq(open_grant(&bench, NOW_MS, &got, &err), 0, "%s", err.text);
		cr_expect_eq(memcmp(got->inputs[0].key, grant.inputs[0].key, KEY_BYTES), 0);
		cr_expect_eq(memcmp(got->outputs[0].key, grant.outputs[0].key, KEY_BYTES), 0);
	}
	buf_clear(&bench.out);
	cr_assert_eq(grant_sign_with(bench.signer, &grant, other, &bench.out, &err), 0);
	cr_expect_eq(open_grant(&bench, NOW_MS, &got, &err), E_DENIED);
	static const uint8_t weak[BOX_PUBLIC_BYTES] = { 1 };
	struct grant_seal *none = NULL;
	cr_expect_eq(grant_seal_new(weak, &none, &err), E_INVALID);
	cr_expect_null(none);
	grant_seal_free(seal);
	grant_seal_free(other);
	bench_release(&bench);
}

/* --- inputs that another tenant shares --- */

static const struct grant_file theirs[] = { { "globex/trips/1-1/part-0", 1000, 10 } };

static int sign_shared(struct bench *bench, const struct grant *grant, struct err *err)
{
	buf_clear(&bench->out);
	return grant_sign(bench->signer, grant, bench->opener.box_public, &bench->out, err);
}

Test(grant, an_input_that_another_tenant_shares_says_so_and_opens)
{
	struct bench bench;
	bench_init(&bench);
	struct err err = { 0 };
	struct grant grant = sample(&bench), *got;
	struct grant_table input = grant.inputs[0];
	input.tenant = "globex";
	input.files = theirs;
	grant.inputs = &input;
	sign(&bench, &grant);
	cr_assert_eq(open_grant(&bench, NOW_MS, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got->inputs[0].tenant, "globex");
	cr_expect_null(got->outputs[0].tenant);
	bench_release(&bench);
}

Test(grant, names_each_table_that_is_anothers_and_lets_no_other_file_of_its_in)
{
	struct bench bench;
	bench_init(&bench);
	struct err err = { 0 };
	struct grant grant = sample(&bench);
	struct grant_table inputs[2] = { grant.inputs[0], grant.inputs[0] };
	grant.inputs = inputs;
	inputs[0].files = theirs;    /* another's file without being another's table */
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID, "%s", err.text);
	inputs[0].tenant = "globex";
	inputs[0].files = files;     /* and the other way round */
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID, "%s", err.text);
	inputs[0].files = theirs;
	inputs[1].name = "second";
	inputs[1].files = theirs;    /* beside a table that is */
	grant.input_count = 2;
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID, "%s", err.text);
	inputs[1].tenant = "initech";
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID, "%s", err.text);
	inputs[1].tenant = "globe";  /* a prefix of a name is another name */
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID, "%s", err.text);
	inputs[1].tenant = "globex";
	cr_expect_eq(sign_shared(&bench, &grant, &err), 0, "%s", err.text);
	bench_release(&bench);
}

Test(grant, never_writes_to_another_tenant_nor_lets_other_tasks_read_one)
{
	struct bench bench;
	bench_init(&bench);
	struct err err = { 0 };
	struct grant grant = sample(&bench);
	struct grant_table output = grant.outputs[0], input = grant.inputs[0];
	output.tenant = "globex";
	grant.outputs = &output;
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "hourly"), "%s", err.text);
	grant = sample(&bench);
	input.tenant = "acme";       /* one form for what is its own */
	grant.inputs = &input;
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID);
	grant.type = TASK_HISTORY;
	grant.work = value_map(bench.arena);
	value_set_int((struct value *)(uintptr_t)grant.work, "limit", 1);
	grant.output_count = 0;
	input.tenant = "globex";
	input.files = theirs;
	cr_expect_eq(sign_shared(&bench, &grant, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "transform"), "%s", err.text);
	bench_release(&bench);
}

static struct value *parsed(struct bench *bench, const char *text)
{
	struct value *value = NULL;
	cr_assert_eq(json_parse(bench->arena, text, strlen(text), &value, NULL), 0);
	return value;
}

Test(grant, an_inputs_restriction_arrives_and_one_that_does_not_fit_is_not_signed)
{
	struct bench bench;
	bench_init(&bench);
	struct grant grant = sample(&bench), *got;
	struct grant_table input = grant.inputs[0], output = grant.outputs[0];
	struct err err = { 0 };
	input.schema = parsed(&bench, "[{\"name\":\"iban\",\"type\":\"string\"}]");
	input.restriction.filter = parsed(&bench, "[\"ne\",\"iban\",\"DE1\"]");
	input.restriction.masks = parsed(&bench, "{\"iban\":\"show-last-4\"}");
	grant.inputs = &input;
	sign(&bench, &grant);
	cr_assert_eq(open_grant(&bench, NOW_MS, &got, &err), 0, "%s", err.text);
	cr_expect(value_equal(got->inputs[0].restriction.filter, input.restriction.filter));
	cr_expect_eq(restriction_mask(&got->inputs[0].restriction, "iban"), MASK_SHOW_LAST_4);
	cr_expect_null(got->inputs[0].restriction.hidden);
	grant_wipe(got);
	output.restriction = input.restriction;
	output.schema = input.schema;
	grant.outputs = &output;
	buf_clear(&bench.out);
	cr_expect_eq(grant_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             E_INVALID);
	grant.outputs = sample(&bench).outputs;
	input.restriction.filter = parsed(&bench, "[\"eq\",\"bic\",\"x\"]");
	cr_expect_eq(grant_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             E_INVALID);
	cr_expect(strstr(err.text, "bic"), "%s", err.text);
	bench_release(&bench);
}

Test(grant, a_views_filter_and_masks_arrive_and_ones_that_do_not_fit_are_not_signed)
{
	struct bench bench;
	bench_init(&bench);
	struct access_grant grant = access_sample(), *got;
	struct access_feature masked = { .name = "delay", .type = "float64", .mask = MASK_FIXED };
	struct access_view view = grant.views[0];
	struct err err = { 0 };
	view.features = &masked;
	view.feature_count = 1;
	view.filter = parsed(&bench, "[\"eq\",\"airport\",\"ATL\"]");
	grant.views = &view;
	cr_assert_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             0, "%s", err.text);
	cr_assert_eq(access_open(&bench.opener, NOW_MS, bench.arena, bench.out.data, bench.out.len,
	                         &got, &err), 0, "%s", err.text);
	cr_expect(value_equal(got->views[0].filter, view.filter));
	cr_expect_eq(got->views[0].features[0].mask, MASK_FIXED);
	access_wipe(got);
	masked.mask = MASK_SHOW_LAST_4;
	cr_expect_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             E_INVALID);
	masked.mask = MASK_FIXED;
	view.filter = parsed(&bench, "[\"eq\",\"city\",\"ATL\"]");
	cr_expect_eq(access_sign(bench.signer, &grant, bench.opener.box_public, &bench.out, &err),
	             E_INVALID);
	bench_release(&bench);
}
