/* turns.c - see turns.h. */
#include "common/defs.h"
#include "tests/support/turns.h"

#include "common/value.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool may_start(void *context, const char *tenant, const char *domain, struct err *ret_why)
{
	const struct turns *turns = context;
	(void)domain;
	if (strcmp(tenant, turns->closed_tenant) != 0)
		return true;
	if (ret_why)
		err_set(ret_why, E_QUOTA, "the quota is used up");
	return false;
}

void turns_init(struct turns *turns, const struct sched_conf *conf)
{
	struct sched_conf used = conf ? *conf : (struct sched_conf){ 0 };
	struct err err = { 0 };
	memset(turns, 0, sizeof *turns);
	used.may_start = may_start;
	used.context = turns;
	turns->jobs = calloc(TURNS_JOBS, sizeof *turns->jobs);
	turns->now_ms = 1000000;
	cr_assert(turns->jobs && sched_new(&used, &turns->sched, &err) == 0, "%s", err.text);
	cr_assert_null(sched_pick(turns->sched, "nobody", turns->now_ms));
}

void turns_release(struct turns *turns)
{
	sched_free(turns->sched);
	free(turns->jobs);
}

struct capacity turns_size(int64_t size)
{
	return (struct capacity){ { size * 1000, size * 1024 * 1024 * 1024, size } };
}

void turns_worker(struct turns *turns, int worker, const char *pool, int cpu, int slots)
{
	char name[16];
	struct err err = { 0 };
	struct label zone = { "zone", worker % 2 ? "b" : "a" };
	snprintf(name, sizeof name, "w%d", worker);
	struct sched_worker set = {
		.name = name, .pool = pool, .labels = &zone, .label_count = 1,
		.total = turns_size(cpu), .serves = worker % 3 == 0,
	};
	set.total.v[RES_SLOTS] = slots;
	cr_assert_eq(sched_worker_set(turns->sched, &set, &err), 0, "%s", err.text);
}

static const char *keep(char *out, size_t len, const char *text)
{
	if (!text)
		return NULL;
	snprintf(out, len, "%s", text);
	return out;
}

struct job_of *turns_add_spec(struct turns *turns, const struct sched_spec *spec, int64_t due_ms)
{
	struct err err = { 0 };
	size_t i = 0;
	while (i < turns->count && (turns->jobs[i].waits || turns->jobs[i].runs))
		i++;
	cr_assert(i < TURNS_JOBS);
	struct job_of *job = &turns->jobs[i];
	turns->count = i == turns->count ? i + 1 : turns->count;
	memset(job, 0, sizeof *job);
	job->spec = *spec;
	job->spec.tenant = keep(job->tenant, sizeof job->tenant, spec->tenant);
	job->spec.domain = keep(job->domain, sizeof job->domain, spec->domain);
	job->spec.pool = keep(job->pool, sizeof job->pool, spec->pool);
	job->spec.key = keep(job->key, sizeof job->key, spec->key);
	job->spec.near = keep(job->near, sizeof job->near, spec->near);
	job->spec.since_ms = spec->since_ms ? spec->since_ms : turns->now_ms;
	cr_assert_eq(sched_add(turns->sched, &job->entry, &job->spec, due_ms, &err), 0, "%s",
	             err.text);
	job->waits = true;
	return job;
}

struct job_of *turns_add(struct turns *turns, const char *tenant, const char *domain, int size)
{
	struct sched_spec spec = {
		.tenant = tenant, .domain = domain, .demand = turns_size(size),
		.priority = PRIORITY_NORMAL,
	};
	spec.demand.v[RES_SLOTS] = 1;
	return turns_add_spec(turns, &spec, 0);
}

struct job_of *turns_pick(struct turns *turns, int worker)
{
	char name[16];
	snprintf(name, sizeof name, "w%d", worker);
	struct sched_entry *entry = sched_pick(turns->sched, name, turns->now_ms);
	struct job_of *job = (struct job_of *)(void *)entry;
	if (!entry)
		return NULL;
	cr_assert(job->waits && !job->runs);
	job->waits = false;
	job->runs = true;
	job->worker = worker;
	job->started_ms = turns->now_ms;
	turns->running++;
	return job;
}

void turns_end(struct turns *turns, struct job_of *job)
{
	sched_remove(turns->sched, &job->entry);
	turns->running -= job->runs;
	job->waits = job->runs = false;
}

size_t turns_running_of(const struct turns *turns, const char *tenant)
{
	size_t count = 0;
	for (size_t i = 0; i < turns->count; i++)
		count += turns->jobs[i].runs && strcmp(turns->jobs[i].tenant, tenant) == 0;
	return count;
}

void turns_share(struct turns *turns, const char *tenant, int weight, int guaranteed, int most)
{
	struct err err = { 0 };
	struct share share = {
		.tenant = tenant, .weight = weight, .guaranteed = turns_size(guaranteed),
		.most = { { -1, -1, -1 } }, .borrow_most = { { -1, -1, -1 } },
		.lend_most = { { -1, -1, -1 } }, .starts_per_minute = -1,
	};
	share.guaranteed.v[RES_SLOTS] = 0;
	share.most.v[RES_CPU] = most < 0 ? -1 : most * 1000;
	cr_assert_eq(sched_share_set(turns->sched, "share", &share, &err), 0, "%s", err.text);
}

const char *turns_reason(struct turns *turns, const struct job_of *job, char out[64])
{
	struct arena *arena = NULL;
	struct err err = { 0 };
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	const struct value *map = sched_explain(turns->sched, &job->entry, turns->now_ms, arena);
	const struct value *reason = value_at(value_get(map, "reasons"), 0);
	const char *rule = value_get_str(reason, "rule");
	snprintf(out, 64, "%s", rule ? rule : "");
	arena_free(arena);
	return out;
}
