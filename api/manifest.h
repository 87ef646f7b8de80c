/* manifest.h - {apiVersion: freehold.io/v1, kind, metadata, spec}, as Kubernetes users know it.
 * metadata: name (required), tenant, domain (where the scope asks), labels, annotations (text
 * maps). What the server adds: metadata.uid, metadata.createdAt, metadata.updatedAt, metadata.etag,
 * status. */
#ifndef MANIFEST_H
#define MANIFEST_H

#include "api/kinds.h"

#define API_VERSION "freehold.io/v1"

extern const struct field manifest_metadata_fields[];

struct manifest {
	enum kind kind;
	const char *name;
	const char *tenant;          /* NULL: not said */
	const char *domain;          /* NULL: not said, or not of this scope */
	const struct value *labels;  /* NULL: none */
	const struct value *annotations;
	const struct value *spec;    /* checked against the kind's fields */
	const struct value *document;
};

/* Checks the whole document; borrows from it. E_INVALID with the field's path. Members the server
 * adds are accepted and ignored, so that what was read can be applied again. */
MUST_USE int manifest_check(const struct value *document, struct manifest *ret_manifest,
                            struct err *err);
/* The resource path: "/v1/tenants/acme/domains/flights/datasets/flights". */
MUST_USE int manifest_path(const struct manifest *manifest, struct buf *out, struct err *err);

/* What would change: a list of {path, old, new}; compares labels, annotations and spec. Empty list:
 * the same. before NULL: everything is new. */
MUST_USE int manifest_diff(struct arena *arena, const struct value *before,
                           const struct value *after, struct value **ret_list, struct err *err);

#endif
