/* certificate.h - the certificate of a tenant's erasure: a signed note (common/note.h) whose text
 * is one line of canonical JSON: members in order of their names, no space, no member twice. It
 * says what was erased, when, at whose request and why, the fingerprints of the keys that were
 * destroyed, and the checkpoint of the audit log as it last was, itself a signed note. It holds
 * nothing that was erased. */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include "api/field.h"
#include "common/note.h"

#define CERTIFICATE_SIGNER "freehold/erasure"
#define CERTIFICATE_KIND "ErasureCertificate"

enum { CERTIFICATE_KEYS_LISTED = 1000 };

extern const struct field certificate_fields[];

/* What a wrapped key is told by: a digest (BLAKE2b-256, hex) of its box, which reveals nothing. */
enum { FINGERPRINT_TEXT = 2 * MERKLE_BYTES + 1 };
void certificate_fingerprint(const void *box, size_t len, char out[FINGERPRINT_TEXT]);
/* The leaf of a fingerprint in the tree over all of them, of which only the first are listed. */
void certificate_leaf(const char *fingerprint, uint8_t out[MERKLE_BYTES]);
/* "freehold/audit/UID": the origin of a tenant's audit log. */
const char *certificate_origin(struct arena *arena, const char *tenant_uid);

/* Appends the note. E_INVALID: the map is no certificate. */
struct certificate_key {
	struct note_verifier verifier;
	const uint8_t *secret_key;   /* SIGN_SECRET_BYTES */
};
MUST_USE int certificate_sign(struct arena *arena, const struct value *certificate,
                              const struct certificate_key *key, struct buf *out,
                              struct err *err);
/* E_CORRUPT says what does not hold: the signature, the form, the log's checkpoint, the keys' tree.
 */
MUST_USE int certificate_open(struct arena *arena, const struct note_verifier *verifier,
                              const char *note, size_t len, struct value **ret_certificate,
                              struct err *err);

#endif
