/* certificate.c - see certificate.h. */
#include "common/defs.h"
#include "api/certificate.h"

#include "common/json.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define F(kind, name, need, arg, sub, doc) { FIELD_##kind, need, name, arg, sub, doc },
#define F_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

static const struct field tenant_fields[] = {
	F(TEXT, "name",      true,  "64", NULL, "which it was known by")
	F(TEXT, "uid",       true,  "32", NULL, "no other tenant ever has")
	F(TEXT, "createdAt", false, "40", NULL, "when it was made")
	F_END
};
static const struct field key_fields[] = {
	F(TEXT, "of",          true,  "512", NULL, "whose key: tenant, or a resource")
	F(TEXT, "uid",         false, "32",  NULL, "of that resource")
	F(INT,  "version",     true,  NULL,  NULL, "of the key")
	F(TEXT, "fingerprint", true,  "64",  NULL, "BLAKE2b-256 of the key as it was wrapped")
	F_END
};
static const struct field keys_fields[] = {
	F(INT,     "count",  true,  NULL, NULL, "keys that were destroyed")
	F(TEXT,    "root",   true,  "64", NULL, "of the Merkle tree over their fingerprints")
	F(OBJECT,  "listed", true,  NULL, NULL, "the first of them, by number")
	F_END
};
static const struct field audit_fields[] = {
	F(TEXT, "checkpoint", true, "4096", NULL, "of the tenant's audit log, a signed note")
	F(INT,  "from",       true, NULL,   NULL, "number of the first event in it")
	F_END
};

const struct field certificate_fields[] = {
	F(TEXT,   "apiVersion",  true,  "64",   NULL, "of this form")
	F(TEXT,   "kind",        true,  "64",   NULL, CERTIFICATE_KIND)
	F(OBJECT, "tenant",      true,  NULL,   tenant_fields, "that was erased")
	F(TEXT,   "requestedBy", true,  "256",  NULL, "who asked for it")
	F(TEXT,   "requestedAt", true,  "40",   NULL, "when")
	F(TEXT,   "reason",      true,  "1024", NULL, "and why")
	F(TEXT,   "dueAt",       true,  "40",   NULL, "until when it could be cancelled")
	F(TEXT,   "completedAt", true,  "40",   NULL, "when all of it was gone")
	F(OBJECT, "performed",   true,  NULL,   NULL, "the steps: when, and how much")
	F(OBJECT, "keys",        true,  NULL,   keys_fields, "destroyed")
	F(OBJECT, "workers",     true,  NULL,   NULL, "when each dropped its online data, or null")
	F(OBJECT, "usage",       true,  NULL,   NULL, "what it used in all, for its bill")
	F(OBJECT, "audit",       true,  NULL,   audit_fields, "the log as it last was")
	F_END
};
#undef F
#undef F_END

/* --- canonical JSON --- */

struct member { const char *name; const struct value *value; };

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static struct value *sorted(struct arena *arena, const struct value *value);

static struct value *sorted_map(struct arena *arena, const struct value *map)
{
	size_t count = value_len(map);
	struct value *out = value_map(arena);
	struct member *members = arena_alloc(arena, (count + 1) * sizeof *members);
	if (!members)
		return NULL;
	for (size_t i = 0; i < count; i++)
		members[i].value = value_member(map, i, &members[i].name);
	qsort(members, count, sizeof *members, by_name);
	for (size_t i = 0; i < count; i++)
		value_set(out, members[i].name, sorted(arena, members[i].value));
	return out;
}

static struct value *sorted(struct arena *arena, const struct value *value)
{
	if (value_kind(value) == VALUE_MAP)
		return sorted_map(arena, value);
	if (value_kind(value) != VALUE_LIST)
		return value_copy(arena, value);
	struct value *out = value_list(arena);
	for (size_t i = 0; i < value_len(value); i++)
		value_add(out, sorted(arena, value_at(value, i)));
	return out;
}

static int print_canonical(struct arena *arena, const struct value *certificate, struct buf *out,
                           struct err *err)
{
	struct value *ordered = sorted(arena, certificate);
	TRY(value_check(ordered, err));
	json_print(ordered, out);
	buf_putc(out, '\n');
	return buf_check(out, err);
}

/* --- its parts --- */

void certificate_fingerprint(const void *box, size_t len, char out[FINGERPRINT_TEXT])
{
	uint8_t hash[DIGEST_BYTES];
	digest(box, len, hash);
	hex_print(hash, sizeof hash, out);
}

void certificate_leaf(const char *fingerprint, uint8_t out[MERKLE_BYTES])
{
	merkle_leaf(fingerprint, strlen(fingerprint), out);
}

const char *certificate_origin(struct arena *arena, const char *tenant_uid)
{
	return arena_printf(arena, "freehold/audit/%s", tenant_uid);
}

static int check_form(const struct value *certificate, struct err *err)
{
	const char *kind = value_get_str(certificate, "kind");
	const struct value *listed = value_get(value_get(certificate, "keys"), "listed");
	TRY(fields_check(certificate_fields, certificate, "", err));
	if (strcmp(kind, CERTIFICATE_KIND) != 0)
		return err_set(err, E_INVALID, "kind: is not " CERTIFICATE_KIND);
	for (size_t i = 0; i < value_len(listed); i++)
		TRY(fields_check(key_fields, value_member(listed, i, NULL), "keys.listed", err));
	return 0;
}

/* --- signed --- */

int certificate_sign(struct arena *arena, const struct value *certificate,
                     const struct certificate_key *key, struct buf *out, struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, NOTE_BYTES_MAX);
	TRY(check_form(certificate, err));
	TRY(print_canonical(arena, certificate, &text, err));
	return note_sign(key->verifier.name, key->verifier.key, key->secret_key,
	                 (const char *)text.data, text.len, out, err);
}

/* --- checked --- */

static int check_canonical(struct arena *arena, const struct value *certificate, const char *text,
                           size_t len, struct err *err)
{
	AUTO_BUF again;
	buf_init(&again, NOTE_BYTES_MAX);
	TRY(print_canonical(arena, certificate, &again, err));
	if (again.len == len && memcmp(again.data, text, len) == 0)
		return 0;
	return err_set(err, E_CORRUPT, "the certificate is not in canonical form");
}

static int check_audit(struct arena *arena, const struct note_verifier *verifier,
                       const struct value *certificate, struct err *err)
{
	const char *uid = value_get_str(value_get(certificate, "tenant"), "uid");
	const char *note = value_get_str(value_get(certificate, "audit"), "checkpoint");
	const char *origin = certificate_origin(arena, uid);
	struct note_checkpoint checkpoint;
	size_t len = 0;
	if (!origin)
		return err_set(err, E_NOMEM, "no memory for a certificate");
	if (note_open(verifier, note, strlen(note), &len, err) < 0)
		return err_prefix(err, "audit.checkpoint");
	TRY(note_checkpoint_read(note, len, &checkpoint, err));
	if (checkpoint.origin_len == strlen(origin) &&
	    memcmp(checkpoint.origin, origin, checkpoint.origin_len) == 0)
		return 0;
	return err_set(err, E_CORRUPT, "audit.checkpoint: is of another log than %s", origin);
}

/* Where all are listed, the tree is made again out of them. */
static int check_keys(const struct value *certificate, struct err *err)
{
	const struct value *keys = value_get(certificate, "keys");
	const struct value *listed = value_get(keys, "listed");
	int64_t count = value_get_int(keys, "count", -1);
	struct merkle_range range = { 0 };
	uint8_t hash[MERKLE_BYTES];
	char text[FINGERPRINT_TEXT];
	for (size_t i = 0; i < value_len(listed); i++) {
		certificate_leaf(value_get_str(value_member(listed, i, NULL), "fingerprint"), hash);
		TRY(merkle_append(&range, hash, err));
	}
	merkle_root(&range, hash);
	hex_print(hash, sizeof hash, text);
	bool all = (int64_t)value_len(listed) == count;
	if (count < (int64_t)value_len(listed) ||
	    (all && strcmp(text, value_get_str(keys, "root")) != 0))
		return err_set(err, E_CORRUPT, "keys: the fingerprints that are listed are not "
		               "those that the tree was made of");
	return 0;
}

int certificate_open(struct arena *arena, const struct note_verifier *verifier, const char *note,
                     size_t len, struct value **ret_certificate, struct err *err)
{
	struct value *certificate = NULL;
	size_t text_len = 0;
	TRY(note_open(verifier, note, len, &text_len, err));
	TRY(json_parse(arena, note, text_len, &certificate, err));
	TRY(check_form(certificate, err));
	TRY(check_canonical(arena, certificate, note, text_len, err));
	TRY(check_audit(arena, verifier, certificate, err));
	TRY(check_keys(certificate, err));
	*ret_certificate = certificate;
	return 0;
}
