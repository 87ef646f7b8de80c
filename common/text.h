/* text.h - names, identifiers and text encodings. */
#ifndef TEXT_H
#define TEXT_H

#include "common/buf.h"

enum { NAME_MAX_LEN = 63, ID_LEN = 26 };

/* A name: 1 to 63 of a-z 0-9 - _, first a letter, last no hyphen. The error names `field`. */
MUST_USE int name_check(const char *field, const char *name, struct err *err);
/* The candidate nearest to word (Damerau-Levenshtein, at most a third of its length), or NULL. */
const char *name_nearest(const char *word, const char *const *candidates, size_t count);

/* A ULID (github.com/ulid/spec), lower case: 48 bits of unix_ms, then 80 random bits, Crockford
 * base32; sorts by time. Out holds ID_LEN + 1. */
void id_make(int64_t unix_ms, const uint8_t random[10], char out[ID_LEN + 1]);
bool id_valid(const char *text);

/* RFC 4648. Decoders are strict (canonical padding, no white space) and bounded by out's max. */
void base64_print(const void *data, size_t len, struct buf *out);
void base64url_print(const void *data, size_t len, struct buf *out);    /* no padding */
MUST_USE int base64_parse(const char *text, size_t len, struct buf *out, struct err *err);
MUST_USE int base64url_parse(const char *text, size_t len, struct buf *out, struct err *err);
void hex_print(const void *data, size_t len, char *out);                /* 2 * len + 1 bytes */
bool utf8_valid(const char *text, size_t len);

#endif
