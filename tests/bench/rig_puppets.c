/* rig_puppets.c - workers that do nothing at once: each a thread that polls, takes what it is
 * given, and reports it with the next poll. Grants are looked at, not opened. */
#include "common/defs.h"
#include "tests/bench/rig.h"

#include "api/envelope.h"
#include "api/link.h"
#include "api/poll.h"
#include "common/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PUPPETS_MAX = 1024,
	ARENA_MAX = 32 * 1024 * 1024,
	SLOTS_MAX = 512,
	CALL_MS = 15000,
	LATE_MOST = 64
};

struct held {
	char task[ID_LEN + 1];
	struct token token;
};

struct puppet {
	struct rig_puppets *all;
	pthread_t thread;
	bool started;
	char name[32];
	int64_t seq;
	struct held held[SLOTS_MAX]; /* taken; reported with every poll until acknowledged */
	int held_count;
	uint8_t box_public[BOX_PUBLIC_BYTES];
};

struct rig_puppets {
	struct link_client *link;
	int slots, count;
	int64_t incarnation;
	rig_taken_fn *taken;
	void *context;
	_Atomic size_t done;
	_Atomic int stopping;
	struct puppet *puppets;
};

static int write_poll(struct puppet *puppet, struct arena *arena, struct buf *out, struct err *err)
{
	struct report *done = arena_alloc(arena, POLL_DONE_MAX * sizeof *done);
	struct poll poll = {
		.slots = atomic_load(&puppet->all->stopping)
	                         ? 0
	                         : puppet->all->slots - puppet->held_count,
		.slots_max = puppet->all->slots,
		.memory_bytes = (uint64_t)1 << 44,
		.box_public = puppet->box_public,
		.version = FREEHOLD_VERSION,
		.done = done,
	};
	struct envelope envelope = {
		.version = ENVELOPE_VERSION,
		.kind = "poll",
		.worker = puppet->name,
		.incarnation = puppet->all->incarnation,
		.seq = ++puppet->seq,
	};
	struct value *body = NULL;
	if (!done)
		return err_set(err, E_NOMEM, "no memory for a poll");
	for (int i = 0; i < puppet->held_count && i < POLL_DONE_MAX; i++)
		done[poll.done_count++] = (struct report){
			.task = puppet->held[i].task,
			.token = puppet->held[i].token,
			.outcome = OUTCOME_SUCCEEDED,
			.usage = {.cpu_ms = 1},
		};
	TRY(poll_value(arena, &poll, &body, err));
	envelope.body = body;
	TRY(envelope_write(&envelope, out, err));
	return buf_check(out, err);
}

static void acknowledged(struct puppet *puppet, const struct token *token)
{
	for (int i = 0; i < puppet->held_count; i++) {
		if (puppet->held[i].token.epoch != token->epoch ||
		    puppet->held[i].token.counter != token->counter)
			continue;
		puppet->held[i] = puppet->held[--puppet->held_count];
		atomic_fetch_add(&puppet->all->done, 1);
		return;
	}
}

static void take_in(struct puppet *puppet, struct arena *arena, const struct poll_answer *answer)
{
	double at_s = now_s();
	struct grant_hint hint;
	struct err err = {0};
	for (size_t i = 0; i < answer->ack_count; i++)
		acknowledged(puppet, &answer->acks[i]);
	for (size_t i = 0; i < answer->task_count && puppet->held_count < SLOTS_MAX; i++) {
		const struct poll_task *task = &answer->tasks[i];
		if (grant_peek(arena, task->grant, task->grant_len, &hint, &err) < 0)
			continue;
		struct held *held = &puppet->held[puppet->held_count++];
		snprintf(held->task, sizeof held->task, "%s", hint.task);
		held->token = hint.token;
		if (puppet->all->taken)
			puppet->all->taken(puppet->all->context, held->task, at_s);
	}
}

static int poll_once(struct puppet *puppet, struct arena *arena, struct err *err)
{
	AUTO_BUF asked;
	AUTO_BUF said;
	struct envelope envelope;
	struct poll_answer answer;
	buf_init(&asked, LINK_MESSAGE_MAX);
	buf_init(&said, LINK_MESSAGE_MAX);
	TRY(write_poll(puppet, arena, &asked, err));
	TRY(link_client_call(puppet->all->link, 0, asked.data, asked.len, CALL_MS, &said, err));
	TRY(envelope_read(arena, said.data, said.len, &envelope, err));
	TRY(poll_answer_read(arena, envelope.body, &answer, err));
	take_in(puppet, arena, &answer);
	return 0;
}

/* What it has taken is reported before it ends. */
static bool is_over(const struct puppet *puppet)
{
	return atomic_load(&puppet->all->stopping) && puppet->held_count == 0;
}

static void *puppet_run(void *context)
{
	struct puppet *puppet = context;
	struct err err = {0};
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(ARENA_MAX, &arena, &err) == 0);
	for (int late = 0; late < LATE_MOST && !is_over(puppet);) {
		late += atomic_load(&puppet->all->stopping);
		if (poll_once(puppet, arena, &err) < 0 && !atomic_load(&puppet->all->stopping))
			fprintf(stderr, "bench: a puppet's poll: %s\n", err.text);
		arena_reset(arena);
	}
	return NULL;
}

int rig_puppets_new(const struct rig *rig, int count, int slots, rig_taken_fn *taken, void *context,
                    struct rig_puppets **ret_puppets, struct err *err)
{
	const char *urls[] = {rig->link_url, NULL};
	const struct link_client_conf conf = {.urls = urls};
	AUTO(rig_puppets) *all = calloc(1, sizeof *all);
	REQUIRE(count <= PUPPETS_MAX && slots <= SLOTS_MAX);
	if (!all || !(all->puppets = calloc((size_t)count, sizeof *all->puppets)))
		return err_set(err, E_NOMEM, "no memory for puppets");
	all->incarnation = (int64_t)(now_s() * 1000);
	all->slots = slots;
	all->count = count;
	all->taken = taken;
	all->context = context;
	TRY(link_client_new(&conf, &all->link, err));
	for (int i = 0; i < count; i++) {
		struct puppet *puppet = &all->puppets[i];
		struct secret *secret = NULL;
		puppet->all = all;
		snprintf(puppet->name, sizeof puppet->name, "puppet-%d", i);
		TRY(secret_new(BOX_SECRET_BYTES, &secret, err));
		box_keypair(puppet->box_public, secret_data(secret));
		secret_free(secret);
		puppet->started = pthread_create(&puppet->thread, NULL, puppet_run, puppet) == 0;
		if (!puppet->started)
			return err_set(err, E_RESOURCES, "no thread for a puppet");
	}
	*ret_puppets = MOVE(all);
	return 0;
}

void rig_puppets_free(struct rig_puppets *puppets)
{
	if (!puppets)
		return;
	atomic_store(&puppets->stopping, 1);
	for (int i = 0; puppets->puppets && i < puppets->count; i++)
		while (puppets->puppets[i].started) {
			struct timespec until;
			link_client_interrupt(puppets->link);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec++;
			if (pthread_timedjoin_np(puppets->puppets[i].thread, NULL, &until) == 0)
				puppets->puppets[i].started = false;
		}
	link_client_free(puppets->link);
	free(puppets->puppets);
	free(puppets);
}

size_t rig_puppets_done(const struct rig_puppets *puppets)
{
	return atomic_load(&puppets->done);
}
