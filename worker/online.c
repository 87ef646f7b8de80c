/* online.c - the online store on LMDB. Invariants: an environment with a view is not closed;
 * what lies under a key opens only with its view's key, uid and version and under that very key.
 *
 * Stored: key = 8 bytes of the view, 16 of the entity's keyed digest; value = format byte, 24
 * random bytes of nonce, sealed msgpack [event us, layout, values] with the first two as int64.
 * XChaCha20-Poly1305: its nonces may be drawn at random for ever, where AES-GCM's 96 bits would
 * bound the writes of a view to 2^32.
 *
 * Reads take a finished read transaction out of a slot and renew it: no lock, no allocation. */
#include "common/defs.h"
#include "worker/online.h"

#include "common/text.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TENANTS_MAX = 1024,          /* environments open at one time */
	READER_SLOTS = 64, READERS_MAX = 512,
	VIEW_TAG = 8, ENTITY_TAG = 16, ROW_KEY = VIEW_TAG + ENTITY_TAG,
	FORMAT = 1, NONCE = 24, HEAD = 1 + NONCE, ROW_HEAD = 19, AD_MAX = 128, UID_MAX = 64
};

struct tenant_env {
	struct tenant_env *next;
	char tenant[NAME_MAX_LEN + 1];
	MDB_env *env;
	MDB_dbi dbi;
	int views;                   /* guarded by online->mutex */
	_Atomic(MDB_txn *) idle[READER_SLOTS];   /* read transactions that were reset */
};

struct online {
	pthread_mutex_t mutex;
	char *folder;
	size_t map_bytes;
	struct tenant_env *envs;     /* guarded by mutex, as is count */
	int count;
};

struct online_view {
	struct online *online;
	struct tenant_env *env;
	struct aead *aead;
	struct secret *digest_key;
	uint8_t tag[VIEW_TAG];
	uint8_t ad[AD_MAX];          /* uid, NUL, version; the row's key is put behind */
	size_t ad_len;
	int64_t layout;
};

struct online_batch {
	struct online_view *view;
	MDB_txn *txn;
	int64_t changed, bytes;
};

static int failed(int rc, const char *what, struct err *err)
{
	switch (rc) {
	case 0: return 0;
	case MDB_MAP_FULL: return err_set(err, E_NO_SPACE, "online store: the tenant's part is "
	                                  "full; give the worker a larger onlineBytes");
	case MDB_TXN_FULL: return err_set(err, E_TOO_LARGE, "online store: too many entities in "
	                                  "one batch; write them in several");
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID: return err_set(err, E_CORRUPT, "online store: %s: %s", what,
	                                 mdb_strerror(rc));
	default: return rc > 0 ? err_errno(err, rc, "online store: %s", what)
	                       : err_set(err, E_IO, "online store: %s: %s", what, mdb_strerror(rc));
	}
}

/* ---- environments ---- */

int online_new(const char *folder, size_t map_bytes_max, struct online **ret_online,
               struct err *err)
{
	AUTO(online) *online = calloc(1, sizeof *online);
	if (!online)
		return err_set(err, E_NOMEM, "online store: no memory");
	pthread_mutex_init(&online->mutex, NULL);
	online->map_bytes = map_bytes_max;
	online->folder = strdup(folder);
	if (!online->folder)
		return err_set(err, E_NOMEM, "online store: no memory");
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "online store: make the folder %s", folder);
	*ret_online = MOVE(online);
	return 0;
}

static void env_free(struct tenant_env *env)
{
	if (!env)
		return;
	for (size_t i = 0; i < READER_SLOTS; i++) {
		MDB_txn *txn = atomic_exchange(&env->idle[i], NULL);
		if (txn)
			mdb_txn_abort(txn);
	}
	if (env->env)
		mdb_env_close(env->env);
	free(env);
}

void online_free(struct online *online)
{
	if (!online)
		return;
	while (online->envs) {
		struct tenant_env *next = online->envs->next;
		REQUIRE(online->envs->views == 0);
		env_free(online->envs);
		online->envs = next;
	}
	pthread_mutex_destroy(&online->mutex);
	free(online->folder);
	free(online);
}

static int open_dbi(struct tenant_env *env, struct err *err)
{
	MDB_txn *txn = NULL;
	TRY(failed(mdb_txn_begin(env->env, NULL, 0, &txn), "begin", err));
	int rc = mdb_dbi_open(txn, NULL, 0, &env->dbi);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return failed(rc, "open", err);
	}
	return failed(mdb_txn_commit(txn), "commit", err);
}

static int env_fill(struct online *online, struct tenant_env *env, struct err *err)
{
	char path[4096];
	int dead;
	if (snprintf(path, sizeof path, "%s/%s", online->folder, env->tenant) >= (int)sizeof path)
		return err_set(err, E_INVALID, "online store: the folder's path is too long");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "online store: make the folder %s", path);
	TRY(failed(mdb_env_create(&env->env), "open", err));
	TRY(failed(mdb_env_set_mapsize(env->env, online->map_bytes), "map", err));
	TRY(failed(mdb_env_set_maxreaders(env->env, READERS_MAX), "open", err));
	TRY(failed(mdb_env_open(env->env, path, MDB_NOTLS, 0600), "open", err));
	TRY(failed(mdb_reader_check(env->env, &dead), "open", err));
	return open_dbi(env, err);
}

/* Closes one environment that no view uses. mutex held. */
static bool evict_one(struct online *online)
{
	for (struct tenant_env **at = &online->envs; *at; at = &(*at)->next) {
		struct tenant_env *env = *at;
		if (env->views > 0)
			continue;
		*at = env->next;
		online->count--;
		env_free(env);
		return true;
	}
	return false;
}

static int env_add(struct online *online, const char *tenant, struct tenant_env **ret_env,
                   struct err *err)
{
	if (online->count >= TENANTS_MAX && !evict_one(online))
		return err_set(err, E_BUSY, "online store: %d tenants are being read; try again",
		               TENANTS_MAX);
	struct tenant_env *env = calloc(1, sizeof *env);
	if (!env)
		return err_set(err, E_NOMEM, "online store: no memory");
	snprintf(env->tenant, sizeof env->tenant, "%s", tenant);
	int rc = env_fill(online, env, err);
	if (rc < 0) {
		env_free(env);
		return rc;
	}
	env->next = online->envs;
	online->envs = env;
	online->count++;
	*ret_env = env;
	return 0;
}

/* mutex held */
static int env_find(struct online *online, const char *tenant, struct tenant_env **ret_env,
                    struct err *err)
{
	for (struct tenant_env *env = online->envs; env; env = env->next) {
		if (strcmp(env->tenant, tenant) == 0) {
			*ret_env = env;
			return 0;
		}
	}
	return env_add(online, tenant, ret_env, err);
}

static int env_use(struct online *online, const char *tenant, struct tenant_env **ret_env,
                   struct err *err)
{
	TRY(name_check("tenant", tenant, err));
	pthread_mutex_lock(&online->mutex);
	int rc = env_find(online, tenant, ret_env, err);
	if (rc == 0)
		(*ret_env)->views++;
	pthread_mutex_unlock(&online->mutex);
	return rc;
}

/* --- erased --- */

static int64_t env_rows(const struct tenant_env *env)
{
	MDB_stat stat;
	MDB_txn *txn = NULL;
	if (mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	int rc = mdb_stat(txn, env->dbi, &stat);
	mdb_txn_abort(txn);
	return rc == 0 ? (int64_t)stat.ms_entries : 0;
}

/* Each may be gone already: an erasure that was cut short is done again. */
static int remove_files(const char *folder, struct err *err)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	char path[4096];
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return err_errno(err, errno, "online store: delete %s", path);
	}
	if (rmdir(folder) < 0 && errno != ENOENT)
		return err_errno(err, errno, "online store: delete the folder %s", folder);
	return 0;
}

/* mutex held */
static int erase(struct online *online, const char *tenant, const char *folder,
                 int64_t *ret_rows, struct err *err)
{
	struct tenant_env *env = NULL;
	*ret_rows = 0;
	if (access(folder, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (env_find(online, tenant, &env, err) < 0)         /* damaged: it goes all the same */
		return remove_files(folder, err);
	if (env->views > 0)
		return err_set(err, E_BUSY, "online store: %d views of %s are open", env->views,
		               tenant);
	*ret_rows = env_rows(env);
	struct tenant_env **at = &online->envs;
	while (*at != env)
		at = &(*at)->next;
	*at = env->next;
	online->count--;
	env_free(env);
	return remove_files(folder, err);
}

int online_erase(struct online *online, const char *tenant, int64_t *ret_rows, struct err *err)
{
	char folder[4000];
	TRY(name_check("tenant", tenant, err));
	if (snprintf(folder, sizeof folder, "%s/%s", online->folder, tenant) >= (int)sizeof folder)
		return err_set(err, E_INVALID, "online store: the folder's path is too long");
	pthread_mutex_lock(&online->mutex);
	int rc = erase(online, tenant, folder, ret_rows, err);
	pthread_mutex_unlock(&online->mutex);
	return rc;
}

void online_status(struct online *online, int64_t *ret_tenants, int64_t *ret_bytes)
{
	int64_t bytes = 0;
	pthread_mutex_lock(&online->mutex);
	*ret_tenants = online->count;
	for (struct tenant_env *env = online->envs; env; env = env->next) {
		MDB_envinfo info;
		MDB_stat stat;
		if (mdb_env_info(env->env, &info) == 0 && mdb_env_stat(env->env, &stat) == 0)
			bytes += (int64_t)(info.me_last_pgno + 1) * stat.ms_psize;
	}
	pthread_mutex_unlock(&online->mutex);
	*ret_bytes = bytes;
}

/* ---- views ---- */

static int view_keys(struct online_view *view, const uint8_t key[KEY_BYTES], struct err *err)
{
	AUTO(secret) *value_key = NULL;
	TRY(secret_new(KEY_BYTES, &value_key, err));
	TRY(secret_new(KEY_BYTES, &view->digest_key, err));
	key_derive(key, "freehold-online-value-v1", secret_data(value_key));
	key_derive(key, "freehold-online-key-v1", secret_data(view->digest_key));
	return aead_new(AEAD_XCHACHA20POLY1305, secret_bytes(value_key), &view->aead, err);
}

static void view_label(struct online_view *view, const char *view_uid, uint32_t key_version)
{
	uint8_t whole[DIGEST_BYTES];
	size_t len = strlen(view_uid) + 1;
	digest(view_uid, len - 1, whole);
	memcpy(view->tag, whole, VIEW_TAG);
	memcpy(view->ad, view_uid, len);
	for (int i = 0; i < 4; i++)
		view->ad[len + (size_t)i] = (uint8_t)(key_version >> (24 - 8 * i));
	view->ad_len = len + 4;
}

int online_view_new(struct online *online, const char *tenant, const char *view_uid,
                    uint32_t key_version, const uint8_t key[KEY_BYTES],
                    struct online_view **ret_view, struct err *err)
{
	size_t len = strlen(view_uid);
	if (len < 1 || len > UID_MAX)
		return err_set(err, E_INVALID, "online store: a view's uid has 1 to %d bytes, not "
		               "%zu", UID_MAX, len);
	AUTO(online_view) *view = calloc(1, sizeof *view);
	if (!view)
		return err_set(err, E_NOMEM, "online store: no memory");
	view->online = online;
	view_label(view, view_uid, key_version);
	TRY(view_keys(view, key, err));
	TRY(env_use(online, tenant, &view->env, err));
	*ret_view = MOVE(view);
	return 0;
}

int64_t online_layout(int64_t layout, const char *feature, const char *type)
{
	uint8_t whole[DIGEST_BYTES], text[3 * DIGEST_BYTES];
	memcpy(text, &layout, sizeof layout);
	memset(text + sizeof layout, 0, DIGEST_BYTES - sizeof layout);
	digest(feature, strlen(feature), text + DIGEST_BYTES);
	digest(type, strlen(type), text + 2 * DIGEST_BYTES);
	digest(text, sizeof text, whole);
	memcpy(&layout, whole, sizeof layout);
	return layout;
}

void online_view_set_layout(struct online_view *view, int64_t layout)
{
	view->layout = layout;
}

void online_view_free(struct online_view *view)
{
	if (!view)
		return;
	if (view->env) {
		pthread_mutex_lock(&view->online->mutex);
		view->env->views--;
		pthread_mutex_unlock(&view->online->mutex);
	}
	aead_free(view->aead);
	secret_free(view->digest_key);
	free(view);
}

static void row_key(const struct online_view *view, const void *entity_key, size_t key_len,
                    uint8_t out[ROW_KEY])
{
	uint8_t whole[DIGEST_BYTES];
	digest_keyed(secret_bytes(view->digest_key), entity_key, key_len, whole);
	memcpy(out, view->tag, VIEW_TAG);
	memcpy(out + VIEW_TAG, whole, ENTITY_TAG);
}

static size_t row_ad(const struct online_view *view, const uint8_t key[ROW_KEY],
                     uint8_t out[AD_MAX])
{
	memcpy(out, view->ad, view->ad_len);
	memcpy(out + view->ad_len, key, ROW_KEY);
	return view->ad_len + ROW_KEY;
}

/* ---- rows ---- */

/* What stands before the values: an array of three, two of them int64. */
struct row_head {
	int64_t event_us, layout;
};

static void int64_print(int64_t n, uint8_t out[9])
{
	out[0] = 0xd3;
	for (int i = 0; i < 8; i++)
		out[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
}

static int64_t int64_parse(const uint8_t *bytes)
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n = n << 8 | bytes[1 + i];
	return (int64_t)n;
}

static void head_print(const struct row_head *head, uint8_t out[ROW_HEAD])
{
	out[0] = 0x93;
	int64_print(head->event_us, out + 1);
	int64_print(head->layout, out + 10);
}

static bool head_parse(const uint8_t *plain, size_t len, struct row_head *ret_head)
{
	if (len < ROW_HEAD || plain[0] != 0x93 || plain[1] != 0xd3 || plain[10] != 0xd3)
		return false;
	*ret_head = (struct row_head) { int64_parse(plain + 1), int64_parse(plain + 10) };
	return true;
}

static size_t row_plain_len(const MDB_val *row)
{
	return row->mv_size >= HEAD + AEAD_TAG_BYTES ? row->mv_size - HEAD - AEAD_TAG_BYTES : 0;
}

static int row_open(const struct online_view *view, const uint8_t key[ROW_KEY], const MDB_val *row,
                    uint8_t *out, size_t cap, struct row_head *ret_head, struct err *err)
{
	const uint8_t *bytes = row->mv_data;
	uint8_t ad[AD_MAX];
	size_t ad_len = row_ad(view, key, ad);
	size_t plain_len = row_plain_len(row);
	if (plain_len > cap)
		return err_set(err, E_TOO_LARGE, "online store: a value of %zu bytes, there is "
		               "room for %zu", plain_len, cap);
	if (plain_len < ROW_HEAD || bytes[0] != FORMAT ||
	    !aead_open(view->aead, bytes + 1, ad, ad_len, bytes + HEAD, row->mv_size - HEAD, out) ||
	    !head_parse(out, plain_len, ret_head))
		return err_set(err, E_CORRUPT, "online store: a value does not verify; materialize "
		               "the view anew");
	return 0;
}

/* ---- writing ---- */

int online_batch_new(struct online_view *view, struct online_batch **ret_batch, struct err *err)
{
	AUTO(online_batch) *batch = calloc(1, sizeof *batch);
	if (!batch)
		return err_set(err, E_NOMEM, "online store: no memory");
	batch->view = view;
	TRY(failed(mdb_txn_begin(view->env->env, NULL, 0, &batch->txn), "begin", err));
	*ret_batch = MOVE(batch);
	return 0;
}

/* 1: what is there is as new, and of the same layout if it is not newer. */
static int is_old(struct online_batch *batch, const uint8_t key[ROW_KEY], int64_t event_us,
                  uint8_t *room, struct err *err)
{
	MDB_val at = { ROW_KEY, (void *)(uintptr_t)key }, row;
	struct row_head there;
	int rc = mdb_get(batch->txn, batch->view->env->dbi, &at, &row);
	if (rc == MDB_NOTFOUND)
		return 0;
	TRY(failed(rc, "read", err));
	TRY(row_open(batch->view, key, &row, room, ONLINE_ROOM, &there, err));
	return there.event_us > event_us ||
		(there.event_us == event_us && there.layout == batch->view->layout);
}

static int write_row(struct online_batch *batch, const uint8_t key[ROW_KEY], int64_t event_us,
                     const void *values, size_t values_len, uint8_t *room, struct err *err)
{
	struct online_view *view = batch->view;
	size_t plain_len = ROW_HEAD + values_len;
	uint8_t ad[AD_MAX];
	size_t ad_len = row_ad(view, key, ad);
	head_print(&(struct row_head) { event_us, view->layout }, room);
	memcpy(room + ROW_HEAD, values, values_len);
	MDB_val at = { ROW_KEY, (void *)(uintptr_t)key };
	MDB_val row = { HEAD + plain_len + AEAD_TAG_BYTES, NULL };
	TRY(failed(mdb_put(batch->txn, view->env->dbi, &at, &row, MDB_RESERVE), "write", err));
	uint8_t *bytes = row.mv_data;
	bytes[0] = FORMAT;
	random_bytes(bytes + 1, NONCE);
	aead_seal(view->aead, bytes + 1, ad, ad_len, room, plain_len, bytes + HEAD);
	batch->changed++;
	batch->bytes += (int64_t)row.mv_size;
	return 0;
}

int online_put(struct online_batch *batch, const void *entity_key, size_t key_len,
               int64_t event_us, const void *values, size_t values_len, struct err *err)
{
	uint8_t room[ONLINE_ROOM], key[ROW_KEY];
	if (values_len > ONLINE_VALUES_MAX)
		return err_set(err, E_TOO_LARGE, "online store: the values of one entity take %zu "
		               "bytes, at most %d are allowed", values_len, ONLINE_VALUES_MAX);
	if (key_len > ONLINE_KEY_MAX)
		return err_set(err, E_TOO_LARGE, "online store: an entity key of %zu bytes, at "
		               "most %d are allowed", key_len, ONLINE_KEY_MAX);
	row_key(batch->view, entity_key, key_len, key);
	int rc = is_old(batch, key, event_us, room, err);
	if (rc == 0)
		rc = write_row(batch, key, event_us, values, values_len, room, err);
	secret_wipe(room, ROW_HEAD + values_len);
	return rc < 0 ? rc : 0;
}

int online_commit(struct online_batch *batch, int64_t *ret_changed, int64_t *ret_bytes,
                  struct err *err)
{
	TRY(failed(mdb_txn_commit(MOVE(batch->txn)), "commit", err));
	*ret_changed = batch->changed;
	*ret_bytes = batch->bytes;
	return 0;
}

void online_batch_free(struct online_batch *batch)
{
	if (!batch)
		return;
	if (batch->txn)
		mdb_txn_abort(batch->txn);
	free(batch);
}

/* ---- reading ---- */

/* Each thread begins at a slot of its own, so that threads rarely meet. */
static size_t first_slot(void)
{
	return (size_t)((uint64_t)pthread_self() >> 12) * 2654435761u % READER_SLOTS;
}

static int reader_take(struct tenant_env *env, MDB_txn **ret_txn, struct err *err)
{
	size_t slot = first_slot();
	for (size_t i = 0; i < READER_SLOTS; i++) {
		_Atomic(MDB_txn *) *at = &env->idle[(slot + i) % READER_SLOTS];
		MDB_txn *txn = atomic_load_explicit(at, memory_order_relaxed);
		if (!txn || !(txn = atomic_exchange(at, NULL)))
			continue;
		int rc = mdb_txn_renew(txn);
		if (rc != 0)
			mdb_txn_abort(txn);
		*ret_txn = txn;
		return failed(rc, "read", err);
	}
	return failed(mdb_txn_begin(env->env, NULL, MDB_RDONLY, ret_txn), "read", err);
}

static void reader_give(struct tenant_env *env, MDB_txn *txn)
{
	size_t slot = first_slot();
	mdb_txn_reset(txn);
	for (size_t i = 0; i < READER_SLOTS; i++) {
		MDB_txn *none = NULL;
		if (atomic_compare_exchange_strong(&env->idle[(slot + i) % READER_SLOTS], &none,
		                                   txn))
			return;
	}
	mdb_txn_abort(txn);
}

int online_get(struct online_view *view, const void *entity_key, size_t key_len,
               int64_t *ret_event_us, uint8_t *out, size_t cap, size_t *ret_len,
               struct err *err)
{
	uint8_t key[ROW_KEY];
	MDB_txn *txn = NULL;
	struct row_head head = { 0 };
	row_key(view, entity_key, key_len, key);
	MDB_val at = { ROW_KEY, key }, row;
	TRY(reader_take(view->env, &txn, err));
	int rc = mdb_get(txn, view->env->dbi, &at, &row);
	bool found = rc == 0;
	rc = rc == MDB_NOTFOUND ? 0 : failed(rc, "read", err);
	if (found)
		rc = row_open(view, key, &row, out, cap, &head, err);
	size_t len = found ? row_plain_len(&row) - ROW_HEAD : 0;
	reader_give(view->env, txn);
	if (rc < 0 || !found || head.layout != view->layout)
		return rc;
	*ret_event_us = head.event_us;
	memmove(out, out + ROW_HEAD, len);
	*ret_len = len;
	return 1;
}
