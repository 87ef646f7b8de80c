/* test_logcheck.c - a log's files, tampered with in every way: each is found. */
#include "common/defs.h"
#include "api/logcheck.h"

#include "tests/support/paperlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ORIGIN "example.com/audit/one"
enum { FILES_MAX = 32 };

/* A folder in memory. */
struct folder {
	struct paperlog *log;
	uint64_t size;
	struct {
		char path[TILE_PATH_MAX];
		struct buf bytes;
		bool gone;
	} files[FILES_MAX];
	size_t count;
	const char *older[4];
	size_t older_count;
};

static int read_file(void *context, const char *path, size_t most, struct buf *out,
                     struct err *err)
{
	const struct folder *folder = context;
	for (size_t i = 0; i < folder->count; i++) {
		if (strcmp(folder->files[i].path, path) != 0 || folder->files[i].gone)
			continue;
		size_t len = folder->files[i].bytes.len;
		return buf_put(out, folder->files[i].bytes.data, len < most ? len : most);
	}
	return err_set(err, E_NOT_FOUND, "%s is not there", path);
}

static void add_file(struct folder *folder, const char *path)
{
	cr_assert_lt(folder->count, (size_t)FILES_MAX);
	snprintf(folder->files[folder->count].path, TILE_PATH_MAX, "%s", path);
	buf_init(&folder->files[folder->count].bytes, MIB);
	paperlog_file(folder->log, folder->size, path, &folder->files[folder->count++].bytes);
}

static void add_tiles(struct folder *folder, int level)
{
	uint64_t nodes = folder->size >> (TILE_HEIGHT * (level < 0 ? 0 : level));
	for (uint64_t node = 0; node < nodes; node += TILE_WIDTH) {
		const struct tile tile = tile_of(level, node, folder->size);
		char path[TILE_PATH_MAX];
		tile_path(&tile, path);
		add_file(folder, path);
	}
}

static void folder_open(struct folder *folder, struct paperlog *log, uint64_t size)
{
	memset(folder, 0, sizeof *folder);
	folder->log = log;
	folder->size = size;
	add_file(folder, "checkpoint");
	for (int level = TILE_ENTRIES; level <= 1; level++)
		add_tiles(folder, level);
}

static void folder_close(struct folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		buf_release(&folder->files[i].bytes);
}

static int check_as(struct folder *folder, const struct note_verifier *verifier)
{
	AUTO(arena) *arena = NULL;
	struct err err = {0};
	struct logchecked checked;
	const struct log_files files = {read_file, folder};
	const struct logcheck check = {.verifier = *verifier, .files = &files,
	                               .older = folder->older, .older_count = folder->older_count};
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	int rc = logcheck(&check, arena, &checked, &err);
	cr_assert(rc < 0 ? err.text[0] : checked.size == folder->size);
	return rc;
}

static int check(struct folder *folder)
{
	return check_as(folder, &folder->log->verifier);
}

static struct buf *file_of(struct folder *folder, const char *path)
{
	for (size_t i = 0; i < folder->count; i++)
		if (strcmp(folder->files[i].path, path) == 0)
			return &folder->files[i].bytes;
	cr_assert_fail("no file %s", path);
	return NULL;
}

Test(logcheck, holds_for_logs_of_all_sizes)
{
	struct paperlog log;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 800, "a");
	static const uint64_t sizes[] = {0, 1, 2, 255, 256, 257, 511, 512, 513, 800};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct folder folder;
		folder_open(&folder, &log, sizes[i]);
		folder.older[0] = paperlog_checkpoint(&log, sizes[i] / 2);
		folder.older[1] = paperlog_checkpoint(&log, sizes[i]);
		folder.older_count = 2;
		cr_expect_eq(check(&folder), 0, "size %d", (int)sizes[i]);
		folder_close(&folder);
	}
	paperlog_close(&log);
}

/* All bytes of all files of a small log, and every 41st of one with whole tiles. */
static void flip(struct paperlog *log, uint64_t size, size_t step)
{
	struct folder folder;
	folder_open(&folder, log, size);
	for (size_t i = 0; i < folder.count; i++) {
		struct buf *bytes = &folder.files[i].bytes;
		for (size_t at = 0; at < bytes->len; at += step) {
			bytes->data[at] ^= (uint8_t)(1 << at % 8);
			cr_assert_lt(check(&folder), 0, "%s, byte %zu", folder.files[i].path, at);
			bytes->data[at] ^= (uint8_t)(1 << at % 8);
		}
	}
	cr_assert_eq(check(&folder), 0);
	folder_close(&folder);
}

Test(logcheck, finds_any_byte_that_is_another_in_any_file)
{
	struct paperlog log;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 300, "a");
	flip(&log, 5, 1);
	flip(&log, 300, 41);
	paperlog_close(&log);
}

Test(logcheck, finds_a_file_that_is_missing_cut_or_longer)
{
	struct paperlog log;
	struct folder folder;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 600, "a");
	folder_open(&folder, &log, 600);
	for (size_t i = 0; i < folder.count; i++) {
		struct buf *bytes = &folder.files[i].bytes;
		folder.files[i].gone = true;
		cr_expect_lt(check(&folder), 0, "%s is dropped", folder.files[i].path);
		folder.files[i].gone = false;
		bytes->len--;
		cr_expect_lt(check(&folder), 0, "%s is cut", folder.files[i].path);
		bytes->len++;
		buf_putc(bytes, 0);
		cr_expect_lt(check(&folder), 0, "%s is longer", folder.files[i].path);
		bytes->len--;
	}
	cr_expect_eq(check(&folder), 0);
	folder_close(&folder);
	paperlog_close(&log);
}

/* The bundle anew, of these lines. */
static void rewrite(struct folder *folder, const int *order, size_t count)
{
	struct buf *bytes = file_of(folder, "tile/entries/000.p/8");
	buf_clear(bytes);
	for (size_t i = 0; i < count; i++) {
		const char *line = folder->log->lines[order[i]];
		cr_assert_eq(tile_entry_put(bytes, line, strlen(line), NULL), 0);
	}
}

Test(logcheck, finds_entries_dropped_reordered_doubled_or_made_up)
{
	struct paperlog log;
	struct folder folder;
	static const int same[] = {0, 1, 2, 3, 4, 5, 6, 7}, dropped[] = {0, 1, 2, 4, 5, 6, 7},
			 swapped[] = {0, 1, 3, 2, 4, 5, 6, 7}, doubled[] = {0, 1, 2, 2, 4, 5, 6, 7},
			 more[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, other[] = {0, 1, 2, 8, 4, 5, 6, 7};
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 9, "a");
	folder_open(&folder, &log, 8);
	rewrite(&folder, same, 8);
	cr_expect_eq(check(&folder), 0);
	rewrite(&folder, dropped, 7);
	cr_expect_eq(check(&folder), E_CORRUPT, "dropped");
	rewrite(&folder, swapped, 8);
	cr_expect_eq(check(&folder), E_CORRUPT, "reordered");
	rewrite(&folder, doubled, 8);
	cr_expect_eq(check(&folder), E_CORRUPT, "doubled");
	rewrite(&folder, more, 9);
	cr_expect_eq(check(&folder), E_CORRUPT, "added");
	rewrite(&folder, other, 8);
	cr_expect_eq(check(&folder), E_CORRUPT, "made up");
	folder_close(&folder);
	paperlog_close(&log);
}

Test(logcheck, finds_a_log_that_was_forked_or_taken_back_by_a_checkpoint_that_was_kept)
{
	struct paperlog log, fork;
	struct folder folder;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&fork, ORIGIN, 1);     /* the same key, as whoever holds it could */
	paperlog_grow(&log, 400, "a");
	paperlog_grow(&fork, 200, "a");
	paperlog_grow(&fork, 500, "b");
	folder_open(&folder, &fork, 500);    /* whole in itself */
	cr_expect_eq(check(&folder), 0);
	folder.older_count = 1;
	folder.older[0] = paperlog_checkpoint(&log, 200);
	cr_expect_eq(check(&folder), 0, "until there they are one");
	folder.older[0] = paperlog_checkpoint(&log, 400);
	cr_expect_eq(check(&folder), E_CORRUPT, "forked");
	folder_close(&folder);
	folder_open(&folder, &log, 300);     /* an older one is shown as the newest */
	folder.older_count = 1;
	folder.older[0] = paperlog_checkpoint(&log, 301);
	cr_expect_eq(check(&folder), E_CORRUPT, "taken back");
	folder_close(&folder);
	paperlog_close(&log);
	paperlog_close(&fork);
}

Test(logcheck, finds_another_tenants_log_another_key_and_a_file_of_another_log)
{
	struct paperlog log, other, forger;
	struct folder folder, theirs;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&other, "example.com/audit/two", 1);
	paperlog_open(&forger, ORIGIN, 2);
	paperlog_grow(&log, 300, "a");
	paperlog_grow(&other, 300, "b");
	paperlog_grow(&forger, 300, "a");
	folder_open(&folder, &log, 300);
	folder_open(&theirs, &other, 300);
	cr_expect_eq(check_as(&theirs, &log.verifier), E_CORRUPT, "another tenant's");
	cr_expect_eq(check_as(&folder, &forger.verifier), E_CORRUPT, "another key's");
	for (size_t i = 0; i < folder.count; i++) {
		struct buf own = folder.files[i].bytes;
		folder.files[i].bytes = theirs.files[i].bytes;
		cr_expect_lt(check(&folder), 0, "%s is the other's", folder.files[i].path);
		folder.files[i].bytes = own;
	}
	folder_close(&folder);
	folder_close(&theirs);
	paperlog_close(&log);
	paperlog_close(&other);
	paperlog_close(&forger);
}

static struct note_checkpoint head(struct paperlog *log, uint64_t size)
{
	struct note_checkpoint checkpoint;
	const char *note = paperlog_checkpoint(log, size);
	cr_assert_eq(logproof_checkpoint(&log->verifier, note, strlen(note), &checkpoint, NULL),
	             0);
	return checkpoint;
}

Test(logcheck, tells_by_some_tiles_whether_a_log_goes_on_from_an_earlier_checkpoint)
{
	struct paperlog log, fork;
	struct folder folder;
	const struct log_files files = {read_file, &folder};
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&fork, ORIGIN, 1);
	paperlog_grow(&log, 700, "a");
	paperlog_grow(&fork, 600, "b");
	folder_open(&folder, &log, 700);
	struct note_checkpoint now = head(&log, 700);
	for (uint64_t size = 0; size <= 700; size += 35) {
		struct note_checkpoint old = head(&log, size);
		cr_expect_eq(logcheck_consistent(&files, &old, &now, NULL), 0);
	}
	struct note_checkpoint other = head(&fork, 600), less = head(&log, 699);
	cr_expect_eq(logcheck_consistent(&files, &other, &now, NULL), E_CORRUPT);
	cr_expect_eq(logcheck_consistent(&files, &now, &less, NULL), E_CORRUPT);
	folder_close(&folder);
	paperlog_close(&log);
	paperlog_close(&fork);
}
