/* outlet.h - a pipe whose bytes are sealed into one object: what an executor writes leaves through
 * it. Nothing is in the store before outlet_commit, and nothing at all when no byte came. */
#ifndef OUTLET_H
#define OUTLET_H

#include "common/object.h"
#include "common/seal.h"

struct outlet {
	struct object_store *objects;
	struct seal_label label; /* label.path is the object's; borrowed */
	const uint8_t *key;      /* KEY_BYTES of the dataset; borrowed */
	int read_fd;             /* -1: not open */
	struct object_writer *writer;
	struct sealer *sealer;
	int64_t plain_bytes, sealed_bytes;
};

void outlet_init(struct outlet *outlet);
/* Makes the pipe; ret_write_fd is the caller's. */
MUST_USE int outlet_open(struct outlet *outlet, struct object_store *objects,
                         const struct seal_label *label, const uint8_t *key, int *ret_write_fd,
                         struct err *err);
/* A pool_sink_fn. */
int outlet_sink(void *outlet, const void *data, size_t len, struct err *err);
/* 1: the object is durable; 0: no byte came, there is none. */
MUST_USE int outlet_commit(struct outlet *outlet, struct err *err);
void outlet_release(struct outlet *outlet);

#endif
