/* t_rekey.c - gives a tenant's objects headers under their datasets' new keys, a batch at a time;
 * no body is read or written. An object gets one when its header names a dataset of the grant and
 * that one's old version; what is under the new version already is left alone, so an attempt goes
 * on where the one before was ended. It succeeds only when no object of theirs is left under an
 * old version. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include "common/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TELL_EVERY = 64, HEAD_TRIES = 3 };

/* A header on its way. */
struct fresh {
	char path[OBJECT_PATH_MAX + 1];
	uint8_t was[SEAL_HEADER_MAX], head[SEAL_HEADER_MAX];
	size_t len;
};

struct rekey {
	struct run *run;
	struct fresh *batch;         /* OBJECT_CHANGES_MAX */
	size_t count;
	int64_t until_mono_ms;
	int64_t seen, rewritten, bytes, damaged;
	char example[OBJECT_PATH_MAX + 1];
};

static int go_on(const struct rekey *rekey, struct err *err)
{
	TRY(attempt_goes_on(rekey->run->attempt, err));
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

/* Adds it to the batch, which has room. */
static int prepare(struct rekey *rekey, const struct grant_table *table, const char *path,
                   const struct head *head, struct err *err)
{
	struct fresh *fresh = &rekey->batch[rekey->count];
	AUTO_BUF bytes;
	const struct seal_label label = { rekey->run->grant->tenant, table->uid, path,
	                                  table->old_version };
	buf_init(&bytes, SEAL_HEADER_MAX);
	TRY(seal_rewrap(&label, table->old_key, table->key_version, table->key, head->bytes,
	                head->len, &bytes, err));
	snprintf(fresh->path, sizeof fresh->path, "%s", path);
	memcpy(fresh->was, head->bytes, bytes.len);
	memcpy(fresh->head, bytes.data, bytes.len);
	fresh->len = bytes.len;
	rekey->count++;
	return 0;
}

static int take(struct rekey *rekey, const char *path, struct err *err)
{
	struct head head = { .len = 0 };
	int rc = read_head(rekey, path, &head, err);
	if (rc == E_CORRUPT && !seal_is(head.bytes, head.len))
		return 0;                    /* nothing of ours */
	if (rc == 0) {
		const struct grant_table *table = table_of(rekey->run->grant, head.uid);
		if (!table || head.version != table->old_version)
			return 0;
		rc = prepare(rekey, table, path, &head, err);
	}
	if (rc == E_NOT_FOUND)               /* swept meanwhile */
		return 0;
	if (rc != E_CORRUPT)
		return rc;
	if (rekey->damaged++ == 0)
		snprintf(rekey->example, sizeof rekey->example, "%s", path);
	return 0;
}

/* Writes the batch. What another attempt was faster with stays in it, to be looked at again. */
static int write_batch(struct rekey *rekey, struct err *err)
{
	struct object_change changes[OBJECT_CHANGES_MAX];
	size_t count = rekey->count;
	for (size_t i = 0; i < count; i++) {
		const struct fresh *fresh = &rekey->batch[i];
		changes[i] = (struct object_change){.path = fresh->path, .was = fresh->was,
		                                    .head = fresh->head, .len = fresh->len};
	}
	TRY(object_rehead_many(rekey->run->runner->objects, changes, count, err));
	rekey->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (changes[i].rc == 0) {
			rekey->rewritten++;
			rekey->bytes += (int64_t)changes[i].len;
		}
		if (changes[i].rc == E_PRECONDITION)
			rekey->batch[rekey->count++] = rekey->batch[i];
	}
	return 0;
}

static int flush(struct rekey *rekey, struct err *err)
{
	for (int i = 0; i < HEAD_TRIES && rekey->count; i++) {
		TRY(write_batch(rekey, err));
		size_t again = rekey->count;
		rekey->count = 0;
		for (size_t j = 0; j < again; j++) {
			char path[OBJECT_PATH_MAX + 1];
			memcpy(path, rekey->batch[j].path, sizeof path); /* it is filled anew */
			TRY(take(rekey, path, err));
		}
	}
	if (rekey->count)
		return err_set(err, E_PRECONDITION, "the headers of %zu objects changed again and "
		               "again while they were rewritten; the next attempt goes on",
		               rekey->count);
	return 0;
}

static int visit(void *context, const struct object_info *info, struct err *err)
{
	struct rekey *rekey = context;
	if (rekey->seen++ % TELL_EVERY == 0) {
		TRY(go_on(rekey, err));
		attempt_progress(rekey->run->attempt, "rewriting headers", rekey->seen,
		                 rekey->bytes, -1);
	}
	TRY(take(rekey, info->path, err));
	return rekey->count == OBJECT_CHANGES_MAX ? flush(rekey, err) : 0;
}

/* --- its steps --- */

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
	rekey.batch = arena_alloc(run->arena, OBJECT_CHANGES_MAX * sizeof *rekey.batch);
	if (!prefix || !rekey.batch)
		return err_set(err, E_NOMEM, "no memory for rewriting headers");
	TRY(object_list(run->runner->objects, prefix, visit, &rekey, err));
	TRY(flush(&rekey, err));
	if (rekey.damaged)
		return err_set(err, E_INPUT, "%" PRId64 " objects of the tenant have a header that "
		               "does not verify, the first is %.200s: restore or delete them; %"
		               PRId64 " others were rewritten, and both keys are kept",
		               rekey.damaged, rekey.example, rekey.rewritten);
	return tell(&rekey, err);
}

const struct task_side rekey_side = {run_open_nothing, rekey_work, NULL, rekey_seal};
