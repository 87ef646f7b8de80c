/* object_head.c - new heads for objects' old bodies, in the directory backing.
 * The new heads are made durable first in a file beside, one for all that change together, which
 * has a name for each of them (root/.head/NAME, NAME a digest of the path; hard links); then each
 * is written into its object, and its name goes. Invariants: while an object's own head may be
 * torn, its name is there and the file whole, and who reads looks there first; a name comes and
 * goes under a lock on the object's file, so none is older than the head. Whoever locks several
 * files does so in the order of their paths. That a name's going lasts is not waited for: one that
 * is back after a crash gives the head that is there.
 * A file beside is 1 to OBJECT_CHANGES_MAX of: "FHH1", u16 length of the path, u32 length of the
 * head (little-endian), the path, the head, 32 bytes of digest over all before. */
#include "common/defs.h"
#include "common/object_impl.h"

#include "common/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SIDE_FIXED = 10, SIDE_NAME = 2 * DIGEST_BYTES + 1,
	SIDE_MAX = SIDE_FIXED + OBJECT_PATH_MAX + OBJECT_HEAD_MAX + DIGEST_BYTES
};

static const uint8_t side_magic[] = { 'F', 'H', 'H', '1' };

struct side {
	uint8_t bytes[SIDE_MAX];
	char path[OBJECT_PATH_MAX + 1];
	const uint8_t *head;         /* in bytes */
	size_t head_len;
};

static void side_name(const char *path, char out[SIDE_NAME])
{
	uint8_t sum[DIGEST_BYTES];
	digest(path, strlen(path), sum);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* --- bytes --- */

static int read_fully(int fd, uint8_t *out, size_t len, uint64_t offset, size_t *ret_len)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(fd, out + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return 0;
}

static int write_fully(int fd, const uint8_t *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static size_t get_le(const uint8_t *in, int len)
{
	size_t number = 0;
	for (int i = len - 1; i >= 0; i--)
		number = number << 8 | in[i];
	return number;
}

/* --- the file beside --- */

/* The length of the record at the front, 0 for none; whose it is. */
static size_t side_split(struct side *side, size_t len)
{
	if (len < SIDE_FIXED + DIGEST_BYTES || memcmp(side->bytes, side_magic, 4) != 0)
		return 0;
	size_t path_len = get_le(side->bytes + 4, 2), head_len = get_le(side->bytes + 6, 4);
	if (path_len > OBJECT_PATH_MAX || head_len > OBJECT_HEAD_MAX ||
	    len < SIDE_FIXED + path_len + head_len + DIGEST_BYTES)
		return 0;
	memcpy(side->path, side->bytes + SIDE_FIXED, path_len);
	side->path[path_len] = 0;
	side->head = side->bytes + SIDE_FIXED + path_len;
	side->head_len = head_len;
	return SIDE_FIXED + path_len + head_len + DIGEST_BYTES;
}

/* 1: the record of this name, whole; 0: there is none; -1 with errno. */
static int side_find(int fd, const char *name, struct side *side)
{
	uint64_t offset = 0;
	for (int i = 0; i < OBJECT_CHANGES_MAX; i++) {
		char whose[SIDE_NAME];
		uint8_t sum[DIGEST_BYTES];
		size_t got = 0;
		if (read_fully(fd, side->bytes, sizeof side->bytes, offset, &got) < 0)
			return -1;
		size_t len = side_split(side, got);
		if (len == 0)
			return 0;
		offset += len;
		side_name(side->path, whose);
		if (strcmp(whose, name) != 0)
			continue;
		digest(side->bytes, len - DIGEST_BYTES, sum);
		return bytes_equal(sum, side->bytes + len - DIGEST_BYTES, DIGEST_BYTES);
	}
	return 0;
}

/* 1: there; 0: there is none, or none that was ever whole. */
static int side_read(struct object_store *store, const char *name, struct side *side,
		     struct err *err)
{
	int fd = openat(store->heads, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look for a new head");
	int found = side_find(fd, name, side);
	int why = errno;
	close(fd);
	return found < 0 ? err_errno(err, why, "cannot read a new head") : found;
}

static size_t side_fill(const struct object_change *change, uint8_t out[SIDE_MAX])
{
	size_t path_len = strlen(change->path), at = SIDE_FIXED + path_len + change->len;
	memcpy(out, side_magic, 4);
	for (int i = 0; i < 2; i++)
		out[4 + i] = (uint8_t)(path_len >> (8 * i));
	for (int i = 0; i < 4; i++)
		out[6 + i] = (uint8_t)(change->len >> (8 * i));
	memcpy(out + SIDE_FIXED, change->path, path_len);
	memcpy(out + SIDE_FIXED + path_len, change->head, change->len);
	digest(out, at, out + at);
	return at + DIGEST_BYTES;
}

static void tell(struct object_store *store, enum object_step step)
{
	if (store->step)
		store->step(store->context, step);
}

/* An object that is changed: its file, open and locked. */
struct hold {
	struct object_change *change;
	int fd;
	char name[SIDE_NAME];
};

/* 0, or -1 with errno. */
static int side_write(int fd, const struct hold *holds, size_t count)
{
	uint64_t offset = 0;
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[SIDE_MAX];
		size_t len = side_fill(holds[i].change, bytes);
		if (write_fully(fd, bytes, len, offset) < 0)
			return -1;
		offset += len;
	}
	return fdatasync(fd);
}

/* A name that is there already is of a file that never was whole. */
static int side_link(struct object_store *store, const char *temp, const char *name)
{
	if (unlinkat(store->heads, name, 0) < 0 && errno != ENOENT)
		return -1;
	if (linkat(store->temp, temp, store->heads, name, 0) == 0)
		return 0;
	if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		store->linkless = true;
	return -1;
}

/* The last name is the file's first one moved, so that one object alone needs no links. */
static int side_publish(struct object_store *store, const char *temp, const struct hold *holds,
			size_t count)
{
	for (size_t i = 0; i + 1 < count; i++) {
		if (side_link(store, temp, holds[i].name) < 0)
			return -1;
		tell(store, OBJECT_SIDE_NAMED);
	}
	if (renameat(store->temp, temp, store->heads, holds[count - 1].name) < 0)
		return -1;
	return fsync(store->heads);
}

static int side_make_one(struct object_store *store, const struct hold *holds, size_t count,
			 struct err *err)
{
	char temp[OBJECT_TEMP_NAME];
	object_temp_name(temp);
	int fd = openat(store->temp, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot begin new heads of objects");
	int rc = side_write(fd, holds, count), why = errno;
	close(fd);
	if (rc == 0) {
		rc = side_publish(store, temp, holds, count);
		why = errno;
		for (size_t i = 0; rc < 0 && i < count; i++)
			unlinkat(store->heads, holds[i].name, 0);
	}
	if (rc == 0)
		return 0;
	unlinkat(store->temp, temp, 0);
	return err_errno(err, why, "cannot keep new heads of objects, the first is %s",
			 holds[0].change->path);
}

/* Where a file system has no links, a file for each. */
static int side_make(struct object_store *store, const struct hold *holds, size_t count,
		     struct err *err)
{
	int rc = store->linkless ? E_IO : side_make_one(store, holds, count, err);
	if (rc == 0 || !store->linkless)
		return rc;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = side_make_one(store, &holds[i], 1, err);
	return rc;
}

/* --- into the object; its file is locked --- */

static int apply(struct object_store *store, int fd, const char *name, const uint8_t *head,
		 size_t len, struct err *err)
{
	struct stat before;
	size_t first = store->step ? len / 2 : len;
	if (fstat(fd, &before) < 0)
		return err_errno(err, errno, "cannot inspect an object");
	int rc = write_fully(fd, head, first, 0);
	if (rc == 0 && first < len) {
		tell(store, OBJECT_HEAD_TORN);
		rc = write_fully(fd, head + first, len - first, first);
	}
	/* When its bytes were complete stays what it was: sweeps go by that. */
	const struct timespec times[] = { before.st_atim, before.st_mtim };
	if (rc < 0 || futimens(fd, times) < 0 || fdatasync(fd) < 0)
		return err_errno(err, errno, "cannot write the new head of an object");
	tell(store, OBJECT_HEAD_MADE);
	if (unlinkat(store->heads, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, errno, "cannot remove what stood in for a head");
	return 0;
}

static int lock(int fd, struct err *err)
{
	int rc;
	while ((rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	return rc < 0 ? err_errno(err, errno, "cannot lock an object") : 0;
}

/* What was interrupted before goes on first. */
static int finish_one(struct object_store *store, int fd, const char *name, struct side *side,
		      struct err *err)
{
	TRY(lock(fd, err));
	int found = side_read(store, name, side, err);
	return found > 0 ? apply(store, fd, name, side->head, side->head_len, err) : found;
}

/* 0: it begins with what it should, and is locked as hold->fd. */
static int hold_take(struct object_store *store, struct object_change *change, struct hold *hold,
		     struct err *err)
{
	struct side side;
	uint8_t now[OBJECT_HEAD_MAX];
	uint64_t total = 0;
	size_t got = 0;
	TRY(object_file(store, change->path, O_RDWR, &hold->fd, &total, err));
	hold->change = change;
	side_name(change->path, hold->name);
	int rc = finish_one(store, hold->fd, hold->name, &side, err);
	if (rc == 0 && read_fully(hold->fd, now, change->len, 0, &got) < 0)
		rc = err_errno(err, errno, "cannot read the object %s", change->path);
	if (rc == 0 && (got != change->len || memcmp(now, change->was, got) != 0))
		rc = err_set(err, E_PRECONDITION,
			     "the object %s begins otherwise by now; read it again", change->path);
	if (rc < 0)
		close(hold->fd);
	return rc;
}

/* All are attempted, since what is beside is in force already; the first failure is told. */
static int holds_apply(struct object_store *store, struct hold *holds, size_t count,
		       struct err *err)
{
	int first = 0;
	for (size_t i = 0; i < count; i++) {
		struct object_change *change = holds[i].change;
		change->rc = apply(store, holds[i].fd, holds[i].name, change->head, change->len,
				   first < 0 ? NULL : err);
		first = first < 0 ? first : change->rc;
	}
	return first;
}

/* Holds those that begin as they should; ret_held of them also when it fails. */
static int hold_all(struct object_store *store, struct object_change *const *changes, size_t count,
		    struct hold *holds, size_t *ret_held, struct err *err)
{
	*ret_held = 0;
	for (size_t i = 0; i < count; i++) {
		int rc = hold_take(store, changes[i], &holds[*ret_held], err);
		if (rc == 0) {
			(*ret_held)++;
			continue;
		}
		changes[i]->rc = rc;
		if (rc != E_NOT_FOUND && rc != E_PRECONDITION)
			return rc;
	}
	return 0;
}

static int change_all(struct object_store *store, struct object_change *const *changes,
		      size_t count, struct err *err)
{
	struct hold holds[OBJECT_CHANGES_MAX];
	size_t held = 0;
	int rc = hold_all(store, changes, count, holds, &held, err);
	if (rc == 0 && held)
		rc = side_make(store, holds, held, err);
	if (rc == 0 && held) {
		tell(store, OBJECT_SIDE_MADE);
		rc = holds_apply(store, holds, held, err);
	}
	for (size_t i = 0; i < held; i++)
		close(holds[i].fd);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	const struct object_change *const *one = a, *const *other = b;
	return strcmp((*one)->path, (*other)->path);
}

int object_rehead_many(struct object_store *store, struct object_change *changes, size_t count,
		       struct err *err)
{
	struct object_change *sorted[OBJECT_CHANGES_MAX];
	if (count > OBJECT_CHANGES_MAX)
		return err_set(err, E_INVALID, "at most %d objects get new heads together, not %zu",
			       OBJECT_CHANGES_MAX, count);
	for (size_t i = 0; i < count; i++) {
		if (changes[i].len == 0 || changes[i].len > OBJECT_HEAD_MAX)
			return err_set(err, E_INVALID, "a head has 1 to %d bytes, this one %zu",
				       OBJECT_HEAD_MAX, changes[i].len);
		changes[i].rc = E_IO;
		sorted[i] = &changes[i];
	}
	qsort(sorted, count, sizeof sorted[0], by_path);
	for (size_t i = 1; i < count; i++)
		if (by_path(&sorted[i - 1], &sorted[i]) == 0)
			return err_set(err, E_INVALID, "the object %s is to get two heads at once",
				       sorted[i]->path);
	return change_all(store, sorted, count, err);
}

int object_rehead(struct object_store *store, const char *path, const void *was, const void *head,
		  size_t len, struct err *err)
{
	struct object_change change = { .path = path, .was = was, .head = head, .len = len };
	TRY(object_rehead_many(store, &change, 1, err));
	return change.rc;
}

int object_head(struct object_store *store, const char *path, int fd, void *out, size_t cap,
		size_t *ret_len, struct err *err)
{
	char name[SIDE_NAME];
	struct side side;
	size_t len = 0;
	side_name(path, name);
	int beside = side_read(store, name, &side, err);
	TRY(beside);
	if (read_fully(fd, out, cap, 0, &len) < 0)
		return err_errno(err, errno, "cannot read the object %s", path);
	if (beside) {
		size_t take = side.head_len < len ? side.head_len : len;
		memcpy(out, side.head, take);
	}
	*ret_len = len;
	return 0;
}

void object_on_step(struct object_store *store, object_step_fn *step, void *context)
{
	store->step = step;
	store->context = context;
}

/* --- after a crash --- */

static int finish(struct object_store *store, const char *name, struct err *err)
{
	struct side side;
	uint64_t total = 0;
	int fd = -1, found = side_read(store, name, &side, err);
	if (found <= 0)
		return found;
	int rc = object_file(store, side.path, O_RDWR, &fd, &total, err);
	if (rc == E_NOT_FOUND) {             /* swept meanwhile */
		unlinkat(store->heads, name, 0);
		return 0;
	}
	TRY(rc);
	rc = finish_one(store, fd, name, &side, err);
	close(fd);
	return rc;
}

int object_heads_finish(struct object_store *store, struct err *err)
{
	int fd = openat(store->heads, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int why = errno;
		if (fd >= 0)
			close(fd);
		return err_errno(err, why, "cannot look for new heads");
	}
	int rc = 0;
	for (struct dirent *entry; rc >= 0 && (entry = readdir(dir));)
		if (strlen(entry->d_name) == SIDE_NAME - 1)
			rc = finish(store, entry->d_name, err);
	closedir(dir);
	return rc;
}
