/* object_impl.h - the inside of the directory backing; used by object_dir.c and object_head.c
 * only. */
#ifndef OBJECT_IMPL_H
#define OBJECT_IMPL_H

#include "common/object.h"

enum { OBJECT_TEMP_NAME = 40 };

struct object_store {
	int root;
	int temp;                    /* root/.tmp: unfinished files */
	int heads;                   /* root/.head: heads on their way into objects */
	_Atomic bool linkless;       /* the file system has no hard links */
	object_step_fn *step;        /* tests only */
	void *context;
};

/* Opens the object's own file. E_NOT_FOUND: there is none. */
MUST_USE int object_file(struct object_store *store, const char *path, int flags, int *ret_fd,
			 uint64_t *ret_len, struct err *err);
void object_temp_name(char out[OBJECT_TEMP_NAME]);
/* Finishes what a crash interrupted. */
MUST_USE int object_heads_finish(struct object_store *store, struct err *err);

#endif
