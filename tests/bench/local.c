/* local.c - the parts of a worker that run a grant, put together as its main does. */
#include "common/defs.h"
#include "tests/bench/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEADLINE_MS = 300000, THREADS = 2 };

static int make_keys(struct local *local, struct err *err)
{
	uint8_t sign_secret[SIGN_SECRET_BYTES];
	struct grant_opener *opener = &local->runner.opener;
	opener->worker = "bench-worker";
	sign_keypair(opener->control_key, sign_secret);
	TRY(secret_new(BOX_SECRET_BYTES, &local->box_secret, err));
	box_keypair(opener->box_public, secret_data(local->box_secret));
	opener->box_secret = local->box_secret;
	return grant_signer_new(sign_secret, &local->signer, err);
}

int local_new(struct bench *bench, int ready, struct local **ret_local, struct err *err)
{
	AUTO(local) *local = calloc(1, sizeof *local);
	const char *objects = arena_printf(bench->arena, "%s/objects", bench->folder);
	const char *program = arena_printf(bench->arena, "%s/freehold-worker", bench->build);
	if (!local || !objects || !program)
		return err_set(err, E_NOMEM, "no memory for a worker");
	if (mkdir(objects, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", objects);
	TRY(make_keys(local, err));
	TRY(object_store_dir(objects, &local->objects, err));
	struct pool_conf conf = {.program = program, .ready = ready, .clock = clock_system()};
	TRY(pool_new(&conf, &local->pool, err));
	local->tokens = &bench->tokens;
	local->runner.clock = clock_system();
	local->runner.objects = local->objects;
	local->runner.pool = local->pool;
	local->runner.files_root = bench->data;
	*ret_local = MOVE(local);
	return 0;
}

const uint8_t *local_key(struct arena *arena)
{
	uint8_t *key = arena_alloc(arena, KEY_BYTES);
	REQUIRE(key);
	random_bytes(key, KEY_BYTES);
	return key;
}

void local_free(struct local *local)
{
	if (!local)
		return;
	pool_free(local->pool);
	object_store_free(local->objects);
	grant_signer_free(local->signer);
	secret_free(local->box_secret);
	free(local);
}

static void fill_in(struct local *local, struct grant *grant, char prefix[GRANT_PREFIX_MAX])
{
	grant->task = "bench-task";
	grant->token = (struct token){.epoch = 1, .counter = ++*local->tokens};
	grant->attempt = 1;
	grant->worker = local->runner.opener.worker;
	grant->tenant = LOCAL_TENANT;
	grant->domain = LOCAL_DOMAIN;
	limits_default(&grant->limits);
	grant->limits.memory_bytes = 4096 * MIB;
	grant->limits.threads = THREADS;
	grant->limits.deadline_ms = DEADLINE_MS;
	grant->limits.cpu_ms = DEADLINE_MS;
	grant->expires_ms = clock_unix_ms(clock_system()) + DEADLINE_MS;
	grant_prefix(grant->tenant, grant->domain, grant->token, prefix);
	grant->output_prefix = prefix;
}

int local_run(struct local *local, struct arena *arena, struct grant *grant, int64_t *ret_rows,
	      struct err *err)
{
	char prefix[GRANT_PREFIX_MAX];
	AUTO_BUF bytes;
	struct report report;
	struct attempt attempt;
	buf_init(&bytes, GRANT_BYTES_MAX);
	fill_in(local, grant, prefix);
	TRY(grant_sign(local->signer, grant, local->runner.opener.box_public, &bytes, err));
	attempt_init(&attempt);
	int rc = run_grant(&local->runner, &attempt, arena, bytes.data, bytes.len, &report, err);
	attempt_release(&attempt);
	if (rc < 0)
		return rc;
	if (report.outcome != OUTCOME_SUCCEEDED)
		return err_set(err, E_INTERNAL, "an attempt ended with %s: %s",
			       err_name(report.code), report.text ? report.text : "no reason");
	if (ret_rows)
		*ret_rows = report.usage.rows;
	return 0;
}
