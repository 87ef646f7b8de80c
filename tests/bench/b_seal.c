/* b_seal.c - sealing and opening in memory, one core, beside libsodium's AES-256-GCM (or
 * XChaCha20-Poly1305, where the CPU lacks AES) over the same 16 KiB chunks. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/seal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, TAG = 16 };

struct job {
	uint8_t *plain, *sealed, *work;
	size_t len, cap, sealed_len;
	uint8_t key[KEY_BYTES];
	bool aes;
	crypto_aead_aes256gcm_state state;
};

static struct seal_label label(void)
{
	return (struct seal_label){
		.tenant = "bench", .dataset = "bench", .path = "bench/object", .version = 1};
}

static double rate(const struct job *job, double began)
{
	return (double)job->len / 1e9 / (now_s() - began);
}

static int keep(void *context, const void *data, size_t len, struct err *err)
{
	struct job *job = context;
	if (job->cap - job->sealed_len < len)
		return err_set(err, E_TOO_LARGE, "the sealed object is larger than %zu bytes",
			       job->cap);
	memcpy(job->sealed + job->sealed_len, data, len);
	job->sealed_len += len;
	return 0;
}

static int seal_all(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const struct seal_label at = label();
	double began = now_s();
	AUTO(sealer) *sealer = NULL;
	job->sealed_len = 0;
	TRY(sealer_new(&at, job->key, keep, job, &sealer, err));
	TRY(sealer_write(sealer, job->plain, job->len, err));
	TRY(sealer_finish(sealer, err));
	*ret_value = rate(job, began);
	return 0;
}

static int open_all(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const struct seal_label at = label();
	struct seal_span tail;
	AUTO(opener) *opener = NULL;
	double began = now_s();
	TRY(seal_tail(job->sealed, SEAL_HEADER_MAX, job->sealed_len, &tail, err));
	TRY(opener_new(&at, job->key, job->sealed, SEAL_HEADER_MAX, job->sealed_len,
		       job->sealed + tail.offset, &opener, err));
	size_t len = 0;
	for (size_t done = 0, chunk = 0; done < job->len; done += len, chunk++) {
		struct seal_span span = opener_span(opener, chunk);
		TRY(opener_chunk(opener, chunk, job->sealed + span.offset, span.len,
				 job->work + done, &len, err));
	}
	*ret_value = rate(job, began);
	return memcmp(job->work, job->plain, job->len) == 0
		       ? 0
		       : err_set(err, E_INTERNAL, "what was opened is not what was sealed");
}

/* The chunk's number is its nonce, as in the real thing. */
static void nonce_of(uint64_t chunk, uint8_t nonce[24])
{
	memset(nonce, 0, 24);
	memcpy(nonce, &chunk, sizeof chunk);
}

static int sodium_seal(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t nonce[24];
	double began = now_s();
	(void)err;
	for (size_t k = 0; k < job->len / SEAL_CHUNK; k++) {
		uint8_t *out = job->sealed + k * (SEAL_CHUNK + TAG);
		nonce_of(k, nonce);
		if (job->aes)
			crypto_aead_aes256gcm_encrypt_afternm(
				out, NULL, job->plain + k * SEAL_CHUNK, SEAL_CHUNK, NULL, 0, NULL,
				nonce, &job->state);
		else
			crypto_aead_xchacha20poly1305_ietf_encrypt(
				out, NULL, job->plain + k * SEAL_CHUNK, SEAL_CHUNK, NULL, 0, NULL,
				nonce, job->key);
	}
	*ret_value = rate(job, began);
	return 0;
}

static int sodium_open(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t nonce[24];
	int bad = 0;
	double began = now_s();
	for (size_t k = 0; k < job->len / SEAL_CHUNK; k++) {
		const uint8_t *sealed = job->sealed + k * (SEAL_CHUNK + TAG);
		uint8_t *out = job->work + k * SEAL_CHUNK;
		nonce_of(k, nonce);
		bad |= job->aes
			       ? crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, sealed,
								       SEAL_CHUNK + TAG, NULL, 0,
								       nonce, &job->state)
			       : crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed,
									    SEAL_CHUNK + TAG, NULL,
									    0, nonce, job->key);
	}
	*ret_value = rate(job, began);
	return bad ? err_set(err, E_INTERNAL, "libsodium does not open what it sealed") : 0;
}

/* Each turn needs its own sealed bytes, so opening is measured right behind sealing. */
static int measure(struct bench *bench, struct job *job, struct err *err)
{
	double values[4][ROUNDS];
	measure_fn *const steps[4] = {sodium_seal, sodium_open, seal_all, open_all};
	double warm;
	for (size_t k = 0; k < 4; k++)
		TRY(steps[k](job, &warm, err));
	for (size_t i = 0; i < ROUNDS; i++)
		for (size_t k = 0; k < 4; k++)
			TRY(steps[k](job, &values[k][i], err));
	double medians[4];
	for (size_t k = 0; k < 4; k++)
		medians[k] = quantile(values[k], ROUNDS, 0.5);
	bench_figure(bench, FIGURE_seal_write, medians[2], medians[0]);
	bench_figure(bench, FIGURE_seal_read, medians[3], medians[1]);
	return 0;
}

int bench_seal(struct bench *bench, struct err *err)
{
	struct job job = {.aes = crypto_aead_aes256gcm_is_available()};
	job.len = bench_scaled(bench, 256 * MIB, MIB) / SEAL_CHUNK * SEAL_CHUNK;
	job.cap = job.len / SEAL_CHUNK * (SEAL_CHUNK + TAG) + MIB;
	job.plain = malloc(job.len);
	job.work = malloc(job.len);
	job.sealed = malloc(job.cap);
	int rc = err_set(err, E_NOMEM, "no memory for 3 x %zu bytes", job.len);
	if (job.plain && job.work && job.sealed) {
		randombytes_buf_deterministic(job.plain, job.len, job.key);
		crypto_aead_aes256gcm_beforenm(&job.state, job.key);
		rc = measure(bench, &job, err);
	}
	free(job.plain);
	free(job.work);
	free(job.sealed);
	return rc;
}
