/* signer.h - the installation's key for erasure certificates and for checkpoints of audit logs. Its
 * public half is at GET /v1/signers, for whoever is to check them offline. */
#ifndef SIGNER_H
#define SIGNER_H

#include "api/certificate.h"
#include "control/control.h"

/* Always the same for one root key. */
MUST_USE int signer_verifier(struct control *control, struct note_verifier *ret_verifier,
                             struct err *err);
MUST_USE int signer_certificate(struct control *control, struct arena *arena,
                                const struct value *certificate, struct buf *out,
                                struct err *err);
/* A checkpoint of a tenant's audit log, as a signed note. */
MUST_USE int signer_checkpoint(struct control *control, const char *origin,
                               const struct merkle_range *range, struct buf *out,
                               struct err *err);

#endif
