/* backups.c - see backups.h. Invariant: while busy, the thread is the only one that touches what it
 * was begun with; it is joined before the next begins. */
#include "common/defs.h"
#include "control/backups.h"

#include "common/log.h"
#include "control/backup.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A compaction in the middle makes the reading begin anew; past so many it is given up. */
enum { TRIES_MOST = 3 };

struct backups {
	struct control *control;
	pthread_mutex_t mutex;       /* guards busy, joinable and thread */
	bool busy, joinable;
	pthread_t thread;
	_Atomic bool stopping;
	/* the thread's */
	struct outflow *outflow;
	struct backup_writer *writer;
	uint64_t keys, bytes;        /* bytes of the archive so far */
};

int backups_new(struct control *control, struct backups **ret_backups, struct err *err)
{
	struct backups *backups = calloc(1, sizeof *backups);
	if (!backups)
		return err_set(err, E_NOMEM, "no memory for backups");
	backups->control = control;
	pthread_mutex_init(&backups->mutex, NULL);
	*ret_backups = backups;
	return 0;
}

static void join(struct backups *backups)
{
	pthread_mutex_lock(&backups->mutex);
	bool joinable = backups->joinable;
	backups->joinable = false;
	pthread_mutex_unlock(&backups->mutex);
	if (joinable)
		pthread_join(backups->thread, NULL);
}

void backups_stop(struct backups *backups)
{
	atomic_store(&backups->stopping, true);
	join(backups);
}

void backups_free(struct backups *backups)
{
	if (!backups)
		return;
	backups_stop(backups);
	pthread_mutex_destroy(&backups->mutex);
	free(backups);
}

/* --- in the thread --- */

static int left(struct err *err)
{
	return err_set(err, E_CANCELLED, "its client went away");
}

static int sink(void *context, const void *data, size_t len, struct err *err)
{
	struct backups *backups = context;
	if (!outflow_wait(backups->outflow) || !outflow_put(backups->outflow, data, len))
		return left(err);
	backups->bytes += len;
	return 0;
}

static int visit(void *context, const struct store_item *item, struct err *err)
{
	struct backups *backups = context;
	if (atomic_load(&backups->stopping))
		return left(err);
	if (!backup_keeps(item->key))
		return 0;
	backups->keys++;
	return backup_add(backups->writer, item, err);
}

static int read_all(struct backups *backups, struct err *err)
{
	int64_t revision = 0;
	int rc = E_UNAVAILABLE;
	for (int i = 0; i < TRIES_MOST && rc == E_UNAVAILABLE; i++) {
		if (i > 0)
			TRY(backup_again(backups->writer, err));
		backups->keys = 0;
		rc = store_list(backups->control->store, "", visit, backups, &revision, err);
	}
	TRY(rc);
	return backup_end(backups->writer, revision, err);
}

static int pour(struct backups *backups, struct err *err)
{
	struct control *control = backups->control;
	backups->bytes = 0;
	TRY(backup_writer_new(keyring_state_key(control->keyring), control->part_count,
	                      clock_unix_ms(control->clock), sink, backups, &backups->writer,
	                      err));
	int rc = read_all(backups, err);
	backup_writer_free(MOVE(backups->writer));
	TRY(rc);
	return outflow_wait(backups->outflow) ? 0 : left(err);
}

static void *run(void *context)
{
	struct backups *backups = context;
	struct err err = { 0 };
	if (pour(backups, &err) == 0)
		log_info(NULL, "backup_written", "keys=%" PRIu64 " bytes=%" PRIu64, backups->keys,
		         backups->bytes);
	else
		log_warn(NULL, "backup_not_written", "code=%s reason=\"%s\"", err_name(err.code),
		         err.text);
	outflow_end(backups->outflow);
	pthread_mutex_lock(&backups->mutex);
	backups->busy = false;
	pthread_mutex_unlock(&backups->mutex);
	return NULL;
}

/* --- its beginning --- */

static int busy(struct err *err)
{
	return err_set(err, E_BUSY, "a backup is under way already; try again when it has ended");
}

int backups_check(struct backups *backups, struct err *err)
{
	pthread_mutex_lock(&backups->mutex);
	bool taken = backups->busy;
	pthread_mutex_unlock(&backups->mutex);
	return taken ? busy(err) : 0;
}

static bool take(struct backups *backups)
{
	pthread_mutex_lock(&backups->mutex);
	bool taken = !backups->busy && !atomic_load(&backups->stopping);
	backups->busy |= taken;
	pthread_mutex_unlock(&backups->mutex);
	return taken;
}

void backups_pour(struct backups *backups, struct outflow *outflow)
{
	if (!take(backups)) {
		outflow_end(outflow);
		return;
	}
	join(backups);
	backups->outflow = outflow;
	pthread_mutex_lock(&backups->mutex);
	backups->joinable = pthread_create(&backups->thread, NULL, run, backups) == 0;
	bool started = backups->joinable;
	backups->busy = started;
	pthread_mutex_unlock(&backups->mutex);
	if (started)
		return;
	log_warn(NULL, "backup_not_written", "reason=\"no thread for it\"");
	outflow_end(outflow);
}
