/* object_dir.c - objects as files beneath one folder.
 * Invariants: a path is checked before any use and walked without following links, so nothing
 * outside root is touched; a file has its name only when its bytes and its folders are durable.
 * Unfinished files lie in root/.tmp, which no object path can name. */
#include "common/defs.h"
#include "common/object_impl.h"
#include "common/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_LEN_MAX = OBJECT_PATH_MAX, SEGMENT_LEN_MAX = 255,
	ORPHAN_AGE_S = 3600,      /* a younger file may belong to a writer that is still at work */
	COMMIT_TRIES = 100,         /* a deletion may remove the folder that was just made */
	TEMP_NAME = OBJECT_TEMP_NAME
};

static const char temp_folder[] = ".tmp", heads_folder[] = ".head";

struct object_writer {
	struct object_store *store;
	int fd;
	int failed;               /* the first failure; commit refuses after it */
	bool linked;              /* the temporary name is gone */
	char temp[TEMP_NAME];
	char path[PATH_LEN_MAX + 1];
};

/* Paths. */

static bool segment_ok(const char *at, size_t len)
{
	if (len == 0 || len > SEGMENT_LEN_MAX || at[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-",
			    at[i]))
			return false;
	return true;
}

/* partial: a prefix, whose last segment may be missing. */
static int check_path(const char *path, bool partial, struct err *err)
{
	size_t len = strlen(path);
	if (len > PATH_LEN_MAX)
		return err_set(err, E_INVALID, "an object path has at most %d bytes, this one %zu",
			       PATH_LEN_MAX, len);
	for (const char *at = path;;) {
		size_t part = strcspn(at, "/");
		bool last = at[part] == 0;
		if (!segment_ok(at, part) && !(partial && last && part == 0))
			return err_set(err, E_INVALID, "an object path is segments of 1 to %d of "
				       "[a-zA-Z0-9._=-], none beginning with a dot, joined by '/'",
				       SEGMENT_LEN_MAX);
		if (last)
			return 0;
		at += part + 1;
	}
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The folder that holds path, as a descriptor of its own; ret_name points at the last segment.
 * Returns -1 with errno. make: creates what is missing. */
static int parent_open(int root, const char *path, bool make, const char **ret_name)
{
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *at = path;
	for (const char *slash; dir >= 0 && (slash = strchr(at, '/')); at = slash + 1) {
		char name[SEGMENT_LEN_MAX + 1];
		snprintf(name, sizeof name, "%.*s", (int)(slash - at), at);
		int next = -1;
		if (!make || mkdirat(dir, name, 0700) == 0 || errno == EEXIST)
			next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* Also where it was there: who made it may not have come to this line yet. */
		if (next >= 0 && make && fsync(dir) < 0) {
			close(next);
			next = -1;
		}
		int why = errno;
		close(dir);
		errno = why;
		dir = next;
	}
	*ret_name = at;
	return dir;
}

static bool is_missing(int errno_value)
{
	return errno_value == ENOENT || errno_value == ENOTDIR || errno_value == ELOOP;
}

static int not_found(const char *path, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "there is no object %s", path);
}

/* The store. */

/* What a crash left behind. Failures are passed over: an orphan costs space, not correctness. */
static void sweep_orphans(int temp)
{
	int fd = openat(temp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		close_fd(fd);
		return;
	}
	time_t oldest = time(NULL) - ORPHAN_AGE_S;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat st;
		if (fstatat(temp, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < oldest)
			unlinkat(temp, entry->d_name, 0);
	}
	closedir(dir);
}

/* Made when missing, durably. 0, or -1 with errno. */
static int folder_open(int at, const char *path, int *ret_fd)
{
	bool made = mkdirat(at, path, 0700) == 0;
	if (!made && errno != EEXIST)
		return -1;
	*ret_fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0 || !made)
		return *ret_fd < 0 ? -1 : 0;
	int above = openat(*ret_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = above < 0 ? -1 : fsync(above);
	int why = errno;
	close_fd(above);
	errno = why;
	return rc;
}

int object_store_dir(const char *root, struct object_store **ret_store, struct err *err)
{
	AUTO(object_store) *store = malloc(sizeof *store);
	if (!store)
		return err_set(err, E_NOMEM, "no memory for an object store");
	*store = (struct object_store){ .root = -1, .temp = -1, .heads = -1 };
	if (folder_open(AT_FDCWD, root, &store->root) < 0)
		return err_errno(err, errno, "cannot open the object folder %s", root);
	if (folder_open(store->root, temp_folder, &store->temp) < 0)
		return err_errno(err, errno, "cannot open the folder %s in the object folder %s",
				 temp_folder, root);
	if (folder_open(store->root, heads_folder, &store->heads) < 0)
		return err_errno(err, errno, "cannot open the folder %s in the object folder %s",
				 heads_folder, root);
	sweep_orphans(store->temp);
	TRY(object_heads_finish(store, err));
	*ret_store = MOVE(store);
	return 0;
}

void object_store_free(struct object_store *store)
{
	if (!store)
		return;
	close_fd(store->heads);
	close_fd(store->temp);
	close_fd(store->root);
	free(store);
}

/* Writing. */

void object_temp_name(char out[TEMP_NAME])
{
	uint64_t noise[2];
	random_bytes(noise, sizeof noise);
	snprintf(out, TEMP_NAME, "%016" PRIx64 "%016" PRIx64, noise[0], noise[1]);
}

int object_writer_new(struct object_store *store, const char *path,
		      struct object_writer **ret_writer, struct err *err)
{
	TRY(check_path(path, false, err));
	struct object_writer *writer = malloc(sizeof *writer);
	if (!writer)
		return err_set(err, E_NOMEM, "no memory for writing an object");
	*writer = (struct object_writer){ .store = store };
	snprintf(writer->path, sizeof writer->path, "%s", path);
	object_temp_name(writer->temp);
	writer->fd =
		openat(store->temp, writer->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0) {
		int why = errno;
		free(writer);
		return err_errno(err, why, "cannot begin an object");
	}
	*ret_writer = writer;
	return 0;
}

int object_write(struct object_writer *writer, const void *data, size_t len, struct err *err)
{
	const uint8_t *at = data;
	while (len) {
		ssize_t n = write(writer->fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			writer->failed =
				err_errno(err, errno, "cannot write the object %s", writer->path);
			return writer->failed;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* 0, or -1 with errno. Where a file system has no RENAME_NOREPLACE, a link does the same. */
static int give_name(struct object_writer *writer, int parent, const char *name)
{
	int temp = writer->store->temp;
	if (renameat2(temp, writer->temp, parent, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(temp, writer->temp, parent, name, 0) < 0)
		return -1;
	unlinkat(temp, writer->temp, 0);
	return 0;
}

static int commit_once(struct object_writer *writer)
{
	const char *name = NULL;
	int parent = parent_open(writer->store->root, writer->path, true, &name);
	if (parent < 0)
		return -1;
	int rc = give_name(writer, parent, name);
	if (rc == 0) {
		writer->linked = true;
		rc = fsync(parent);
	}
	int why = errno;
	if (rc < 0 && writer->linked)
		unlinkat(parent, name, 0);   /* what may not last must not be seen */
	close(parent);
	errno = why;
	return rc;
}

int object_commit(struct object_writer *writer, struct err *err)
{
	REQUIRE(!writer->linked);
	if (writer->failed < 0)
		return err_set(err, writer->failed,
			       "writing the object %s failed before; write it anew", writer->path);
	if (fsync(writer->fd) < 0) {
		writer->failed =
			err_errno(err, errno, "cannot make the object %s durable", writer->path);
		return writer->failed;
	}
	int rc = -1;
	for (int i = 0; i < COMMIT_TRIES && rc < 0 && !writer->linked; i++) {
		rc = commit_once(writer);
		if (rc < 0 && errno != ENOENT)
			break;
	}
	if (rc == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTDIR || errno == EISDIR)
		return err_set(err, E_CONFLICT, "an object is already at %s or at a part of it",
			       writer->path);
	return err_errno(err, errno, "cannot commit the object %s", writer->path);
}

void object_writer_free(struct object_writer *writer)
{
	if (!writer)
		return;
	if (!writer->linked)
		unlinkat(writer->store->temp, writer->temp, 0);
	close(writer->fd);
	free(writer);
}

/* Reading and deleting. */

int object_file(struct object_store *store, const char *path, int flags, int *ret_fd,
		uint64_t *ret_len, struct err *err)
{
	TRY(check_path(path, false, err));
	const char *name = NULL;
	int parent = parent_open(store->root, path, false, &name);
	int fd = parent < 0 ? -1
			    : openat(parent, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int why = errno;
	close_fd(parent);
	if (fd < 0)
		return is_missing(why) ? not_found(path, err)
				       : err_errno(err, why, "cannot open the object %s", path);
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return not_found(path, err);
	}
	*ret_fd = fd;
	*ret_len = (uint64_t)st.st_size;
	return 0;
}

int object_open(struct object_store *store, const char *path, int *ret_fd, uint64_t *ret_len,
		struct err *err)
{
	return object_file(store, path, O_RDONLY, ret_fd, ret_len, err);
}

/* Removes the folders above path that are empty now. A writer that is about to use one retries. */
static void prune(int root, const char *path)
{
	char above[PATH_LEN_MAX + 1];
	snprintf(above, sizeof above, "%s", path);
	for (char *slash; (slash = strrchr(above, '/'));) {
		*slash = 0;
		const char *name = NULL;
		int parent = parent_open(root, above, false, &name);
		if (parent < 0)
			return;
		int rc = unlinkat(parent, name, AT_REMOVEDIR);
		close(parent);
		if (rc < 0)
			return;
	}
}

int object_delete(struct object_store *store, const char *path, struct err *err)
{
	TRY(check_path(path, false, err));
	const char *name = NULL;
	int parent = parent_open(store->root, path, false, &name);
	int rc = parent < 0 ? -1 : unlinkat(parent, name, 0);
	if (rc == 0)
		rc = fsync(parent);
	int why = errno;
	close_fd(parent);
	if (rc < 0)
		return is_missing(why) || why == EISDIR
			       ? not_found(path, err)
			       : err_errno(err, why, "cannot delete the object %s", path);
	prune(store->root, path);
	return 0;
}

/* Listing. */

struct listing {
	const char *prefix;
	object_visit_fn *visit;
	void *context;
	struct err *err;
	char path[PATH_LEN_MAX + 2];   /* of the entry at hand */
};

static int list_folder(struct listing *listing, int fd, size_t path_len);

/* One entry, whose path is complete; it may be gone meanwhile. */
static int list_entry(struct listing *listing, int dir, const char *name, size_t path_len)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	size_t prefix_len = strlen(listing->prefix);
	const struct object_info info = {
		.path = listing->path, .len = (uint64_t)st.st_size,
		.at_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
	};
	if (S_ISREG(st.st_mode))
		return strncmp(listing->path, listing->prefix, prefix_len) != 0
			       ? 0
			       : listing->visit(listing->context, &info, listing->err);
	if (!S_ISDIR(st.st_mode) || path_len >= PATH_LEN_MAX)
		return 0;
	listing->path[path_len] = '/';
	listing->path[path_len + 1] = 0;
	size_t common = path_len + 1 < prefix_len ? path_len + 1 : prefix_len;
	if (strncmp(listing->path, listing->prefix, common) != 0)
		return 0;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return is_missing(errno)
			       ? 0
			       : err_errno(listing->err, errno, "cannot list the objects");
	return list_folder(listing, fd, path_len + 1);
}

/* Takes fd. path_len: of the folder's path with its '/', 0 for root. */
static int list_folder(struct listing *listing, int fd, size_t path_len)
{
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int why = errno;
		close(fd);
		return err_errno(listing->err, why, "cannot list the objects");
	}
	int rc = 0;
	while (rc >= 0) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry && errno)
			rc = err_errno(listing->err, errno, "cannot list the objects");
		if (!entry)
			break;
		size_t len = strlen(entry->d_name);
		if (!segment_ok(entry->d_name, len) || path_len + len > PATH_LEN_MAX)
			continue;
		memcpy(listing->path + path_len, entry->d_name, len + 1);
		rc = list_entry(listing, dirfd(dir), entry->d_name, path_len + len);
	}
	closedir(dir);
	return rc;
}

int object_list(struct object_store *store, const char *prefix, object_visit_fn *visit,
		void *context, struct err *err)
{
	TRY(check_path(prefix, true, err));
	struct listing listing = {.prefix = prefix, .visit = visit, .context = context, .err = err};
	const char *last = NULL;
	int fd = parent_open(store->root, prefix, false, &last);
	if (fd < 0)
		return is_missing(errno) ? 0 : err_errno(err, errno, "cannot list the objects");
	size_t folder_len = (size_t)(last - prefix);
	memcpy(listing.path, prefix, folder_len);
	return list_folder(&listing, fd, folder_len);
}
