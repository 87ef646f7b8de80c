/* sim.c - the simulation's engine: events in virtual time, and the checks after each. */
#include "common/defs.h"
#include "tests/support/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 1000,
	OTHERS_TRIED = 8,
	STOP_MS = 500,
	VICTIMS_MAX = 64,
	ATTEMPTS_MOST = 5,
	BLOCK_TASKS = 1024
};

enum event_kind { ARRIVES, ENDS, STOPPED, JOINS, DIES, TICKS, SAMPLES };

struct event {
	int64_t at_ms;
	uint64_t order; /* equal times: as they were made */
	enum event_kind kind;
	uint32_t stamp;
	union {
		struct sim_task *task;
		int worker;
		struct sim_ask *ask;
		struct capacity *total;
	} of;
};

struct site { /* a worker */
	char name[24];
	struct capacity total, used;
	struct sim_task *running;
	int hungry; /* its place among those with room; -1: none */
	bool alive;
};

struct tenant {
	char name[24];
	struct quota *quota;
	struct capacity used[SIM_DOMAINS];
	int64_t running, waiting;
};

struct sim {
	struct sim_conf conf;
	struct sched *sched;
	uint64_t random, order;
	int64_t now_ms;
	struct event *events; /* a heap by time */
	size_t event_count, event_cap;
	struct tenant *tenants;
	struct site *sites;
	int tenant_count, site_count;
	int *hungry; /* workers with a free slot */
	int hungry_count, turn;
	size_t unfinished, timers; /* timers: events that are no work */
	struct sim_task *spare;    /* over; kept, so that late events find a newer stamp */
	struct sim_task **blocks;
	size_t block_count;
	struct sim_counts counts;
	char broken[SIM_TEXT_MAX];
};

/* It is the struct's first member. */
static struct sim_task *owner_of(struct sched_entry *entry)
{
	return (struct sim_task *)entry;
}

static const char *const domain_names[SIM_DOMAINS] = {"batch", "live"};

uint64_t sim_draw(struct sim *sim, uint64_t below)
{
	uint64_t x = sim->random += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % below;
}

void sim_break(struct sim *sim, const char *format, ...)
{
	va_list args;
	if (sim->broken[0])
		return;
	va_start(args, format);
	int used = snprintf(sim->broken, sizeof sim->broken,
	                    "seed %" PRIu64 " at %" PRId64 " ms: ", sim->conf.seed, sim->now_ms);
	vsnprintf(sim->broken + used, sizeof sim->broken - (size_t)used, format, args);
	va_end(args);
}

/* --- the heap of events --- */

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void event_add(struct sim *sim, struct event event)
{
	if (sim->event_count == sim->event_cap) {
		sim->event_cap = sim->event_cap ? 2 * sim->event_cap : 1024;
		sim->events = realloc(sim->events, sim->event_cap * sizeof *sim->events);
		REQUIRE(sim->events);
	}
	event.order = sim->order++;
	size_t at = sim->event_count++;
	for (; at > 0 && before(&event, &sim->events[(at - 1) / 2]); at = (at - 1) / 2)
		sim->events[at] = sim->events[(at - 1) / 2];
	sim->events[at] = event;
}

static struct event event_take(struct sim *sim)
{
	struct event first = sim->events[0], last = sim->events[--sim->event_count];
	size_t at = 0, count = sim->event_count;
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && before(&sim->events[child + 1], &sim->events[child]))
			child++;
		if (!before(&sim->events[child], &last))
			break;
		sim->events[at] = sim->events[child];
	}
	sim->events[at] = last;
	return first;
}

/* --- what there is --- */

struct sim *sim_new(const struct sim_conf *conf)
{
	struct err err = {0};
	struct sim *sim = calloc(1, sizeof *sim);
	REQUIRE(sim);
	sim->conf = *conf;
	sim->random = conf->seed;
	sim->tenants = calloc(SIM_TENANTS_MAX, sizeof *sim->tenants);
	sim->sites = calloc(SIM_WORKERS_MAX, sizeof *sim->sites);
	sim->hungry = calloc(SIM_WORKERS_MAX, sizeof *sim->hungry);
	REQUIRE(sim->tenants && sim->sites && sim->hungry);
	REQUIRE(sched_new(&conf->sched, &sim->sched, &err) == 0);
	event_add(sim, (struct event){.at_ms = TICK_MS, .kind = TICKS});
	sim->timers = 1;
	if (conf->sample) {
		event_add(sim, (struct event){.at_ms = conf->sample_ms, .kind = SAMPLES});
		sim->timers++;
	}
	return sim;
}

static struct sim_task *task_new(struct sim *sim)
{
	if (!sim->spare) {
		struct sim_task *block = calloc(BLOCK_TASKS, sizeof *block);
		sim->blocks = realloc(sim->blocks, (sim->block_count + 1) * sizeof *sim->blocks);
		REQUIRE(block && sim->blocks);
		sim->blocks[sim->block_count++] = block;
		for (int i = 0; i < BLOCK_TASKS; i++) {
			block[i].next = sim->spare;
			sim->spare = &block[i];
		}
	}
	struct sim_task *task = sim->spare;
	uint32_t stamp = task->stamp;
	sim->spare = task->next;
	memset(task, 0, sizeof *task);
	task->stamp = stamp + 1;
	return task;
}

static void task_over(struct sim *sim, struct sim_task *task)
{
	sched_remove(sim->sched, &task->entry);
	task->stamp++;
	quota_release(sim->tenants[task->ask.tenant].quota, &task->hold);
	task->next = sim->spare;
	sim->spare = task;
	sim->unfinished--;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	for (size_t i = 0; i < sim->event_count; i++) {
		if (sim->events[i].kind == ARRIVES)
			free(sim->events[i].of.ask);
		if (sim->events[i].kind == JOINS)
			free(sim->events[i].of.total);
	}
	sched_free(sim->sched);
	for (size_t i = 0; i < sim->block_count; i++)
		free(sim->blocks[i]);
	free(sim->blocks);
	for (int i = 0; i < sim->tenant_count; i++)
		quota_free(sim->tenants[i].quota);
	free(sim->tenants);
	free(sim->sites);
	free(sim->hungry);
	free(sim->events);
	free(sim);
}

static struct share share_of(const struct sim *sim, int tenant, int64_t weight)
{
	struct share share = {.tenant = sim->tenants[tenant].name,
	                      .pool = "default",
	                      .weight = weight,
	                      .starts_per_minute = -1};
	for (int r = 0; r < RES_COUNT_; r++)
		share.most.v[r] = share.borrow_most.v[r] = share.lend_most.v[r] = -1;
	return share;
}

int sim_tenant(struct sim *sim, const struct sim_share *given)
{
	struct err err = {0};
	int at = sim->tenant_count++;
	REQUIRE(at < SIM_TENANTS_MAX);
	struct tenant *tenant = &sim->tenants[at];
	snprintf(tenant->name, sizeof tenant->name, "tenant-%d", at);
	REQUIRE(quota_new(tenant->name, &tenant->quota, &err) == 0);
	struct share share = share_of(sim, at, given->weight);
	share.cohort = given->cohort ? given->cohort : "default";
	share.guaranteed = given->guaranteed;
	REQUIRE(sched_share_set(sim->sched, "share", &share, &err) == 0);
	return at;
}

void sim_domain(struct sim *sim, int tenant, int domain, int64_t weight)
{
	struct err err = {0};
	struct share share = share_of(sim, tenant, weight);
	share.domain = domain_names[domain];
	REQUIRE(sched_share_set(sim->sched, share.domain, &share, &err) == 0);
}

static bool has_room(const struct site *site)
{
	return site->alive && site->used.v[RES_SLOTS] < site->total.v[RES_SLOTS];
}

static void mark_hungry(struct sim *sim, int at)
{
	struct site *site = &sim->sites[at];
	if (has_room(site) && site->hungry < 0) {
		site->hungry = sim->hungry_count;
		sim->hungry[sim->hungry_count++] = at;
	} else if (!has_room(site) && site->hungry >= 0) {
		int last = sim->hungry[--sim->hungry_count];
		sim->hungry[site->hungry] = last;
		sim->sites[last].hungry = site->hungry;
		site->hungry = -1;
	}
}

int sim_worker(struct sim *sim, const struct capacity *total)
{
	struct err err = {0};
	int at = sim->site_count++;
	REQUIRE(at < SIM_WORKERS_MAX);
	struct site *site = &sim->sites[at];
	snprintf(site->name, sizeof site->name, "worker-%d", at);
	site->total = *total;
	site->alive = true;
	site->hungry = -1;
	const struct sched_worker worker = {.name = site->name, .total = *total};
	REQUIRE(sched_worker_set(sim->sched, &worker, &err) == 0);
	mark_hungry(sim, at);
	return at;
}

void sim_worker_later(struct sim *sim, int64_t at_ms, const struct capacity *total)
{
	struct capacity *copy = malloc(sizeof *copy);
	REQUIRE(copy);
	*copy = *total;
	event_add(sim, (struct event){.at_ms = at_ms, .kind = JOINS, .of.total = copy});
}

void sim_worker_dies(struct sim *sim, int64_t at_ms, int worker)
{
	event_add(sim, (struct event){.at_ms = at_ms, .kind = DIES, .of.worker = worker});
}

void sim_submit(struct sim *sim, int64_t at_ms, const struct sim_ask *ask)
{
	struct sim_ask *copy = malloc(sizeof *copy);
	REQUIRE(copy);
	*copy = *ask;
	event_add(sim, (struct event){.at_ms = at_ms, .kind = ARRIVES, .of.ask = copy});
}

/* --- checks --- */

static void check_tenant(struct sim *sim, const struct tenant *tenant)
{
	struct amounts reserved;
	quota_reserved(tenant->quota, &reserved);
	if (reserved.v[DIM_RUNNING] != tenant->running || reserved.v[DIM_QUEUED] != tenant->waiting)
		sim_break(sim,
		          "%s has %" PRId64 " running and %" PRId64 " waiting, and holds %" PRId64
		          " and %" PRId64,
		          tenant->name, tenant->running, tenant->waiting, reserved.v[DIM_RUNNING],
		          reserved.v[DIM_QUEUED]);
}

static void check_site(struct sim *sim, const struct site *site)
{
	for (int r = 0; r < RES_COUNT_; r++)
		if (site->used.v[r] < 0 || site->used.v[r] > site->total.v[r])
			sim_break(sim, "%s has given %" PRId64 " of resource %d and has %" PRId64,
			          site->name, site->used.v[r], r, site->total.v[r]);
}

/* --- what happens to a task --- */

static void holds(struct sim *sim, struct sim_task *task, bool running)
{
	struct amounts amounts = {{0}};
	amounts.v[running ? DIM_RUNNING : DIM_QUEUED] = 1;
	quota_rehold(sim->tenants[task->ask.tenant].quota, &task->hold, &amounts);
}

static void moves(struct sim *sim, struct sim_task *task, enum task_event event)
{
	struct err err = {0};
	if (task_apply(task->state, event, &task->state, &err) < 0)
		sim_break(sim, "%s", err.text);
}

static void account(struct sim *sim, struct sim_task *task, int sign)
{
	struct tenant *tenant = &sim->tenants[task->ask.tenant];
	struct site *site = &sim->sites[task->worker];
	for (int r = 0; r < RES_COUNT_; r++) {
		site->used.v[r] += sign * task->ask.demand.v[r];
		tenant->used[task->ask.domain].v[r] += sign * task->ask.demand.v[r];
	}
	tenant->running += sign;
	mark_hungry(sim, task->worker);
	check_site(sim, site);
}

static void starts(struct sim *sim, struct sim_task *task, int worker)
{
	struct site *site = &sim->sites[worker];
	moves(sim, task, EVENT_ASSIGNED);
	task->worker = worker;
	task->attempt++;
	task->stamp++;
	task->started_ms = sim->now_ms;
	int64_t waited = sim->now_ms - task->queued_ms;
	if (waited > sim->counts.longest_wait_ms)
		sim->counts.longest_wait_ms = waited;
	task->prev = NULL;
	task->next = site->running;
	if (site->running)
		site->running->prev = task;
	site->running = task;
	holds(sim, task, true);
	sim->tenants[task->ask.tenant].waiting--;
	account(sim, task, 1);
	check_tenant(sim, &sim->tenants[task->ask.tenant]);
	sim->counts.started++;
	event_add(sim, (struct event){.at_ms = sim->now_ms + task->ask.duration_ms,
	                              .kind = ENDS,
	                              .stamp = task->stamp,
	                              .of.task = task});
}

static void stops(struct sim *sim, struct sim_task *task)
{
	struct site *site = &sim->sites[task->worker];
	*(task->prev ? &task->prev->next : &site->running) = task->next;
	if (task->next)
		task->next->prev = task->prev;
	task->stamp++;
	account(sim, task, -1);
}

static void waits_again(struct sim *sim, struct sim_task *task, enum task_event event,
                        int64_t delay_ms)
{
	stops(sim, task);
	moves(sim, task, event);
	holds(sim, task, false);
	sim->tenants[task->ask.tenant].waiting++;
	task->queued_ms = sim->now_ms + delay_ms;
	sched_again(sim->sched, &task->entry, sim->now_ms + delay_ms, event != EVENT_RETRY);
	check_tenant(sim, &sim->tenants[task->ask.tenant]);
}

static void arrives(struct sim *sim, const struct sim_ask *ask)
{
	struct err err = {0};
	struct sim_task *task = task_new(sim);
	struct tenant *tenant = &sim->tenants[ask->tenant];
	struct amounts waiting = {{0}};
	char key[24];
	waiting.v[DIM_QUEUED] = 1;
	task->ask = *ask;
	task->accepted_ms = task->queued_ms = sim->now_ms;
	const char *domain = domain_names[ask->domain];
	REQUIRE(quota_take(tenant->quota, domain, &waiting, &task->hold, &err) == 0);
	moves(sim, task, EVENT_DURABLE);
	snprintf(key, sizeof key, "key-%d", ask->key);
	const struct sched_spec spec = {
		.tenant = tenant->name,
		.domain = domain,
		.demand = ask->demand,
		.priority = ask->priority,
		.key = ask->key ? key : NULL,
		.key_most = ask->key_most,
		.since_ms = sim->now_ms,
	};
	if (sched_add(sim->sched, &task->entry, &spec, sim->now_ms, &err) < 0)
		sim_break(sim, "a task is not taken: %s", err.text);
	tenant->waiting++;
	sim->unfinished++;
	sim->counts.submitted++;
	check_tenant(sim, tenant);
}

static void ends(struct sim *sim, struct sim_task *task)
{
	const struct sim_ask ask = task->ask;
	bool fails = task->attempt <= ask.failures;
	enum task_event event = EVENT_SUCCEEDED;
	if (fails)
		event = task_after(E_IO, task->attempt, ATTEMPTS_MOST);
	if (event == EVENT_RETRY) {
		sim->counts.retried++;
		waits_again(sim, task, EVENT_RETRY, task_backoff_ms(E_IO, task->attempt + 1, 1));
		return;
	}
	stops(sim, task);
	moves(sim, task, event);
	fails ? sim->counts.dead++ : sim->counts.succeeded++;
	task_over(sim, task);
	check_tenant(sim, &sim->tenants[ask.tenant]);
	if (sim->conf.ended)
		sim->conf.ended(sim->conf.context, sim, &ask);
}

static void dies(struct sim *sim, int at)
{
	struct site *site = &sim->sites[at];
	if (!site->alive)
		return;
	site->alive = false;
	while (site->running) {
		sim->counts.lost++;
		waits_again(sim, site->running, EVENT_LOST, 0);
	}
	mark_hungry(sim, at);
	sched_worker_gone(sim->sched, site->name);
}

/* --- dispatch --- */

static void feed(struct sim *sim, int at)
{
	struct site *site = &sim->sites[at];
	struct sched_entry *entry = NULL;
	while (has_room(site)) {
		sim->counts.picks++;
		entry = sched_pick(sim->sched, site->name, sim->now_ms);
		if (!entry)
			return;
		starts(sim, owner_of(entry), at);
	}
}

static void feed_some(struct sim *sim, int most)
{
	for (int i = 0; i < most && sim->hungry_count > 0; i++)
		feed(sim, sim->hungry[sim->turn++ % sim->hungry_count]);
}

static void preempt(struct sim *sim)
{
	struct sched_entry *victims[VICTIMS_MAX];
	size_t count = sched_preempt(sim->sched, sim->now_ms, victims, VICTIMS_MAX);
	int64_t least = sim->conf.sched.min_run_ms ? sim->conf.sched.min_run_ms : 60000;
	for (size_t i = 0; i < count; i++) {
		struct sim_task *task = owner_of(victims[i]);
		if (task->state != STATE_RUNNING || sim->now_ms - task->started_ms < least)
			sim_break(sim, "a task that ran %" PRId64 " ms is to give way",
			          sim->now_ms - task->started_ms);
		event_add(sim, (struct event){.at_ms = sim->now_ms + STOP_MS,
		                              .kind = STOPPED,
		                              .stamp = task->stamp,
		                              .of.task = task});
	}
}

static void stopped(struct sim *sim, struct sim_task *task)
{
	sim->counts.preempted++;
	if (++task->preempted > sim->counts.most_preempted)
		sim->counts.most_preempted = task->preempted;
	task->attempt--; /* costs it none */
	int at = task->worker;
	waits_again(sim, task, EVENT_PREEMPTED, 0);
	feed(sim, at);
}

static void again_later(struct sim *sim, enum event_kind kind, int64_t ms)
{
	event_add(sim, (struct event){.at_ms = sim->now_ms + ms, .kind = kind});
}

static void take(struct sim *sim, const struct event *event)
{
	int at = 0;
	switch (event->kind) {
	case ARRIVES:
		arrives(sim, event->of.ask);
		free(event->of.ask);
		feed_some(sim, OTHERS_TRIED);
		break;
	case ENDS:
		at = event->of.task->worker;
		ends(sim, event->of.task);
		feed(sim, at);
		feed_some(sim, OTHERS_TRIED);
		break;
	case STOPPED:
		stopped(sim, event->of.task);
		break;
	case JOINS:
		feed(sim, sim_worker(sim, event->of.total));
		free(event->of.total);
		break;
	case DIES:
		dies(sim, event->of.worker);
		break;
	case TICKS:
		preempt(sim);
		feed_some(sim, sim->hungry_count);
		again_later(sim, TICKS, TICK_MS);
		break;
	case SAMPLES:
		sim->conf.sample(sim->conf.context, sim, sim->now_ms);
		again_later(sim, SAMPLES, sim->conf.sample_ms);
		break;
	}
}

/* An event of an attempt that has ended is void. */
static bool is_void(const struct event *event)
{
	return (event->kind == ENDS || event->kind == STOPPED) &&
	       event->stamp != event->of.task->stamp;
}

bool sim_run(struct sim *sim, int64_t until_ms)
{
	uint64_t every = sim->conf.check_every ? sim->conf.check_every : 1;
	while (!sim->broken[0] && (sim->event_count > sim->timers || sim->unfinished > 0) &&
	       sim->events[0].at_ms <= until_ms) {
		struct event event = event_take(sim);
		sim->now_ms = event.at_ms;
		if (is_void(&event))
			continue;
		take(sim, &event);
		if (++sim->counts.events % every == 0)
			sched_check(sim->sched);
	}
	return !sim->broken[0];
}

/* --- looking --- */

int64_t sim_now(const struct sim *sim)
{
	return sim->now_ms;
}

const char *sim_broken(const struct sim *sim)
{
	return sim->broken;
}

const struct sim_counts *sim_counts(const struct sim *sim)
{
	return &sim->counts;
}

struct sched *sim_sched(struct sim *sim)
{
	return sim->sched;
}

size_t sim_unfinished(const struct sim *sim)
{
	return sim->unfinished;
}

struct capacity sim_total(const struct sim *sim)
{
	struct capacity total = {{0}};
	for (int i = 0; i < sim->site_count; i++)
		for (int r = 0; sim->sites[i].alive && r < RES_COUNT_; r++)
			total.v[r] += sim->sites[i].total.v[r];
	return total;
}

struct capacity sim_used(const struct sim *sim, int tenant, int domain)
{
	struct capacity used = {{0}};
	for (int d = 0; d < SIM_DOMAINS; d++)
		for (int r = 0; (domain < 0 || d == domain) && r < RES_COUNT_; r++)
			used.v[r] += sim->tenants[tenant].used[d].v[r];
	return used;
}
