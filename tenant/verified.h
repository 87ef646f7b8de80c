/* verified.h - credentials whose signature was verified, kept until they expire: a signature costs
 * far more than a keyed hash. Found by the keyed hash of the whole text, so nothing of a credential
 * lies here and none is guessed from memory. Bounded; what is not kept is verified again. Any
 * thread. */
#ifndef VERIFIED_H
#define VERIFIED_H

#include "common/buf.h"
#include "common/crypto.h"

struct verified;
enum { VERIFIED_MOST = 4096, VERIFIED_BYTES_MAX = 8192 };

MUST_USE int verified_new(struct verified **ret_verified, struct err *err);
void verified_free(struct verified *verified);
DEFINE_AUTO(verified)

void verified_name(const struct verified *verified, const char *text, uint8_t out[DIGEST_BYTES]);
/* What was kept of it, appended to out. False: nothing is, it has expired, or it was verified by
 * other keys than those that stamp stands for. */
bool verified_get(struct verified *verified, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                  int64_t now_ms, struct buf *out);
/* Keeps it; or not, when there is no memory. */
void verified_put(struct verified *verified, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                  int64_t expires_ms, const void *data, size_t len);

#endif
