/* test_keyring.c - the key hierarchy: what opens, what does not, and what the root key's file may
 * be. */
#include "common/defs.h"
#include "tenant/keyring.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UID_A "01h455vb4pex5vsknk084sn02q"
#define UID_B "01h455vb4pex5vsknk084sn02r"

struct fixture {
	char dir[64];
	char path[96];
	struct keyring *keyring;
};

static void start(struct fixture *f)
{
	cr_assert_eq(crypto_start(NULL), 0);
	snprintf(f->dir, sizeof f->dir, "/tmp/keyring-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/root.key", f->dir);
	f->keyring = NULL;
}

static void open_made(struct fixture *f)
{
	start(f);
	struct err err = { 0 };
	cr_assert_eq(keyring_new(f->path, true, &f->keyring, &err), 0, "%s", err.text);
}

static void end(struct fixture *f)
{
	keyring_free(f->keyring);
	unlink(f->path);
	rmdir(f->dir);
}

static void write_root(struct fixture *f, const char *data, size_t len, int mode)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	cr_assert_eq(fchmod(fd, (mode_t)mode), 0);
	close(fd);
}

Test(keyring, opens_a_dataset_key_again_and_it_is_the_same)
{
	struct fixture f;
	open_made(&f);
	uint8_t tenant[WRAPPED_KEY_BYTES], box[WRAPPED_KEY_BYTES], one[KEY_BYTES], two[KEY_BYTES];
	struct err err = { 0 };
	cr_assert_eq(keyring_make_tenant(f.keyring, "acme", 1, tenant, &err), 0);
	cr_assert_eq(keyring_make_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, &err), 0);
	cr_assert_eq(keyring_open_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, one, &err),
	             0);
	keyring_free(f.keyring);
	cr_assert_eq(keyring_new(f.path, false, &f.keyring, &err), 0, "%s", err.text);
	cr_assert_eq(keyring_open_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, two, &err),
	             0);
	cr_assert_eq(memcmp(one, two, KEY_BYTES), 0);
	cr_assert_neq(memcmp(one, box + 25, KEY_BYTES), 0);
	end(&f);
}

Test(keyring, refuses_a_box_moved_to_another_tenant_uid_or_version)
{
	struct fixture f;
	open_made(&f);
	uint8_t acme[WRAPPED_KEY_BYTES], globex[WRAPPED_KEY_BYTES], box[WRAPPED_KEY_BYTES];
	uint8_t out[KEY_BYTES];
	struct err err = { 0 };
	cr_assert_eq(keyring_make_tenant(f.keyring, "acme", 1, acme, &err), 0);
	cr_assert_eq(keyring_make_tenant(f.keyring, "globex", 1, globex, &err), 0);
	cr_assert_eq(keyring_make_dataset(f.keyring, "acme", 1, acme, UID_A, 1, box, &err), 0);
	struct keyring *k = f.keyring;
	cr_expect_eq(keyring_open_dataset(k, "globex", 1, globex, UID_A, 1, box, out, &err),
	             E_CORRUPT);
	cr_expect_eq(keyring_open_dataset(k, "globex", 1, acme, UID_A, 1, box, out, &err),
	             E_CORRUPT);
	cr_expect_eq(keyring_open_dataset(k, "acme", 2, acme, UID_A, 1, box, out, &err), E_CORRUPT);
	cr_expect_eq(keyring_open_dataset(k, "acme", 1, acme, UID_B, 1, box, out, &err), E_CORRUPT);
	cr_expect_eq(keyring_open_dataset(k, "acme", 1, acme, UID_A, 2, box, out, &err), E_CORRUPT);
	cr_expect_eq(keyring_open_dataset(k, "acme", 1, acme, UID_A, 1, box, out, &err), 0);
	end(&f);
}

Test(keyring, never_answers_a_changed_tenant_box_from_its_cache)
{
	struct fixture f;
	open_made(&f);
	uint8_t tenant[WRAPPED_KEY_BYTES], box[WRAPPED_KEY_BYTES], out[KEY_BYTES];
	struct err err = { 0 };
	cr_assert_eq(keyring_make_tenant(f.keyring, "acme", 1, tenant, &err), 0);
	cr_assert_eq(keyring_make_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, &err), 0);
	tenant[40] ^= 1;
	cr_expect_eq(keyring_open_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, out, &err),
	             E_CORRUPT);
	tenant[40] ^= 1;
	keyring_forget(f.keyring, "acme");
	cr_expect_eq(keyring_open_dataset(f.keyring, "acme", 1, tenant, UID_A, 1, box, out, &err),
	             0);
	end(&f);
}

Test(keyring, holds_more_tenants_than_its_cache)
{
	struct fixture f;
	open_made(&f);
	enum { TENANTS = 600 };
	static uint8_t tenants[TENANTS][WRAPPED_KEY_BYTES], boxes[TENANTS][WRAPPED_KEY_BYTES];
	char name[32];
	uint8_t out[KEY_BYTES];
	struct err err = { 0 };
	for (int i = 0; i < TENANTS; i++) {
		snprintf(name, sizeof name, "t%d", i);
		cr_assert_eq(keyring_make_tenant(f.keyring, name, 1, tenants[i], &err), 0);
		cr_assert_eq(keyring_make_dataset(f.keyring, name, 1, tenants[i], UID_A, 1,
		                                  boxes[i], &err),
		             0);
	}
	for (int i = 0; i < TENANTS; i++) {
		snprintf(name, sizeof name, "t%d", i);
		cr_assert_eq(keyring_open_dataset(f.keyring, name, 1, tenants[i], UID_A, 1,
		                                  boxes[i], out, &err),
		             0);
	}
	end(&f);
}

Test(keyring, refuses_a_root_key_that_others_may_read_and_says_how_to_mend_it)
{
	struct fixture f;
	start(&f);
	write_root(&f, "0123456789abcdef0123456789abcdef", 32, 0640);
	struct err err = { 0 };
	cr_expect_eq(keyring_new(f.path, false, &f.keyring, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "chmod 600"), "%s", err.text);
	end(&f);
}

Test(keyring, reads_hex_as_the_same_key_and_refuses_other_lengths)
{
	struct fixture f;
	start(&f);
	char hex[66];
	memset(hex, 'a', 64);
	hex[64] = '\n';
	write_root(&f, hex, 65, 0600);
	struct err err = { 0 };
	cr_assert_eq(keyring_new(f.path, false, &f.keyring, &err), 0, "%s", err.text);
	uint8_t state[KEY_BYTES];
	memcpy(state, keyring_state_key(f.keyring), KEY_BYTES);
	keyring_free(f.keyring);
	f.keyring = NULL;
	char raw[32];
	memset(raw, 0xaa, 32);
	write_root(&f, raw, 32, 0600);
	cr_assert_eq(keyring_new(f.path, false, &f.keyring, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(state, keyring_state_key(f.keyring), KEY_BYTES), 0);
	keyring_free(f.keyring);
	f.keyring = NULL;
	write_root(&f, hex, 63, 0600);
	cr_expect_eq(keyring_new(f.path, false, &f.keyring, &err), E_INVALID);
	end(&f);
}

Test(keyring, does_not_make_a_root_key_unless_asked)
{
	struct fixture f;
	start(&f);
	struct err err = { 0 };
	cr_expect_eq(keyring_new(f.path, false, &f.keyring, &err), E_NOT_FOUND);
	cr_expect_neq(access(f.path, F_OK), 0);
	end(&f);
}

Test(keyring, derives_keys_that_differ_by_purpose_and_a_lasting_signing_pair)
{
	struct fixture f;
	open_made(&f);
	cr_expect_neq(memcmp(keyring_state_key(f.keyring), keyring_credential_key(f.keyring),
	                     KEY_BYTES), 0);
	uint8_t public_one[SIGN_PUBLIC_BYTES], public_two[SIGN_PUBLIC_BYTES];
	uint8_t secret[SIGN_SECRET_BYTES], signature[SIGNATURE_BYTES];
	keyring_signing_pair(f.keyring, public_one, secret);
	keyring_signing_pair(f.keyring, public_two, secret);
	cr_expect_eq(memcmp(public_one, public_two, SIGN_PUBLIC_BYTES), 0);
	sign_make(secret, "x", 1, signature);
	cr_expect(sign_verify(public_two, "x", 1, signature));
	end(&f);
}
