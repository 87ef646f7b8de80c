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
/* The last checkpoint of a tenant's audit log, for its certificate: by the same name. */
MUST_USE int signer_checkpoint(struct control *control, const char *origin,
                               const struct merkle_range *range, struct buf *out,
                               struct err *err);
/* A checkpoint of a log: by the same key under the log's origin as its name (C2SP
 * tlog-checkpoint). */
MUST_USE int signer_log(struct control *control, const char *origin,
                        const struct merkle_range *range, struct buf *out, struct err *err);
MUST_USE int signer_log_verifier(struct control *control, const char *origin,
                                 struct note_verifier *ret_verifier, struct err *err);

#endif
