/* signer.c - see signer.h. The secret half is made when it is needed, in secret memory, and wiped.
 */
#include "common/defs.h"
#include "control/signer.h"

#include <stdio.h>

enum { CHECKPOINT_MAX = 2048 };

struct pair {
	struct certificate_key key;
	struct secret *secret;
};

static void pair_release(struct pair *pair)
{
	secret_free(pair->secret);
}

static int pair_make(struct control *control, const char *name, struct pair *ret_pair,
                     struct err *err)
{
	AUTO(secret) *seed = NULL, *secret = NULL;
	TRY(secret_new(KEY_BYTES, &seed, err));
	TRY(secret_new(SIGN_SECRET_BYTES, &secret, err));
	key_derive(keyring_state_key(control->keyring), "freehold sign certificates v1",
	           secret_data(seed));
	struct note_verifier *verifier = &ret_pair->key.verifier;
	snprintf(verifier->name, sizeof verifier->name, "%s", name);
	sign_keypair_from(secret_bytes(seed), verifier->key, secret_data(secret));
	ret_pair->key.secret_key = secret_bytes(secret);
	ret_pair->secret = MOVE(secret);
	return 0;
}

int signer_log_verifier(struct control *control, const char *origin,
                        struct note_verifier *ret_verifier, struct err *err)
{
	struct pair pair = { .secret = NULL };
	TRY(pair_make(control, origin, &pair, err));
	*ret_verifier = pair.key.verifier;
	pair_release(&pair);
	return 0;
}

int signer_verifier(struct control *control, struct note_verifier *ret_verifier, struct err *err)
{
	return signer_log_verifier(control, CERTIFICATE_SIGNER, ret_verifier, err);
}

int signer_certificate(struct control *control, struct arena *arena,
                       const struct value *certificate, struct buf *out, struct err *err)
{
	struct pair pair = { .secret = NULL };
	TRY(pair_make(control, CERTIFICATE_SIGNER, &pair, err));
	int rc = certificate_sign(arena, certificate, &pair.key, out, err);
	pair_release(&pair);
	return rc;
}

static int sign_range(struct control *control, const char *name, const char *origin,
                      const struct merkle_range *range, struct buf *out, struct err *err)
{
	struct pair pair = { .secret = NULL };
	AUTO_BUF text;
	buf_init(&text, CHECKPOINT_MAX);
	note_checkpoint_print(origin, range, &text);
	TRY(buf_check(&text, err));
	TRY(pair_make(control, name, &pair, err));
	int rc = note_sign(pair.key.verifier.name, pair.key.verifier.key, pair.key.secret_key,
	                   (const char *)text.data, text.len, out, err);
	pair_release(&pair);
	return rc;
}

int signer_checkpoint(struct control *control, const char *origin,
                      const struct merkle_range *range, struct buf *out, struct err *err)
{
	return sign_range(control, CERTIFICATE_SIGNER, origin, range, out, err);
}

int signer_log(struct control *control, const char *origin, const struct merkle_range *range,
               struct buf *out, struct err *err)
{
	return sign_range(control, origin, origin, range, out, err);
}
