/* packing.h - is a compressed file whole? The engine's readers take one that ends early for a
 * shorter file: rows would be missing and nobody told.
 *
 * gzip (RFC 1952) is unpacked once more for it, its checksums included; of zstd (RFC 8878) the
 * frames and blocks are walked, which shows a missing end, while the engine checks what is in them.
 */
#ifndef PACKING_H
#define PACKING_H

#include "common/err.h"

/* compression: "none" (always whole), "gzip" or "zstd"; bytes: the file's length. Reads by offset.
 * E_INPUT names the path as the user wrote it: the file ends early, is damaged or packed otherwise.
 */
MUST_USE int packing_check(int fd, int64_t bytes, const char *compression, const char *path,
                           struct err *err);

#endif
