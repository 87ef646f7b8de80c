/* problem.h - failures as RFC 9457 problem documents. */
#ifndef PROBLEM_H
#define PROBLEM_H

#include "common/buf.h"

#define PROBLEM_TYPE "application/problem+json"

/* {"type":"about:blank#QUOTA","title":...,"status":429,"detail":err->text,"code":"QUOTA",
 *  "instance":request_id}. Appends to out; returns the status. */
int problem_print(const struct err *err, const char *request_id, struct buf *out);
/* The reverse, for clients: err gets code and text; E_INTERNAL when it is no problem document. */
void problem_read(const char *text, size_t len, int status, struct err *err);

#endif
