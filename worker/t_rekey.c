/* t_rekey.c - gives a tenant's objects headers under their datasets' new keys; no body is read or
 * written. An object gets one when its header names a dataset of the grant and that one's old
 * version; what is under the new version already is left alone, so an attempt goes on where the
 * one before was ended. It succeeds only when no object of theirs is left under an old version. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include "common/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TELL_EVERY = 64, HEAD_TRIES = 3 };

struct rekey {
	struct run *run;
	int64_t until_mono_ms;
	int64_t seen, rewritten, bytes, damaged;
	char example[OBJECT_PATH_MAX + 1];
};

static int go_on(const struct rekey *rekey, struct err *err)
{
	struct attempt *attempt = rekey->run->attempt;
	pthread_mutex_lock(&attempt->mutex);
	bool cancelled = attempt->cancelled;
	pthread_mutex_unlock(&attempt->mutex);
	if (cancelled)
		return err_set(err, E_CANCELLED, "the task was cancelled");
	if (clock_mono_ms(rekey->run->runner->clock) > rekey->until_mono_ms)
		return err_set(err, E_RESOURCES, "rewriting headers took longer than the deadline; "
		               "%" PRId64 " were rewritten, and the next attempt goes on",
		               rekey->rewritten);
	return 0;
}

static const struct grant_table *table_of(const struct grant *grant, const char *uid)
{
	for (size_t i = 0; i < grant->input_count; i++)
		if (grant->inputs[i].old_version && strcmp(grant->inputs[i].uid, uid) == 0)
			return &grant->inputs[i];
	return NULL;
}

struct head {
	uint8_t bytes[SEAL_HEADER_MAX];
	size_t len;                  /* of what was read */
	size_t body;                 /* where the header ends */
	uint32_t version;
	char uid[SEAL_NAME_MAX + 1];
};

static int read_head(struct rekey *rekey, const char *path, struct head *head, struct err *err)
{
	struct object_store *objects = rekey->run->runner->objects;
	int fd = -1, rc = E_CORRUPT;
	uint64_t len = 0;
	TRY(object_open(objects, path, &fd, &len, err));
	for (int i = 0; i < HEAD_TRIES && rc == E_CORRUPT; i++) {
		rc = object_head(objects, path, fd, head->bytes, sizeof head->bytes, &head->len,
		                 err);
		if (rc == 0)
			rc = seal_whose(head->bytes, head->len, head->uid, &head->version,
			                &head->body, err);
	}
	close(fd);
	return rc;
}

static int rewrite(struct rekey *rekey, const struct grant_table *table, const char *path,
                   const struct head *head, struct err *err)
{
	AUTO_BUF fresh;
	const struct seal_label label = { rekey->run->grant->tenant, table->uid, path,
	                                  table->old_version };
	buf_init(&fresh, SEAL_HEADER_MAX);
	TRY(seal_rewrap(&label, table->old_key, table->key_version, table->key, head->bytes,
	                head->len, &fresh, err));
	TRY(object_rehead(rekey->run->runner->objects, path, head->bytes, fresh.data, fresh.len,
	                  err));
	rekey->rewritten++;
	rekey->bytes += (int64_t)fresh.len;
	return 0;
}

static int take(struct rekey *rekey, const char *path, struct err *err)
{
	struct head head = { .len = 0 };
	int rc = read_head(rekey, path, &head, err);
	if (rc == E_CORRUPT && !seal_is(head.bytes, head.len))
		return 0;                    /* nothing of ours */
	TRY(rc);
	const struct grant_table *table = table_of(rekey->run->grant, head.uid);
	if (!table || head.version != table->old_version)
		return 0;
	return rewrite(rekey, table, path, &head, err);
}

static int visit(void *context, const struct object_info *info, struct err *err)
{
	struct rekey *rekey = context;
	if (rekey->seen++ % TELL_EVERY == 0) {
		TRY(go_on(rekey, err));
		attempt_progress(rekey->run->attempt, "rewriting headers", rekey->seen,
		                 rekey->bytes, -1);
	}
	int rc = take(rekey, info->path, err);
	if (rc == E_NOT_FOUND)               /* swept meanwhile */
		return 0;
	if (rc == E_PRECONDITION)            /* another attempt was faster; this one looks again */
		rc = take(rekey, info->path, err);
	if (rc != E_CORRUPT)
		return rc;
	if (rekey->damaged++ == 0)
		snprintf(rekey->example, sizeof rekey->example, "%s", info->path);
	return 0;
}

/* --- its steps --- */

static int rekey_open(struct run *run, struct err *err)
{
	(void)run;
	(void)err;
	return 0;
}

static int rekey_work(struct shop *shop, struct err *err)
{
	(void)err;
	shop_phase(shop, "rewriting headers");
	return 0;
}

static int tell(const struct rekey *rekey, struct err *err)
{
	struct value *told = value_map(rekey->run->arena);
	value_set_int(told, "objectsSeen", rekey->seen);
	value_set_int(told, "objectsRewritten", rekey->rewritten);
	value_set_int(told, "bytesWritten", rekey->bytes);
	rekey->run->told = told;
	return value_check(told, err);
}

/* In the agent: an executor sees no objects. */
static int rekey_seal(struct run *run, struct err *err)
{
	struct clock *clock = run->runner->clock;
	struct rekey rekey = {
		.run = run,
		.until_mono_ms = clock_mono_ms(clock) + run->grant->limits.deadline_ms,
	};
	const char *prefix = arena_printf(run->arena, "%s/", run->grant->tenant);
	if (!prefix)
		return err_set(err, E_NOMEM, "no memory for rewriting headers");
	TRY(object_list(run->runner->objects, prefix, visit, &rekey, err));
	if (rekey.damaged)
		return err_set(err, E_INPUT, "%" PRId64 " objects of the tenant have a header that "
		               "does not verify, the first is %.200s: restore or delete them; %"
		               PRId64 " others were rewritten, and both keys are kept",
		               rekey.damaged, rekey.example, rekey.rewritten);
	return tell(&rekey, err);
}

const struct task_side rekey_side = {rekey_open, rekey_work, NULL, rekey_seal};
