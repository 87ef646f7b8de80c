/* Asking control what a caller may read: its grant is checked, its refusal is told in its words,
 * and another replica is asked when one does not lead. */
#include "common/defs.h"
#include "worker/access_link.h"

#include "api/access_grant.h"
#include "api/poll.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

struct control {                 /* one replica, played by this test */
	struct link_server *server;
	struct grant_signer *signer;
	const char *grant_worker;
	int refuse;                  /* with this code; 0: grants */
	atomic_int asked;
};

static int make_grant(struct control *control, const struct access_ask *ask, struct arena *arena,
                      struct value **ret_body)
{
	static const struct access_feature feature = { .name = "n", .type = "int64" };
	AUTO_BUF grant;
	buf_init(&grant, MIB);
	struct access_view view = {
		.domain = "d", .name = ask->views[0], .uid = "u", .join_key = "k",
		.key_type = "string", .features = &feature, .feature_count = 1,
	};
	struct access_grant given = {
		.id = "g", .worker = control->grant_worker, .tenant = "acme",
		.principal = ask->credential, .views = &view, .view_count = 1,
		.expires_ms = clock_unix_ms(clock_system()) + 60000,
	};
	TRY(access_sign(control->signer, &given, ask->box_public, &grant, NULL));
	struct access_answer answer = { grant.data, grant.len };
	return access_answer_value(arena, &answer, ret_body, NULL);
}

static void on_ask(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	struct control *control = context;
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	struct envelope asked, answer = {
		.version = ENVELOPE_VERSION, .kind = "access", .worker = "control-1",
		.incarnation = 1, .seq = 1,
	};
	struct access_ask ask;
	struct value *body = NULL;
	struct err problem;
	buf_init(&out, MIB);
	cr_assert_eq(arena_new(4 * MIB, &arena, NULL), 0);
	cr_assert_eq(envelope_read(arena, data, len, &asked, NULL), 0);
	cr_assert_eq(access_ask_read(arena, asked.body, &ask, NULL), 0);
	cr_assert_str_eq(ask.purpose, "billing");
	atomic_fetch_add(&control->asked, 1);
	err_set(&problem, control->refuse, "said by control");
	if (control->refuse)
		answer.kind = "problem";
	if (control->refuse)
		body = link_problem_value(arena, &problem);
	else
		cr_assert_eq(make_grant(control, &ask, arena, &body), 0);
	answer.body = body;
	cr_assert_eq(envelope_write(&answer, &out, NULL), 0);
	link_answer(call, out.data, out.len);
}

struct rig {
	struct control first, second;
	struct grant_opener opener;
	struct secret *box_secret;
	struct peer *peer;
	struct access_link link;
	struct arena *arena;
};

static void control_start(struct control *control, const char *url, const uint8_t *sign_secret)
{
	struct link_server_conf conf = {
		.url = url, .contexts = 4, .call = on_ask, .context = control
	};
	control->grant_worker = "w-1";
	cr_assert_eq(grant_signer_new(sign_secret, &control->signer, NULL), 0);
	cr_assert_eq(link_server_new(&conf, &control->server, NULL), 0);
}

/* A question waits for a connection no longer than a second, and goes elsewhere then. */
static void await_connection(struct rig *rig, struct control *control)
{
	enum { SPARE = POLL_SHARDS_MAX - 1, PATIENCE_MS = 60000 };
	static const char *const views[] = { "delays" };
	const struct access_ask ask = {
		.credential = "ann", .purpose = "billing", .views = views, .view_count = 1,
		.box_public = rig->opener.box_public,
	};
	const struct value *said = NULL;
	struct value *body = NULL;
	struct err err = { 0 };
	int replica = 0;
	cr_assert_eq(access_ask_value(rig->arena, &ask, &body, &err), 0, "%s", err.text);
	while (peer_ask(rig->peer, SPARE, "access", body, PATIENCE_MS, rig->arena, &said, &replica,
	                &err) < 0)
		cr_assert_eq(err.code, E_UNAVAILABLE, "%s", err.text);
	peer_switch(rig->peer, SPARE, replica);
	atomic_store(&control->asked, 0);
}

static void rig_start(struct rig *rig, const char *const *urls)
{
	uint8_t sign_secret[SIGN_SECRET_BYTES];
	memset(rig, 0, sizeof *rig);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(16 * MIB, &rig->arena, NULL), 0);
	sign_keypair(rig->opener.control_key, sign_secret);
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &rig->box_secret, NULL), 0);
	box_keypair(rig->opener.box_public, secret_data(rig->box_secret));
	rig->opener.worker = "w-1";
	rig->opener.box_secret = rig->box_secret;
	control_start(&rig->first, urls[0], sign_secret);
	control_start(&rig->second, urls[1], sign_secret);
	struct peer_conf conf = { .link = { .urls = urls }, .worker = "w-1", .incarnation = 1 };
	cr_assert_eq(peer_new(&conf, &rig->peer, NULL), 0);
	await_connection(rig, &rig->first);
	await_connection(rig, &rig->second);
	rig->link = (struct access_link) { clock_system(), rig->peer, &rig->opener };
}

static void rig_stop(struct rig *rig)
{
	peer_free(rig->peer);
	link_server_free(rig->first.server);
	link_server_free(rig->second.server);
	grant_signer_free(rig->first.signer);
	grant_signer_free(rig->second.signer);
	secret_free(rig->box_secret);
	arena_free(rig->arena);
}

static int ask(struct rig *rig, struct access_grant **ret_grant, struct err *err)
{
	static const char *const views[] = { "delays" };
	const struct access_want want = { .credential = "ann", .purpose = "billing" };
	return access_link_ask(&rig->link, &want, views, 1, rig->arena, ret_grant, err);
}

Test(access_link, a_grant_is_checked_and_a_refusal_told_in_controls_words)
{
	static const char *const urls[] = { "inproc://ask-a1", "inproc://ask-a2", NULL };
	struct rig rig;
	struct access_grant *grant;
	struct err err = { 0 };
	rig_start(&rig, urls);
	cr_assert_eq(ask(&rig, &grant, &err), 0, "%s", err.text);
	cr_expect_str_eq(grant->principal, "ann");
	cr_expect_str_eq(grant->views[0].name, "delays");
	rig.first.refuse = E_QUOTA;
	cr_expect_eq(ask(&rig, &grant, &err), E_QUOTA);
	cr_expect_str_eq(err.text, "said by control");
	rig.first.refuse = 0;
	rig.first.grant_worker = "w-2";
	cr_expect_eq(ask(&rig, &grant, &err), E_DENIED);
	cr_expect_eq(rig.second.asked, 0);
	rig_stop(&rig);
}

Test(access_link, the_next_replica_is_asked_when_one_does_not_lead)
{
	static const char *const urls[] = { "inproc://ask-b1", "inproc://ask-b2", NULL };
	struct rig rig;
	struct access_grant *grant;
	struct err err = { 0 };
	rig_start(&rig, urls);
	rig.first.refuse = E_NOT_LEADER;
	cr_assert_eq(ask(&rig, &grant, &err), 0, "%s", err.text);
	cr_assert_eq(ask(&rig, &grant, &err), 0, "%s", err.text);
	cr_expect_eq(rig.first.asked, 1, "who leads is remembered");
	rig.second.refuse = E_NOT_LEADER;
	cr_expect_eq(ask(&rig, &grant, &err), E_NOT_LEADER);
	rig_stop(&rig);
}

Test(access_link, without_control_it_says_so_in_time)
{
	static const char *const urls[] = { "inproc://ask-c1", "inproc://ask-c2", NULL };
	static const char *const none[] = { "inproc://ask-nobody", NULL };
	struct rig rig;
	struct access_grant *grant;
	struct peer *peer = NULL;
	rig_start(&rig, urls);
	struct peer_conf conf = { .link = { .urls = none }, .worker = "w-1", .incarnation = 1 };
	cr_assert_eq(peer_new(&conf, &peer, NULL), 0);
	rig.link.peer = peer;
	struct err err = { 0 };
	cr_expect_eq(ask(&rig, &grant, &err), E_UNAVAILABLE);
	/* Not after the time that an answer may take. */
	cr_expect_not_null(strstr(err.text, "no connection to control replica 0"), "%s", err.text);
	peer_free(peer);
	rig_stop(&rig);
}
