/* journal_keep.c - when the journal makes a checkpoint: by time and by bytes, one at a time, and
 * after a failure not at once again. */
#include "common/defs.h"
#include "control/journal_impl.h"

#include "common/log.h"
#include "control/replay.h"

#include <inttypes.h>

enum {
	EVERY_MS_DEFAULT = 300000, EVERY_BYTES_DEFAULT = 64 * 1024 * 1024, RETRY_MS = 10000,
	LOOK_MS = 3600000
};

static int64_t now_ms(const struct journal *journal)
{
	return clock_mono_ms(journal->conf.clock);
}

void journal_keep_count(struct journal *journal, size_t bytes)
{
	if (journal->since_bytes == 0 && bytes > 0)
		journal->due_mono_ms = now_ms(journal) + journal->conf.checkpoint_ms;
	journal->since_bytes += bytes;
}

void journal_keep_led(struct journal *journal, const struct replay *replay)
{
	const struct position *last = &replay->head.generation;
	spans_release(&journal->spans);
	journal->spans = replay->spans;
	journal->since_bytes = 0;
	journal->due_mono_ms = INT64_MAX;
	journal_keep_count(journal, replay->bytes);
	if (last->epoch == journal->epoch && last->seq >= journal->attempt)
		journal->attempt = last->seq + 1;
}

static bool wants(const struct journal *journal)
{
	return journal->keeper && journal->epoch && !journal->keeping && journal->since_bytes > 0;
}

static bool is_time(const struct journal *journal)
{
	int64_t now = now_ms(journal);
	return wants(journal) && now >= journal->retry_mono_ms &&
		(journal->since_bytes >= journal->conf.checkpoint_bytes ||
		 now >= journal->due_mono_ms);
}

int64_t journal_keep_due(const struct journal *journal)
{
	int64_t due = now_ms(journal) + LOOK_MS;
	if (!wants(journal))
		return due;
	if (journal->due_mono_ms < due)
		due = journal->due_mono_ms;
	return due < journal->retry_mono_ms ? journal->retry_mono_ms : due;
}

void journal_checkpoint(struct journal *journal)
{
	pthread_mutex_lock(&journal->mutex);
	if (journal->since_bytes == 0)
		journal->since_bytes = 1;
	journal->due_mono_ms = now_ms(journal);
	journal->retry_mono_ms = 0;
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->mutex);
}

/* mutex held */
static void failed(struct journal *journal, const struct err *err)
{
	journal->stats.checkpoints_failed++;
	journal->retry_mono_ms = now_ms(journal) + RETRY_MS;
	journal->due_mono_ms = journal->retry_mono_ms;
	if (journal->since_bytes == 0)
		journal->since_bytes = 1;
	log_warn(NULL, "checkpoint_failed", "code=%s reason=\"%s\"", err_name(err->code),
	         err->text);
}

/* --- the keeper's answer, in its thread --- */

static void log_kept(const struct journal *journal, const struct keeper_done *done)
{
	log_info(NULL, "checkpoint_written", "records=%" PRId64 " pages=%" PRId64 " bytes=%" PRId64
	         " ms=%" PRId64 " pause_us=%" PRId64 " store_bytes=%" PRId64, done->stats.records,
	         done->stats.pages, done->stats.bytes, done->us / 1000, journal->stats.pause_us,
	         done->store_bytes);
	if (!done->deleted)
		log_warn(NULL, "journal_not_deleted", "code=%s reason=\"%s\"",
		         err_name(done->err.code), done->err.text);
}

/* mutex held */
static void kept(struct journal *journal, const struct keeper_done *done)
{
	struct journal_stats *stats = &journal->stats;
	if (done->deleted)
		spans_trim(&journal->spans, &done->covers);
	stats->checkpoints++;
	stats->checkpoint_us = done->us;
	stats->checkpoint_records = done->stats.records;
	stats->checkpoint_bytes = done->stats.bytes;
	stats->store_bytes = done->store_bytes;
	log_kept(journal, done);
}

static void on_done(void *context, const struct keeper_done *done)
{
	struct journal *journal = context;
	pthread_mutex_lock(&journal->mutex);
	journal->keeping = false;
	if (done->rc == 0)
		kept(journal, done);
	else if (done->rc != E_CANCELLED)
		failed(journal, &done->err);
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->mutex);
}

int journal_keep_start(struct journal *journal, struct err *err)
{
	struct journal_conf *conf = &journal->conf;
	if (!conf->checkpoint_ms)
		conf->checkpoint_ms = EVERY_MS_DEFAULT;
	if (!conf->checkpoint_bytes)
		conf->checkpoint_bytes = EVERY_BYTES_DEFAULT;
	if (!conf->checkpoint_prefix || !conf->ops.hold)
		return 0;
	const struct keeper_conf keeper = {
		.store = conf->store, .clock = conf->clock, .state_key = conf->state_key,
		.leader_key = journal->leader_key, .prefix = journal->prefix,
		.checkpoint_prefix = journal->checkpoint_prefix, .done = on_done,
		.context = journal,
	};
	return keeper_new(&keeper, &journal->keeper, err);
}

/* --- an image, in the journal's thread: between batches, so that it stands at `at` --- */

/* mutex held on entry and return */
static int take(struct journal *journal, struct keeper_job *job, struct err *err)
{
	int64_t us = 0;
	TRY(spans_copy(&journal->spans, &journal->at, &job->spans, err));
	job->epoch = journal->epoch;
	job->covers = journal->at;
	job->attempt = journal->attempt++;
	journal->busy = true;
	pthread_mutex_unlock(&journal->mutex);
	int rc = image_take(&journal->conf.ops, &job->image, &us, err);
	pthread_mutex_lock(&journal->mutex);
	journal->busy = false;
	pthread_cond_broadcast(&journal->idle);
	if (rc < 0) {
		spans_release(&job->spans);
		return rc;
	}
	journal->stats.pause_us = us;
	if (us > journal->stats.pause_most_us)
		journal->stats.pause_most_us = us;
	return 0;
}

void journal_keep(struct journal *journal)
{
	struct keeper_job job = { 0 };
	struct err err = { 0 };
	if (!is_time(journal) || journal->at.epoch == 0)
		return;
	if (take(journal, &job, &err) < 0) {
		failed(journal, &err);
		return;
	}
	journal->keeping = true;
	journal->since_bytes = 0;
	journal->due_mono_ms = INT64_MAX;
	keeper_start(journal->keeper, &job);
}
