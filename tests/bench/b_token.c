/* b_token.c - what a request pays for being believed: API key, PASETO and JWT, seen before (warm)
 * and not (cold), from the credential's text to the asker with its roles; beside the primitives. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "api/http.h"
#include "common/json.h"
#include "common/store_mem.h"
#include "control/apikeys.h"
#include "control/bindings.h"
#include "control/identity.h"
#include "control/keyuse.h"
#include "control/logins.h"
#include "control/tokens.h"
#include "tenant/jwks.h"
#include "tenant/jwt.h"
#include "tenant/paseto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20000, COLD = 500, HINT_MAX = 32 };

/* Made once for this benchmark: a key set, and two tokens of it that end in 2100. */
static const char jwks[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"tAq77XYzIS7OOR4RWuHSjgi1Qz22D3"
	"RZTBszjx6uYLYA3oBQL-KJaHrzmqQsHsHg7P8RpncvvRlVgfVQZPefMVoc4CpFjMLklAhPr1iXj12ZYh"
	"_7U9WX3OMRGACQRfKgUuA9XP4kKlyt0hMdbiMVWn7vIJUKthooVj2uwQaydMTxGiCwHoLYAl4wWfmVOA"
	"123xdenWcw-bWOSRMGE2ecGLU35sUWkM_z6rD3OtGsQkf_fQeTJLFf4jcjwzWuMiOt4P1s0MgYTJJlwv"
	"PZinuTr9JMEQs7stbVT3LIkEohGG5RhOpv5Mj0iIE8uUAeZH7QWyWNsfI5nCzSgJukNMn26Q\",\"e\""
	":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"UjJg3aIlv7kyg"
	"yo2tXCa16qY6-6g3JN9YTLw7IfbB5w\",\"y\":\"1dugANRsCTENLaj49RBmPJGWiia4EYNZY8FE3m1"
	"hXhw\"}]}";
static const char es256[] =
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImUiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lkLmV4Y"
	"W1wbGUuY29tIiwiYXVkIjoiZnJlZWhvbGQiLCJzdWIiOiJhZGEiLCJncm91cHMiOlsicmVhZGVycyJdL"
	"CJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0._Ki6o-MoRbGU-VOPkAD9_DnWhwRLWTyX7"
	"WWhuz8p6lbRTrihlejOpKghJcogGTirZqlLtVpxDR7EwRj2lUOJMQ";
static const char rs256[] =
	"eyJhbGciOiJSUzI1NiIsImtpZCI6InIiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lkLmV4Y"
	"W1wbGUuY29tIiwiYXVkIjoiZnJlZWhvbGQiLCJzdWIiOiJhZGEiLCJncm91cHMiOlsicmVhZGVycyJdL"
	"CJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.LQ09T7-bgCHCRYGC08bgAuLxdL4ODrMgT"
	"ywvGOKEyErvDHBj1191BO5uVYqNECfK4a3wCs6SWhB6dt845i_u06h3JObp2_j6Y3l75dvRkpx3loj8e"
	"IY17emPZ6U8GrRgS8IDwkWwPNitgF-SI_guAl7e_AIITn9XTzKD4C2NRC8ikhF1hh2eLDp8oLBEZwf_v"
	"S0XMggbCzIeFRRV0ps60gVa63sOks0EcejUbulPTqZAFIT43O0byteudWu9Ta7DWd993S4QYfxmdjvo-"
	"me7o97kLEYXzDp0d-hZ7JSllk83yMQjJ615t1cHFXDUMtEF2bUKx0SceS8UJqwGBkUwRQ";

struct job {
	struct control control;
	struct http_server *issuer;
	struct arena *arena, *kept;
	char key[APIKEY_SHOWN_MAX];
	const char *tokens[COLD];
	double samples[ROUNDS];
};

/* --- an installation without a leader: what identity looks at --- */

static int put(struct job *job, const char *key, const char *text, struct err *err)
{
	struct value *value = NULL;
	TRY(json_parse(job->kept, text, strlen(text), &value, err));
	catalog_apply(job->control.catalog, key, value, 1000);  /* after what was listed */
	bindings_changed(job->control.bindings, key, value);
	logins_changed(job->control.logins);
	return 0;
}

static void serve(void *context, struct http_request *request)
{
	struct buf body;
	(void)context;
	buf_init(&body, sizeof jwks);
	buf_puts(&body, jwks);
	http_answer(request, 200, "application/json", &body);
	buf_release(&body);
}

static int put_provider(struct job *job, struct err *err)
{
	char text[512];
	const struct http_conf conf = {.listen = "127.0.0.1:0", .threads = 1, .serve = serve};
	TRY(http_server_new(&conf, &job->issuer, err));
	snprintf(text, sizeof text,
		 "{\"metadata\":{\"tenant\":\"acme\",\"name\":\"corp\"},\"spec\":{\"issuer\":"
		 "\"https://id.example.com\",\"audiences\":[\"freehold\"],\"jwksUri\":"
		 "\"http://127.0.0.1:%d/keys\",\"groups\":[{\"claim\":\"readers\",\"roles\":"
		 "[\"consumer\"]}]}}",
		 http_server_port(job->issuer));
	return put(job, "r/identityprovider/acme/corp", text, err);
}

static int put_key(struct job *job, struct err *err)
{
	char id[ID_LEN + 1], at[STORE_KEY_MAX];
	AUTO(change) *change = NULL;
	const struct apikey_made made = {.tenant = "acme", .principal = "ada",
					 .now_ms = clock_unix_ms(clock_system())};
	struct value *value = NULL;
	TRY(change_new(&change, err));
	TRY(apikeys_add(&job->control, &made, change, id, job->key, err));
	TRY(change_store(change, job->control.store, keyring_state_key(job->control.keyring),
			 err));
	TRY(catalog_refresh(job->control.catalog, job->control.store, err));
	return catalog_get(job->control.catalog, job->kept, identity_key(at, id), &value, NULL,
			   err);
}

static int open_parts(struct bench *bench, struct control *control, struct err *err)
{
	const char *root = arena_printf(bench->arena, "%s/token-root.key", bench->folder);
	control->clock = clock_system();
	TRY(keyring_new(root, true, &control->keyring, err));
	TRY(store_mem_new(control->clock, &control->store, err));
	TRY(catalog_new(control->clock, keyring_state_key(control->keyring), &control->catalog,
			err));
	TRY(bindings_new(&control->bindings, err));
	const struct keyuse_conf keyuse = {.clock = control->clock, .store = control->store,
					   .catalog = control->catalog,
					   .state_key = keyring_state_key(control->keyring)};
	const struct issuers_conf issuers = {.clock = control->clock, .loopback = true};
	TRY(keyuse_new(&keyuse, &control->keyuse, err));
	TRY(tokens_new(control->keyring, control->catalog, &control->tokens, err));
	return logins_new(control->catalog, &issuers, &control->logins, err);
}

static int check(struct job *job, const char *credential, const char *tenant, struct asker *asker,
		 struct err *err)
{
	const struct identity_ask ask = {.credential = credential, .audience = "control",
					 .tenant = tenant,
					 .now_ms = clock_unix_ms(clock_system())};
	arena_reset(job->arena);
	return identity_check(&job->control, job->arena, &ask, asker, err);
}

static int make_tokens(struct job *job, struct err *err)
{
	struct asker asker;
	struct token_made made;
	for (size_t i = 0; i < COLD; i++) {
		TRY(check(job, job->key, NULL, &asker, err));
		const struct token_ask ask = {.asker = &asker,
					      .now_ms = clock_unix_ms(clock_system())};
		TRY(tokens_make(job->control.tokens, job->kept, &ask, &made, err));
		job->tokens[i] = made.text;
	}
	return 0;
}

static int fill(struct bench *bench, struct job *job, struct err *err)
{
	TRY(arena_new(MIB, &job->arena, err));
	TRY(arena_new(64 * MIB, &job->kept, err));
	TRY(open_parts(bench, &job->control, err));
	TRY(put_key(job, err));
	TRY(put(job, "r/principal/acme/ada", "{\"spec\":{\"roles\":[\"consumer\"]}}", err));
	TRY(put_provider(job, err));
	return make_tokens(job, err);
}

static void release(struct job *job)
{
	logins_free(job->control.logins);
	tokens_free(job->control.tokens);
	keyuse_free(job->control.keyuse);
	bindings_free(job->control.bindings);
	catalog_free(job->control.catalog);
	store_free(job->control.store);
	keyring_free(job->control.keyring);
	http_server_free(job->issuer);
	arena_free(job->arena);
	arena_free(job->kept);
}

/* --- measuring, in microseconds --- */

static int warm(struct job *job, const char *credential, double *ret_us, struct err *err)
{
	struct asker asker;
	TRY(check(job, credential, "acme", &asker, err));
	for (size_t i = 0; i < ROUNDS; i++) {
		double began = now_s();
		TRY(check(job, credential, "acme", &asker, err));
		job->samples[i] = (now_s() - began) * 1e6;
	}
	*ret_us = quantile(job->samples, ROUNDS, 0.5);
	return asker.binding_count == 1 ? 0 : err_set(err, E_INTERNAL, "no role was found");
}

static int cold_tokens(struct job *job, double *ret_us, struct err *err)
{
	struct asker asker;
	for (size_t i = 0; i < COLD; i++) {
		double began = now_s();
		TRY(check(job, job->tokens[i], NULL, &asker, err));
		job->samples[i] = (now_s() - began) * 1e6;
	}
	*ret_us = quantile(job->samples, COLD, 0.5);
	return 0;
}

/* Which tenant is meant is part of what is remembered: another one each time. */
static int cold_jwt(struct job *job, const char *text, double *ret_us, struct err *err)
{
	struct asker asker;
	for (size_t i = 0; i < COLD; i++) {
		char hint[HINT_MAX];
		snprintf(hint, sizeof hint, "t%zu", i);
		double began = now_s();
		TRY(check(job, text, hint, &asker, err));
		job->samples[i] = (now_s() - began) * 1e6;
	}
	*ret_us = quantile(job->samples, COLD, 0.5);
	return 0;
}

static double floor_hash(struct job *job, const char *text)
{
	static const uint8_t key[KEY_BYTES] = {1};
	uint8_t out[DIGEST_BYTES];
	for (size_t i = 0; i < ROUNDS; i++) {
		double began = now_s();
		digest_keyed(key, text, strlen(text), out);
		job->samples[i] = (now_s() - began) * 1e6;
	}
	return quantile(job->samples, ROUNDS, 0.5);
}

static double floor_ed25519(struct job *job)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	uint8_t made[SIGNATURE_BYTES];
	sign_keypair(public_key, secret_key);
	sign_make(secret_key, jwks, 400, made);
	for (size_t i = 0; i < COLD; i++) {
		double began = now_s();
		(void)!sign_verify(public_key, jwks, 400, made);
		job->samples[i] = (now_s() - began) * 1e6;
	}
	return quantile(job->samples, COLD, 0.5);
}

/* The signature alone. */
static int floor_jwt(struct job *job, const char *text, double *ret_us, struct err *err)
{
	AUTO(jwks) *set = NULL;
	struct jwt jwt;
	bool good = true;
	arena_reset(job->arena);
	TRY(jwks_read(jwks, sizeof jwks - 1, &set, err));
	TRY(jwt_read(job->arena, text, &jwt, err));
	const struct signature_key *key = jwks_find(set, jwt.kid, jwt.kind);
	for (size_t i = 0; key && i < COLD; i++) {
		double began = now_s();
		good &= jwt_verify(&jwt, key);
		job->samples[i] = (now_s() - began) * 1e6;
	}
	*ret_us = quantile(job->samples, COLD, 0.5);
	return key && good ? 0 : err_set(err, E_INTERNAL, "the signature does not hold");
}

static int measure(struct bench *bench, struct job *job, struct err *err)
{
	double us = 0, least = 0;
	TRY(warm(job, job->key, &us, err));
	bench_figure(bench, FIGURE_token_key, us, floor_hash(job, job->key));
	TRY(cold_tokens(job, &us, err));
	bench_figure(bench, FIGURE_token_paseto_cold, us, floor_ed25519(job));
	TRY(warm(job, job->tokens[0], &us, err));
	bench_figure(bench, FIGURE_token_paseto, us, floor_hash(job, job->tokens[0]));
	TRY(warm(job, es256, &us, err));
	bench_figure(bench, FIGURE_token_jwt, us, floor_hash(job, es256));
	TRY(cold_jwt(job, es256, &us, err));
	TRY(floor_jwt(job, es256, &least, err));
	bench_figure(bench, FIGURE_token_es256_cold, us, least);
	TRY(cold_jwt(job, rs256, &us, err));
	TRY(floor_jwt(job, rs256, &least, err));
	bench_figure(bench, FIGURE_token_rs256_cold, us, least);
	return 0;
}

int bench_token(struct bench *bench, struct err *err)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, E_NOMEM, "no memory for a benchmark");
	int code = crypto_start(err);
	if (code == 0)
		code = fill(bench, job, err);
	if (code == 0)
		code = measure(bench, job, err);
	release(job);
	free(job);
	return code;
}
