/* test_node.c - a message on the link is its node's, or nobody's. */
#include "common/defs.h"
#include "api/node.h"

#include <criterion/criterion.h>
#include <string.h>

struct pair {
	uint8_t control_public[32], control_secret[32], worker_public[32], worker_secret[32];
	struct node_key *control, *worker;   /* what each side agrees on */
};

static void pair_make(struct pair *pair)
{
	cr_assert_eq(crypto_start(NULL), 0);
	box_keypair(pair->control_public, pair->control_secret);
	box_keypair(pair->worker_public, pair->worker_secret);
	cr_assert_eq(node_key_new(pair->worker_public, pair->control_secret, &pair->control, NULL),
	             0);
	cr_assert_eq(node_key_new(pair->control_public, pair->worker_secret, &pair->worker, NULL),
	             0);
}

static void pair_free(struct pair *pair)
{
	node_key_free(pair->control);
	node_key_free(pair->worker);
}

Test(node, a_message_and_its_answer_pass_between_those_who_agreed)
{
	struct pair pair;
	AUTO_BUF sent, answer;
	uint8_t mac[NODE_MAC_BYTES];
	char name[NODE_NAME_MAX + 1];
	const uint8_t *inner = NULL;
	size_t len = 0;
	struct node_proof proof = { .key = NULL };
	buf_init(&sent, 4096);
	buf_init(&answer, 4096);
	pair_make(&pair);
	cr_assert_eq(node_write(pair.worker, "worker-1", "hello", 5, &sent, mac, NULL), 0);
	cr_assert(node_is_message(sent.data, sent.len));
	cr_assert_eq(node_peek(sent.data, sent.len, name, NULL), 0);
	cr_expect_str_eq(name, "worker-1");
	cr_assert_eq(node_open(pair.control, sent.data, sent.len, &inner, &len, &proof, NULL), 0);
	cr_expect(len == 5 && memcmp(inner, "hello", 5) == 0);
	cr_assert_eq(node_answer_write(&proof, "world", 5, &answer, NULL), 0);
	cr_assert(node_is_answer(answer.data, answer.len));
	cr_assert_eq(node_answer_open(pair.worker, mac, answer.data, answer.len, &inner, &len,
	                              NULL), 0);
	cr_expect(len == 5 && memcmp(inner, "world", 5) == 0);
	node_proof_release(&proof);
	pair_free(&pair);
}

Test(node, a_change_of_any_byte_is_noticed)
{
	struct pair pair;
	AUTO_BUF sent;
	uint8_t mac[NODE_MAC_BYTES];
	const uint8_t *inner = NULL;
	size_t len = 0;
	buf_init(&sent, 4096);
	pair_make(&pair);
	cr_assert_eq(node_write(pair.worker, "worker-1", "hello", 5, &sent, mac, NULL), 0);
	for (size_t i = 0; i < sent.len; i++) {
		struct node_proof proof = { .key = NULL };
		sent.data[i] ^= 1;
		cr_expect_lt(node_open(pair.control, sent.data, sent.len, &inner, &len, &proof,
		                       NULL), 0, "byte %zu", i);
		sent.data[i] ^= 1;
		cr_expect_null(proof.key);
	}
	for (size_t i = 0; i < sent.len; i++) {
		struct node_proof proof = { .key = NULL };
		cr_expect_lt(node_open(pair.control, sent.data, i, &inner, &len, &proof, NULL), 0,
		             "the first %zu bytes", i);
	}
	pair_free(&pair);
}

Test(node, one_worker_cannot_speak_in_anothers_name)
{
	struct pair pair, other;
	AUTO_BUF sent;
	uint8_t mac[NODE_MAC_BYTES];
	const uint8_t *inner = NULL;
	size_t len = 0;
	struct node_proof proof = { .key = NULL };
	struct err err;
	buf_init(&sent, 4096);
	pair_make(&pair);
	pair_make(&other);
	cr_assert_eq(node_write(other.worker, "worker-1", "hello", 5, &sent, mac, NULL), 0);
	cr_expect_eq(node_open(pair.control, sent.data, sent.len, &inner, &len, &proof, &err),
	             E_UNAUTHENTICATED);
	pair_free(&pair);
	pair_free(&other);
}

Test(node, an_answer_is_to_one_message_only)
{
	struct pair pair;
	AUTO_BUF sent, answer;
	uint8_t first[NODE_MAC_BYTES], second[NODE_MAC_BYTES];
	const uint8_t *inner = NULL;
	size_t len = 0;
	struct node_proof proof = { .key = NULL };
	buf_init(&sent, 4096);
	buf_init(&answer, 4096);
	pair_make(&pair);
	cr_assert_eq(node_write(pair.worker, "worker-1", "one", 3, &sent, first, NULL), 0);
	cr_assert_eq(node_open(pair.control, sent.data, sent.len, &inner, &len, &proof, NULL), 0);
	cr_assert_eq(node_answer_write(&proof, "yes", 3, &answer, NULL), 0);
	buf_clear(&sent);
	cr_assert_eq(node_write(pair.worker, "worker-1", "two", 3, &sent, second, NULL), 0);
	cr_expect_eq(node_answer_open(pair.worker, second, answer.data, answer.len, &inner, &len,
	                              NULL), E_UNAUTHENTICATED);
	/* nor is an answer a message, or the other way round */
	cr_expect_lt(node_open(pair.control, answer.data, answer.len, &inner, &len, &proof, NULL),
	             0);
	cr_expect_lt(node_answer_open(pair.worker, second, sent.data, sent.len, &inner, &len,
	                              NULL), 0);
	node_proof_release(&proof);
	pair_free(&pair);
}

Test(node, the_key_that_signs_grants_also_agrees)
{
	uint8_t sign_public[32], sign_secret[64], box_public[32], box_secret[32], own[32];
	cr_assert_eq(crypto_start(NULL), 0);
	sign_keypair(sign_public, sign_secret);
	cr_assert(sign_to_box(sign_public, box_public));
	sign_to_box_secret(sign_secret, box_secret);
	box_public_of(box_secret, own);
	cr_expect(bytes_equal(own, box_public, sizeof own));
}
