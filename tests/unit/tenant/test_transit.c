/* test_transit.c - the key service, as its API is documented, played by a server in this process
 * that takes nothing else: methods, paths, headers, base64. With FREEHOLD_BAO (a path to OpenBao's
 * program) the same runs against the real one. */
#include "common/defs.h"
#include "tenant/root.h"
#include "tenant/transit.h"

#include "api/http.h"
#include "common/json.h"
#include "common/store_mem.h"
#include "common/text.h"
#include "tests/support/process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the service --- */

struct service {
	struct http_server *http;
	char url[64];
	_Atomic int version;         /* of its key */
	_Atomic int status;          /* what it answers instead; 0: as it should */
	_Atomic int then;            /* its status after the next call; 0: the same */
	_Atomic int calls, logins, strange;
	const char *space;           /* demanded; NULL: none */
};

static void answer(struct http_request *request, int status, const char *text)
{
	struct buf body;
	buf_init(&body, 64 * KIB);
	buf_puts(&body, text);
	http_answer(request, status, "application/json", &body);
}

/* Its wrapping: base64 of each byte of the key turned by 1. */
static void wrapped(struct service *service, const uint8_t *key, char out[256])
{
	uint8_t turned[KEY_BYTES];
	struct buf text;
	buf_init(&text, 128);
	for (size_t i = 0; i < KEY_BYTES; i++)
		turned[i] = (uint8_t)(key[i] + 1);
	base64_print(turned, KEY_BYTES, &text);
	snprintf(out, 256, "vault:v%d:%.*s", service->version, (int)text.len,
	         (const char *)text.data);
	buf_release(&text);
}

static bool unwrapped(const char *text, uint8_t out[KEY_BYTES])
{
	struct buf bytes;
	const char *last = text ? strrchr(text, ':') : NULL;
	buf_init(&bytes, 128);
	bool ok = last && strncmp(text, "vault:v", 7) == 0 &&
		base64_parse(last + 1, strlen(last + 1), &bytes, NULL) == 0 &&
		bytes.len == KEY_BYTES;
	for (size_t i = 0; ok && i < KEY_BYTES; i++)
		out[i] = (uint8_t)(bytes.data[i] - 1);
	buf_release(&bytes);
	return ok;
}

static void give(struct http_request *request, struct service *service, const uint8_t *key,
                 bool plain, bool text)
{
	char box[256], body[1024];
	struct buf base;
	buf_init(&base, 128);
	base64_print(key, KEY_BYTES, &base);
	wrapped(service, key, box);
	snprintf(body, sizeof body, "{\"request_id\": \"x\", \"data\": { %s%s%.*s%s%s%s%s }}",
	         plain ? "\"plaintext\" : \"" : "", "", plain ? (int)base.len : 0,
	         (const char *)base.data, plain ? "\"" : "", plain && text ? ", " : "",
	         text ? "\"ciphertext\":\"" : "", text ? box : "");
	if (text)
		strcpy(strrchr(body, ' '), "\" }}");
	buf_release(&base);
	answer(request, 200, body);
}

static bool asks_properly(struct service *service, struct http_request *request)
{
	const char *token = http_header(request, "X-Vault-Token");
	const char *space = http_header(request, "X-Vault-Namespace");
	const char *type = http_header(request, "Content-Type");
	return strcmp(http_method(request), "POST") == 0 && token &&
		strcmp(token, "root-good") == 0 && type && strcmp(type, "application/json") == 0 &&
		(service->space ? space && strcmp(space, service->space) == 0 : !space);
}

static void transit_serve(struct service *service, struct http_request *request)
{
	const char *path = http_path(request);
	struct value *body = NULL;
	size_t len = 0;
	uint8_t key[KEY_BYTES];
	const uint8_t *text = http_body(request, &len);
	if (json_parse(http_arena(request), (const char *)text, len, &body, NULL) < 0)
		return answer(request, 400, "{\"errors\":[\"no JSON\"]}");
	const char *box = value_get_str(body, "ciphertext");
	if (strcmp(path, "/v1/transit/datakey/plaintext/freehold") == 0) {
		random_bytes(key, sizeof key);
		return give(request, service, key, true, true);
	}
	if (strcmp(path, "/v1/transit/encrypt/freehold") == 0) {
		const char *plain = value_get_str(body, "plaintext");
		AUTO_BUF bytes;
		buf_init(&bytes, 64);
		if (!plain || base64_parse(plain, strlen(plain), &bytes, NULL) < 0 ||
		    bytes.len != KEY_BYTES)
			return answer(request, 400, "{\"errors\":[\"no base64\"]}");
		return give(request, service, bytes.data, false, true);
	}
	if (strncmp(path, "/v1/transit/", 12) != 0 || !strstr(path, "/freehold"))
		return answer(request, 404, "{\"errors\":[]}");
	if (!unwrapped(box, key))
		return answer(request, 400, "{\"errors\":[\"invalid ciphertext\"]}");
	if (strcmp(path, "/v1/transit/decrypt/freehold") == 0)
		return give(request, service, key, true, false);
	give(request, service, key, false, true);
}

static void serve(void *context, struct http_request *request)
{
	struct service *service = context;
	size_t len = 0;
	service->calls++;
	int status = service->status;
	if (service->then)
		service->status = atomic_exchange(&service->then, 0);
	if (status)
		return answer(request, status, "{\"errors\":[\"as told\"]}");
	if (strcmp(http_path(request), "/v1/auth/kubernetes/login") == 0) {
		const char *body = (const char *)http_body(request, &len);
		service->logins++;
		bool good = len && memmem(body, len, "\"role\":\"fh\"", 11) &&
			memmem(body, len, "\"jwt\":\"pod.jwt\"", 15);
		return answer(request, good ? 200 : 403,
		              "{\"auth\":{\"client_token\":\"root-good\",\"renewable\":true}}");
	}
	if (!asks_properly(service, request)) {
		service->strange++;
		return answer(request, 403, "{\"errors\":[\"permission denied\"]}");
	}
	transit_serve(service, request);
}

/* --- the stage --- */

static struct service service;
static struct transit_conf conf;
static char dir[64], token_file[96];

static void start(void)
{
	struct err err = { 0 };
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	strcpy(dir, "/tmp/test-transit-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(token_file, sizeof token_file, "%s/token", dir);
	file_write(token_file, "root-good\n");
	cr_assert_eq(chmod(token_file, 0600), 0);
	service = (struct service){ .version = 1 };
	const struct http_conf http = { .listen = "127.0.0.1:0", .serve = serve,
	                                .context = &service };
	cr_assert_eq(http_server_new(&http, &service.http, &err), 0, "%s", err.text);
	snprintf(service.url, sizeof service.url, "http://127.0.0.1:%d",
	         http_server_port(service.http));
	conf = (struct transit_conf){ .url = service.url, .key = "freehold",
	                              .token_file = token_file, .wait_ms = 60000 };
}

static void stop(void)
{
	char command[96];
	http_server_free(service.http);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(transit, .init = start, .fini = stop);

static void check_round(void)
{
	AUTO(transit) *transit = NULL;
	AUTO(secret) *key = NULL, *again = NULL, *own = NULL, *back = NULL;
	AUTO_BUF text, fresh, other;
	struct err err = { 0 };
	buf_init(&text, 4 * KIB);
	buf_init(&fresh, 4 * KIB);
	buf_init(&other, 4 * KIB);
	cr_assert_eq(transit_new(&conf, clock_system(), &transit, &err), 0, "%s", err.text);
	cr_assert_eq(transit_datakey(transit, &key, &text, &err), 0, "%s", err.text);
	cr_assert_eq(strncmp((const char *)text.data, "vault:v1:", 9), 0);
	cr_assert_eq(transit_decrypt(transit, (const char *)text.data, &again, &err), 0, "%s",
	             err.text);
	cr_expect_eq(memcmp(secret_bytes(key), secret_bytes(again), KEY_BYTES), 0);
	cr_assert_eq(secret_random(KEY_BYTES, &own, NULL), 0);
	cr_assert_eq(transit_encrypt(transit, own, &other, &err), 0, "%s", err.text);
	cr_assert_eq(transit_rewrap(transit, (const char *)other.data, &fresh, &err), 0, "%s",
	             err.text);
	cr_assert_eq(transit_decrypt(transit, (const char *)fresh.data, &back, &err), 0);
	cr_expect_eq(memcmp(secret_bytes(own), secret_bytes(back), KEY_BYTES), 0);
	AUTO(secret) *none = NULL;
	cr_expect_eq(transit_decrypt(transit, "vault:v1:AAAA", &none, &err), E_CORRUPT, "%s",
	             err.text);
}

Test(transit, wraps_and_unwraps_keys_by_the_documented_calls)
{
	check_round();
	cr_expect_eq(service.strange, 0);
	service.space = "team-a";
	conf.space = "team-a";
	check_round();
	cr_expect_eq(service.strange, 0);
}

Test(transit, logs_in_with_the_pods_account)
{
	char jwt[96];
	snprintf(jwt, sizeof jwt, "%s/jwt", dir);
	file_write(jwt, "pod.jwt");
	conf.token_file = NULL;
	conf.k8s_role = "fh";
	conf.k8s_token_file = jwt;
	check_round();
	cr_expect_gt(service.logins, 0);
}

static int decrypt_code(struct err *err)
{
	AUTO(transit) *transit = NULL;
	AUTO(secret) *key = NULL;
	int rc = transit_new(&conf, clock_system(), &transit, err);
	return rc < 0 ? rc : transit_decrypt(transit, "vault:v1:AAAA", &key, err);
}

Test(transit, a_refusal_says_what_is_to_be_done)
{
	struct err err = { 0 };
	service.status = 403;
	cr_expect_eq(decrypt_code(&err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "transit/decrypt/freehold"), "%s", err.text);
	service.status = 404;
	cr_expect_eq(decrypt_code(&err), E_NOT_FOUND);
	service.status = 503;
	conf.wait_ms = 1;
	cr_expect_eq(decrypt_code(&err), E_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "sealed"), "%s", err.text);
	service.status = 0;
	cr_assert_eq(chmod(token_file, 0644), 0);
	cr_expect_eq(decrypt_code(&err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "chmod 600"), "%s", err.text);
	cr_expect_null(strstr(err.text, "root-good"));
}

Test(transit, while_it_is_sealed_it_is_asked_again)
{
	struct err err = { 0 };
	service.status = 503;
	service.then = 403;          /* which ends it, whatever the time */
	cr_expect_eq(decrypt_code(&err), E_DENIED, "%s", err.text);
	cr_expect_eq(service.calls, 2);
}

Test(transit, settings_that_would_send_keys_in_the_clear_or_as_nobody_are_refused)
{
	struct err err = { 0 };
	conf.url = "http://vault.example.com:8200";
	cr_expect_eq(decrypt_code(&err), E_INVALID);
	conf.url = "http://127.0.0.1.example.com";
	cr_expect_eq(decrypt_code(&err), E_INVALID);
	conf.url = service.url;
	conf.token_file = NULL;
	cr_expect_eq(decrypt_code(&err), E_INVALID);
	conf.token_file = token_file;
	conf.key = "a/../b";
	cr_expect_eq(decrypt_code(&err), E_INVALID);
	conf.key = NULL;
	cr_expect_eq(decrypt_code(&err), E_INVALID);
}

Test(transit, members_are_found_in_place_and_nothing_strange_is_taken)
{
	size_t len = 0;
	static const char good[] = "{\"data\":{\"plaintext\" :\n \"QUJD+/=\",\"x\":1}}";
	const char *text = transit_member(good, strlen(good), "plaintext", &len);
	cr_assert_not_null(text);
	cr_expect_eq(len, 7);
	static const char *const bad[] = {
		"", "\"plaintext\":\"a b\"",
		"\"", "\"plaintext\"", "\"plaintext\":", "\"plaintext\":\"", "\"plaintext\":\"a",
		"\"plaintext\":\"\"", "\"plaintext\":\"a\\u0041\"", "\"plaintext\":1",
		"\"plaintextual\":\"a\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_null(transit_member(bad[i], strlen(bad[i]), "plaintext", &len), "%s",
		               bad[i]);
}

/* --- the installation's key in it --- */

Test(transit, an_installations_key_is_made_once_and_comes_back_after_a_rewrap)
{
	AUTO(store) *store = NULL;
	AUTO(secret) *first = NULL, *second = NULL, *third = NULL;
	struct err err = { 0 };
	const struct root_conf root = { .transit = conf, .clock = clock_system() };
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0);
	cr_assert_eq(root_open(&root, store, &first, &err), 0, "%s", err.text);
	cr_assert_eq(root_open(&root, store, &second, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(secret_bytes(first), secret_bytes(second), KEY_BYTES), 0);
	service.version = 2;
	cr_assert_eq(root_rewrap(&root, store, &err), 0, "%s", err.text);
	cr_assert_eq(root_open(&root, store, &third, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(secret_bytes(first), secret_bytes(third), KEY_BYTES), 0);
}

/* --- the real program --- */

static bool answers(void *context)
{
	struct err err = { 0 };
	(void)context;
	int rc = decrypt_code(&err);
	return rc != E_UNAVAILABLE;
}

Test(transit, the_real_program_takes_the_same_calls)
{
	const char *bao = getenv("FREEHOLD_BAO");
	char log[96], url[64], command[512];
	if (!bao || access(bao, X_OK) != 0)
		cr_skip_test("FREEHOLD_BAO names no OpenBao program");
	snprintf(log, sizeof log, "%s/bao.log", dir);
	int port = 20000 + getpid() % 20000;
	snprintf(url, sizeof url, "127.0.0.1:%d", port);
	const char *argv[] = { bao, "server", "-dev", "-dev-no-store-token",
	                       "-dev-root-token-id=root-good", "-dev-listen-address", url, NULL };
	pid_t pid = process_start(argv, log, NULL);
	snprintf(service.url, sizeof service.url, "http://%s", url);
	conf.wait_ms = 1;
	cr_expect(wait_until(answers, NULL, 20000));
	snprintf(command, sizeof command, "export BAO_ADDR=%s BAO_TOKEN=root-good; "
	         "%s secrets enable transit >>%s 2>&1 && %s write -f transit/keys/freehold >>%s "
	         "2>&1", service.url, bao, log, bao, log);
	cr_expect_eq(system(command), 0);
	conf.wait_ms = 5000;
	check_round();
	process_kill(pid);
}
