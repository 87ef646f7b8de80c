/* grant.h - control's decision, signed: what one attempt may do (task grant), and what one
 * caller may read online (access grant: api/access_grant.h). The worker acts on nothing else.
 *
 * Bytes: canonical msgpack of {alg: "Ed25519", body: bin, sig: bin}; body is canonical msgpack;
 * the signature is over "freehold-task-grant-v1\0" (or "freehold-access-grant-v1\0") and body.
 * Keys inside are sealed to the worker's X25519 key. Refused: a bad signature, another worker,
 * expired, a field that is missing, of another type, unknown or out of bounds. */
#ifndef GRANT_H
#define GRANT_H

#include "api/restriction.h"
#include "api/tasks.h"
#include "common/crypto.h"

enum { GRANT_BYTES_MAX = 2 * 1024 * 1024, GRANT_TABLES_MAX = 64, GRANT_PREFIX_MAX = 192 };

/* A task attempt's fencing token: epoch is the leader key's create_revision. */
struct token {
	int64_t epoch;
	int64_t counter;
};

struct grant_file {
	const char *path;            /* in the object store */
	int64_t bytes;               /* sealed length */
	int64_t rows;
};

/* A dataset (or a view's online data) the attempt may touch. */
struct grant_table {
	const char *tenant;          /* whose, of an input that another tenant shares; NULL: own */
	const char *domain;          /* of a shared one: the name it is accepted under */
	const char *name;            /* to SQL NAME in its own domain, DOMAIN.NAME everywhere */
	const char *uid;
	int64_t snapshot;            /* that is read, or that an output builds on; 0: none yet */
	uint32_t key_version;        /* what is written is sealed under that one */
	uint32_t old_version;        /* what is read may still be under this; 0: no other */
	const uint8_t *key, *old_key;        /* KEY_BYTES, in locked memory; a box on the wire */
	const struct value *schema;  /* list of {name, type, required}; NULL: not known yet */
	const struct grant_file *files;
	size_t file_count;
	struct restriction restriction;      /* of an input */
};

struct grant {
	const char *task;            /* id */
	struct token token;
	int attempt;                 /* from 1 */
	const char *worker;
	const char *tenant, *domain;
	enum task_type type;
	const struct value *work;    /* what to do, by type; fields in grant_work_fields() */
	const struct grant_table *inputs;
	size_t input_count;
	const struct grant_table *outputs;
	size_t output_count;
	struct limits limits;
	int64_t expires_ms;          /* unix; start before, and finish by the deadline */
	const char *output_prefix;   /* the object path every output lies under: holds the token */
	struct secret *keys;         /* what its tables' keys point into; freed by grant_wipe */
};

/* The table `work` is checked against. Tables by type: ingest 0 in, 1 out; transform any in, 1 out;
 * materialize 1 in (the dataset), 1 out (the view's online data); of these two an input may be
 * another tenant's; archive 0 or 1 in (the history, to be replaced), 1 out; history 1 in; rekey any
 * in; probe and sweep none. */
const struct field *grant_work_fields(enum task_type type);
/* What output_prefix must be: "TENANT/DOMAIN/EPOCH-COUNTER". Inputs' files lie below "TENANT/",
 * a shared one's below its own tenant's. */
void grant_prefix(const char *tenant, const char *domain, struct token token,
                  char out[GRANT_PREFIX_MAX]);

struct grant_signer;             /* control's key pair, secret in locked memory */
MUST_USE int grant_signer_new(const uint8_t secret_key[SIGN_SECRET_BYTES],
                              struct grant_signer **ret_signer, struct err *err);
void grant_signer_free(struct grant_signer *signer);
DEFINE_AUTO(grant_signer)

/* What the worker checks and opens grants with. */
struct grant_opener {
	const char *worker;
	uint8_t control_key[SIGN_PUBLIC_BYTES];
	uint8_t box_public[BOX_PUBLIC_BYTES];
	const struct secret *box_secret;
};

/* Refuses what grant_open would refuse. */
MUST_USE int grant_sign(const struct grant_signer *signer, const struct grant *grant,
                        const uint8_t worker_box[BOX_PUBLIC_BYTES], struct buf *out,
                        struct err *err);
/* For many grants to one life of a worker: one key agreement for all of them, in locked memory.
 * A worker of the first link protocol opens grant_sign's only. */
struct grant_seal;
MUST_USE int grant_seal_new(const uint8_t worker_box[BOX_PUBLIC_BYTES],
                            struct grant_seal **ret_seal, struct err *err);
void grant_seal_free(struct grant_seal *seal);
DEFINE_AUTO(grant_seal)
MUST_USE int grant_sign_with(const struct grant_signer *signer, const struct grant *grant,
                             const struct grant_seal *seal, struct buf *out, struct err *err);
/* Everything in ret_grant lies in the arena but the keys, which lie in locked memory until
 * grant_wipe. */
MUST_USE int grant_open(const struct grant_opener *opener, int64_t now_ms, struct arena *arena,
                        const void *data, size_t len, struct grant **ret_grant, struct err *err);
void grant_wipe(struct grant *grant);
/* What the bytes say they are, unverified: only to report on a grant that was refused, or to
 * list one that is about to be opened. */
struct grant_hint {
	const char *task;
	struct token token;
	uint64_t memory_bytes;       /* of its limits; 0: not readable */
	int threads;                 /* likewise */
};
MUST_USE int grant_peek(struct arena *arena, const void *data, size_t len,
                        struct grant_hint *ret_hint, struct err *err);

#endif
