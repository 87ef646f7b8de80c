/* A grant: as bytes off the link, and as a body whose signature holds, which reaches every
 * check. */
#include "common/defs.h"
#include "api/access_grant.h"
#include "common/pack.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int sign_body(struct arena *arena, const uint8_t secret[SIGN_SECRET_BYTES],
                     const char *label, const uint8_t *data, size_t len, struct buf *out)
{
	AUTO_BUF covered;
	buf_init(&covered, MIB);
	uint8_t sig[SIGNATURE_BYTES];
	buf_put(&covered, label, strlen(label) + 1);
	buf_put(&covered, data, len);
	TRY(buf_check(&covered, NULL));
	sign_make(secret, covered.data, covered.len, sig);
	struct value *outer = value_map(arena);
	value_set_str(outer, "alg", "Ed25519");
	value_set_bin(outer, "body", data, len);
	value_set_bin(outer, "sig", sig, sizeof sig);
	return pack_write(outer, out, NULL);
}

static void open_both(const struct grant_opener *opener, struct arena *arena, const uint8_t *data,
                      size_t len)
{
	struct grant *grant;
	struct access_grant *access;
	struct grant_hint hint;
	if (grant_open(opener, 1, arena, data, len, &grant, NULL) == 0)
		grant_wipe(grant);
	if (access_open(opener, 1, arena, data, len, &access, NULL) == 0)
		access_wipe(access);
	(void)!grant_peek(arena, data, len, &hint, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const labels[] = { "freehold-task-grant-v1",
		"freehold-access-grant-v1" };
	uint8_t sign_secret[SIGN_SECRET_BYTES], box_secret[BOX_SECRET_BYTES];
	AUTO(arena) *arena = NULL;
	AUTO(secret) *box = NULL;
	struct grant_opener opener = { .worker = "w-1" };
	if (crypto_start(NULL) < 0 || arena_new(64 * MIB, &arena, NULL) < 0)
		return 0;
	sign_keypair(opener.control_key, sign_secret);
	box_keypair(opener.box_public, box_secret);
	if (secret_copy(box_secret, sizeof box_secret, &box, NULL) < 0)
		return 0;
	opener.box_secret = box;
	open_both(&opener, arena, data, len);
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		AUTO_BUF out;
		buf_init(&out, 2 * MIB);
		if (sign_body(arena, sign_secret, labels[i], data, len, &out) == 0)
			open_both(&opener, arena, out.data, out.len);
	}
	return 0;
}
