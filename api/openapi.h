/* openapi.h - the OpenAPI 3.1 document, from routes.def, serving.def, operations.def, kinds.def and
 * tasks.def. */
#ifndef OPENAPI_H
#define OPENAPI_H

#include "common/buf.h"
#include "common/value.h"

/* The document as compact JSON; out is marked as failed without memory. */
void openapi_print(struct buf *out);
/* The same, a member a line. */
void openapi_print_pretty(struct buf *out);

/* components/schemas of the document; NULL without memory. */
struct value *openapi_schemas(struct arena *arena);

/* The same tables as Markdown: docs/reference/api.md, kinds.md, tasks.md, errors.md (generated,
 * checked). */
void reference_routes(struct buf *out);
void reference_kinds(struct buf *out);
void reference_tasks(struct buf *out);
void reference_errors(struct buf *out);

#endif
