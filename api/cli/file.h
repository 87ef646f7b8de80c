/* file.h - the bytes that a verb is given, whole: of a file, or of a URL. */
#ifndef FILE_H
#define FILE_H

#include "api/cli/cli.h"

/* "-": standard input. E_TOO_LARGE: over `most` bytes. Makes out, which the caller releases. */
MUST_USE int file_read(const char *path, size_t most, struct buf *out, struct err *err);
/* Appends what it answers with; a problem document becomes the error. The credential goes to the
 * profile's own server only. */
MUST_USE int url_read(struct cli *cli, const char *url, size_t most, struct buf *out,
                      struct err *err);

#endif
