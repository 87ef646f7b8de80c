/* dispatch_worker.c - workers that come, stay and go. Invariants: one life of a name is polling at
 * a time; a worker that is given up has no attempts; who says nothing for the time that is
 * allowed, or whose connection ended and who does not come back, is given up. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/nodes.h"
#include "control/shard_tenant.h"
#include "control/shard_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 200 };

static int64_t mono_ms(const struct dispatch *dispatch)
{
	return clock_mono_ms(dispatch->control->clock);
}

int64_t silent_ms(const struct dispatch *dispatch)
{
	int set_ms = dispatch->control->worker_silent_ms;
	if (set_ms <= 0)
		return SILENT_MS;
	return set_ms > SILENT_LEAST_MS ? set_ms : SILENT_LEAST_MS;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void worker_set_times(struct dispatch *dispatch, struct worker *worker)
{
	int64_t due_ms = worker->heard_ms + silent_ms(dispatch);
	if (worker->gone_ms)
		due_ms = sooner(due_ms, worker->gone_ms + GONE_MS);
	if (worker->call)
		due_ms = worker->held_until_ms;
	if (worker->contender)
		due_ms = sooner(due_ms, worker->contend_until_ms);
	worker_set_due(worker, due_ms);
}

void worker_update(struct worker *worker)
{
	worker_set_able(worker, worker->call && worker->slots > 0 && !worker->self.draining &&
	                !worker->cordoned && !worker->drained);
}

/* --- what is known of it --- */

static void find_serving(struct dispatch *dispatch, const struct worker *but)
{
	dispatch->serving = dispatch->workers.first;
	while (dispatch->serving && (dispatch->serving == but ||
	                             !dispatch->serving->self.serve_url[0]))
		dispatch->serving = dispatch->serving->next;
}

/* One of the first protocol does not say how many cores it has: it is held to its slots. One of
 * fewer cores than a task asks for when it does not say takes that one all the same. */
enum { MILLIS_UNSAID = 256000, MILLIS_LEAST = 2000 };

static void tell_shard(struct dispatch *dispatch, const struct worker *worker)
{
	const struct worker_self *self = &worker->self;
	struct label labels[POLL_LABELS_MAX];
	struct err err;
	int64_t cpu_millis = self->cpu_millis > MILLIS_LEAST ? self->cpu_millis : MILLIS_LEAST;
	if (self->protocol < 2)
		cpu_millis = (int64_t)self->slots * MILLIS_UNSAID;
	for (size_t i = 0; i < self->label_count; i++)
		labels[i] = (struct label){ self->labels[i].key, self->labels[i].value };
	const struct sched_worker told = {
		.name = worker->name, .pool = self->pool[0] ? self->pool : NULL,
		.labels = labels, .label_count = self->label_count,
		.total = { { cpu_millis, (int64_t)self->memory_bytes, self->slots } },
		.serves = self->serve_url[0] != '\0',
		.closed = self->draining || worker->cordoned || worker->drained,
	};
	if (shard_worker_set(dispatch->part->shard, &told, &err) < 0)
		log_warn(NULL, "worker_not_told", "worker=%s reason=\"%s\"", worker->name,
		         err.text);
}

void worker_tell(struct dispatch *dispatch, struct worker *worker, const struct worker_self *self)
{
	if (memcmp(&worker->self, self, sizeof *self) == 0)
		return;
	worker_set_self(worker, self);
	if (self->serve_url[0])
		dispatch->serving = worker;
	else if (dispatch->serving == worker)
		find_serving(dispatch, worker);
	tell_shard(dispatch, worker);
}

/* What the operator has said of it. */
static void read_policy(struct dispatch *dispatch, struct worker *worker)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	struct err err;
	bool drained = worker->drained;
	arena_reset(dispatch->scratch);
	int rc = catalog_get(dispatch->control->catalog, dispatch->scratch,
	                     catalog_key(key, KIND_WORKER, NULL, NULL, worker->name), &stored,
	                     NULL, &err);
	if (rc < 0 && rc != E_NOT_FOUND) {
		log_warn(NULL, "worker_policy_not_read", "worker=%s reason=\"%s\"", worker->name,
		         err.text);
		return;
	}
	const struct value *spec = rc == 0 ? value_get(stored, "spec") : NULL;
	worker->drained = value_get_bool(spec, "drain", false);
	worker->cordoned = value_get_bool(spec, "cordoned", false) || worker->drained;
	for (struct given *given = worker->given; given; given = given->next) {
		given->back = worker->drained;
		given->back_said = worker->drained && drained ? given->back_said : 0;
	}
	if (worker->drained && worker->given)
		worker_prompt(worker);
}

void take_policy(struct dispatch *dispatch, const char *name)
{
	struct worker *worker = workers_find(&dispatch->workers, name);
	if (!worker)
		return;                      /* it is read when it comes */
	read_policy(dispatch, worker);
	tell_shard(dispatch, worker);
	worker_update(worker);
	log_info(NULL, "worker_policy", "worker=%s cordoned=%d drain=%d", worker->name,
	         worker->cordoned, worker->drained);
}

/* A grant that has not been sent is not sent. */
static void hand_back(struct dispatch *dispatch, struct worker *worker, struct given *given)
{
	struct shard *shard = dispatch->part->shard;
	if (given->settling || given->back)
		return;
	if (given->sent_seq == 0 && shard_unassign(shard, given->task, &given->token)) {
		worker_take_back(worker, given);
		return;
	}
	given->back = true;
	worker_prompt(worker);
}

/* One that reads of so many that not all are named is taken to read this one's too. */
static bool borrows(const struct given *given, const char *tenant)
{
	const struct lenders *lenders = &given->lenders;
	for (size_t i = 0; i < lenders->count && i < LENDERS_MAX; i++)
		if (strcmp(lenders->names[i], tenant) == 0)
			return true;
	return lenders->count > LENDERS_MAX;
}

void take_seal(struct dispatch *dispatch, const char *tenant)
{
	for (struct worker *at = dispatch->workers.first; at; at = at->next) {
		worker_drop_access(at, tenant);
		for (struct given *given = at->given, *next = NULL; given; given = next) {
			next = given->next;
			if (borrows(given, tenant) ||
			    shard_task_held(dispatch->part->shard, given->task, tenant))
				hand_back(dispatch, at, given);
		}
	}
}

/* --- coming --- */

/* One that started anew has none of its attempts. */
static void start_anew(struct worker *worker, int64_t incarnation)
{
	worker->incarnation = incarnation;
	worker->seq = -1;
	worker->meter_ack = worker->meter_settling = 0;
	worker->ack_count = worker->cancel_count = worker->told_count = 0;
	buf_clear(&worker->answer);
	if (worker->call)
		link_drop(MOVE(worker->call));
	for (struct given *given = worker->given; given; given = given->next) {
		given->sent_seq = -1;
		given->confirmed = true;
	}
}

static int come(struct dispatch *dispatch, const struct message *message,
                struct worker **ret_worker, struct err *err)
{
	TRY(workers_add(&dispatch->workers, message->envelope.worker, ret_worker, err));
	(*ret_worker)->incarnation = message->envelope.incarnation;
	(*ret_worker)->seq = -1;
	(*ret_worker)->first_ms = mono_ms(dispatch);
	read_policy(dispatch, *ret_worker);
	return 0;
}

static void refuse_contender(struct dispatch *dispatch, const struct worker *worker,
                             struct message *message)
{
	struct err why;
	err_set(&why, E_CONFLICT, "another worker named %s polls from %s; end one of them, or give "
	        "it another --name", worker->name, worker->address[0] ? worker->address : "here");
	log_warn(NULL, "worker_refused", "reason=\"%s\"", why.text);
	answer_problem(dispatch, MOVE(message->call), &message->envelope, &why);
}

/* The one that polls has shown that it lives, or the other is gone. */
static void end_contest(struct dispatch *dispatch, struct worker *worker)
{
	struct message *message = MOVE(worker->contender);
	if (message && message->call)
		refuse_contender(dispatch, worker, message);
	message_unref(message);
}

/* The name's holder is asked to poll anew, which one that lives does at once. */
static void contend(struct dispatch *dispatch, struct worker *worker, struct message *message)
{
	struct message *before = worker->contender;
	bool another = before && before->envelope.incarnation != message->envelope.incarnation;
	if (another) {
		refuse_contender(dispatch, worker, message);
		return;
	}
	message_unref(before);               /* its call is dropped: the later one stands for it */
	if (!before)
		worker->contend_until_ms = mono_ms(dispatch) + CONTEND_MS;
	worker->contender = message;
	message->refs++;
	worker_prompt(worker);
	worker_set_times(dispatch, worker);
}

int worker_meet(struct dispatch *dispatch, struct message *message, struct worker **ret_worker)
{
	const struct envelope *envelope = &message->envelope;
	struct worker *worker = workers_find(&dispatch->workers, envelope->worker);
	struct err err;
	if (!worker && come(dispatch, message, &worker, &err) < 0) {
		answer_problem(dispatch, MOVE(message->call), envelope, &err);
		return 0;
	}
	bool other = envelope->incarnation != worker->incarnation;
	bool stands = !worker->gone_ms && worker->pipe != link_call_pipe(message->call);
	if (other && stands) {
		contend(dispatch, worker, message);
		return 0;
	}
	if (other)
		start_anew(worker, envelope->incarnation);
	else
		end_contest(dispatch, worker);
	worker->pipe = link_call_pipe(message->call);
	worker->gone_ms = 0;
	link_call_peer(message->call, worker->address);
	*ret_worker = worker;
	return 1;
}

/* The holder is gone, or too slow: it has lost its name. */
static void contender_wins(struct dispatch *dispatch, struct worker *worker)
{
	struct message *message = MOVE(worker->contender);
	log_info(NULL, "worker_replaced", "worker=%s", worker->name);
	worker->gone_ms = mono_ms(dispatch);
	if (message->call)
		poll_take_in(dispatch, message);
	message_unref(message);
}

/* --- going --- */

void worker_forget(struct dispatch *dispatch, struct worker *worker)
{
	message_unref(MOVE(worker->contender));
	if (dispatch->serving == worker)
		find_serving(dispatch, worker);
	shard_worker_gone(dispatch->part->shard, worker->name);
	workers_remove(&dispatch->workers, worker);
}

static void lose(struct dispatch *dispatch, struct worker *worker, int64_t now_ms)
{
	char text[160];
	snprintf(text, sizeof text, "its worker has not been heard of for %" PRId64 " ms",
	         now_ms - worker->heard_ms);
	for (struct given *given = worker->given; given; given = given->next)
		if (!given->settling)
			given->settling = job_lost(dispatch, worker->name, given->task,
			                           &given->token, E_DEAD_WORKER, text);
	if (worker->given) {                 /* once more, when they are settled */
		worker_set_due(worker, now_ms + LOOK_AGAIN_MS);
		return;
	}
	log_warn(NULL, "worker_gone", "worker=%s", worker->name);
	worker_forget(dispatch, worker);
}

/* It is told at once; what it had runs elsewhere. */
static void expel(struct dispatch *dispatch, struct worker *worker)
{
	struct err why;
	const struct envelope asked = { .incarnation = worker->incarnation, .seq = worker->seq,
	                                .proof = worker->proof };
	err_set(&why, E_UNAUTHENTICATED, "the worker %s was removed", worker->name);
	log_warn(NULL, "worker_removed", "worker=%s running=%zu", worker->name,
	         worker->given_count);
	if (worker->call)
		answer_problem(dispatch, MOVE(worker->call), &asked, &why);
	worker->gone_ms = mono_ms(dispatch);
	worker_update(worker);
	lose(dispatch, worker, worker->gone_ms);
}

void take_node(struct dispatch *dispatch, const char *name)
{
	static const uint8_t nameless[BOX_PUBLIC_BYTES];
	struct worker *worker = workers_find(&dispatch->workers, name);
	struct nodes *nodes = dispatch->control->nodes;
	if (!worker || !nodes || nodes_allow(nodes, name, worker->public_key))
		return;
	bool joined = !bytes_equal(worker->public_key, nameless, sizeof nameless);
	if (joined || nodes_has(nodes, name))
		expel(dispatch, worker);
}

static void lose_connection(struct dispatch *dispatch, struct worker *worker)
{
	worker->gone_ms = mono_ms(dispatch);
	if (worker->call)
		link_drop(MOVE(worker->call));
	if (worker->contender)
		contender_wins(dispatch, worker);
	worker_update(worker);
	worker_set_times(dispatch, worker);
}

void take_gone(struct dispatch *dispatch, uint32_t pipe)
{
	for (struct worker *worker = dispatch->workers.first; worker; worker = worker->next) {
		struct message *contender = worker->contender;
		if (contender && contender->call && link_call_pipe(contender->call) == pipe)
			message_unref(MOVE(worker->contender));
		if (worker->pipe == pipe && !worker->gone_ms)
			lose_connection(dispatch, worker);
	}
}

static void look(struct dispatch *dispatch, struct worker *worker, int64_t now_ms)
{
	/* One that has no call and is due has been silent for too long. */
	bool over = now_ms >= worker->contend_until_ms || !worker->call;
	if (worker->contender && over) {
		contender_wins(dispatch, worker);
	} else if (!worker->call) {
		lose(dispatch, worker, now_ms);
	} else {                             /* held long enough */
		worker_prompt(worker);
		worker_set_due(worker, INT64_MAX);
	}
}

void workers_look(struct dispatch *dispatch)
{
	int64_t now_ms = mono_ms(dispatch);
	struct worker *worker;
	while ((worker = workers_soonest(&dispatch->workers)) && worker->due_ms <= now_ms)
		look(dispatch, worker, now_ms);
}

/* --- as others see them --- */

static void set_capacity(struct arena *arena, struct value *map, const char *name, int slots,
                         uint64_t memory_bytes, int64_t cpu_millis)
{
	struct value *capacity = value_map(arena);
	value_set_int(capacity, "slots", slots);
	value_set_int(capacity, "memoryBytes", (int64_t)memory_bytes);
	if (cpu_millis >= 0)
		value_set_int(capacity, "cpuMillis", cpu_millis);
	value_set(map, name, capacity);
}

static struct value *row(const struct dispatch *dispatch, const struct worker *worker,
                         struct arena *arena)
{
	const struct worker_self *self = &worker->self;
	struct value *map = value_map(arena), *labels = value_map(arena);
	for (size_t i = 0; i < self->label_count; i++)
		value_set_str(labels, self->labels[i].key, self->labels[i].value);
	value_set_str(map, "name", worker->name);
	value_set_str(map, "pool", self->pool);
	value_set(map, "labels", labels);
	value_set_str(map, "version", self->version);
	value_set_int(map, "protocol", self->protocol);
	if (worker->address[0])
		value_set_str(map, "address", worker->address);
	set_capacity(arena, map, "capacity", self->slots, self->memory_bytes, self->cpu_millis);
	set_capacity(arena, map, "free", worker->slots, worker->memory_bytes, -1);
	value_set_int(map, "running", (int64_t)worker->given_count);
	value_set_bool(map, "serves", self->serve_url[0]);
	if (self->cage[0])
		value_set_str(map, "cage", self->cage);
	value_set_bool(map, "cordoned", worker->cordoned);
	value_set_bool(map, "draining", self->draining || worker->drained);
	value_set_bool(map, "connected", worker->gone_ms == 0);
	value_set_int(map, "heardAgoMs", worker->call ? 0 : mono_ms(dispatch) - worker->heard_ms);
	value_set_int(map, "sinceMs", mono_ms(dispatch) - worker->first_ms);
	return map;
}

struct value *workers_table(struct dispatch *dispatch, struct arena *arena)
{
	struct value *list = value_list(arena);
	for (const struct worker *worker = dispatch->workers.first; worker; worker = worker->next)
		value_add(list, row(dispatch, worker, arena));
	return list;
}
