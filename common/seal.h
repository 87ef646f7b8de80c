/* seal.h - sealed objects: what is stored is opened only by who holds the dataset's key.
 *
 * Layout: a header, then the body.
 *   header  "FHS1", u8 suite (1 Cobblestone-256, 2 the same with XChaCha20-Poly1305), u16 length of
 *           the rest (little-endian), then canonical msgpack {tenant, dataset, version, wrapped}:
 *           wrapped is the object's data key in a lockbox under the dataset key of that version;
 *           version is 4 bytes (big-endian), so that a header keeps its length at rotation.
 *   body    C2SP chunked-encryption (c2sp.org/chunked-encryption): salt 24, commitment 32, chunks
 * of 16 KiB + 16 tag; the last chunk is shorter than 16 KiB (maybe empty). The body is bound to
 * tenant, dataset and the object's path, so an object moved to another of these does not open. The
 * lockbox is bound to suite, tenant, dataset and version; rotation rewrites the header only. Each
 * refusal is an E_CORRUPT that says which of these did not hold. */
#ifndef SEAL_H
#define SEAL_H

#include "common/buf.h"
#include "common/crypto.h"

enum { SEAL_CHUNK = 16384, SEAL_CHUNK_SEALED = 16384 + 16, SEAL_HEADER_MAX = 1024 };

/* Whose object it is, and under which key. path is the object's key in the object store. */
struct seal_label {
	const char *tenant;
	const char *dataset;         /* its uid */
	const char *path;
	uint32_t version;            /* of the dataset key */
};

/* Sealing, as a stream: new, write any number of times, finish. sink is given the bytes in order.
 */
typedef int seal_sink_fn(void *context, const void *data, size_t len, struct err *err);
struct sealer;
MUST_USE int sealer_new(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
			seal_sink_fn *sink, void *context, struct sealer **ret_sealer,
			struct err *err);
/* With a suite of the caller's choice; sealer_new takes the best this CPU has. */
MUST_USE int sealer_new_kind(enum aead_kind kind, const struct seal_label *label,
			     const uint8_t dataset_key[KEY_BYTES], seal_sink_fn *sink,
			     void *context, struct sealer **ret_sealer, struct err *err);
MUST_USE int sealer_write(struct sealer *sealer, const void *data, size_t len, struct err *err);
MUST_USE int sealer_finish(struct sealer *sealer, struct err *err);   /* without it, unreadable */
void sealer_free(struct sealer *sealer);
DEFINE_AUTO(sealer)

/* Reads a header. label->version says which dataset key is asked for; E_CORRUPT when it is no
 * sealed object. ret_body_offset is where the body starts. label receives version only; tenant and
 * dataset are checked by opener_new. */
MUST_USE int seal_peek(const uint8_t *head, size_t len, uint32_t *ret_version,
		       size_t *ret_body_offset, struct err *err);

/* Whose it says it is: the dataset's uid, and what seal_peek tells. seal_is: whether it begins as a
 * sealed object does. */
enum { SEAL_NAME_MAX = 255 };
MUST_USE int seal_whose(const uint8_t *head, size_t len, char ret_dataset[SEAL_NAME_MAX + 1],
			uint32_t *ret_version, size_t *ret_body_offset, struct err *err);
bool seal_is(const uint8_t *head, size_t len);

/* An open object: random access by chunk, from many threads at once (each with its own buffers).
 * head: at least the header and the body's first 56 bytes. sealed_len: of the whole object. The
 * last chunk must be verified before the length is trusted: opener_new is given it by `tail`, the
 * sealed bytes of the final chunk (seal_tail says where it lies). */
struct opener;
struct seal_span { uint64_t offset; size_t len; };
MUST_USE int seal_tail(const uint8_t *head, size_t len, uint64_t sealed_len,
		       struct seal_span *ret_tail, struct err *err);
MUST_USE int opener_new(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
			const uint8_t *head, size_t head_len, uint64_t sealed_len,
			const uint8_t *tail, struct opener **ret_opener, struct err *err);
void opener_free(struct opener *opener);
DEFINE_AUTO(opener)
uint64_t opener_len(const struct opener *opener);                  /* plain bytes */
/* Where chunk k of the body lies in the sealed object. */
struct seal_span opener_span(const struct opener *opener, uint64_t chunk);
/* Opens chunk k into out (SEAL_CHUNK bytes); ret_len its plain length. */
MUST_USE int opener_chunk(const struct opener *opener, uint64_t chunk, const uint8_t *sealed,
			  size_t len, uint8_t *out, size_t *ret_len, struct err *err);

/* What another process of ours needs to open the same object, without the dataset key: the body's
 * derived key, base nonce, suite, body offset and length. Travels in memory only. */
enum { OPENER_TICKET_BYTES = 96 };
void opener_ticket(const struct opener *opener, uint8_t out[OPENER_TICKET_BYTES]);
MUST_USE int opener_from_ticket(const uint8_t ticket[OPENER_TICKET_BYTES],
				struct opener **ret_opener, struct err *err);

/* Whole small objects in memory. */
MUST_USE int seal_bytes(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
			const void *data, size_t len, struct buf *out, struct err *err);
MUST_USE int open_bytes(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
			const void *data, size_t len, struct buf *out, struct err *err);

/* A new header for the same body under another version of the dataset key (rotation): of the same
 * length, appended to ret_head. label->version is the old one. */
MUST_USE int seal_rewrap(const struct seal_label *label, const uint8_t old_key[KEY_BYTES],
			 uint32_t new_version, const uint8_t new_key[KEY_BYTES],
			 const uint8_t *head, size_t head_len, struct buf *ret_head,
			 struct err *err);

#endif
