/* openapi.h - the OpenAPI 3.1 document, from routes.def, kinds.def and tasks.def. */
#ifndef OPENAPI_H
#define OPENAPI_H

#include "common/buf.h"

void openapi_print(struct buf *out);
/* The same tables as Markdown: docs/reference/api.md, kinds.md, tasks.md (generated, checked). */
void reference_routes(struct buf *out);
void reference_kinds(struct buf *out);
void reference_tasks(struct buf *out);

#endif
