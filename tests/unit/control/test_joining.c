/* test_joining.c - workers that join: tokens, records, certificates, and being removed. */
#include "common/defs.h"
#include "control/joining.h"

#include "api/envelope.h"
#include "api/link.h"
#include "api/poll.h"
#include "control/authority.h"
#include "control/dispatch.h"
#include "control/jointokens.h"
#include "control/nodes.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A worker to be: its key, and what it asks for. */
struct comer {
	uint8_t public_key[32], secret_key[32];
	char hex[65], request[4096];         /* newlines as JSON wants them */
	struct secret *tls_key;
};

static void comer_make(struct comer *comer)
{
	AUTO_BUF pem;
	buf_init(&pem, CERT_REQUEST_MAX);
	memset(comer, 0, sizeof *comer);
	box_keypair(comer->public_key, comer->secret_key);
	hex_print(comer->public_key, 32, comer->hex);
	cr_assert_eq(cert_request("anything", &comer->tls_key, &pem, NULL), 0);
	char *to = comer->request;
	for (size_t i = 0; i < pem.len; i++) {
		if (pem.data[i] == '\n')
			*to++ = '\\';
		*to++ = pem.data[i] == '\n' ? 'n' : (char)pem.data[i];
	}
}

static void comer_free(struct comer *comer)
{
	secret_free(comer->tls_key);
}

static const char *token(struct plane *plane, const char *spec)
{
	struct answer answer = plane_call(plane, plane->operator_key, "POST", "/v1/workers/tokens",
	                                  spec);
	cr_assert_eq(answer.status, 201, "%s", answer.text);
	return value_get_str(answer.body, "token");
}

static struct answer join(struct plane *plane, const struct comer *comer, const char *with,
                          const char *name)
{
	char body[8192];
	snprintf(body, sizeof body, "{'token':'%s','name':'%s','publicKey':'%s','request':'%s'}",
	         with, name, comer->hex, comer->request);
	return plane_call(plane, NULL, "POST", "/v1/workers/join", body);
}

Test(joining, a_token_brings_one_worker_in_with_a_certificate_of_the_platforms_authority)
{
	struct plane *plane = plane_start();
	struct comer comer;
	struct cert_facts facts;
	struct err err;
	comer_make(&comer);
	const char *with = token(plane, "{'addresses':'w1.example.com,10.0.0.1'}");
	struct answer answer = join(plane, &comer, with, "w1");
	cr_assert_eq(answer.status, 201, "%s", answer.text);
	const char *pem = value_get_str(answer.body, "certificate");
	cr_assert_not_null(pem);
	cr_assert_eq(cert_facts(pem, strlen(pem), &facts, &err), 0, "%s", err.text);
	cr_expect_str_eq(facts.name, "w1");
	const struct cert_set set = { value_get_str(answer.body, "ca"), pem,
		                      (const char *)secret_bytes(comer.tls_key) };
	cr_expect_eq(cert_set_check(&set, &err), 0, "%s", err.text);
	answer = plane_call(plane, plane->operator_key, "GET", "/v1/workers/w1/identity", NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_str_eq(value_get_str(answer.body, "publicKey"), comer.hex);
	cr_expect_str_eq(value_get_str(answer.body, "serial"), facts.serial);
	cr_expect_str_eq(value_get_str(answer.body, "joinedBy"), "platform/operator");
	comer_free(&comer);
	plane_stop(plane);
}

Test(joining, a_token_that_is_used_expired_revoked_unknown_or_anothers_is_refused_in_the_same_words)
{
	struct clock *clock = NULL;
	cr_assert_eq(clock_new_simulated(1800000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	struct comer comer;
	comer_make(&comer);
	const char *used = token(plane, NULL), *revoked = token(plane, NULL);
	const char *others = token(plane, "{'name':'w9'}"), *pool = token(plane, "{'pool':'gpu'}");
	const char *late = token(plane, "{'ttl':'1m'}");
	char unknown[JOINTOKEN_TEXT_MAX], changed[JOINTOKEN_TEXT_MAX], path[128];
	cr_assert_eq(join(plane, &comer, used, "w1").status, 201);
	snprintf(path, sizeof path, "/v1/workers/tokens/%.26s", revoked + 4);
	cr_assert_eq(plane_call(plane, plane->operator_key, "DELETE", path, NULL).status, 200);
	snprintf(unknown, sizeof unknown, "%s", others);
	unknown[6] = unknown[6] == '0' ? '1' : '0';
	snprintf(changed, sizeof changed, "%s", others);
	changed[40] = changed[40] == 'A' ? 'B' : 'A';
	clock_advance(clock, 61 * 1000);
	const char *const bad[] = { used, revoked, others, pool, late, unknown, changed, "fhj_",
		                    "x" };
	const char *first = NULL;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct answer answer = join(plane, &comer, bad[i], "w2");
		cr_expect_eq(answer.status, 401, "%zu: %s", i, answer.text);
		first = first ? first : answer.detail;
		cr_expect_str_eq(answer.detail, first);
	}
	comer_free(&comer);
	plane_stop(plane);
	clock_free(clock);
}

/* A join as its handler prepares it, up to the commit. */
static struct change *prepare(struct plane *plane, const struct comer *comer, const char *with,
                              const char *name)
{
	struct err err = { 0 };
	char key[STORE_KEY_MAX];
	struct value *token = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	struct joining joining = { .name = name, .by = "platform/operator",
	                           .now_ms = clock_unix_ms(plane->control->clock) };
	memcpy(joining.public_key, comer->public_key, sizeof joining.public_key);
	const struct jointoken_use use = { with, name, NULL, joining.now_ms };
	cr_assert_eq(jointokens_check(plane->control, plane->arena, &use, key, &token, &revision,
	                              &err), 0, "%s", err.text);
	cr_assert_eq(change_new(&change, &err), 0);
	cr_assert_eq(joining_add(plane->control, plane->arena, &joining, change, &err), 0, "%s",
	             err.text);
	cr_assert_eq(jointokens_use(key, token, revision, &use, change, &err), 0);
	return change;
}

Test(joining, of_two_that_join_with_one_token_at_the_same_time_one_is_let_in)
{
	struct plane *plane = plane_start();
	struct journal *journal = part_of(plane->control, "platform")->journal;
	struct comer one, two;
	struct err err = { 0 };
	comer_make(&one);
	comer_make(&two);
	const char *with = token(plane, NULL);
	struct change *first = prepare(plane, &one, with, "w1");
	struct change *second = prepare(plane, &two, with, "w2");
	cr_expect_eq(journal_commit(journal, second, &err), 0, "%s", err.text);
	cr_expect_lt(journal_commit(journal, first, &err), 0, "the token was good when it looked");
	cr_expect(nodes_has(plane->control->nodes, "w2"));
	cr_expect_not(nodes_has(plane->control->nodes, "w1"));
	cr_expect_eq(join(plane, &one, with, "w1").status, 401);
	change_free(first);
	change_free(second);
	comer_free(&one);
	comer_free(&two);
	plane_stop(plane);
}

Test(joining, a_token_lives_a_day_at_most_and_is_used_once)
{
	struct plane *plane = plane_start();
	static const char *const bad[] = { "{'ttl':'25h'}", "{'ttl':'0s'}", "{'uses':2}",
		"{'name':'tokens'}", "{'addresses':'a b'}", "{'addresses':'DNS:x'}", "{'wat':1}" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(plane_call(plane, plane->operator_key, "POST", "/v1/workers/tokens",
		                        bad[i]).status, 400, "%s", bad[i]);
	cr_expect_eq(plane_call(plane, NULL, "POST", "/v1/workers/tokens", NULL).status, 401);
	plane_stop(plane);
}

Test(joining, a_stolen_token_takes_nobodys_name_unless_it_was_made_for_it)
{
	struct plane *plane = plane_start();
	struct comer first, thief;
	comer_make(&first);
	comer_make(&thief);
	cr_assert_eq(join(plane, &first, token(plane, NULL), "w1").status, 201);
	const char *stolen = token(plane, NULL);
	cr_expect_eq(join(plane, &thief, stolen, "w1").status, 409);
	cr_expect_eq(join(plane, &thief, stolen, "w2").status, 201, "the refusal cost no token");
	cr_expect_eq(join(plane, &thief, token(plane, "{'name':'w1'}"), "w1").status, 201);
	comer_free(&first);
	comer_free(&thief);
	plane_stop(plane);
}

Test(joining, a_request_that_is_none_and_a_key_that_is_none_cost_no_token)
{
	struct plane *plane = plane_start();
	struct comer comer;
	comer_make(&comer);
	const char *with = token(plane, NULL);
	struct comer bad = comer;
	snprintf(bad.request, sizeof bad.request, "-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\\n"
	         "-----END CERTIFICATE REQUEST-----\\n");
	cr_expect_eq(join(plane, &bad, with, "w1").status, 400);
	bad = comer;
	memset(bad.hex, '0', 64);            /* of small order */
	cr_expect_eq(join(plane, &bad, with, "w1").status, 400);
	bad.hex[3] = 'x';
	cr_expect_eq(join(plane, &bad, with, "w1").status, 400);
	cr_expect_eq(join(plane, &comer, with, "w1").status, 201);
	comer_free(&comer);
	plane_stop(plane);
}

Test(joining, refused_joins_are_slowed_down_and_tokens_are_not)
{
	struct clock *clock = NULL;          /* stands: however slow the machine is */
	cr_assert_eq(clock_new_simulated(1800000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	struct comer comer;
	int slowed = 0;
	comer_make(&comer);
	for (int i = 0; i < 120; i++)
		slowed += join(plane, &comer, "fhj_x", "w1").status == 429;
	cr_expect_gt(slowed, 0);
	cr_expect_eq(join(plane, &comer, token(plane, NULL), "w1").status, 201);
	comer_free(&comer);
	plane_stop(plane);
	clock_free(clock);
}

/* --- on the link --- */

struct wire {
	struct plane *plane;
	struct link_server *server;
	struct link_client *client;
	int64_t seq;
};

static void wire_open(struct wire *wire, const char *const urls[2])
{
	const struct link_client_conf conf = { .urls = urls };
	*wire = (struct wire){ .plane = plane_start() };
	wire->plane->control->nameless = false;
	const struct link_server_conf served = { .url = urls[0], .contexts = 8,
		.call = dispatch_call, .gone = dispatch_gone, .context = wire->plane->control };
	cr_assert_eq(link_server_new(&served, &wire->server, NULL), 0);
	cr_assert_eq(link_client_new(&conf, &wire->client, NULL), 0);
}

static void wire_close(struct wire *wire)
{
	link_client_free(wire->client);
	control_stop(wire->plane->control);
	link_server_free(wire->server);
	plane_stop(wire->plane);
}

static struct node_key *key_of(const struct wire *wire, const struct comer *comer)
{
	uint8_t control_public[32];
	struct node_key *key = NULL;
	cr_assert(sign_to_box(wire->plane->control->signer_public, control_public));
	cr_assert_eq(node_key_new(control_public, comer->secret_key, &key, NULL), 0);
	return key;
}

/* A poll of `name` inside a frame of `frame` (NULL: bare); what it is told: a problem's code, 0 for
 * an answer. proven: the answer is. */
static int poll_as(struct wire *wire, const struct comer *comer, const char *frame,
                   const char *name, const char *pool, bool *ret_proven)
{
	AUTO(arena) *arena = NULL;           /* its own: a thread may be polling */
	struct value *body = NULL;
	struct envelope told;
	struct err said = { 0 }, err;
	uint8_t mac[NODE_MAC_BYTES], box[32] = { 9 };
	AUTO_BUF bare, out, in;
	const struct poll poll = { .slots = 0, .slots_max = 0, .memory_bytes = 1, .box_public = box,
	                           .version = "1", .pool = pool, .protocol = POLL_PROTOCOL,
	                           .draining = true };
	buf_init(&bare, LINK_MESSAGE_MAX);
	buf_init(&out, LINK_MESSAGE_MAX);
	buf_init(&in, LINK_MESSAGE_MAX);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_assert_eq(poll_value(arena, &poll, &body, &err), 0, "%s", err.text);
	const struct envelope envelope = { .version = ENVELOPE_VERSION, .kind = "poll",
		.worker = name, .incarnation = 1, .seq = ++wire->seq, .body = body };
	cr_assert_eq(envelope_write(&envelope, &bare, NULL), 0);
	AUTO(node_key) *key = key_of(wire, comer);
	if (frame)
		cr_assert_eq(node_write(key, frame, bare.data, bare.len, &out, mac, NULL), 0);
	else
		buf_put(&out, bare.data, bare.len);
	cr_assert_eq(link_client_call(wire->client, 0, out.data, out.len, 30000, &in, &err), 0,
	             "%s", err.text);
	const uint8_t *inner = in.data;
	size_t len = in.len;
	*ret_proven = frame && node_answer_open(key, mac, in.data, in.len, &inner, &len, NULL) == 0;
	cr_assert_eq(envelope_read(arena, inner, len, &told, &err), 0, "%s", err.text);
	if (strcmp(told.kind, "problem") != 0)
		return 0;
	link_problem_read(told.body, &said);
	return said.code;
}

Test(joining, a_worker_speaks_in_its_own_name_only)
{
	static const char *const urls[] = { "inproc://joining-name", NULL };
	struct wire wire;
	struct comer a, b;
	bool proven = false;
	wire_open(&wire, urls);
	comer_make(&a);
	comer_make(&b);
	cr_assert_eq(join(wire.plane, &a, token(wire.plane, NULL), "a").status, 201);
	cr_assert_eq(join(wire.plane, &b, token(wire.plane, "{'pool':'gpu'}"), "b").status, 401,
	             "the pool is asked for");
	cr_assert_eq(join(wire.plane, &b, token(wire.plane, NULL), "b").status, 201);
	cr_expect_eq(poll_as(&wire, &a, "b", "b", NULL, &proven), E_UNAUTHENTICATED);
	cr_expect_not(proven);
	cr_expect_eq(poll_as(&wire, &a, "a", "b", NULL, &proven), E_DENIED);
	cr_expect_eq(poll_as(&wire, &a, NULL, "b", NULL, &proven), E_UNAUTHENTICATED, "bare");
	cr_expect_eq(poll_as(&wire, &a, NULL, "c", NULL, &proven), E_UNAUTHENTICATED, "unknown");
	wire.plane->control->nameless = true;
	cr_expect_eq(poll_as(&wire, &a, NULL, "b", NULL, &proven), E_UNAUTHENTICATED,
	             "bare, in the name of one that has joined");
	comer_free(&a);
	comer_free(&b);
	wire_close(&wire);
}

static bool is_listed(struct plane *plane, const char *name)
{
	struct answer answer = plane_call(plane, plane->operator_key, "GET", "/v1/workers", NULL);
	cr_assert_eq(answer.status, 200);
	const struct value *items = value_get(answer.body, "items");
	for (size_t i = 0; i < value_len(items); i++)
		if (strcmp(value_get_str(value_at(items, i), "name"), name) == 0 &&
		    value_get_bool(value_at(items, i), "connected", false))
			return true;
	return false;
}

struct poller { struct wire *wire; struct comer *comer; int code; bool proven; };

static void *poll_main(void *context)
{
	struct poller *poller = context;
	poller->code = poll_as(poller->wire, poller->comer, "a", "a", NULL, &poller->proven);
	return NULL;
}

Test(joining, a_removed_worker_is_told_at_once_and_refused_from_then_on)
{
	static const char *const urls[] = { "inproc://joining-removed", NULL };
	struct wire wire;
	struct comer a;
	bool proven = false;
	pthread_t thread;
	wire_open(&wire, urls);
	comer_make(&a);
	cr_assert_eq(join(wire.plane, &a, token(wire.plane, NULL), "a").status, 201);
	struct poller poller = { &wire, &a, -1, false };
	cr_assert_eq(pthread_create(&thread, NULL, poll_main, &poller), 0);
	while (!is_listed(wire.plane, "a"))  /* its poll is held */
		usleep(1000);
	cr_assert_eq(plane_call(wire.plane, wire.plane->operator_key, "DELETE",
	                        "/v1/workers/a/identity", NULL).status, 200);
	pthread_join(thread, NULL);
	cr_expect_eq(poller.code, E_UNAUTHENTICATED);
	cr_expect(poller.proven, "it can be sure that control said so");
	cr_expect_eq(poll_as(&wire, &a, "a", "a", NULL, &proven), E_UNAUTHENTICATED);
	cr_expect(proven);
	cr_expect_not(is_listed(wire.plane, "a"));
	/* Its name is free for a new key; the old one does not come back with it. */
	struct comer again;
	comer_make(&again);
	cr_assert_eq(join(wire.plane, &again, token(wire.plane, NULL), "a").status, 201);
	cr_expect_eq(poll_as(&wire, &a, "a", "a", NULL, &proven), E_UNAUTHENTICATED);
	comer_free(&a);
	comer_free(&again);
	wire_close(&wire);
}

Test(joining, a_worker_stays_in_the_pool_it_joined_for)
{
	static const char *const urls[] = { "inproc://joining-pool", NULL };
	struct wire wire;
	struct comer a;
	bool proven = false;
	wire_open(&wire, urls);
	comer_make(&a);
	char body[512];
	snprintf(body, sizeof body, "{'publicKey':'%s','pool':'gpu'}", a.hex);
	cr_assert_eq(plane_call(wire.plane, wire.plane->operator_key, "PUT",
	                        "/v1/workers/a/identity", body).status, 200);
	cr_expect_eq(poll_as(&wire, &a, "a", "a", NULL, &proven), E_DENIED);
	comer_free(&a);
	wire_close(&wire);
}

Test(joining, the_authority_is_made_once_and_anyone_may_know_it)
{
	struct plane *plane = plane_start();
	struct answer first = plane_call(plane, NULL, "GET", "/v1/ca", NULL);
	cr_assert_eq(first.status, 200, "%s", first.text);
	plane_restart(plane);
	struct answer second = plane_call(plane, NULL, "GET", "/v1/ca", NULL);
	cr_expect_str_eq(value_get_str(first.body, "certificate"),
	                 value_get_str(second.body, "certificate"));
	cr_expect_null(strstr(first.text, "PRIVATE"));
	plane_stop(plane);
}
