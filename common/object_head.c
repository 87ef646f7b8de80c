/* object_head.c - a new head for an object's old body, in the directory backing.
 * The new head is made durable first in a file of its own beside (root/.head/NAME, NAME a digest of
 * the path), then written into the object, then the file beside goes. Invariants: while the
 * object's own head may be torn, the file beside is there and whole, and who reads looks there
 * first; both happen under a lock on the object's file, so no file beside is older than the head.
 * A file beside: "FHH1", u16 length of the path, u32 length of the head (little-endian), the path,
 * the head, 32 bytes of digest over all before. */
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

static bool side_parse(struct side *side, size_t len)
{
	uint8_t sum[DIGEST_BYTES];
	if (len < SIDE_FIXED + DIGEST_BYTES || memcmp(side->bytes, side_magic, 4) != 0)
		return false;
	size_t path_len = get_le(side->bytes + 4, 2), head_len = get_le(side->bytes + 6, 4);
	if (path_len > OBJECT_PATH_MAX || head_len > OBJECT_HEAD_MAX ||
	    len != SIDE_FIXED + path_len + head_len + DIGEST_BYTES)
		return false;
	digest(side->bytes, len - DIGEST_BYTES, sum);
	if (!bytes_equal(sum, side->bytes + len - DIGEST_BYTES, DIGEST_BYTES))
		return false;
	memcpy(side->path, side->bytes + SIDE_FIXED, path_len);
	side->path[path_len] = 0;
	side->head = side->bytes + SIDE_FIXED + path_len;
	side->head_len = head_len;
	return strlen(side->path) == path_len;
}

/* 1: there; 0: there is none, or none that was ever whole. */
static int side_read(struct object_store *store, const char *name, struct side *side,
		     struct err *err)
{
	size_t len = 0;
	int fd = openat(store->heads, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look for a new head");
	int rc = read_fully(fd, side->bytes, sizeof side->bytes, 0, &len);
	int why = errno;
	close(fd);
	if (rc < 0)
		return err_errno(err, why, "cannot read a new head");
	return side_parse(side, len);
}

static size_t side_fill(const char *path, const void *head, size_t len, uint8_t out[SIDE_MAX])
{
	size_t path_len = strlen(path), at = SIDE_FIXED + path_len + len;
	memcpy(out, side_magic, 4);
	for (int i = 0; i < 2; i++)
		out[4 + i] = (uint8_t)(path_len >> (8 * i));
	for (int i = 0; i < 4; i++)
		out[6 + i] = (uint8_t)(len >> (8 * i));
	memcpy(out + SIDE_FIXED, path, path_len);
	memcpy(out + SIDE_FIXED + path_len, head, len);
	digest(out, at, out + at);
	return at + DIGEST_BYTES;
}

static int side_write(struct object_store *store, const char *name, const char *path,
		      const void *head, size_t len, struct err *err)
{
	uint8_t bytes[SIDE_MAX];
	char temp[OBJECT_TEMP_NAME];
	size_t total = side_fill(path, head, len, bytes);
	object_temp_name(temp);
	int fd = openat(store->temp, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot begin a new head of the object %s", path);
	int rc = write_fully(fd, bytes, total, 0) < 0 || fdatasync(fd) < 0 ? -1 : 0;
	int why = errno;
	close(fd);
	if (rc == 0 && (renameat(store->temp, temp, store->heads, name) < 0 ||
			fsync(store->heads) < 0)) {
		rc = -1;
		why = errno;
	}
	if (rc == 0)
		return 0;
	unlinkat(store->temp, temp, 0);
	return err_errno(err, why, "cannot keep a new head of the object %s", path);
}

/* --- into the object; its file is locked --- */

static void tell(struct object_store *store, enum object_step step)
{
	if (store->step)
		store->step(store->context, step);
}

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

static int rehead(struct object_store *store, int fd, const char *path, const void *was,
		  const void *head, size_t len, struct err *err)
{
	char name[SIDE_NAME];
	struct side side;
	uint8_t now[OBJECT_HEAD_MAX];
	size_t got = 0;
	side_name(path, name);
	TRY(finish_one(store, fd, name, &side, err));
	if (read_fully(fd, now, len, 0, &got) < 0)
		return err_errno(err, errno, "cannot read the object %s", path);
	if (got != len || memcmp(now, was, len) != 0)
		return err_set(err, E_PRECONDITION,
			       "the object %s begins otherwise by now; read it again", path);
	TRY(side_write(store, name, path, head, len, err));
	tell(store, OBJECT_SIDE_MADE);
	return apply(store, fd, name, head, len, err);
}

int object_rehead(struct object_store *store, const char *path, const void *was, const void *head,
		  size_t len, struct err *err)
{
	int fd = -1;
	uint64_t total = 0;
	if (len == 0 || len > OBJECT_HEAD_MAX)
		return err_set(err, E_INVALID, "a head has 1 to %d bytes, this one %zu",
			       OBJECT_HEAD_MAX, len);
	TRY(object_file(store, path, O_RDWR, &fd, &total, err));
	int rc = rehead(store, fd, path, was, head, len, err);
	close(fd);
	return rc;
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
