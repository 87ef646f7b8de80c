/* online.h - the online store: latest feature values by entity, sealed; the only door to LMDB.
 * One LMDB environment a tenant, below one folder. Keys are keyed digests of the entity key
 * (BLAKE2b-128 under a sub-key of the view's key), so no entity name is on disk; values are
 * sealed (AEAD, the key and view bound as associated data) msgpack: [event time us, layout,
 * [values in the view's feature order]]. The latest event time wins: an older or equal write
 * changes nothing, so replays are harmless. An entity key is its text: a string's bytes, an
 * int64 in decimal. A folder is open once a process. */
#ifndef ONLINE_H
#define ONLINE_H

#include "api/grant.h"

/* Packed values of one entity; and the room online_get needs at most. */
enum { ONLINE_VALUES_MAX = 65536, ONLINE_ROOM = ONLINE_VALUES_MAX + 32, ONLINE_KEY_MAX = 4096 };

struct online;
MUST_USE int online_new(const char *folder, size_t map_bytes_max, struct online **ret_online,
                        struct err *err);
void online_free(struct online *online);
DEFINE_AUTO(online)

/* Deletes a tenant's values, all of them, and its folder; ret_rows: how many there were. E_BUSY
 * while a view of it is open. */
MUST_USE int online_erase(struct online *online, const char *tenant, int64_t *ret_rows,
                          struct err *err);

/* For /metrics: environments open, and bytes they take on disk. */
void online_status(struct online *online, int64_t *ret_tenants, int64_t *ret_bytes);

/* A view made ready for many reads or writes: derived keys in secret memory. Any thread. */
struct online_view;
MUST_USE int online_view_new(struct online *online, const char *tenant, const char *view_uid,
                             uint32_t key_version, const uint8_t key[KEY_BYTES],
                             struct online_view **ret_view, struct err *err);
void online_view_free(struct online_view *view);
DEFINE_AUTO(online_view)

/* The layout: which features, of which types, in which order; a digest begun at 0 and continued
 * feature by feature. Values of another layout are not there for a reader, and a write of the
 * same event time replaces them. To be set before the view is used. */
int64_t online_layout(int64_t layout, const char *feature, const char *type);
void online_view_set_layout(struct online_view *view, int64_t layout);

/* A batch of writes, durable and visible together at commit. values: packed msgpack of the list. */
struct online_batch;
MUST_USE int online_batch_new(struct online_view *view, struct online_batch **ret_batch,
                              struct err *err);
MUST_USE int online_put(struct online_batch *batch, const void *entity_key, size_t key_len,
                        int64_t event_us, const void *values, size_t values_len, struct err *err);
/* ret_changed: entities whose value is now newer; ret_bytes: sealed bytes written. */
MUST_USE int online_commit(struct online_batch *batch, int64_t *ret_changed, int64_t *ret_bytes,
                           struct err *err);
void online_batch_free(struct online_batch *batch);
DEFINE_AUTO(online_batch)

/* One entity's values: 1 found, 0 not there, negative on failure. out receives the packed list
 * (cap bytes, ONLINE_ROOM always suffices); ret_len its length. Does not allocate once each
 * thread has read. */
MUST_USE int online_get(struct online_view *view, const void *entity_key, size_t key_len,
                        int64_t *ret_event_us, uint8_t *out, size_t cap, size_t *ret_len,
                        struct err *err);

#endif
