/* object.h - where bulk bytes lie: immutable objects by path. Backing: a directory (object_dir.c).
 * A path is segments of [a-zA-Z0-9._=-] joined by '/', none beginning with a dot, at most 400
 * bytes. */
#ifndef OBJECT_H
#define OBJECT_H

#include "common/buf.h"

struct object_store;

enum { OBJECT_PATH_MAX = 400 };

MUST_USE int object_store_dir(const char *root, struct object_store **ret_store, struct err *err);
void object_store_free(struct object_store *store);
DEFINE_AUTO(object_store)

/* Writing: nothing is visible under the path before commit, which is atomic and durable (fsync of
 * file and folder). A writer freed without commit leaves nothing. E_CONFLICT: the path exists. */
struct object_writer;
MUST_USE int object_writer_new(struct object_store *store, const char *path,
			       struct object_writer **ret_writer, struct err *err);
MUST_USE int object_write(struct object_writer *writer, const void *data, size_t len,
			  struct err *err);
MUST_USE int object_commit(struct object_writer *writer, struct err *err);
void object_writer_free(struct object_writer *writer);
DEFINE_AUTO(object_writer)

/* Reading: a file descriptor the caller closes, for pread; the directory backing opens the file
 * itself. */
MUST_USE int object_open(struct object_store *store, const char *path, int *ret_fd,
			 uint64_t *ret_len, struct err *err);
MUST_USE int object_delete(struct object_store *store, const char *path, struct err *err);

/* A new head for the same body: the first len bytes become `head` if they are `was` now (of the
 * same length), durably. Whatever is interrupted, and whoever reads meanwhile: object_head gives
 * one or the other, whole. E_PRECONDITION: the object begins otherwise. Time and length stay. */
enum { OBJECT_HEAD_MAX = 4096 };
MUST_USE int object_rehead(struct object_store *store, const char *path, const void *was,
			   const void *head, size_t len, struct err *err);
/* The same for several objects, of different paths, for little more than a durable write of each.
 * An rc is 0, E_PRECONDITION or E_NOT_FOUND when it returns 0; a failure of the store is returned,
 * and an rc tells which have theirs nevertheless. */
enum { OBJECT_CHANGES_MAX = 64 };
struct object_change {
	const char *path;
	const void *was, *head;
	size_t len;
	int rc;                      /* is set; below 0: not changed, or not to the end */
};
MUST_USE int object_rehead_many(struct object_store *store, struct object_change *changes,
				size_t count, struct err *err);
/* The first bytes of an object that is open as fd, up to cap. Only what is below OBJECT_HEAD_MAX
 * may differ from what pread gives. When the bytes do not verify, ask once more: a head may have
 * been replaced between. */
MUST_USE int object_head(struct object_store *store, const char *path, int fd, void *out,
			 size_t cap, size_t *ret_len, struct err *err);
/* For tests: called between the steps of these. */
enum object_step { OBJECT_SIDE_NAMED, OBJECT_SIDE_MADE, OBJECT_HEAD_TORN, OBJECT_HEAD_MADE };
typedef void object_step_fn(void *context, enum object_step step);
void object_on_step(struct object_store *store, object_step_fn *step, void *context);

/* Every object whose path begins with prefix ("" for all), in no order. A visit that fails ends it;
 * it may delete what it was shown. */
struct object_info {
	const char *path;
	uint64_t len;
	int64_t at_ms;               /* unix: when its bytes were complete, by the store's clock */
};
typedef int object_visit_fn(void *context, const struct object_info *info, struct err *err);
MUST_USE int object_list(struct object_store *store, const char *prefix, object_visit_fn *visit,
			 void *context, struct err *err);

#endif
