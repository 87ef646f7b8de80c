/* seal_header.h - what stands before the body of a sealed object; used by seal.c and opener.c only.
 * The layout is described in seal.h. */
#ifndef SEAL_HEADER_H
#define SEAL_HEADER_H

#include "common/arena.h"
#include "common/chunked.h"
#include "common/seal.h"

enum {
	SEAL_WRAPPED = KEY_BYTES + LOCKBOX_OVERHEAD,
	SEAL_PARSE_BYTES = 8192,      /* of arena, for reading one header */
	SEAL_CONTEXT_MAX = 1024
};

struct seal_header {
	enum aead_kind kind;
	const char *tenant;           /* borrowed: of the label, or in the arena it was read with */
	const char *dataset;
	uint32_t version;
	uint8_t wrapped[SEAL_WRAPPED];
	size_t len;                   /* of the header: where the body starts */
};

MUST_USE int seal_label_check(const struct seal_label *label, struct err *err);
/* What binds the body: tenant, dataset and path. */
MUST_USE int seal_context(const struct seal_label *label, struct buf *out, struct err *err);

/* The data key into header->wrapped, and out of it; bound to suite, tenant, dataset and version. */
MUST_USE int seal_header_wrap(struct seal_header *header, const uint8_t dataset_key[KEY_BYTES],
			      const struct secret *data_key, struct err *err);
MUST_USE int seal_header_unwrap(const struct seal_header *header,
				const uint8_t dataset_key[KEY_BYTES], struct secret **ret_key,
				struct err *err);

MUST_USE int seal_header_write(const struct seal_header *header, struct buf *out, struct err *err);
/* Only suite and length; enough to find the body. */
MUST_USE int seal_header_begin(const uint8_t *head, size_t len, struct seal_header *ret_header,
			       struct err *err);
MUST_USE int seal_header_read(struct arena *arena, const uint8_t *head, size_t len,
			      struct seal_header *ret_header, struct err *err);
/* Is it the object that label names? */
MUST_USE int seal_header_expect(const struct seal_header *header, const struct seal_label *label,
				struct err *err);

#endif
