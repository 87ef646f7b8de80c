/* joining.c - see joining.h. Invariant: a record that is replaced is one that was removed, or one
 * that the operator named. */
#include "common/defs.h"
#include "control/joining.h"

#include "control/authority.h"
#include "control/nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIFETIME_S = 86400 };

int joining_name_check(const char *name, struct err *err)
{
	TRY(name_check("name", name, err));
	if (strcmp(name, "tokens") == 0 || strcmp(name, "join") == 0)
		return err_set(err, E_INVALID, "name: %s is the name of a path beside the "
		               "workers'; take another", name);
	return 0;
}

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

int joining_key(const char *hex, uint8_t ret_key[BOX_PUBLIC_BYTES], struct err *err)
{
	bool ok = strlen(hex) == 2 * BOX_PUBLIC_BYTES;
	for (size_t i = 0; ok && i < BOX_PUBLIC_BYTES; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
		ok = high >= 0 && low >= 0;
		ret_key[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
	return ok ? 0 : err_set(err, E_INVALID, "publicKey: 64 hex digits in lower case");
}

/* --- certificates --- */

static int sign(struct control *control, struct arena *arena, const struct joining *joining,
                const char **ret_pem, struct cert_facts *ret_facts, struct err *err)
{
	AUTO_BUF pem;
	buf_init(&pem, CERT_PEM_MAX);
	const struct authority_order order = {
		.name = joining->name, .addresses = joining->addresses,
		.lifetime_s = control->worker_cert_s ? control->worker_cert_s : LIFETIME_S,
		.request = joining->request,
	};
	TRY(authority_sign(control, &order, &pem, err));
	TRY(cert_facts((const char *)pem.data, pem.len - 1, ret_facts, err));
	*ret_pem = arena_strdup(arena, (const char *)pem.data);
	return *ret_pem ? 0 : err_set(err, E_NOMEM, "no memory for a certificate");
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *room = buf_room(out, CERT_PEM_MAX);
	ssize_t n = fd < 0 || !room ? -1 : read(fd, room, CERT_PEM_MAX);
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_errno(err, why, "cannot read --link-ca-file %s", path);
	out->len += (size_t)n;
	return buf_check(out, err);
}

int joining_ca(struct control *control, struct arena *arena, const char **ret_pem, struct err *err)
{
	const char *own = NULL;
	AUTO_BUF text;
	buf_init(&text, 4 * CERT_PEM_MAX);
	if (control->link_ca_file)
		TRY(read_file(control->link_ca_file, &text, err));
	TRY(authority_certificate(control, arena, &own, err));
	buf_puts(&text, own);
	buf_putc(&text, 0);
	TRY(buf_check(&text, err));
	*ret_pem = arena_strdup(arena, (const char *)text.data);
	return *ret_pem ? 0 : err_set(err, E_NOMEM, "no memory for a certificate");
}

/* --- records --- */

static int check_free(struct control *control, struct arena *arena, const struct joining *joining,
                      const char *key, int64_t *ret_revision, struct err *err)
{
	struct value *before = NULL;
	*ret_revision = 0;
	int rc = catalog_get(control->catalog, arena, key, &before, ret_revision, err);
	if (rc == E_NOT_FOUND)
		return 0;
	TRY(rc);
	if (joining->replaces || value_get_int(before, "removedAt", 0) != 0)
		return 0;
	return err_set(err, E_CONFLICT, "a worker named %s has joined; take another name, remove "
	               "that one, or join with a token that is made for this name (freehold "
	               "workers token --name)", joining->name);
}

static int put_record(const struct joining *joining, const char *key, int64_t revision,
                      struct change *change, struct err *err)
{
	char uid[ID_LEN + 1];
	uint8_t random[10];
	struct value *record = value_map(change_arena(change));
	random_bytes(random, sizeof random);
	id_make(joining->now_ms, random, uid);
	value_set_str(record, "name", joining->name);
	value_set_bin(record, "publicKey", joining->public_key, BOX_PUBLIC_BYTES);
	value_set_str(record, "uid", uid);
	value_set_str(record, "pool", joining->pool);
	value_set_str(record, "addresses", joining->addresses);
	value_set_int(record, "joinedAt", joining->now_ms);
	value_set_str(record, "joinedBy", joining->by);
	if (joining->certificate) {
		value_set_str(record, "serial", joining->facts.serial);
		value_set_int(record, "certificateUntil", joining->facts.until_ms);
	}
	TRY(value_check(record, err));
	return change_put(change, key, record, revision, err);
}

int joining_add(struct control *control, struct arena *arena, struct joining *joining,
                struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	int64_t revision = 0;
	struct node_key *proper = NULL;
	node_record_key(key, joining->name);
	TRY(check_free(control, arena, joining, key, &revision, err));
	TRY(node_key_new(joining->public_key, secret_bytes(control->link_secret), &proper, err));
	node_key_free(proper);
	if (joining->request)
		TRY(sign(control, arena, joining, &joining->certificate, &joining->facts, err));
	return put_record(joining, key, revision, change, err);
}

int joining_renew(struct control *control, struct arena *arena, const char *name,
                  const char *request, struct change *change, const char **ret_pem,
                  struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *record = NULL;
	int64_t revision = 0;
	struct cert_facts facts;
	TRY(catalog_get(control->catalog, arena, node_record_key(key, name), &record, &revision,
	                err));
	if (value_get_int(record, "removedAt", 0) != 0)
		return err_set(err, E_DENIED, "the worker %s was removed", name);
	const struct joining joining = {
		.name = name, .request = request, .addresses = value_get_str(record, "addresses"),
	};
	TRY(sign(control, arena, &joining, ret_pem, &facts, err));
	struct value *after = value_copy(change_arena(change), record);
	value_set_str(after, "serial", facts.serial);
	value_set_int(after, "certificateUntil", facts.until_ms);
	TRY(value_check(after, err));
	return change_put(change, key, after, revision, err);
}
