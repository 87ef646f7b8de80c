/* signed.c - Ed25519 over label, NUL, body (RFC 8032); the label keeps a signature made for one
 * use from being taken for another. */
#include "common/defs.h"
#include "api/signed.h"

#include "api/wire.h"
#include "common/clock.h"
#include "common/pack.h"

#include <stdlib.h>
#include <string.h>

#define SEAL_LABEL "freehold-grant-keys-v2"

struct grant_signer { struct secret *key; };
struct grant_seal { uint8_t own_public[BOX_PUBLIC_BYTES]; struct secret *key; };

/* The outer map. */
struct signed_form {
	const char *alg;
	const uint8_t *body;
	size_t body_len;
	const uint8_t *sig;
};

static const struct wire_member members[] = {
	W_TEXT(struct signed_form, alg, "alg", 1, 16),
	W_BIN(struct signed_form, body, body_len, "body", 1, GRANT_BYTES_MAX),
	W_FIXED(struct signed_form, sig, "sig", SIGNATURE_BYTES),
	W_END
};
static const struct wire wire = { "grant", sizeof(struct signed_form), true, members };

int grant_signer_new(const uint8_t secret_key[SIGN_SECRET_BYTES], struct grant_signer **ret_signer,
                     struct err *err)
{
	AUTO(grant_signer) *signer = calloc(1, sizeof *signer);
	if (!signer)
		return err_set(err, E_NOMEM, "no memory for the grants' signing key");
	TRY(secret_copy(secret_key, SIGN_SECRET_BYTES, &signer->key, err));
	*ret_signer = MOVE(signer);
	return 0;
}

void grant_signer_free(struct grant_signer *signer)
{
	if (!signer)
		return;
	secret_free(signer->key);
	free(signer);
}

/* label, NUL, body */
static int signed_bytes(const char *label, const void *body, size_t len, struct buf *out,
                        struct err *err)
{
	buf_put(out, label, strlen(label) + 1);
	buf_put(out, body, len);
	return buf_check(out, err);
}

int signed_write(const struct grant_signer *signer, const char *label, const struct value *body,
                 struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF packed, covered;
	buf_init(&packed, GRANT_BYTES_MAX);
	buf_init(&covered, GRANT_BYTES_MAX + 64);
	uint8_t signature[SIGNATURE_BYTES];
	struct value *outer;

	TRY(pack_write(body, &packed, err));
	TRY(signed_bytes(label, packed.data, packed.len, &covered, err));
	sign_make(secret_bytes(signer->key), covered.data, covered.len, signature);
	struct signed_form form = { "Ed25519", packed.data, packed.len, signature };
	TRY(arena_new(GRANT_BYTES_MAX * 2, &arena, err));
	TRY(wire_value(arena, &wire, &form, &outer, err));
	return pack_write(outer, out, err);
}

static int read_form(struct arena *arena, const void *data, size_t len,
                     struct signed_form *ret_form, struct err *err)
{
	struct value *outer;
	if (len > GRANT_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "grant: %zu bytes, at most %d are allowed", len,
		               GRANT_BYTES_MAX);
	TRY(pack_read(arena, data, len, &outer, err));
	TRY(wire_read(arena, &wire, outer, ret_form, err));
	if (strcmp(ret_form->alg, "Ed25519") != 0)
		return err_set(err, E_INVALID, "grant: alg must be Ed25519");
	return 0;
}

int signed_read(struct arena *arena, const uint8_t control_key[SIGN_PUBLIC_BYTES],
                const char *label, const void *data, size_t len, struct value **ret_body,
                struct err *err)
{
	struct signed_form form;
	AUTO_BUF covered;
	buf_init(&covered, GRANT_BYTES_MAX + 64);
	TRY(read_form(arena, data, len, &form, err));
	TRY(signed_bytes(label, form.body, form.body_len, &covered, err));
	if (!sign_verify(control_key, covered.data, covered.len, form.sig))
		return err_set(err, E_DENIED, "grant: the signature is not of the control plane "
		               "this worker trusts (--signing-public-file)");
	return pack_read(arena, form.body, form.body_len, ret_body, err);
}

int signed_peek(struct arena *arena, const void *data, size_t len, struct value **ret_body,
                struct err *err)
{
	struct signed_form form;
	TRY(read_form(arena, data, len, &form, err));
	return pack_read(arena, form.body, form.body_len, ret_body, err);
}

static int weak_key(struct err *err)
{
	return err_set(err, E_INVALID, "grant: the worker announced a box key that is none; start "
	               "it again");
}

int keys_seal(struct arena *arena, const uint8_t worker_box[BOX_PUBLIC_BYTES],
              const struct secret *keys, const uint8_t **ret_box, size_t *ret_len,
              struct err *err)
{
	size_t len = secret_len(keys) + BOX_OVERHEAD;
	uint8_t *box = arena_alloc(arena, len);
	if (!box)
		return err_set(err, E_NOMEM, "grant: no memory for its keys");
	if (!box_seal(worker_box, secret_bytes(keys), secret_len(keys), box))
		return weak_key(err);
	*ret_box = box;
	*ret_len = len;
	return 0;
}

int grant_seal_new(const uint8_t worker_box[BOX_PUBLIC_BYTES], struct grant_seal **ret_seal,
                   struct err *err)
{
	uint8_t own_secret[BOX_SECRET_BYTES];
	AUTO(grant_seal) *seal = calloc(1, sizeof *seal);
	if (!seal)
		return err_set(err, E_NOMEM, "no memory for a worker's seal");
	TRY(secret_new(KEY_BYTES, &seal->key, err));
	box_keypair(seal->own_public, own_secret);
	bool agreed = box_agree(worker_box, own_secret, secret_data(seal->key));
	secret_wipe(own_secret, sizeof own_secret);
	if (!agreed)
		return weak_key(err);
	*ret_seal = MOVE(seal);
	return 0;
}

void grant_seal_free(struct grant_seal *seal)
{
	if (!seal)
		return;
	secret_free(seal->key);
	free(seal);
}

int keys_seal_with(struct arena *arena, const struct grant_seal *seal, const struct secret *keys,
                   const uint8_t **ret_box, size_t *ret_len, struct err *err)
{
	size_t len = keys ? secret_len(keys) : 0;
	uint8_t *box = arena_alloc(arena, BOX_PUBLIC_BYTES + len + LOCKBOX_OVERHEAD);
	if (!box)
		return err_set(err, E_NOMEM, "grant: no memory for its keys");
	memcpy(box, seal->own_public, BOX_PUBLIC_BYTES);
	lockbox_seal(secret_bytes(seal->key), SEAL_LABEL, sizeof SEAL_LABEL,
	             keys ? secret_bytes(keys) : (const uint8_t *)"", len,
	             box + BOX_PUBLIC_BYTES);
	*ret_box = box;
	*ret_len = BOX_PUBLIC_BYTES + len + LOCKBOX_OVERHEAD;
	return 0;
}

static bool open_agreed(const struct grant_opener *opener, const uint8_t *box, size_t box_len,
                        struct secret *keys)
{
	uint8_t key[KEY_BYTES];
	struct err err;
	bool opened = box_agree(box, secret_bytes(opener->box_secret), key) &&
		lockbox_open(key, SEAL_LABEL, sizeof SEAL_LABEL, box + BOX_PUBLIC_BYTES,
		             box_len - BOX_PUBLIC_BYTES, secret_data(keys), &err) == 0;
	secret_wipe(key, sizeof key);
	return opened;
}

int keys_open(const struct grant_opener *opener, const uint8_t *box, size_t box_len,
              size_t count, struct secret **ret_keys, struct err *err)
{
	AUTO(secret) *keys = NULL;
	size_t len = count * KEY_BYTES;
	bool agreed = box_len == BOX_PUBLIC_BYTES + len + LOCKBOX_OVERHEAD;
	if (!agreed && box_len != len + BOX_OVERHEAD)
		return err_set(err, E_INVALID, "grant: keys must hold one key for each of %zu "
		               "tables", count);
	TRY(secret_new(len, &keys, err));
	bool opened = agreed ? open_agreed(opener, box, box_len, keys) :
		box_open(opener->box_public, secret_bytes(opener->box_secret), box, box_len,
		         secret_data(keys));
	if (!opened)
		return err_set(err, E_DENIED, "grant: its keys are not sealed to this life of "
		               "worker \"%s\"", opener->worker);
	*ret_keys = MOVE(keys);
	return 0;
}

int signed_for(const struct grant_opener *opener, const char *worker, int64_t expires_ms,
               int64_t now_ms, struct err *err)
{
	if (strcmp(worker, opener->worker) != 0)
		return err_set(err, E_DENIED, "grant: it is worker \"%s\"'s, this is \"%s\"",
		               worker, opener->worker);
	if (expires_ms > now_ms)
		return 0;
	char then[TIME_TEXT_MAX], now[TIME_TEXT_MAX];
	return err_set(err, E_EXPIRED, "grant: it expired at %s, it is %s now",
	               time_print_ms(expires_ms, then), time_print_ms(now_ms, now));
}
