/* lens.h - sealed files read as plaintext: for listed descriptors, this process's open, read,
 * pread, lseek, stat, access and close are ours instead of libc's, and open chunks as they are
 * asked for. A path of a granted descriptor is opened without asking the kernel, so that the
 * kernel may refuse every path there is.
 *
 * libduckdb calls these through the dynamic linker, so whoever links worker/lens.o into an
 * executable (with --export-dynamic) has them. Every other descriptor goes to the kernel
 * unchanged. Plaintext exists in the reader's memory only. Reading is from many threads at once
 * and takes no lock. */
#ifndef LENS_H
#define LENS_H

#include "common/seal.h"

enum { LENS_FDS_MAX = 8192 }; /* descriptors are below this */

/* From now on fd and every open of /proc/self/fd/<fd> read as what opener opens, and cannot be
 * written. Takes opener. fd stays the caller's. */
MUST_USE int lens_take(int fd, struct opener *opener, struct err *err);

/* Every open of /proc/self/fd/<fd> is of fd from now on: a file is read from its beginning and not
 * written, a pipe is what it is. After lens_take nothing changes for fd. fd stays the caller's. */
MUST_USE int lens_grant(int fd, struct err *err);
/* From now on open, stat and access know no other path. For good. */
MUST_USE int lens_shut(struct err *err);

uint64_t lens_bytes(void); /* sealed bytes opened so far */
/* The first chunk that did not verify or could not be read; 0 when there was none. */
int lens_failure(struct err *err);

#endif
