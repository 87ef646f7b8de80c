/* root.h - where the installation's key comes from: a file, an environment secret, or a key service
 * (transit.h). Every other key is wrapped by, or derived from, the installation's key.
 *
 * Of a file or a secret the installation's key is the root key itself, until the root key is
 * replaced for the first time: from then on, and with a key service always, the store holds it
 * wrapped, at "root/installation": msgpack {format: 1, source: "key", box} (a lockbox under a
 * sub-key of the root key) or {format: 1, source: "transit", text}. So a new root key changes one
 * small value, and no state, credential or signature. */
#ifndef ROOT_H
#define ROOT_H

#include "common/arena.h"
#include "common/store.h"
#include "tenant/transit.h"

/* One of file, env and transit.url; others NULL. */
struct root_conf {
	const char *file;            /* 32 bytes or 64 hex digits, mode 0600 or stricter, ours */
	bool make;                   /* the file, when it is absent */
	const char *env;             /* variable: 64 hex digits or base64 of 32 bytes */
	const char *old_file;        /* the root key before, to be replaced; NULL: none is */
	const char *record_file;     /* a copy of the wrapped key, for a restore; NULL: none */
	struct transit_conf transit;
	struct clock *clock;
};

/* The installation's key. store NULL: offline, then of the record file or the root key itself.
 * Replaces the root key when old_file is given and the store's record is not under the new one
 * yet; may be repeated. The variable is read once and wiped from the environment. */
MUST_USE int root_open(const struct root_conf *conf, struct store *store,
                       struct secret **ret_key, struct err *err);
/* After the key service rotated its key: the wrapped key comes under the newest version. E_CONFLICT
 * for another source, and how it is done there. */
MUST_USE int root_rewrap(const struct root_conf *conf, struct store *store, struct err *err);

/* The root key of a file, as root_open reads it. */
MUST_USE int root_read_file(const char *path, bool make, struct secret **ret_key, struct err *err);

/* A record's bytes. ret_text is set for a key service, ret_box otherwise; both in arena. */
struct root_record { const uint8_t *box; const char *text; };
MUST_USE int root_record_read(struct arena *arena, const void *data, size_t len,
                              struct root_record *ret_record, struct err *err);

#endif
