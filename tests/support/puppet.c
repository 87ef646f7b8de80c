/* puppet.c - see stage.h. Two polls may be under way, as an agent's: while one is held, news go out
 * in the other. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include "api/grant.h"
#include "tests/support/alloc.h"
#include "worker/peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLLERS = 2, ASK_MS = 1000, RETRY_MS = 2, HELD_MAX = 128 };

struct puppet {
	struct stage *stage;
	char name[64];
	char url[64];
	const char *urls[2];
	int slots;
	struct peer *peer;
	struct secret *box_secret;
	struct grant_opener opener;
	pthread_t threads[POLLERS];
	pthread_mutex_t mutex; /* before the stage's; guards all below */
	pthread_cond_t news;
	struct act *held[HELD_MAX]; /* taken and not acknowledged, or acknowledged and repeated */
	int count;
	bool dirty, deaf, stopping, repeat;
	int in_flight;
};

static void fault(struct stage *stage, const char *what, const char *why)
{
	pthread_mutex_lock(&stage->mutex);
	if (!stage->fault[0])
		snprintf(stage->fault, sizeof stage->fault, "%s: %s", what, why);
	pthread_mutex_unlock(&stage->mutex);
}

/* --- what it says; mutex held --- */

static int running_count(const struct puppet *puppet)
{
	int count = 0;
	for (int i = 0; i < puppet->count; i++)
		count += !puppet->held[i]->ended;
	return count;
}

static struct value *one_column(struct arena *arena)
{
	struct value *list = value_list(arena), *column = value_map(arena);
	value_set_str(column, "name", "n");
	value_set_str(column, "type", "int64");
	value_add(list, column);
	return list;
}

static void add_done(struct arena *arena, const struct act *act, struct report *report,
                     struct output *outputs, struct table_file *files)
{
	*report = (struct report){
		.task = act->task,
		.token = act->token,
		.outcome = act->outcome,
		.code = act->code,
		.text = act->code ? "the puppet says so" : NULL,
		.usage = act->usage,
		.handed_back = act->back && act->outcome == OUTCOME_CANCELLED,
	};
	if (!act->writes || act->outcome != OUTCOME_SUCCEEDED)
		return;
	*files = (struct table_file){
		.path = arena_printf(arena, "%s/part-0", act->prefix),
		.rows = act->usage.rows,
		.bytes = act->usage.bytes_written,
		.plain_bytes = act->usage.bytes_written * 2,
	};
	*outputs = (struct output){
		.uid = act->uid,
		.replace = act->replace,
		.base_snapshot = act->base,
		.files = files,
		.file_count = 1,
		.schema = one_column(arena),
	};
	report->outputs = outputs;
	report->output_count = 1;
}

static struct value *make_poll(struct puppet *puppet, struct arena *arena)
{
	struct running *running = arena_alloc(arena, HELD_MAX * sizeof *running);
	struct report *done = arena_alloc(arena, HELD_MAX * sizeof *done);
	struct output *outputs = arena_alloc(arena, HELD_MAX * sizeof *outputs);
	struct table_file *files = arena_alloc(arena, HELD_MAX * sizeof *files);
	struct poll poll = {
		.slots = puppet->slots - running_count(puppet),
		.slots_max = puppet->slots,
		.memory_bytes = 64 * 1024 * MIB,
		.box_public = puppet->opener.box_public,
		.serve_url = "http://puppet",
		.version = "1",
		.running = running,
		.done = done,
	};
	struct value *body = NULL;
	for (int i = 0; i < puppet->count; i++) {
		struct act *act = puppet->held[i];
		if (!act->ended)
			running[poll.running_count++] = (struct running){
				.task = act->task,
				.token = act->token,
				.progress = {"acting", 1, 1, 50},
			};
		else if ((!act->acked || puppet->repeat) && poll.done_count < POLL_DONE_MAX) {
			size_t at = poll.done_count++;
			add_done(arena, act, &done[at], &outputs[at], &files[at]);
		}
	}
	puppet->repeat = false;
	REQUIRE(poll_value(arena, &poll, &body, NULL) == 0);
	return body;
}

/* --- what it hears; mutex held --- */

static struct act *act_of(const struct puppet *puppet, const struct token *token)
{
	for (int i = 0; i < puppet->count; i++) {
		const struct token *own = &puppet->held[i]->token;
		if (own->epoch == token->epoch && own->counter == token->counter)
			return puppet->held[i];
	}
	return NULL;
}

static struct act *act_new(const struct grant *grant)
{
	struct act *act = calloc(1, sizeof *act);
	REQUIRE(act);
	snprintf(act->task, sizeof act->task, "%s", grant->task);
	snprintf(act->tenant, sizeof act->tenant, "%s", grant->tenant);
	snprintf(act->domain, sizeof act->domain, "%s", grant->domain);
	snprintf(act->prefix, sizeof act->prefix, "%s", grant->output_prefix);
	act->token = grant->token;
	act->type = grant->type;
	act->writes = grant->type == TASK_INGEST || grant->type == TASK_TRANSFORM;
	const char *mode = value_get_str(grant->work, "mode");
	act->replace = grant->type == TASK_TRANSFORM || (mode && strcmp(mode, "replace") == 0);
	if (grant->output_count > 0) {
		snprintf(act->uid, sizeof act->uid, "%s", grant->outputs[0].uid);
		act->base = grant->outputs[0].snapshot;
	}
	return act;
}

static void take_grant(struct puppet *puppet, struct arena *arena, const struct poll_task *task)
{
	struct stage *stage = puppet->stage;
	struct grant *grant = NULL;
	struct err err = {0};
	if (grant_open(&puppet->opener, clock_unix_ms(stage->clock), arena, task->grant,
	               task->grant_len, &grant, &err) < 0) {
		fault(stage, "a grant was refused", err.text);
		return;
	}
	if (!act_of(puppet, &grant->token) && puppet->count < HELD_MAX) {
		struct act *act = act_new(grant);
		puppet->held[puppet->count++] = act;
		pthread_mutex_lock(&stage->mutex);
		act->next = stage->acts;
		stage->acts = act;
		pthread_mutex_unlock(&stage->mutex);
	}
	grant_wipe(grant);
}

/* The oldest of what is acknowledged makes room; the stage keeps it. */
static void forget(struct puppet *puppet)
{
	int kept = 0;
	for (int i = 0; i < puppet->count; i++)
		if (!puppet->held[i]->acked || puppet->count < HELD_MAX / 2)
			puppet->held[kept++] = puppet->held[i];
	puppet->count = kept;
}

/* As an agent: what is to be handed back is cancelled, and it costs no attempt. */
static void hear_backs(struct puppet *puppet, const struct poll_answer *answer)
{
	for (size_t i = 0; i < answer->back_count; i++) {
		struct act *act = act_of(puppet, &answer->backs[i]);
		if (!act || act->ended || act->cancelled)
			continue;
		pthread_mutex_lock(&puppet->stage->mutex);
		act->cancelled = act->back = true;
		pthread_mutex_unlock(&puppet->stage->mutex);
	}
}

static void hear(struct puppet *puppet, struct arena *arena, const struct poll_answer *answer)
{
	for (size_t i = 0; i < answer->ack_count; i++) {
		struct act *act = act_of(puppet, &answer->acks[i]);
		if (act && !act->ended)
			fault(puppet->stage, "acknowledged before it was reported", act->task);
		if (act)
			act->acked = true;
	}
	for (size_t i = 0; i < answer->cancel_count; i++) {
		struct act *act = act_of(puppet, &answer->cancels[i]);
		if (!act || act->ended)
			continue;
		pthread_mutex_lock(&puppet->stage->mutex);
		act->cancelled = true;
		pthread_mutex_unlock(&puppet->stage->mutex);
	}
	hear_backs(puppet, answer);
	for (size_t i = 0; i < answer->task_count; i++)
		take_grant(puppet, arena, &answer->tasks[i]);
	forget(puppet);
}

/* --- polling --- */

static int ask(struct puppet *puppet, struct arena *arena, const struct value *body,
               struct poll_answer *ret_answer)
{
	const struct value *said = NULL;
	struct err err = {0};
	int replica = 0;
	TRY(peer_ask(puppet->peer, 0, "poll", body, ASK_MS, arena, &said, &replica, &err));
	TRY(poll_answer_read(arena, said, ret_answer, &err));
	return ret_answer->leader ? 0 : E_NOT_LEADER;
}

static void pause_a_little(struct puppet *puppet)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RETRY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&puppet->news, &puppet->mutex, &until);
}

static void poll_once(struct puppet *puppet)
{
	struct poll_answer answer = {0};
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, NULL) == 0);
	puppet->dirty = false;
	const struct value *body = make_poll(puppet, arena);
	puppet->in_flight++;
	pthread_mutex_unlock(&puppet->mutex);
	int rc = ask(puppet, arena, body, &answer);
	pthread_mutex_lock(&puppet->mutex);
	puppet->in_flight--;
	if (rc == 0 && !puppet->deaf) {
		hear(puppet, arena, &answer);
		return;
	}
	puppet->dirty = true;
	if (!puppet->stopping)
		pause_a_little(puppet);
}

static void *poller(void *context)
{
	struct puppet *puppet = context;
	alloc_spare(); /* a worker's own failures are other tests' */
	pthread_mutex_lock(&puppet->mutex);
	while (!puppet->stopping) {
		bool due = puppet->in_flight == 0 || (puppet->dirty && puppet->in_flight < POLLERS);
		if (due && !puppet->deaf)
			poll_once(puppet);
		else
			pause_a_little(puppet);
	}
	pthread_mutex_unlock(&puppet->mutex);
	return NULL;
}

/* --- life --- */

struct puppet *puppet_new(struct stage *stage, const char *name, int slots, int64_t incarnation)
{
	struct err err = {0};
	struct puppet *puppet = calloc(1, sizeof *puppet);
	cr_assert_not_null(puppet);
	puppet->stage = stage;
	puppet->slots = slots;
	memcpy(puppet->url, stage->poll_url, sizeof puppet->url);
	puppet->urls[0] = puppet->url;
	snprintf(puppet->name, sizeof puppet->name, "%s", name);
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &puppet->box_secret, &err), 0, "%s", err.text);
	box_keypair(puppet->opener.box_public, secret_data(puppet->box_secret));
	puppet->opener.worker = puppet->name;
	puppet->opener.box_secret = puppet->box_secret;
	memcpy(puppet->opener.control_key, stage->plane->control->signer_public, SIGN_PUBLIC_BYTES);
	const struct peer_conf conf = {
		.link = {.urls = puppet->urls, .reconnect_min_ms = 1, .reconnect_max_ms = 5},
		.worker = puppet->name,
		.incarnation = incarnation,
	};
	cr_assert_eq(peer_new(&conf, &puppet->peer, &err), 0, "%s", err.text);
	pthread_mutex_init(&puppet->mutex, NULL);
	clock_cond_init(&puppet->news);
	for (int i = 0; i < POLLERS; i++)
		cr_assert_eq(pthread_create(&puppet->threads[i], NULL, poller, puppet), 0);
	return puppet;
}

static void end_polls(struct puppet *puppet)
{
	while (puppet->in_flight > 0) {
		pthread_mutex_unlock(&puppet->mutex);
		peer_interrupt(puppet->peer);
		pthread_mutex_lock(&puppet->mutex);
		if (puppet->in_flight > 0)
			pause_a_little(puppet);
	}
}

void puppet_deaf(struct puppet *puppet, bool deaf)
{
	pthread_mutex_lock(&puppet->mutex);
	puppet->deaf = deaf;
	puppet->dirty = true;
	if (deaf)
		end_polls(puppet);
	pthread_mutex_unlock(&puppet->mutex);
}

void puppet_free(struct puppet *puppet)
{
	if (!puppet)
		return;
	pthread_mutex_lock(&puppet->mutex);
	puppet->deaf = puppet->stopping = true;
	end_polls(puppet);
	pthread_cond_broadcast(&puppet->news);
	pthread_mutex_unlock(&puppet->mutex);
	for (int i = 0; i < POLLERS; i++)
		pthread_join(puppet->threads[i], NULL);
	peer_free(puppet->peer);
	secret_free(puppet->box_secret);
	pthread_cond_destroy(&puppet->news);
	pthread_mutex_destroy(&puppet->mutex);
	free(puppet);
}

/* --- acting --- */

int puppet_running(struct puppet *puppet)
{
	pthread_mutex_lock(&puppet->mutex);
	int count = running_count(puppet);
	pthread_mutex_unlock(&puppet->mutex);
	return count;
}

static void end_act(struct stage *stage, struct act *act, const struct ending *ending)
{
	bool ok = ending->outcome == OUTCOME_SUCCEEDED && !act->cancelled;
	pthread_mutex_lock(&stage->mutex);
	act->outcome = act->cancelled ? OUTCOME_CANCELLED : ending->outcome;
	act->code = act->outcome == OUTCOME_FAILED ? ending->code : 0;
	act->usage = (struct usage){
		.cpu_ms = stage->cpu_ms++,
		.wall_ms = 5,
		.bytes_read = 100,
		.memory_peak_bytes = 1 << 20,
		.rows = ok ? ending->rows : 0,
		.bytes_written = ok && act->writes ? 1000 + ending->rows : 0,
	};
	act->ended = true;
	pthread_mutex_unlock(&stage->mutex);
}

void puppet_end(struct puppet *puppet, int i, const struct ending *ending)
{
	pthread_mutex_lock(&puppet->mutex);
	int count = running_count(puppet), at = 0;
	for (int nth = count ? i % count : -1; nth >= 0 && at < puppet->count; at++) {
		if (puppet->held[at]->ended || nth-- > 0)
			continue;
		end_act(puppet->stage, puppet->held[at], ending);
		puppet->dirty = true;
		pthread_cond_broadcast(&puppet->news);
		break;
	}
	pthread_mutex_unlock(&puppet->mutex);
}

void puppet_repeat(struct puppet *puppet)
{
	pthread_mutex_lock(&puppet->mutex);
	puppet->repeat = puppet->dirty = true;
	pthread_cond_broadcast(&puppet->news);
	pthread_mutex_unlock(&puppet->mutex);
}

bool puppet_settled(struct puppet *puppet)
{
	pthread_mutex_lock(&puppet->mutex);
	bool settled = true;
	for (int i = 0; i < puppet->count; i++)
		settled &= puppet->held[i]->acked;
	pthread_mutex_unlock(&puppet->mutex);
	return settled;
}
