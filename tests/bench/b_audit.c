/* b_audit.c - audit events a second through the journal on a real etcd, and the Merkle log of ten
 * million: its memory, checkpoints, proofs, and the check of all its files. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "api/logcheck.h"
#include "common/text.h"
#include "control/audit.h"
#include "control/logtree.h"
#include "control/ocsf.h"
#include "tests/bench/replica.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	COMMITTERS = 200, COMMIT_S = 4, BATCH = 8, ENTRIES = 10000000, PROOFS = 2000,
	CHECKED = 200000, APPENDED = 20000, ALONE = 80 /* bytes */
};

static const struct audit_event sample = {
	.tenant = "tenant-of-some-length", .actor = "tenant-of-some-length/someone",
	.credential = "01jd9n6y8r2m4v7q5x3w1t0s9p", .action = "dataset:read",
	.operation = "getDataset", .purpose = "billing", .address = "192.0.2.17",
	.resource = "/v1/tenants/tenant-of-some-length/domains/sales/datasets/orders",
	.result = "allowed", .rule = "consumer", .request = "01jd9n6y8r2m4v7q5x3w1t0s9q",
	.digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
	.at_ms = 1764000000000,
};

/* ---- events a second ---- */

struct load {
	struct replica *replica;
	int each;
	atomic_bool stop;
	atomic_int failed, started;
	atomic_ulong events;
};

/* No two are alike: they would compress to nothing. */
static int add_event(struct change *change, unsigned *seed, struct err *err)
{
	struct audit_event event = sample;
	uint8_t random[10];
	char request[ID_LEN + 1], resource[96];
	random_bytes(random, sizeof random);
	id_make(1764000000000, random, request);
	snprintf(resource, sizeof resource, "/v1/tenants/tenant-of-some-length/domains/d%u/"
	         "datasets/orders-%u", *seed % 17, rand_r(seed) % 100000);
	event.request = request;
	event.resource = resource;
	event.at_ms += rand_r(seed) % 100000;
	return audit_add(change, &event, err);
}

static void *commit_on(void *context)
{
	struct load *load = context;
	unsigned seed = (unsigned)atomic_fetch_add(&load->started, 1) + 1;
	struct err err;
	while (!atomic_load(&load->stop)) {
		AUTO(change) *change = NULL;
		int rc = change_new(&change, &err);
		for (int i = 0; rc == 0 && i < load->each; i++)
			rc = add_event(change, &seed, &err);
		if (rc == 0)
			rc = journal_commit(load->replica->journal, change, &err);
		if (rc < 0)
			atomic_fetch_add(&load->failed, 1);
		else
			atomic_fetch_add(&load->events, (unsigned long)load->each);
	}
	return NULL;
}

static int load_for(struct load *load, double *ret_rate, struct err *err)
{
	const struct timespec time = {COMMIT_S, 0};
	pthread_t threads[COMMITTERS];
	int started = 0;
	double began = now_s();
	while (started < COMMITTERS &&
	       pthread_create(&threads[started], NULL, commit_on, load) == 0)
		started++;
	nanosleep(&time, NULL);
	atomic_store(&load->stop, true);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (started < COMMITTERS || atomic_load(&load->failed))
		return err_set(err, E_INTERNAL, "%d commits failed", atomic_load(&load->failed));
	*ret_rate = (double)atomic_load(&load->events) / (now_s() - began);
	return 0;
}

static int measure_rate(struct bench *bench, struct replica *replica, int each,
                        enum figure_id figure, struct err *err)
{
	struct load load = {.replica = replica, .each = each};
	struct journal_stats before, after;
	double floor = 0, again = 0, rate = 0;
	TRY(replica_floor(replica, &floor, err));
	journal_stats(replica->journal, &before);
	TRY(load_for(&load, &rate, err));
	journal_stats(replica->journal, &after);
	TRY(replica_floor(replica, &again, err));
	double bytes = (double)(after.bytes - before.bytes) /
		(double)(after.records - before.records);
	bench_figure(bench, figure, rate, (floor + again) / 2 / bytes);
	return 0;
}

static int measure_rates(struct bench *bench, struct err *err)
{
	struct bench_system *system = NULL;
	struct replica replica;
	TRY(system_get(bench, &system, err));
	int rc = replica_open(&replica, system, "/bench-audit/", true, err);
	if (rc == 0)
		rc = replica_take_key(&replica, err);
	if (rc == 0)
		rc = journal_lead(replica.journal, replica.epoch, err);
	if (rc == 0)
		rc = measure_rate(bench, &replica, 1, FIGURE_audit_events, err);
	if (rc == 0)
		rc = measure_rate(bench, &replica, BATCH, FIGURE_audit_batched, err);
	replica_close(&replica);
	return rc;
}

/* ---- ten million ---- */

/* The log of lines that are made anew whenever they are asked for. */
struct biglog {
	struct logtree tree;
	char line[OCSF_LINE_MAX];
	size_t len, at;              /* of the line; where its number goes */
};

static int sample_line(struct biglog *log, struct err *err)
{
	AUTO(change) *change = NULL;
	AUTO_BUF line;
	struct value *record = NULL;
	buf_init(&line, OCSF_LINE_MAX);
	TRY(change_new(&change, err));
	record = value_map(change_arena(change));
	value_set_str(record, "tenant", sample.tenant);
	value_set_str(record, "actor", sample.actor);
	value_set_str(record, "action", sample.action);
	value_set_str(record, "operation", sample.operation);
	value_set_str(record, "resource", sample.resource);
	value_set_str(record, "result", sample.result);
	value_set_str(record, "digest", sample.digest);
	value_set_str(record, "request", sample.request);
	value_set_int(record, "at", sample.at_ms);
	value_set_int(record, "seq", 1000000000);
	TRY(value_check(record, err));
	TRY(ocsf_print(record, &line, err));
	memcpy(log->line, line.data, line.len + 1);
	log->len = line.len;
	log->at = (size_t)(strstr(log->line, "1000000000") - log->line);
	return 0;
}

static void leaf_at(struct biglog *log, uint64_t index, uint8_t out[MERKLE_BYTES])
{
	char number[16];
	snprintf(number, sizeof number, "%010d", (int)index);
	memcpy(log->line + log->at, number, 10);
	merkle_leaf(log->line, log->len, out);
}

static int read_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	struct biglog *log = context;
	int rc = logtree_tile(&log->tree, tile, out, err);
	if (rc != E_CONFLICT)
		return rc;
	for (int i = 0; i < tile->width; i++)
		leaf_at(log, tile->index * TILE_WIDTH + (uint64_t)i, out + i * MERKLE_BYTES);
	return 0;
}

static int grow(struct biglog *log, uint64_t size, struct err *err)
{
	uint8_t leaf[MERKLE_BYTES];
	for (uint64_t i = log->tree.size; i < size; i++) {
		leaf_at(log, i, leaf);
		TRY(logtree_append(&log->tree, leaf, err));
	}
	return 0;
}

static double memory_of(const struct logtree *tree)
{
	double bytes = sizeof *tree;
	for (int level = 0; level < TILE_LEVELS; level++)
		bytes += (double)(tree->rows[level].count * MERKLE_BYTES);
	return bytes / 1e6;
}

struct signing {
	struct note_verifier verifier;
	uint8_t secret[SIGN_SECRET_BYTES];
	uint8_t signature[SIGNATURE_BYTES];  /* of the note's first bytes: the floor's */
};

static int sign(const struct signing *signing, const struct merkle_range *range, struct buf *out,
                struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, KIB);
	note_checkpoint_print(signing->verifier.name, range, &text);
	TRY(buf_check(&text, err));
	return note_sign(signing->verifier.name, signing->verifier.key, signing->secret,
	                 (const char *)text.data, text.len, out, err);
}

static int measure_sign(struct bench *bench, struct biglog *log, struct signing *signing,
                        struct buf *note, struct err *err)
{
	double took = 0, alone = 0;
	for (int i = 0; i < 100; i++) {
		struct merkle_range range;
		buf_clear(note);
		double began = now_s();
		logtree_range(&log->tree, log->tree.size, NULL, &range);
		TRY(sign(signing, &range, note, err));
		double between = now_s();
		sign_make(signing->secret, note->data, ALONE, signing->signature);
		took += between - began;
		alone += now_s() - between;
	}
	bench_figure(bench, FIGURE_audit_sign, took * 10, alone * 10);
	return 0;
}

/* One proof, and the check of its file; each with its floor. */
struct timing { double prove, hash, verify, alone; };

static int time_one(struct biglog *log, const struct signing *signing, const struct buf *note,
                    uint64_t index, struct tile_reader *reader, struct timing *timing,
                    struct arena *arena, struct err *err)
{
	struct logproof proof = {.index = index, .line = log->line, .line_len = log->len,
	                         .note = (const char *)note->data, .note_len = note->len};
	struct logproof read;
	struct note_checkpoint checkpoint;
	uint8_t leaf[MERKLE_BYTES];
	AUTO_BUF text;
	buf_init(&text, LOGPROOF_BYTES_MAX);
	double began = now_s();
	tile_reader_init(reader, log->tree.size, read_tile, log);
	const struct merkle_source source = tile_source(reader);
	TRY(merkle_inclusion(&source, index, log->tree.size, &proof.hashes, err));
	leaf_at(log, index, leaf);
	TRY(logproof_print(&proof, &text, err));
	double made = now_s();
	for (uint64_t i = 0; i < TILE_WIDTH; i++)
		leaf_at(log, i, leaf);
	double hashed = now_s();
	TRY(logproof_read(arena, (const char *)text.data, text.len, &read, err));
	TRY(logproof_verify(&signing->verifier, &read, &checkpoint, err));
	double verified = now_s();
	if (!sign_verify(signing->verifier.key, note->data, ALONE, signing->signature))
		return err_set(err, E_INTERNAL, "the floor's signature does not verify");
	timing->prove += made - began;
	timing->hash += hashed - made;
	timing->verify += verified - hashed;
	timing->alone += now_s() - verified;
	return 0;
}

static int measure_proofs(struct bench *bench, struct biglog *log, const struct signing *signing,
                          const struct buf *note, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct timing timing = {0};
	uint64_t index = 1;
	struct tile_reader *reader = calloc(1, sizeof *reader);
	int rc = reader ? arena_new(MIB, &arena, err) : err_set(err, E_NOMEM, "no memory");
	for (int i = 0; rc == 0 && i < PROOFS; i++) {
		index = (index * 6364136223846793005u + 1442695040888963407u) >> 1;
		arena_reset(arena);
		rc = time_one(log, signing, note, index % log->tree.size, reader, &timing, arena,
		              err);
	}
	free(reader);
	TRY(rc);
	bench_figure(bench, FIGURE_audit_prove, timing.prove / PROOFS * 1e6,
		     timing.hash / PROOFS * 1e6);
	bench_figure(bench, FIGURE_audit_verify, timing.verify / PROOFS * 1e6,
		     timing.alone / PROOFS * 1e6);
	return 0;
}

/* ---- all files ---- */

/* Made as they are asked for; what that takes is not counted. */
struct files {
	struct biglog *log;
	const struct buf *note;
	double making;
};

static void put_entries(struct biglog *log, const struct tile *tile, struct buf *out)
{
	uint8_t leaf[MERKLE_BYTES];
	for (int i = 0; i < tile->width; i++) {
		leaf_at(log, tile->index * TILE_WIDTH + (uint64_t)i, leaf);
		(void)!tile_entry_put(out, log->line, log->len, NULL);
	}
}

static int read_file(void *context, const char *path, size_t most, struct buf *out,
                     struct err *err)
{
	struct files *files = context;
	uint8_t hashes[TILE_WIDTH * MERKLE_BYTES];
	double began = now_s();
	struct tile tile;
	(void)most;
	if (strcmp(path, "checkpoint") == 0)
		return buf_put(out, files->note->data, files->note->len);
	TRY(tile_path_read(path, &tile, err));
	if (tile.level == TILE_ENTRIES) {
		put_entries(files->log, &tile, out);
	} else {
		TRY(read_tile(files->log, &tile, hashes, err));
		buf_put(out, hashes, (size_t)tile.width * MERKLE_BYTES);
	}
	files->making += now_s() - began;
	return buf_check(out, err);
}

static int measure_check(struct bench *bench, struct biglog *log, const struct signing *signing,
                         struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF note;
	struct merkle_range range;
	struct logchecked checked;
	uint8_t leaf[MERKLE_BYTES];
	buf_init(&note, 4 * KIB);
	logtree_range(&log->tree, log->tree.size, NULL, &range);
	TRY(sign(signing, &range, &note, err));
	TRY(arena_new(MIB, &arena, err));
	struct files own = {.log = log, .note = &note};
	const struct log_files files = {read_file, &own};
	const struct logcheck check = {.verifier = signing->verifier, .files = &files};
	double began = now_s();
	TRY(logcheck(&check, arena, &checked, err));
	double took = now_s() - began - own.making;
	began = now_s();
	for (uint64_t i = 0; i < log->tree.size; i++)
		leaf_at(log, i, leaf);
	bench_figure(bench, FIGURE_audit_check, (double)log->tree.size / took,
		     (double)log->tree.size / (now_s() - began));
	return 0;
}

/* ---- into memory ---- */

static int measure_append(struct bench *bench, struct biglog *log, struct err *err)
{
	AUTO(shard) *shard = NULL;
	AUTO(arena) *arena = NULL;
	uint8_t leaf[MERKLE_BYTES];
	TRY(shard_new(clock_system(), &shard, err));
	TRY(arena_new(MIB, &arena, err));
	struct value *record = value_map(arena);
	value_set_str(record, "t", "audit");
	value_set_str(record, "tenant", sample.tenant);
	value_set_str(record, "actor", sample.actor);
	value_set_str(record, "action", sample.action);
	value_set_str(record, "operation", sample.operation);
	value_set_str(record, "resource", sample.resource);
	value_set_str(record, "result", sample.result);
	value_set_str(record, "digest", sample.digest);
	value_set_int(record, "at", sample.at_ms);
	TRY(value_check(record, err));
	double began = now_s();
	for (int i = 0; i < APPENDED; i++)
		shard_record(shard, record);
	double made = now_s();
	for (uint64_t i = 0; i < APPENDED; i++)
		leaf_at(log, i, leaf);
	bench_figure(bench, FIGURE_audit_append, (made - began) / APPENDED * 1e6,
		     (now_s() - made) / APPENDED * 1e6);
	return 0;
}

static int measure_log(struct bench *bench, struct biglog *log, struct err *err)
{
	const uint8_t seed[32] = {1};
	struct signing signing = {.verifier = {.name = "freehold/audit/bench"}};
	AUTO_BUF note;
	buf_init(&note, 4 * KIB);
	sign_keypair_from(seed, signing.verifier.key, signing.secret);
	TRY(sample_line(log, err));
	TRY(measure_append(bench, log, err));
	TRY(grow(log, bench_scaled(bench, CHECKED, 1000), err));
	TRY(measure_check(bench, log, &signing, err));
	TRY(grow(log, bench_scaled(bench, ENTRIES, 10000), err));
	bench_figure(bench, FIGURE_audit_memory, memory_of(&log->tree), 0);
	TRY(measure_sign(bench, log, &signing, &note, err));
	return measure_proofs(bench, log, &signing, &note, err);
}

int bench_audit(struct bench *bench, struct err *err)
{
	struct biglog *log = calloc(1, sizeof *log);
	int rc = log ? measure_log(bench, log, err) : err_set(err, E_NOMEM, "no memory");
	if (log)
		logtree_clear(&log->tree);
	free(log);
	TRY(rc);
	return measure_rates(bench, err);
}
