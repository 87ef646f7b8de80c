/* A backup while the control plane runs: one client at a time, at its pace; a reading that the
 * store broke off begins anew, and what cannot be ended has no end. */
#include "common/defs.h"
#include "control/backups.h"

#include "common/fetch.h"
#include "common/store_impl.h"
#include "common/store_mem.h"
#include "control/backup.h"
#include "tests/support/follow.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 300, WAIT_MS = 60000 };

/* A store whose listings break off after some keys, as when it is compacted meanwhile. */
struct breaking {
	struct store store;
	struct store *inner;
	int breaks, after;           /* so many listings, each after so many keys */
};

struct passing { struct breaking *breaking; store_visit_fn *visit; void *context; int seen; };

static int pass(void *context, const struct store_item *item, struct err *err)
{
	struct passing *passing = context;
	if (passing->breaking->breaks > 0 && passing->seen++ == passing->breaking->after)
		return err_set(err, E_UNAVAILABLE, "compacted");
	return passing->visit(passing->context, item, err);
}

static int break_list(struct store *store, const char *prefix, const char *after,
                      store_visit_fn *visit, void *context, int64_t *ret_revision, struct err *err)
{
	struct breaking *breaking = (struct breaking *)store;
	struct passing passing = { breaking, visit, context, 0 };
	(void)after;
	int rc = store_list(breaking->inner, prefix, pass, &passing, ret_revision, err);
	breaking->breaks--;
	return rc;
}

static const struct store_ops breaking_ops = { .list = break_list };

struct bench {
	struct control control;
	struct breaking store;
	struct backups *backups;
	struct buf bytes;
	char root_key[64];
};

static void bench_begin(struct bench *bench, int breaks)
{
	struct err err = { 0 };
	char key[32];
	*bench = (struct bench){ .store = { { &breaking_ops }, NULL, breaks, KEYS / 2 } };
	cr_assert_eq(crypto_start(&err), 0);
	strcpy(bench->root_key, "/tmp/freehold-root-XXXXXX");
	int fd = mkstemp(bench->root_key);
	cr_assert_eq(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
	close(fd);
	cr_assert_eq(keyring_new(bench->root_key, false, &bench->control.keyring, &err), 0);
	cr_assert_eq(store_mem_new(clock_system(), &bench->store.inner, &err), 0);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "r/x/%04d", i);
		put_key(bench->store.inner, key, "value");
	}
	put_key(bench->store.inner, "leader/0", "me");
	bench->control.store = &bench->store.store;
	bench->control.clock = clock_system();
	bench->control.part_count = 1;
	cr_assert_eq(backups_new(&bench->control, &bench->backups, &err), 0);
	buf_init(&bench->bytes, 16 * MIB);
}

static void bench_end(struct bench *bench)
{
	backups_free(bench->backups);
	keyring_free(bench->control.keyring);
	store_free(bench->store.inner);
	buf_release(&bench->bytes);
	unlink(bench->root_key);
}

static void nothing(void *context)
{
	(void)context;
}

static struct outflow *outflow(void)
{
	const struct outflow_reader reader = { nothing, nothing, NULL };
	struct outflow *outflow = NULL;
	struct err err = { 0 };
	cr_assert_eq(outflow_new(BACKUPS_KEPT_MAX, &reader, &outflow, &err), 0);
	return outflow;
}

static void drink(struct bench *bench, struct outflow *from)
{
	char piece[1000];
	int len = 0;
	int64_t end = mono_ms() + WAIT_MS;
	while ((len = outflow_take(from, piece, sizeof piece)) >= 0) {
		cr_assert(mono_ms() < end, "no end of it");
		buf_put(&bench->bytes, piece, (size_t)len);
		if (len == 0)
			wait_ms(1);
	}
	cr_assert_eq(len, OUTFLOW_OVER);
	outflow_leave(from);
}

static int read_back(struct bench *bench, uint64_t *ret_keys, struct err *err)
{
	char path[] = "/tmp/freehold-archive-XXXXXX";
	AUTO(backup) *backup = NULL;
	int fd = mkstemp(path);
	unlink(path);
	cr_assert_eq(write(fd, bench->bytes.data, bench->bytes.len), (ssize_t)bench->bytes.len);
	int rc = backup_open(fd, keyring_state_key(bench->control.keyring), &backup, err);
	if (rc == 0)
		*ret_keys = backup_info(backup)->keys;
	close(fd);
	return rc;
}

Test(backups, a_reading_that_breaks_off_begins_anew_and_the_archive_is_whole)
{
	struct bench bench;
	struct err err = { 0 };
	uint64_t keys = 0;
	bench_begin(&bench, 2);
	struct outflow *flow = outflow();
	backups_pour(bench.backups, flow);
	drink(&bench, flow);
	cr_assert_eq(read_back(&bench, &keys, &err), 0, "%s", err.text);
	cr_expect_eq(keys, KEYS, "and the lease is not in it");
	bench_end(&bench);
}

Test(backups, one_that_never_ends_is_given_up_and_can_be_told_from_a_whole_one)
{
	struct bench bench;
	struct err err = { 0 };
	uint64_t keys = 0;
	bench_begin(&bench, 100);
	struct outflow *flow = outflow();
	backups_pour(bench.backups, flow);
	drink(&bench, flow);
	cr_expect_eq(read_back(&bench, &keys, &err), E_CORRUPT);
	bench_end(&bench);
}

Test(backups, a_second_one_is_refused_until_the_first_has_ended)
{
	struct bench bench;
	struct err err = { 0 };
	uint64_t keys = 0;
	bench_begin(&bench, 0);
	struct outflow *flow = outflow(), *second = outflow();
	cr_expect_eq(backups_check(bench.backups, &err), 0);
	backups_pour(bench.backups, flow);
	cr_expect_eq(backups_check(bench.backups, &err), E_BUSY, "its client has taken nothing");
	backups_pour(bench.backups, second);
	drink(&bench, second);
	cr_expect_eq(bench.bytes.len, 0);
	drink(&bench, flow);
	cr_expect_eq(read_back(&bench, &keys, &err), 0, "%s", err.text);
	int64_t end = mono_ms() + WAIT_MS;
	while (backups_check(bench.backups, &err) != 0 && mono_ms() < end)
		wait_ms(1);
	cr_expect_eq(backups_check(bench.backups, &err), 0);
	bench_end(&bench);
}

Test(backups, a_client_that_goes_away_ends_it)
{
	struct bench bench;
	char piece[100];
	bench_begin(&bench, 0);
	struct outflow *flow = outflow();
	backups_pour(bench.backups, flow);
	while (outflow_take(flow, piece, sizeof piece) == 0)
		wait_ms(1);
	outflow_leave(flow);
	bench_end(&bench);                   /* joins the thread */
}

static int fetch_backup(struct plane *plane, const char *key, struct buf *out, struct err *err)
{
	char url[256], authorization[256];
	const char *lines[] = { authorization, NULL };
	AUTO(fetch) *fetch = NULL;
	int status = 0;
	snprintf(url, sizeof url, "%s/v1/backup", plane->url);
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", key);
	const struct fetch_call call = { .url = url, .headers = lines, .timeout_ms = 30000 };
	cr_assert_eq(fetch_new(&(struct fetch_conf){ .ca_file = NULL }, &fetch, err), 0);
	cr_assert_eq(fetch_call(fetch, &call, &status, out, NULL, err), 0, "%s", err->text);
	return status;
}

Test(backups, through_the_door_the_operator_alone_gets_one_and_that_is_audited)
{
	struct plane *plane = plane_start_with(&(struct plane_options){ .replica = "a" });
	struct bench bench = { .control = { .keyring = plane->keyring } };
	struct err err = { 0 };
	uint64_t keys = 0;
	buf_init(&bench.bytes, 16 * MIB);
	const char *admin = plane_tenant(plane, "acme", "sales");
	cr_expect_eq(fetch_backup(plane, admin, &bench.bytes, &err), 403);
	cr_expect_null(memmem(bench.bytes.data, bench.bytes.len, "FHB1", 4));
	buf_clear(&bench.bytes);
	cr_assert_eq(fetch_backup(plane, plane->operator_key, &bench.bytes, &err), 200);
	cr_assert_eq(read_back(&bench, &keys, &err), 0, "%s", err.text);
	cr_expect_gt(keys, 5);
	struct answer audit = plane_call(plane, plane->operator_key, "GET",
	                                 "/v1/tenants/platform/audit?action=backup:read", NULL);
	cr_expect(strstr(audit.text, "allowed"), "%s", audit.text);
	buf_release(&bench.bytes);
	plane_stop(plane);
}
