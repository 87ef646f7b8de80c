/* node.c - see node.h. Keyed BLAKE2b is a MAC by itself (RFC 7693); what it covers is one run of
 * bytes: a label for the direction, for answers the message's MAC, the head, the envelope. */
#include "common/defs.h"
#include "api/node.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_MESSAGE = 0x4e, MARK_ANSWER = 0x4f, FRAME_VERSION = 1, HEAD = 3, ANSWER_HEAD = 2 };

struct node_key {
	atomic_int refs;
	struct secret *ask, *answer;         /* a key for each direction */
};

static int keys_new(struct node_key *key, const uint8_t agreed[KEY_BYTES], struct err *err)
{
	TRY(secret_new(KEY_BYTES, &key->ask, err));
	TRY(secret_new(KEY_BYTES, &key->answer, err));
	key_derive(agreed, "freehold-link-ask-v1", secret_data(key->ask));
	key_derive(agreed, "freehold-link-answer-v1", secret_data(key->answer));
	return 0;
}

int node_key_new(const uint8_t their_public[BOX_PUBLIC_BYTES],
                 const uint8_t own_secret[BOX_SECRET_BYTES], struct node_key **ret_key,
                 struct err *err)
{
	uint8_t agreed[KEY_BYTES];
	AUTO(node_key) *key = calloc(1, sizeof *key);
	if (!key)
		return err_set(err, E_NOMEM, "no memory for a node's key");
	atomic_init(&key->refs, 1);
	if (!box_agree(their_public, own_secret, agreed))
		return err_set(err, E_INVALID, "the node's public key is none");
	int rc = keys_new(key, agreed, err);
	secret_wipe(agreed, sizeof agreed);
	TRY(rc);
	*ret_key = MOVE(key);
	return 0;
}

struct node_key *node_key_ref(struct node_key *key)
{
	if (key)
		atomic_fetch_add(&key->refs, 1);
	return key;
}

void node_key_free(struct node_key *key)
{
	if (!key || atomic_fetch_sub(&key->refs, 1) > 1)
		return;
	secret_free(key->ask);
	secret_free(key->answer);
	free(key);
}

void node_proof_copy(struct node_proof *proof, const struct node_proof *from)
{
	struct node_key *key = node_key_ref(from->key);
	node_key_free(proof->key);
	*proof = *from;
	proof->key = key;
}

void node_proof_release(struct node_proof *proof)
{
	node_key_free(MOVE(proof->key));
}

/* --- the frame --- */

static bool marked(const void *data, size_t len, uint8_t mark)
{
	return len > 0 && ((const uint8_t *)data)[0] == mark;
}

bool node_is_message(const void *data, size_t len)
{
	return marked(data, len, MARK_MESSAGE);
}

bool node_is_answer(const void *data, size_t len)
{
	return marked(data, len, MARK_ANSWER);
}

int node_peek(const void *data, size_t len, char ret_name[NODE_NAME_MAX + 1], struct err *err)
{
	const uint8_t *at = data;
	size_t name_len = len > HEAD ? at[2] : 0;
	bool sound = node_is_message(data, len) && len > HEAD && at[1] == FRAME_VERSION &&
		name_len >= 1 && name_len <= NODE_NAME_MAX &&
		len > HEAD + name_len + NODE_MAC_BYTES && !memchr(at + HEAD, 0, name_len);
	if (!sound)
		return err_set(err, E_INVALID, "link: the message's frame is malformed, or of "
		               "another version than %d", FRAME_VERSION);
	memcpy(ret_name, at + HEAD, name_len);
	ret_name[name_len] = 0;
	return 0;
}

int node_write(struct node_key *key, const char *name, const void *envelope, size_t len,
               struct buf *out, uint8_t ret_mac[NODE_MAC_BYTES], struct err *err)
{
	size_t name_len = strlen(name);
	REQUIRE(name_len >= 1 && name_len <= NODE_NAME_MAX);
	uint8_t head[HEAD + NODE_NAME_MAX] = { MARK_MESSAGE, FRAME_VERSION, (uint8_t)name_len };
	memcpy(head + HEAD, name, name_len);
	const struct digest_piece pieces[] = { { head, HEAD + name_len }, { envelope, len } };
	digest_keyed_pieces(secret_bytes(key->ask), pieces, ARRAY_LEN(pieces), ret_mac);
	buf_put(out, head, HEAD + name_len);
	buf_put(out, ret_mac, NODE_MAC_BYTES);
	buf_put(out, envelope, len);
	return buf_check(out, err);
}

static int not_proven(struct err *err)
{
	return err_set(err, E_UNAUTHENTICATED, "link: the message is not of the node it names");
}

int node_open(struct node_key *key, const void *data, size_t len, const uint8_t **ret_envelope,
              size_t *ret_len, struct node_proof *ret_proof, struct err *err)
{
	char name[NODE_NAME_MAX + 1];
	uint8_t mac[NODE_MAC_BYTES];
	const uint8_t *at = data;
	TRY(node_peek(data, len, name, err));
	size_t head = HEAD + strlen(name);
	const uint8_t *envelope = at + head + NODE_MAC_BYTES;
	size_t envelope_len = len - head - NODE_MAC_BYTES;
	const struct digest_piece pieces[] = { { at, head }, { envelope, envelope_len } };
	digest_keyed_pieces(secret_bytes(key->ask), pieces, ARRAY_LEN(pieces), mac);
	if (!bytes_equal(mac, at + head, sizeof mac))
		return not_proven(err);
	memcpy(ret_proof->mac, mac, sizeof mac);
	ret_proof->key = node_key_ref(key);
	*ret_envelope = envelope;
	*ret_len = envelope_len;
	return 0;
}

int node_answer_write(const struct node_proof *proof, const void *envelope, size_t len,
                      struct buf *out, struct err *err)
{
	static const uint8_t head[ANSWER_HEAD] = { MARK_ANSWER, FRAME_VERSION };
	uint8_t mac[NODE_MAC_BYTES];
	const struct digest_piece pieces[] = {
		{ proof->mac, sizeof proof->mac }, { head, sizeof head }, { envelope, len }
	};
	digest_keyed_pieces(secret_bytes(proof->key->answer), pieces, ARRAY_LEN(pieces), mac);
	buf_put(out, head, sizeof head);
	buf_put(out, mac, sizeof mac);
	buf_put(out, envelope, len);
	return buf_check(out, err);
}

int node_answer_open(struct node_key *key, const uint8_t asked_mac[NODE_MAC_BYTES],
                     const void *data, size_t len, const uint8_t **ret_envelope, size_t *ret_len,
                     struct err *err)
{
	const uint8_t *at = data;
	uint8_t mac[NODE_MAC_BYTES];
	if (!node_is_answer(data, len) || len <= ANSWER_HEAD + NODE_MAC_BYTES ||
	    at[1] != FRAME_VERSION)
		return err_set(err, E_UNAUTHENTICATED, "link: control's answer is not "
		               "authenticated");
	const uint8_t *envelope = at + ANSWER_HEAD + NODE_MAC_BYTES;
	size_t envelope_len = len - ANSWER_HEAD - NODE_MAC_BYTES;
	const struct digest_piece pieces[] = {
		{ asked_mac, NODE_MAC_BYTES }, { at, ANSWER_HEAD }, { envelope, envelope_len }
	};
	digest_keyed_pieces(secret_bytes(key->answer), pieces, ARRAY_LEN(pieces), mac);
	if (!bytes_equal(mac, at + ANSWER_HEAD, sizeof mac))
		return not_proven(err);
	*ret_envelope = envelope;
	*ret_len = envelope_len;
	return 0;
}
