/* lens.h - sealed files read as plaintext: for listed descriptors, this process's open, read,
 * pread, lseek, fstat and close are ours instead of libc's, and open chunks as they are asked for.
 *
 * libduckdb calls these through the dynamic linker, so whoever links worker/lens.o into an
 * executable (with --export-dynamic) has them. Every other descriptor goes to the kernel unchanged.
 * Plaintext exists in the reader's memory only. Reading is from many threads at once and takes no
 * lock. */
#ifndef LENS_H
#define LENS_H

#include "common/seal.h"

enum { LENS_FDS_MAX = 8192 }; /* descriptors are below this */

/* From now on fd and every open of /proc/self/fd/<fd> read as what opener opens, and cannot be
 * written. Takes opener. fd stays the caller's. */
MUST_USE int lens_take(int fd, struct opener *opener, struct err *err);

uint64_t lens_bytes(void); /* sealed bytes opened so far */
/* The first chunk that did not verify or could not be read; 0 when there was none. */
int lens_failure(struct err *err);

#endif
