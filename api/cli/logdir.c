/* logdir.c - see logdir.h. Order of an update: what is there is whole; the new checkpoint goes on
 * from it; new files; their root is the new checkpoint's; then only the checkpoint is replaced.
 * A file is written beside its place and renamed. */
#include "common/defs.h"
#include "api/cli/logdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, KEY_FILE_MAX = 4096, FRESH_DEPTH = 12 };

struct logdir {
	char path[PATH_BYTES_MAX / 2];
	struct log_files files;
};

static int place_of(const struct logdir *dir, const char *path, char out[PATH_BYTES_MAX],
                    struct err *err)
{
	int len = snprintf(out, PATH_BYTES_MAX, "%s/%s", dir->path, path);
	return len < PATH_BYTES_MAX ? 0 : err_set(err, E_INVALID, "the folder's path is too long");
}

/* --- files --- */

static int read_fd(int fd, const char *path, size_t most, struct buf *out, struct err *err)
{
	uint8_t part[16384];
	size_t left = most;
	ssize_t n = 0;
	while (left > 0 && (n = read(fd, part, left < sizeof part ? left : sizeof part)) > 0) {
		buf_put(out, part, (size_t)n);
		left -= (size_t)n;
	}
	return n < 0 ? err_errno(err, errno, "cannot read %s", path) : buf_check(out, err);
}

static int read_file(void *context, const char *path, size_t most, struct buf *out,
                     struct err *err)
{
	char place[PATH_BYTES_MAX];
	TRY(place_of(context, path, place, err));
	int fd = open(place, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, E_NOT_FOUND, "%s is missing", path);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	int rc = read_fd(fd, path, most, out, err);
	close(fd);
	return rc;
}

static int make_folder(const char *place, struct err *err)
{
	if (mkdir(place, 0777) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the folder %s", place);
	return 0;
}

/* Those that path lies in. */
static int make_folders(const struct logdir *dir, const char *path, struct err *err)
{
	char place[PATH_BYTES_MAX];
	TRY(place_of(dir, path, place, err));
	for (char *at = place + strlen(dir->path) + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		TRY(make_folder(place, err));
		*at = '/';
	}
	return 0;
}

static int write_fd(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_file(const struct logdir *dir, const char *path, const void *data, size_t len,
                      struct err *err)
{
	char place[PATH_BYTES_MAX], fresh[PATH_BYTES_MAX];
	TRY(make_folders(dir, path, err));
	TRY(place_of(dir, path, place, err));
	TRY(place_of(dir, ".fresh", fresh, err));
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", path);
	bool written = write_fd(fd, data, len) == 0;
	int why = errno;
	close(fd);
	if (written && rename(fresh, place) == 0)
		return 0;
	return err_errno(err, written ? errno : why, "cannot write %s", path);
}

static int make_durable(const struct logdir *dir, struct err *err)
{
	int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || syncfs(fd) < 0 ? err_errno(err, errno, "cannot make %s durable",
	                                              dir->path) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int logdir_open(const char *path, bool make, struct logdir **ret_dir, struct err *err)
{
	struct stat st;
	if (make)
		TRY(make_folder(path, err));
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, E_NOT_FOUND, "%s is no folder", path);
	if (strlen(path) >= PATH_BYTES_MAX / 2)
		return err_set(err, E_INVALID, "the folder's path is too long");
	struct logdir *dir = calloc(1, sizeof *dir);
	if (!dir)
		return err_set(err, E_NOMEM, "no memory for a folder");
	snprintf(dir->path, sizeof dir->path, "%s", path);
	dir->files = (struct log_files){ read_file, dir };
	*ret_dir = dir;
	return 0;
}

void logdir_free(struct logdir *dir)
{
	free(dir);
}

struct log_files logdir_files(struct logdir *dir)
{
	return dir->files;
}

/* --- the key --- */

int logdir_key(struct logdir *dir, struct note_verifier *ret_verifier, struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, KEY_FILE_MAX);
	TRY(read_file(dir, "key", KEY_FILE_MAX, &text, err));
	char *line = (char *)text.data;
	if (!line)
		return err_set(err, E_INVALID, "key: the file is empty");
	line[strcspn(line, "\n")] = 0;
	return note_verifier_read(line, ret_verifier, err);
}

int logdir_set_key(struct logdir *dir, const struct note_verifier *verifier, struct err *err)
{
	char text[NOTE_VERIFIER_MAX + 1];
	note_verifier_print(verifier, text);
	size_t len = strlen(text);
	text[len] = '\n';
	return write_file(dir, "key", text, len + 1, err);
}

/* --- what is there --- */

/* Calls name for each entry of a folder of the copy, which need not be there. */
typedef int name_fn(void *context, const char *name, struct err *err);
static int each_name(const struct logdir *dir, const char *path, name_fn *name, void *context,
                     struct err *err)
{
	char place[PATH_BYTES_MAX];
	int rc = 0;
	TRY(place_of(dir, path, place, err));
	DIR *folder = opendir(place);
	if (!folder)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot read %s", path);
	for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = name(context, entry->d_name, err);
	closedir(folder);
	return rc;
}

struct keeping {
	const struct logdir *dir;
	struct arena *arena;
	const char **notes;
	size_t count;
};

static int add_kept(void *context, const char *name, struct err *err)
{
	struct keeping *keeping = context;
	char path[PATH_BYTES_MAX];
	AUTO_BUF note;
	buf_init(&note, LOGCHECK_NOTE_MAX + 1);
	if (keeping->count == LOGCHECK_OLDER_MAX)
		return err_set(err, E_TOO_LARGE, "checkpoints/: at most %d are read",
		               LOGCHECK_OLDER_MAX);
	snprintf(path, sizeof path, "checkpoints/%s", name);
	TRY(read_file((void *)(uintptr_t)keeping->dir, path, LOGCHECK_NOTE_MAX, &note, err));
	const char *text = arena_strndup(keeping->arena, (const char *)note.data, note.len);
	if (!text)
		return err_set(err, E_NOMEM, "no memory for checkpoints");
	if (strlen(text) != note.len)
		return err_set(err, E_CORRUPT, "%s: it is no signed note", path);
	keeping->notes[keeping->count++] = text;
	return 0;
}

static int read_kept(const struct logdir *dir, const char *since, struct arena *arena,
                     struct keeping *keeping, struct err *err)
{
	*keeping = (struct keeping){ .dir = dir, .arena = arena };
	keeping->notes = arena_alloc(arena, (LOGCHECK_OLDER_MAX + 1) * sizeof *keeping->notes);
	if (!keeping->notes)
		return err_set(err, E_NOMEM, "no memory for checkpoints");
	TRY(each_name(dir, "checkpoints", add_kept, keeping, err));
	if (since)
		keeping->notes[keeping->count++] = since;
	return 0;
}

/* Each file below tile/ must be one of the log's at that size. */
struct walk {
	const struct logdir *dir;
	const char *path;
	uint64_t size;
	int depth;
};

static int check_name(void *context, const char *name, struct err *err)
{
	const struct walk *walk = context;
	char path[PATH_BYTES_MAX], place[PATH_BYTES_MAX];
	struct tile tile;
	struct stat st;
	if (snprintf(path, sizeof path, "%s/%s", walk->path, name) >= (int)sizeof path)
		return err_set(err, E_INVALID, "a path in the folder is too long");
	TRY(place_of(walk->dir, path, place, err));
	if (stat(place, &st) < 0)
		return err_errno(err, errno, "cannot read %s", path);
	if (S_ISDIR(st.st_mode) && walk->depth < FRESH_DEPTH) {
		struct walk below = { walk->dir, path, walk->size, walk->depth + 1 };
		return each_name(walk->dir, path, check_name, &below, err);
	}
	if (tile_path_read(path, &tile, NULL) == 0 && tile.index < UINT64_C(1) << 40) {
		struct tile own = tile_of(tile.level, tile.index * TILE_WIDTH, walk->size);
		if (own.width == tile.width)
			return 0;
	}
	return err_set(err, E_CORRUPT, "%s: it is no part of a log of %" PRIu64 " entries; if an "
	               "export was interrupted, run it again", path, walk->size);
}

int logdir_check(struct logdir *dir, const struct note_verifier *verifier, const char *since,
                 struct arena *arena, struct logchecked *ret_checked, struct err *err)
{
	struct keeping keeping;
	struct logchecked checked;
	TRY(read_kept(dir, since, arena, &keeping, err));
	const struct logcheck check = { .verifier = *verifier, .files = &dir->files,
		                        .older = keeping.notes, .older_count = keeping.count };
	TRY(logcheck(&check, arena, &checked, err));
	struct walk walk = { dir, "tile", checked.size, 0 };
	TRY(each_name(dir, "tile", check_name, &walk, err));
	*ret_checked = checked;
	return 0;
}

/* --- bringing it up to date --- */

struct copying {
	struct logdir *dir;
	const struct log_files *from;
	struct tile_writer *writer;
	uint64_t old;                /* entries before this one are there already */
	uint64_t next;
};

/* A log of the copy's own tiles must have the root that its checkpoint says. */
static int check_root(struct logdir *dir, const struct note_checkpoint *checkpoint,
                      const char *else_say, struct err *err)
{
	struct merkle_range range = { 0 };
	uint8_t root[MERKLE_BYTES];
	struct tile_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return err_set(err, E_NOMEM, "no memory for a log's tiles");
	tile_reader_init(reader, checkpoint->size, logcheck_tile, &dir->files);
	int rc = tile_range(reader, &range, err);
	free(reader);
	TRY(rc);
	merkle_root(&range, root);
	if (memcmp(root, checkpoint->root, MERKLE_BYTES) != 0)
		return err_set(err, E_CORRUPT, "%s", else_say);
	return 0;
}

static int write_tile(void *context, const struct tile *tile, const uint8_t *hashes,
                      struct err *err)
{
	struct copying *copying = context;
	char path[TILE_PATH_MAX];
	tile_path(tile, path);
	return write_file(copying->dir, path, hashes, (size_t)tile->width * MERKLE_BYTES, err);
}

static int read_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	struct copying *copying = context;
	return logcheck_tile(&copying->dir->files, tile, out, err);
}

static int take_entry(void *context, const uint8_t *data, size_t len, struct err *err)
{
	struct copying *copying = context;
	uint8_t leaf[MERKLE_BYTES];
	uint64_t index = copying->next++;
	merkle_leaf(data, len, leaf);
	if (index >= copying->old)
		return tile_append(copying->writer, leaf, err);
	if (bytes_equal(copying->writer->hashes[0][index % TILE_WIDTH], leaf, MERKLE_BYTES))
		return 0;
	return err_set(err, E_CORRUPT, "entry %" PRIu64 " is another than the one that was copied "
	               "before: the log is forked", index);
}

static int copy_entries(struct copying *copying, uint64_t size, struct err *err)
{
	AUTO_BUF bundle;
	char path[TILE_PATH_MAX];
	buf_init(&bundle, LOGCHECK_BUNDLE_MAX);
	copying->next = copying->old - copying->old % TILE_WIDTH;
	while (copying->next < size) {
		const struct tile tile = tile_of(TILE_ENTRIES, copying->next, size);
		TRY(logcheck_entries(copying->from, &tile, &bundle, take_entry, copying, err));
		tile_path(&tile, path);
		TRY(write_file(copying->dir, path, bundle.data, bundle.len, err));
	}
	return tile_flush(copying->writer, err);
}

/* Partial tiles of the smaller log that the larger one has wider. */
static int drop_partial(const struct logdir *dir, uint64_t old, uint64_t size, struct err *err)
{
	for (int level = TILE_ENTRIES; level < TILE_LEVELS; level++) {
		uint64_t nodes = old >> (level < 0 ? 0 : TILE_HEIGHT * level);
		char path[TILE_PATH_MAX], place[PATH_BYTES_MAX];
		if (nodes % TILE_WIDTH == 0)
			continue;
		const struct tile was = tile_of(level, nodes - 1, old);
		if (was.width == tile_of(level, nodes - 1, size).width)
			continue;
		tile_path(&was, path);
		TRY(place_of(dir, path, place, err));
		if (unlink(place) < 0 && errno != ENOENT)
			return err_errno(err, errno, "cannot delete %s", path);
		*strrchr(place, '/') = 0;
		rmdir(place);                /* unless there is a wider one in it */
	}
	return 0;
}

static int copy(struct copying *copying, const struct note_checkpoint *now, struct err *err)
{
	copying->writer = calloc(1, sizeof *copying->writer);
	if (!copying->writer)
		return err_set(err, E_NOMEM, "no memory for a log's tiles");
	int rc = tile_writer_init(copying->writer, copying->old, read_tile, write_tile, copying,
	                          err);
	if (rc == 0)
		rc = copy_entries(copying, now->size, err);
	free(copying->writer);
	TRY(rc);
	return check_root(copying->dir, now, "the entries that were sent are not those that the "
	                  "new checkpoint was signed of; the copy stays as it was", err);
}

static int keep_checkpoint(const struct logdir *dir, const char *note, uint64_t size,
                           struct err *err)
{
	char path[64];
	snprintf(path, sizeof path, "checkpoints/%020" PRIu64, size);
	TRY(make_durable(dir, err));
	TRY(write_file(dir, path, note, strlen(note), err));
	TRY(write_file(dir, "checkpoint", note, strlen(note), err));
	return make_durable(dir, err);
}

/* What is there already; none: of size 0. */
static int read_own(struct logdir *dir, const struct note_verifier *verifier, struct arena *arena,
                    struct note_checkpoint *ret_own, struct err *err)
{
	const struct logcheck check = { .verifier = *verifier, .files = &dir->files };
	const char *note = NULL;
	*ret_own = (struct note_checkpoint){ .size = 0 };
	int rc = logcheck_checkpoint(&check, arena, &note, ret_own, err);
	if (rc == E_NOT_FOUND)
		return 0;
	TRY(rc);
	return check_root(dir, ret_own, "the tiles of the copy are not those of its checkpoint: "
	                  "it was changed", err);
}

int logdir_update(struct logdir *dir, const struct note_verifier *verifier,
                  const struct log_files *from, struct arena *arena,
                  struct logdir_updated *ret_updated, struct err *err)
{
	const struct logcheck check = { .verifier = *verifier, .files = from };
	struct note_checkpoint own, now;
	const char *note = NULL;
	TRY(read_own(dir, verifier, arena, &own, err));
	TRY(logcheck_checkpoint(&check, arena, &note, &now, err));
	TRY(logcheck_consistent(from, &own, &now, err));
	struct copying copying = { .dir = dir, .from = from, .old = own.size };
	if (now.size > own.size)
		TRY(copy(&copying, &now, err));
	TRY(keep_checkpoint(dir, note, now.size, err));
	TRY(drop_partial(dir, own.size, now.size, err));
	*ret_updated = (struct logdir_updated){ own.size, now.size };
	return 0;
}
