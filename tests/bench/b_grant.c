/* b_grant.c - a grant of one table: signed and sealed as the leader does it for a worker it knows,
 * checked and opened as that worker does; beside libsodium's Ed25519 over as many bytes. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "api/grant.h"

#include <sodium.h>
#include <string.h>

enum { ROUNDS = 5, NOW_MS = 1000000 };

struct job {
	struct arena *arena;
	struct grant grant;
	struct grant_table input, output;
	uint8_t in_key[KEY_BYTES], out_key[KEY_BYTES];
	struct grant_signer *signer;
	struct grant_seal *seal;
	struct grant_opener opener;
	uint8_t sign_secret[SIGN_SECRET_BYTES];
	struct buf out;
	size_t times;
};

static int signs(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	double began = now_s();
	for (size_t i = 0; i < job->times; i++) {
		buf_clear(&job->out);
		TRY(grant_sign_with(job->signer, &job->grant, job->seal, &job->out, err));
	}
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

static int bare_signs(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t signature[SIGNATURE_BYTES];
	(void)err;
	double began = now_s();
	for (size_t i = 0; i < job->times; i++)
		crypto_sign_detached(signature, NULL, job->out.data, job->out.len,
				     job->sign_secret);
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

static int opens(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	double began = now_s();
	for (size_t i = 0; i < job->times; i++) {
		struct grant *got = NULL;
		arena_reset(job->arena);
		TRY(grant_open(&job->opener, NOW_MS, job->arena, job->out.data, job->out.len, &got,
			       err));
		grant_wipe(got);
	}
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return 0;
}

static int bare_checks(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t signature[SIGNATURE_BYTES];
	int good = 0;
	crypto_sign_detached(signature, NULL, job->out.data, job->out.len, job->sign_secret);
	double began = now_s();
	for (size_t i = 0; i < job->times; i++)
		good += crypto_sign_verify_detached(signature, job->out.data, job->out.len,
						    job->opener.control_key) == 0;
	*ret_value = (now_s() - began) * 1e6 / (double)job->times;
	return (size_t)good == job->times ? 0 : err_set(err, E_INTERNAL, "a signature is bad");
}

static void fill(struct job *job, struct value *work)
{
	static const struct grant_file file = {"acme/flights/1-1/part-0", 1000, 10};
	value_set_str(work, "sql", "SELECT * FROM raw");
	random_bytes(job->in_key, KEY_BYTES);
	random_bytes(job->out_key, KEY_BYTES);
	job->input = (struct grant_table){.domain = "flights", .name = "raw", .uid = "01in",
					  .snapshot = 3, .key_version = 1, .files = &file,
					  .file_count = 1, .key = job->in_key};
	job->output = (struct grant_table){.domain = "flights", .name = "hourly", .uid = "01out",
					   .key_version = 2, .key = job->out_key};
	job->grant = (struct grant){
		.task = "01task", .token = {7, 9}, .attempt = 1, .worker = "w-1", .tenant = "acme",
		.domain = "flights", .type = TASK_TRANSFORM, .work = work, .inputs = &job->input,
		.input_count = 1, .outputs = &job->output, .output_count = 1,
		.limits = {60000, 1 << 30, 2, 60000, 3}, .expires_ms = NOW_MS + 60000,
		.output_prefix = "acme/flights/7-9",
	};
}

static int measure(struct bench *bench, struct job *job, struct err *err)
{
	double value = 0, floor = 0;
	TRY(grant_sign_with(job->signer, &job->grant, job->seal, &job->out, err));
	TRY(bench_turns(ROUNDS, signs, bare_signs, job, &value, &floor, err));
	bench_figure(bench, FIGURE_grant_sign, value, floor);
	TRY(bench_turns(ROUNDS, opens, bare_checks, job, &value, &floor, err));
	bench_figure(bench, FIGURE_grant_open, value, floor);
	return 0;
}

int bench_grant(struct bench *bench, struct err *err)
{
	struct job job = {.times = bench_scaled(bench, 2000, 50)};
	AUTO(arena) *arena = NULL;
	AUTO(secret) *box = NULL;
	AUTO(grant_signer) *signer = NULL;
	AUTO(grant_seal) *seal = NULL;
	AUTO_BUF out;
	buf_init(&out, GRANT_BYTES_MAX);
	TRY(crypto_start(err));
	TRY(arena_new(16 * MIB, &arena, err));
	TRY(secret_new(BOX_SECRET_BYTES, &box, err));
	sign_keypair(job.opener.control_key, job.sign_secret);
	box_keypair(job.opener.box_public, secret_data(box));
	job.opener.box_secret = box;
	job.opener.worker = "w-1";
	TRY(grant_signer_new(job.sign_secret, &signer, err));
	TRY(grant_seal_new(job.opener.box_public, &seal, err));
	job.arena = arena;
	job.signer = signer;
	job.seal = seal;
	job.out = out;
	fill(&job, value_map(bench->arena));
	int rc = measure(bench, &job, err);
	out = job.out;               /* its memory may have moved */
	return rc;
}
