/* b_linkauth.c - what it costs to know who sent a message: made by the worker, checked by control,
 * and the answer the other way round; beside libsodium's keyed BLAKE2b over the same bytes. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "control/nodes.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE = 400, ROUNDS = 5, NODES = 1000 };

struct job {
	struct node_key *worker, *control;
	uint8_t message[MESSAGE], key[KEY_BYTES];
	size_t times;
	struct nodes *nodes;
	struct buf framed[NODES];
};

static int exchange(struct job *job, struct buf *asked, struct buf *answer, struct err *err)
{
	uint8_t mac[NODE_MAC_BYTES];
	struct node_proof proof = {.key = NULL};
	const uint8_t *inner = NULL;
	size_t len = 0;
	buf_clear(asked);
	buf_clear(answer);
	TRY(node_write(job->worker, "worker-1", job->message, MESSAGE, asked, mac, err));
	TRY(node_open(job->control, asked->data, asked->len, &inner, &len, &proof, err));
	int rc = node_answer_write(&proof, job->message, MESSAGE, answer, err);
	if (rc == 0)
		rc = node_answer_open(job->worker, mac, answer->data, answer->len, &inner, &len,
				      err);
	node_proof_release(&proof);
	return rc;
}

static int exchanges(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO_BUF asked, answer;
	buf_init(&asked, 4096);
	buf_init(&answer, 4096);
	double began = now_s();
	for (size_t i = 0; i < job->times; i++)
		TRY(exchange(job, &asked, &answer, err));
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

/* Four times: each is made and checked. */
static int macs(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t mac[DIGEST_BYTES];
	(void)err;
	double began = now_s();
	for (size_t i = 0; i < job->times * 4; i++)
		crypto_generichash(mac, sizeof mac, job->message, MESSAGE, job->key, KEY_BYTES);
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

static int checks(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	double began = now_s();
	for (size_t i = 0; i < job->times; i++) {
		struct node_sender sender;
		const uint8_t *inner = NULL;
		size_t len = 0;
		const struct buf *framed = &job->framed[i * 7 % NODES];
		TRY(nodes_open(job->nodes, framed->data, framed->len, &sender, &inner, &len, err));
		node_proof_release(&sender.proof);
	}
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

static int one_mac(void *context, double *ret_value, struct err *err)
{
	TRY(macs(context, ret_value, err));
	*ret_value /= 4;
	return 0;
}

/* --- a thousand workers --- */

static int add_node(struct job *job, struct catalog *catalog, struct arena *arena,
		    const uint8_t control_public[32], int i, struct err *err)
{
	uint8_t own_public[32], own_secret[32], mac[NODE_MAC_BYTES];
	char name[32], key[STORE_KEY_MAX];
	struct node_key *agreed = NULL;
	struct value *record = value_map(arena);
	snprintf(name, sizeof name, "w-%d", i);
	box_keypair(own_public, own_secret);
	value_set_str(record, "name", name);
	value_set_bin(record, "publicKey", own_public, sizeof own_public);
	catalog_apply(catalog, node_record_key(key, name), record, i + 1);
	TRY(node_key_new(control_public, own_secret, &agreed, err));
	buf_init(&job->framed[i], 4096);
	int rc = node_write(agreed, name, job->message, MESSAGE, &job->framed[i], mac, err);
	node_key_free(agreed);
	return rc;
}

static int measure(struct bench *bench, struct job *job, struct err *err)
{
	double value = 0, floor = 0;
	TRY(bench_turns(ROUNDS, exchanges, macs, job, &value, &floor, err));
	bench_figure(bench, FIGURE_linkauth_message, value, floor);
	TRY(bench_turns(ROUNDS, checks, one_mac, job, &value, &floor, err));
	bench_figure(bench, FIGURE_linkauth_find, value, floor);
	return 0;
}

static int with_keys(struct bench *bench, struct job *job, struct err *err)
{
	uint8_t control_public[32], worker_public[32], worker_secret[32];
	AUTO(secret) *own = NULL;
	AUTO(catalog) *catalog = NULL;
	AUTO(nodes) *nodes = NULL;
	TRY(secret_new(BOX_SECRET_BYTES, &own, err));
	box_keypair(control_public, secret_data(own));
	box_keypair(worker_public, worker_secret);
	TRY(node_key_new(worker_public, secret_bytes(own), &job->control, err));
	TRY(node_key_new(control_public, worker_secret, &job->worker, err));
	TRY(catalog_new(clock_system(), job->key, &catalog, err));
	TRY(nodes_new(catalog, own, &nodes, err));
	job->nodes = nodes;
	for (int i = 0; i < NODES; i++)
		TRY(add_node(job, catalog, bench->arena, control_public, i, err));
	return measure(bench, job, err);
}

int bench_linkauth(struct bench *bench, struct err *err)
{
	struct job job = {.times = bench_scaled(bench, 20000, 200)};
	TRY(crypto_start(err));
	random_bytes(job.message, sizeof job.message);
	random_bytes(job.key, sizeof job.key);
	int rc = with_keys(bench, &job, err);
	for (int i = 0; i < NODES; i++)
		buf_release(&job.framed[i]);
	node_key_free(job.worker);
	node_key_free(job.control);
	return rc;
}
