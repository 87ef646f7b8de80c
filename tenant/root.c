/* root.c - see root.h. Invariant: what is in the store was wrapped before, and is only replaced by
 * compare-and-swap, so that replicas that start together agree on one key. */
#include "common/defs.h"
#include "tenant/root.h"

#include "common/pack.h"
#include "common/text.h"
#include "common/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOT_FILE_MAX = 2 * KEY_BYTES + 2, BOX_BYTES = KEY_BYTES + LOCKBOX_OVERHEAD,
       RECORD_MAX = 8192, ARENA_MAX = 64 * 1024, TRIES = 5 };

static const char record_key[] = "root/installation", record_place[] = "freehold root record 1";

/* --- the root key's file --- */

static int mode_check(const char *path, int fd, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot inspect the root key file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, E_INVALID, "the root key file %s is no regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, E_INVALID, "the root key file %s belongs to the user %u, "
		               "who may change it; run: chown %u %s", path, (unsigned)st.st_uid,
		               (unsigned)geteuid(), path);
	if (st.st_mode & 077)
		return err_set(err, E_INVALID,
		               "the root key file %s has mode %03o, so others may read "
		               "it; run: chmod 600 %s",
		               path, (unsigned)st.st_mode & 0777, path);
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_key(const uint8_t *text, uint8_t out[KEY_BYTES])
{
	for (size_t i = 0; i < KEY_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int root_parse(const char *path, const uint8_t *text, size_t len, uint8_t out[KEY_BYTES],
                      struct err *err)
{
	if (len == KEY_BYTES) {
		memcpy(out, text, KEY_BYTES);
		return 0;
	}
	size_t digits = len;
	while (digits && (text[digits - 1] == '\n' || text[digits - 1] == '\r'))
		digits--;
	if (digits == 2 * KEY_BYTES && hex_key(text, out))
		return 0;
	return err_set(err, E_INVALID,
	               "the root key file %s holds %zu bytes; it must hold %d bytes or "
	               "%d hex digits (head -c 32 /dev/urandom makes one)",
	               path, len, KEY_BYTES, 2 * KEY_BYTES);
}

static int read_all(const char *path, int fd, uint8_t *out, size_t max, size_t *ret_len,
                    struct err *err)
{
	size_t len = 0;
	while (len < max) {
		ssize_t n = read(fd, out + len, max - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "cannot read the root key file %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static int root_read(const char *path, int fd, uint8_t out[KEY_BYTES], struct err *err)
{
	TRY(mode_check(path, fd, err));
	AUTO(secret) *text = NULL;
	TRY(secret_new(ROOT_FILE_MAX + 1, &text, err));
	size_t len = 0;
	TRY(read_all(path, fd, secret_data(text), ROOT_FILE_MAX + 1, &len, err));
	return root_parse(path, secret_bytes(text), len, out, err);
}

static int root_write(const char *path, int fd, struct err *err)
{
	AUTO(secret) *root = NULL;
	TRY(secret_random(KEY_BYTES, &root, err));
	if (write(fd, secret_bytes(root), KEY_BYTES) == KEY_BYTES && fsync(fd) == 0)
		return 0;
	int code = err_errno(err, errno, "cannot write the root key file %s", path);
	unlink(path);     /* half a key is worse than none */
	return code;
}

static int root_make(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "cannot make the root key file %s", path);
	int code = root_write(path, fd, err);
	close(fd);
	return code;
}

static int root_load(const char *path, bool make, uint8_t out[KEY_BYTES], struct err *err)
{
	if (make)
		TRY(root_make(path, err));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, E_INVALID, "the root key file %s is a link, which others may "
		               "turn; name the file itself", path);
	if (fd < 0)
		return err_errno(err, errno, "cannot open the root key file %s", path);
	int code = root_read(path, fd, out, err);
	close(fd);
	return code;
}

int root_read_file(const char *path, bool make, struct secret **ret_key, struct err *err)
{
	AUTO(secret) *key = NULL;
	TRY(secret_new(KEY_BYTES, &key, err));
	TRY(root_load(path, make, secret_data(key), err));
	*ret_key = MOVE(key);
	return 0;
}

/* --- the environment --- */

static bool env_parse(const char *text, uint8_t out[KEY_BYTES])
{
	size_t len = strlen(text);
	if (len == 2 * KEY_BYTES && hex_key((const uint8_t *)text, out))
		return true;
	AUTO_BUF bytes;
	buf_init(&bytes, 2 * KEY_BYTES);
	bool read = base64_parse(text, len, &bytes, NULL) == 0 && bytes.len == KEY_BYTES;
	if (read)
		memcpy(out, bytes.data, KEY_BYTES);
	if (bytes.data)
		secret_wipe(bytes.data, bytes.len);
	return read;
}

/* The bytes themselves are overwritten: unsetenv alone leaves them where /proc shows them. */
static int read_env(const char *name, struct secret **ret_key, struct err *err)
{
	AUTO(secret) *key = NULL;
	TRY(secret_new(KEY_BYTES, &key, err));
	char *text = getenv(name);
	if (!text)
		return err_set(err, E_NOT_FOUND, "--root-key-env: there is no variable %s", name);
	bool read = env_parse(text, secret_data(key));
	secret_wipe(text, strlen(text));
	unsetenv(name);
	if (!read)
		return err_set(err, E_INVALID, "--root-key-env: the variable %s must hold %d hex "
		               "digits or the base64 of %d bytes", name, 2 * KEY_BYTES, KEY_BYTES);
	*ret_key = MOVE(key);
	return 0;
}

/* --- the record --- */

int root_record_read(struct arena *arena, const void *data, size_t len,
                     struct root_record *ret_record, struct err *err)
{
	struct value *map = NULL;
	size_t box_len = 0;
	struct root_record record = { 0 };
	if (pack_read(arena, data, len, &map, NULL) < 0 || value_get_int(map, "format", 0) != 1)
		return err_set(err, E_CORRUPT, "%s holds no wrapped key that this release reads",
		               record_key);
	const char *source = value_get_str(map, "source");
	if (source && strcmp(source, "transit") == 0)
		record.text = value_get_str(map, "text");
	if (source && strcmp(source, "key") == 0)
		record.box = value_get_bin(map, "box", &box_len);
	if (!record.text && (!record.box || box_len != BOX_BYTES))
		return err_set(err, E_CORRUPT, "%s holds no wrapped key that this release reads",
		               record_key);
	*ret_record = record;
	return 0;
}

struct stored {
	struct arena *arena;
	struct root_record record;
	int64_t revision;            /* 0: there is no record */
	bool installed;              /* there is state already */
};

static int see_record(void *context, const struct store_item *item, struct err *err)
{
	struct stored *stored = context;
	stored->revision = item->mod_revision;
	if (!item->mod_revision)
		return 0;
	return root_record_read(stored->arena, item->value, item->value_len, &stored->record, err);
}

static int see_state(void *context, const struct store_item *item, struct err *err)
{
	struct stored *stored = context;
	(void)err;
	stored->installed = item->mod_revision != 0;
	return 0;
}

static int read_copy(const char *path, struct stored *stored, struct err *err)
{
	uint8_t bytes[RECORD_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(err, errno, "cannot open --root-record-file %s", path);
	ssize_t len = read(fd, bytes, sizeof bytes);
	int why = errno;
	close(fd);
	if (len < 0)
		return err_errno(err, why, "cannot read --root-record-file %s", path);
	return root_record_read(stored->arena, bytes, (size_t)len, &stored->record, err);
}

static int read_stored(const struct root_conf *conf, struct store *store, struct stored *stored,
                       struct err *err)
{
	if (store)
		TRY(store_get(store, record_key, see_record, stored, err));
	if (store)
		TRY(store_get(store, "r/tenant/platform", see_state, stored, err));
	/* An empty store is about to be restored. */
	if (!stored->revision && !stored->installed && conf->record_file)
		TRY(read_copy(conf->record_file, stored, err));
	return 0;
}

static int write_copy(const char *path, const struct buf *bytes, struct err *err)
{
	char partial[4096];
	snprintf(partial, sizeof partial, "%.4000s.partial", path);
	int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot write --root-record-file %s", path);
	bool written = write(fd, bytes->data, bytes->len) == (ssize_t)bytes->len && fsync(fd) == 0;
	int why = errno;
	if (close(fd) == 0 && written && rename(partial, path) == 0)
		return 0;
	return err_errno(err, written ? errno : why, "cannot write --root-record-file %s", path);
}

/* E_PRECONDITION: another replica was faster. */
static int put_record(const struct root_conf *conf, struct store *store,
                      const struct stored *stored, const struct root_record *record,
                      struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	AUTO_BUF bytes;
	struct value *map = value_map(stored->arena);
	buf_init(&bytes, RECORD_MAX);
	value_set_int(map, "format", 1);
	value_set_str(map, "source", record->text ? "transit" : "key");
	value_set_str(map, "text", record->text);
	if (record->box)
		value_set_bin(map, "box", record->box, BOX_BYTES);
	TRY(value_check(map, err));
	TRY(pack_write(map, &bytes, err));
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_if_mod(txn, record_key, stored->revision, err));
	TRY(store_txn_put(txn, record_key, bytes.data, bytes.len, err));
	TRY(store_commit(store, txn, NULL, err));
	return conf->record_file ? write_copy(conf->record_file, &bytes, err) : 0;
}

/* --- under a root key --- */

static int open_box(const struct secret *root, const uint8_t *box, struct secret **ret_key,
                    struct err *err)
{
	AUTO(secret) *under = NULL, *key = NULL;
	TRY(secret_new(KEY_BYTES, &under, err));
	TRY(secret_new(KEY_BYTES, &key, err));
	key_derive(secret_bytes(root), "freehold wrap the installation key v1", secret_data(under));
	if (lockbox_open(secret_bytes(under), record_place, sizeof record_place, box, BOX_BYTES,
	                 secret_data(key), NULL) < 0)
		return err_set(err, E_CORRUPT, "the installation's key does not open under this "
		               "root key: it was replaced; give the newest one");
	*ret_key = MOVE(key);
	return 0;
}

static int seal_box(const struct secret *root, const struct secret *key, uint8_t out[BOX_BYTES],
                    struct err *err)
{
	AUTO(secret) *under = NULL;
	TRY(secret_new(KEY_BYTES, &under, err));
	key_derive(secret_bytes(root), "freehold wrap the installation key v1", secret_data(under));
	lockbox_seal(secret_bytes(under), record_place, sizeof record_place, secret_bytes(key),
	             KEY_BYTES, out);
	return 0;
}

/* What the root key before gives. */
static int open_old(const struct root_conf *conf, const struct stored *stored,
                    struct secret **ret_key, struct err *err)
{
	AUTO(secret) *old = NULL;
	TRY(root_read_file(conf->old_file, false, &old, err));
	if (stored->record.box)
		return open_box(old, stored->record.box, ret_key, err);
	*ret_key = MOVE(old);
	return 0;
}

static int with_root(const struct root_conf *conf, struct store *store, struct stored *stored,
                     const struct secret *root, struct secret **ret_key, struct err *err)
{
	uint8_t box[BOX_BYTES];
	const struct root_record fresh = { .box = box };
	AUTO(secret) *key = NULL;
	if (stored->record.text)
		return err_set(err, E_INVALID, "this installation's key is wrapped by a key "
		               "service: give --transit-url and --transit-key-name instead");
	if (stored->record.box && open_box(root, stored->record.box, ret_key, err) == 0)
		return 0;
	if (stored->record.box && !conf->old_file)
		return err ? err->code : E_CORRUPT;
	if (!conf->old_file)
		return secret_copy(secret_bytes(root), KEY_BYTES, ret_key, err);
	TRY(open_old(conf, stored, &key, err));
	if (!store)
		return err_set(err, E_INVALID, "--old-root-key-file: the root key is replaced when "
		               "the control plane starts, not offline");
	TRY(seal_box(root, key, box, err));
	TRY(put_record(conf, store, stored, &fresh, err));
	*ret_key = MOVE(key);
	return 0;
}

/* --- with a key service --- */

static int wrap_first(const struct root_conf *conf, struct store *store, struct stored *stored,
                      struct transit *transit, struct secret **ret_key, struct err *err)
{
	AUTO(secret) *key = NULL;
	AUTO_BUF text;
	buf_init(&text, RECORD_MAX / 2);
	if (stored->installed && !conf->old_file)
		return err_set(err, E_INVALID, "this installation has a root key of its own; give "
		               "it once as --old-root-key-file, and the key service takes over");
	if (!store)
		return err_set(err, E_NOT_FOUND, "there is no wrapped key: give the copy of it as "
		               "--root-record-file");
	if (conf->old_file) {
		TRY(open_old(conf, stored, &key, err));
		TRY(transit_encrypt(transit, key, &text, err));
	} else {
		TRY(transit_datakey(transit, &key, &text, err));
	}
	const struct root_record fresh = { .text = (const char *)text.data };
	TRY(put_record(conf, store, stored, &fresh, err));
	*ret_key = MOVE(key);
	return 0;
}

static int with_transit(const struct root_conf *conf, struct store *store, struct stored *stored,
                        struct secret **ret_key, struct err *err)
{
	AUTO(transit) *transit = NULL;
	TRY(transit_new(&conf->transit, conf->clock, &transit, err));
	if (stored->record.text)
		return transit_decrypt(transit, stored->record.text, ret_key, err);
	return wrap_first(conf, store, stored, transit, ret_key, err);
}

/* --- public --- */

static int check(const struct root_conf *conf, struct err *err)
{
	int given = !!conf->file + !!conf->env + !!conf->transit.url;
	if (given != 1)
		return err_set(err, E_INVALID, "%d sources of the root key are given; give one of "
		               "--root-key-file, --root-key-env and --transit-url", given);
	return 0;
}

static int open_once(const struct root_conf *conf, struct store *store, const struct secret *root,
                     struct secret **ret_key, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct stored stored = { .arena = arena };
	TRY(read_stored(conf, store, &stored, err));
	if (!root)
		return with_transit(conf, store, &stored, ret_key, err);
	return with_root(conf, store, &stored, root, ret_key, err);
}

int root_open(const struct root_conf *conf, struct store *store, struct secret **ret_key,
              struct err *err)
{
	AUTO(secret) *root = NULL;
	int rc = E_PRECONDITION;
	TRY(check(conf, err));
	if (conf->file)
		TRY(root_read_file(conf->file, conf->make, &root, err));
	if (conf->env)
		TRY(read_env(conf->env, &root, err));
	for (int i = 0; i < TRIES && rc == E_PRECONDITION; i++)
		rc = open_once(conf, store, root, ret_key, err);
	return rc;
}

int root_rewrap(const struct root_conf *conf, struct store *store, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(transit) *transit = NULL;
	AUTO_BUF text;
	buf_init(&text, RECORD_MAX / 2);
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct stored stored = { .arena = arena };
	if (!conf->transit.url)
		return err_set(err, E_CONFLICT, "the root key is not in a key service: start the "
		               "control plane with the new one as its root key and the one "
		               "before as --old-root-key-file");
	TRY(read_stored(conf, store, &stored, err));
	if (!stored.record.text)
		return err_set(err, E_CONFLICT, "no key of this installation is wrapped by the key "
		               "service");
	TRY(transit_new(&conf->transit, conf->clock, &transit, err));
	TRY(transit_rewrap(transit, stored.record.text, &text, err));
	const struct root_record fresh = { .text = (const char *)text.data };
	return put_record(conf, store, &stored, &fresh, err);
}
