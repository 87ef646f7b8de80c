/* test_logdir.c - a copy of a log in a folder: brought up to date, checked, and never by a log that
 * is another. */
#include "common/defs.h"
#include "api/cli/logdir.h"

#include "tests/support/paperlog.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORIGIN "example.com/audit/one"

/* A log as it is served, and how often it was asked. */
struct served {
	struct paperlog *log;
	uint64_t size;
	int asked, fails_at;
	bool lies;                   /* the checkpoint is right, an entry is another */
};

static int serve(void *context, const char *path, size_t most, struct buf *out, struct err *err)
{
	struct served *served = context;
	(void)most;
	if (++served->asked == served->fails_at)
		return err_set(err, E_UNAVAILABLE, "cut off");
	paperlog_file(served->log, served->size, path, out);
	if (served->lies && strncmp(path, "tile/entries", 12) == 0)
		out->data[out->len - 1] ^= 1;
	return 0;
}

struct desk {
	char path[64];
	struct logdir *dir;
	struct arena *arena;
	struct served served;
};

static void desk_open(struct desk *desk, struct paperlog *log)
{
	memset(desk, 0, sizeof *desk);
	snprintf(desk->path, sizeof desk->path, "/tmp/logdir-XXXXXX");
	cr_assert_not_null(mkdtemp(desk->path));
	cr_assert_eq(logdir_open(desk->path, true, &desk->dir, NULL), 0);
	cr_assert_eq(arena_new(64 * MIB, &desk->arena, NULL), 0);
	desk->served.log = log;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static void desk_close(struct desk *desk)
{
	logdir_free(desk->dir);
	arena_free(desk->arena);
	nftw(desk->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int update(struct desk *desk, uint64_t size)
{
	const struct log_files from = {serve, &desk->served};
	struct logdir_updated updated;
	struct err err = {0};
	desk->served.size = size;
	desk->served.asked = 0;
	int rc = logdir_update(desk->dir, &desk->served.log->verifier, &from, desk->arena, &updated,
	                       &err);
	cr_assert(rc < 0 ? err.text[0] : updated.size == size);
	return rc;
}

static int check(struct desk *desk, uint64_t size)
{
	struct logchecked checked;
	struct err err = {0};
	int rc = logdir_check(desk->dir, &desk->served.log->verifier, NULL, desk->arena, &checked,
	                      &err);
	cr_assert(rc < 0 ? err.text[0] : checked.size == size, "%s", err.text);
	return rc;
}

static void put(struct desk *desk, const char *path, const char *text)
{
	char place[256];
	snprintf(place, sizeof place, "%s/%s", desk->path, path);
	FILE *file = fopen(place, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

Test(logdir, a_copy_follows_a_growing_log_and_fetches_only_what_is_new)
{
	struct paperlog log;
	struct desk desk;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 1100, "a");
	desk_open(&desk, &log);
	static const uint64_t sizes[] = {0, 1, 3, 3, 255, 256, 300, 512, 700, 1100};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		cr_expect_eq(update(&desk, sizes[i]), 0, "%d", (int)sizes[i]);
		cr_expect_eq(check(&desk, sizes[i]), 0, "%d", (int)sizes[i]);
	}
	cr_expect_eq(update(&desk, 1100), 0);
	cr_expect_eq(desk.served.asked, 1, "its checkpoint is all that is asked for");
	desk_close(&desk);
	paperlog_close(&log);
}

Test(logdir, a_fork_or_an_older_log_is_refused_and_the_copy_stays)
{
	struct paperlog log, fork;
	struct desk desk;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&fork, ORIGIN, 1);
	paperlog_grow(&log, 500, "a");
	paperlog_grow(&fork, 300, "a");
	paperlog_grow(&fork, 900, "b");
	desk_open(&desk, &log);
	cr_assert_eq(update(&desk, 400), 0);
	desk.served.log = &fork;
	cr_expect_eq(update(&desk, 900), E_CORRUPT, "forked");
	cr_expect_eq(update(&desk, 400), E_CORRUPT, "forked at the same size");
	desk.served.log = &log;
	cr_expect_eq(update(&desk, 399), E_CORRUPT, "taken back");
	desk.served.lies = true;
	cr_expect_eq(update(&desk, 500), E_CORRUPT, "entries that nobody signed");
	desk.served.lies = false;
	cr_expect_eq(check(&desk, 400), E_CORRUPT, "files of what was refused are left over");
	cr_expect_eq(update(&desk, 500), 0);
	cr_expect_eq(check(&desk, 500), 0);
	desk_close(&desk);
	paperlog_close(&log);
	paperlog_close(&fork);
}

Test(logdir, an_update_that_is_cut_off_anywhere_goes_on)
{
	struct paperlog log;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 800, "a");
	for (int fails_at = 1; fails_at < 12; fails_at++) {
		struct desk desk;
		desk_open(&desk, &log);
		cr_assert_eq(update(&desk, 300), 0);
		desk.served.fails_at = fails_at;
		(void)!update(&desk, 800);
		desk.served.fails_at = 0;
		cr_expect_eq(update(&desk, 800), 0, "after request %d", fails_at);
		cr_expect_eq(check(&desk, 800), 0, "after request %d", fails_at);
		desk_close(&desk);
	}
	paperlog_close(&log);
}

Test(logdir, kept_checkpoints_the_key_and_files_that_do_not_belong_there_are_looked_at)
{
	struct paperlog log, fork, other;
	struct desk desk;
	struct note_verifier key;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&fork, ORIGIN, 1);
	paperlog_open(&other, "example.com/audit/two", 1);
	paperlog_grow(&log, 300, "a");
	paperlog_grow(&fork, 300, "b");
	desk_open(&desk, &log);
	cr_expect_eq(logdir_key(desk.dir, &key, NULL), E_NOT_FOUND);
	cr_assert_eq(logdir_set_key(desk.dir, &log.verifier, NULL), 0);
	cr_assert_eq(logdir_key(desk.dir, &key, NULL), 0);
	cr_expect_str_eq(key.name, ORIGIN);
	cr_assert_eq(update(&desk, 200), 0);
	cr_assert_eq(update(&desk, 300), 0);
	put(&desk, "tile/0/002", "stray");
	cr_expect_eq(check(&desk, 300), E_CORRUPT);
	char stray[256];
	snprintf(stray, sizeof stray, "%s/tile/0/002", desk.path);
	cr_assert_eq(unlink(stray), 0);
	cr_expect_eq(check(&desk, 300), 0);
	put(&desk, "checkpoints/00000000000000000200", paperlog_checkpoint(&fork, 200));
	cr_expect_eq(check(&desk, 300), E_CORRUPT, "the log that was seen at 200 was another");
	put(&desk, "checkpoints/00000000000000000200", paperlog_checkpoint(&log, 200));
	put(&desk, "checkpoint", paperlog_checkpoint(&log, 200));
	cr_expect_eq(check(&desk, 200), E_CORRUPT, "it was taken back");
	desk_close(&desk);
	paperlog_close(&log);
	paperlog_close(&fork);
	paperlog_close(&other);
}
