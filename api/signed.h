/* signed.h - what task grants and access grants share: the signature around a body, the box around
 * its keys. Private to api/grant.c and api/access_grant.c. */
#ifndef SIGNED_H
#define SIGNED_H

#include "api/grant.h"

/* label separates the uses of control's key: "freehold-task-grant-v1". Appends to out. */
MUST_USE int signed_write(const struct grant_signer *signer, const char *label,
                          const struct value *body, struct buf *out, struct err *err);
/* The body, when the signature holds; E_DENIED otherwise. */
MUST_USE int signed_read(struct arena *arena, const uint8_t control_key[SIGN_PUBLIC_BYTES],
                         const char *label, const void *data, size_t len,
                         struct value **ret_body, struct err *err);
/* The body, whoever signed it. */
MUST_USE int signed_peek(struct arena *arena, const void *data, size_t len,
                         struct value **ret_body, struct err *err);

/* All keys of a grant travel in one box, one behind the other: one scalar multiplication a
 * grant. */
MUST_USE int keys_seal(struct arena *arena, const uint8_t worker_box[BOX_PUBLIC_BYTES],
                       const struct secret *keys, const uint8_t **ret_box, size_t *ret_len,
                       struct err *err);
/* The same with a key that is agreed on already: control's public half, then a lockbox. */
MUST_USE int keys_seal_with(struct arena *arena, const struct grant_seal *seal,
                            const struct secret *keys, const uint8_t **ret_box, size_t *ret_len,
                            struct err *err);
/* Opens either. E_DENIED: the box is another worker's; E_INVALID: it does not hold count keys. */
MUST_USE int keys_open(const struct grant_opener *opener, const uint8_t *box, size_t box_len,
                       size_t count, struct secret **ret_keys, struct err *err);

/* The checks both kinds share. */
MUST_USE int signed_for(const struct grant_opener *opener, const char *worker, int64_t expires_ms,
                        int64_t now_ms, struct err *err);

#endif
