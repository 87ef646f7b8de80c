/* fuzz_node.c - frames of workers on the link: whatever they claim, only what was proven is opened,
 * and what is opened lies within the message. */
#include "common/defs.h"
#include "api/node.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_inside(const uint8_t *data, size_t len, const uint8_t *inner, size_t inner_len)
{
	REQUIRE(inner >= data && inner + inner_len == data + len);
}

/* A frame of our own around the data, with one byte changed by the data's first. */
static void change_one(struct node_key *key, const uint8_t *data, size_t len)
{
	AUTO_BUF frame;
	uint8_t mac[NODE_MAC_BYTES];
	const uint8_t *inner = NULL;
	size_t inner_len = 0;
	struct node_proof proof = {.key = NULL};
	struct err err = {0};
	buf_init(&frame, MIB);
	REQUIRE(node_write(key, "w1", data, len, &frame, mac, &err) == 0);
	REQUIRE(node_open(key, frame.data, frame.len, &inner, &inner_len, &proof, &err) == 0);
	REQUIRE(inner_len == len && memcmp(inner, data, len) == 0);
	node_proof_release(&proof);
	frame.data[data[0] % frame.len] ^= (uint8_t)(1 + data[0] / 2);
	proof = (struct node_proof){.key = NULL};
	REQUIRE(node_open(key, frame.data, frame.len, &inner, &inner_len, &proof, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(node_key) *key = NULL;
	uint8_t public_key[BOX_PUBLIC_BYTES], secret[BOX_SECRET_BYTES], mac[NODE_MAC_BYTES] = {0};
	char name[NODE_NAME_MAX + 1];
	const uint8_t *inner = NULL;
	size_t inner_len = 0;
	struct node_proof proof = {.key = NULL};
	struct err err = {0};
	REQUIRE(crypto_start(NULL) == 0);
	box_keypair(public_key, secret);
	REQUIRE(node_key_new(public_key, secret, &key, &err) == 0);
	if (node_peek(data, len, name, &err) == 0)
		REQUIRE(node_is_message(data, len) && strlen(name) <= NODE_NAME_MAX);
	if (node_open(key, data, len, &inner, &inner_len, &proof, &err) == 0)
		check_inside(data, len, inner, inner_len);
	node_proof_release(&proof);
	if (node_answer_open(key, mac, data, len, &inner, &inner_len, &err) == 0)
		check_inside(data, len, inner, inner_len);
	if (len)
		change_one(key, data, len);
	return 0;
}
