/* b_decision.c - what a decision costs, and a set of policies: over 10, 1,000 and 100,000 policies,
 * most of them for one group at one dataset, and 1,000,000 entities.
 *
 * Two ways: the set alone (a parsed request, all entities in one store), and the whole engine as a
 * door asks it, from texts. Floor: the roles' table, by hand. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/clock.h"
#include "control/catalog.h"
#include "control/policies.h"
#include "policy/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTITIES = 1000000, ROUNDS = 100000, GROUPS_OF = 50, DOMAINS = 50 };

struct world {
	struct arena *arena;
	struct cedar_entities *entities;
	struct cedar_uid *users, *tables;
	size_t count;                    /* of users; as many datasets */
};

struct job {
	struct bench *bench;
	struct arena *scratch;
	struct engine *engine;
	struct world *world;
	char *texts;                     /* all policies', for as long as they are read */
	size_t policies;
	uint64_t random;
	double *samples;
	size_t rounds, allowed, asked;
};

static size_t draw(struct job *job, size_t below)
{
	job->random = job->random * 6364136223846793005u + 1442695040888963407u;
	return (size_t)((job->random >> 33) % below);
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for the benchmark of decisions");
}

/* --- policies --- */

enum { TEXT = 320 };

/* A forbid with a condition for every tenth, else a permit for a group at a dataset. */
static void print_policy(char *text, size_t i)
{
	if (i % 10 == 9)
		snprintf(text, TEXT, "forbid(principal, action in Action::\"write\", resource == "
		         "Dataset::\"acme/d%zu/t%zu\") when { context has address && "
		         "!context.address.isInRange(ip(\"10.0.0.0/8\")) };", i % DOMAINS, i);
	else
		snprintf(text, TEXT, "permit(principal in Group::\"acme/g%zu\", action in "
		         "Action::\"read\", resource == Dataset::\"acme/d%zu/t%zu\") when { "
		         "resource.tags.contains(\"open\") || context.now < "
		         "datetime(\"2030-01-01\") };", i % GROUPS_OF, i % DOMAINS, i);
}

static int make_engine(struct job *job, size_t count, struct engine **ret_engine, struct err *err)
{
	const char *domains[DOMAINS];
	char names[DOMAINS][8];
	char (*ids)[16] = calloc(count, sizeof *ids);
	struct engine_policy *policies = calloc(count, sizeof *policies);
	for (size_t i = 0; i < DOMAINS; i++) {
		snprintf(names[i], sizeof names[i], "d%zu", i);
		domains[i] = names[i];
	}
	for (size_t i = 0; ids && policies && i < count; i++) {
		snprintf(ids[i], sizeof ids[i], "p%zu", i);
		print_policy(job->texts + i * TEXT, i);
		policies[i] = (struct engine_policy){ ids[i], job->texts + i * TEXT };
	}
	const struct engine_conf conf = { .tenant = "acme", .domains = domains,
		                          .domain_count = DOMAINS, .policies = policies,
		                          .policy_count = count };
	int rc = ids && policies ? engine_new(&conf, ret_engine, err) : no_room(err);
	free(policies);
	free(ids);
	return rc;
}

/* --- the whole engine --- */

static int ask_engine(struct job *job, struct err *err)
{
	char principal[16], domain[8], table[16], group[8];
	size_t at = draw(job, job->policies), user = draw(job, ENTITIES);
	struct asker asker = { .tenant = "acme", .principal = principal, .auth = AUTH_KEY };
	struct engine_answer answer = { .allowed = false };
	snprintf(principal, sizeof principal, "u%zu", user);
	snprintf(group, sizeof group, "g%zu", at % GROUPS_OF);
	snprintf(domain, sizeof domain, "d%zu", at % DOMAINS);
	snprintf(table, sizeof table, "t%zu", at);
	asker.groups[asker.group_count++] = group;
	if (!asker_bind(&asker, "consumer", user % 2 ? domain : "d0"))
		return no_room(err);
	const struct engine_ask ask = {
		.asker = &asker, .action = "dataset:read", .now_ms = 1800000000000,
		.resource = { .domain = domain, .kind = "Dataset", .name = table },
		.address = "10.1.2.3",
	};
	double began = now_s();
	arena_reset(job->scratch);
	TRY(engine_decide(job->engine, job->scratch, &ask, &answer, err));
	job->samples[job->asked++] = (now_s() - began) * 1e6;
	job->allowed += answer.allowed;
	return 0;
}

/* Floor: the role found, its actions, where it reaches. */
static int ask_table(struct job *job, struct err *err)
{
	struct asker asker = { .tenant = "acme", .principal = "ann" };
	const struct target target = { .tenant = "acme", .domain = "sales" };
	size_t allowed = 0;
	if (!asker_bind(&asker, "consumer", "sales"))
		return no_room(err);
	double began = now_s();
	for (size_t i = 0; i < job->rounds; i++)
		allowed += policy_decide(&asker, i % 2 ? ACTION_DATASET_READ : ACTION_FEATURES_READ,
		                         &target).allowed;
	job->samples[0] = (now_s() - began) * 1e6 / (double)job->rounds;
	return allowed == job->rounds ? 0 : err_set(err, E_INTERNAL, "the table denied a consumer");
}

/* --- the set alone --- */

static int add_entity(struct world *world, const struct cedar_uid *uid,
                      const struct cedar_uid *parent, struct err *err)
{
	const struct cedar_uid **parents = arena_alloc(world->arena, sizeof *parents);
	if (!parents)
		return no_room(err);
	*parents = parent;
	const struct cedar_entity entity = { .uid = *uid, .parents = parents,
		                             .parent_count = parent ? 1 : 0 };
	return cedar_entities_add(world->entities, &entity, err);
}

static int name(struct world *world, struct cedar_uid *uid, const char *type, const char *id,
                struct err *err)
{
	char *copy = arena_strdup(world->arena, id);
	if (!copy)
		return no_room(err);
	cedar_uid_init(uid, cedar_str(type), cedar_str(copy));
	return 0;
}

/* Half users in groups, half datasets in domains. */
static int fill_world(struct world *world, struct err *err)
{
	struct cedar_uid *groups = arena_alloc(world->arena, GROUPS_OF * sizeof *groups);
	struct cedar_uid *domains = arena_alloc(world->arena, DOMAINS * sizeof *domains);
	char id[64];
	world->users = arena_alloc(world->arena, world->count * sizeof *world->users);
	world->tables = arena_alloc(world->arena, world->count * sizeof *world->tables);
	if (!groups || !domains || !world->users || !world->tables)
		return no_room(err);
	for (size_t i = 0; i < GROUPS_OF; i++) {
		snprintf(id, sizeof id, "acme/g%zu", i);
		TRY(name(world, &groups[i], "Group", id, err));
	}
	for (size_t i = 0; i < DOMAINS; i++) {
		snprintf(id, sizeof id, "acme/d%zu", i);
		TRY(name(world, &domains[i], "Domain", id, err));
	}
	for (size_t i = 0; i < world->count; i++) {
		snprintf(id, sizeof id, "acme/u%zu", i);
		TRY(name(world, &world->users[i], "User", id, err));
		TRY(add_entity(world, &world->users[i], &groups[i % GROUPS_OF], err));
		snprintf(id, sizeof id, "acme/d%zu/t%zu", i % DOMAINS, i);
		TRY(name(world, &world->tables[i], "Dataset", id, err));
		TRY(add_entity(world, &world->tables[i], &domains[i % DOMAINS], err));
	}
	struct cedar_uid *action = arena_alloc(world->arena, 2 * sizeof *action);
	if (!action)
		return no_room(err);
	cedar_uid_init(&action[0], CEDAR_STR("Action"), CEDAR_STR("dataset:read"));
	cedar_uid_init(&action[1], CEDAR_STR("Action"), CEDAR_STR("read"));
	TRY(add_entity(world, &action[0], &action[1], err));
	return cedar_entities_close(world->entities, err);
}

static int ask_set(struct job *job, const struct cedar_set *set,
                   const struct cedar_record *context, struct err *err)
{
	struct cedar_request request = { .context = context };
	struct cedar_answer answer = { .allowed = false };
	size_t at = draw(job, job->policies < job->world->count ? job->policies
	                                                        : job->world->count);
	request.resource = job->world->tables[at];
	request.principal = job->world->users[draw(job, job->world->count)];
	cedar_uid_init(&request.action, CEDAR_STR("Action"), CEDAR_STR("dataset:read"));
	double began = now_s();
	arena_reset(job->scratch);
	TRY(cedar_set_decide(set, job->scratch, &request, job->world->entities, &answer, err));
	job->samples[job->asked++] = (now_s() - began) * 1e6;
	job->allowed += answer.allowed;
	return 0;
}

static int time_set(struct job *job, enum figure_id p50, enum figure_id p99, double floor,
                    struct err *err)
{
	AUTO(cedar_set) *set = NULL;
	char id[16];
	const struct cedar_field now = { CEDAR_STR("now"), { .kind = CEDAR_DATETIME,
		                                             .i = 1800000000000 } };
	const struct cedar_record context = { 1, &now };
	TRY(cedar_set_new(512 * MIB, &set, err));
	for (size_t i = 0; i < job->policies; i++) {
		char *text = job->texts + i * TEXT;
		snprintf(id, sizeof id, "p%zu.", i);
		TRY(cedar_set_add(set, text, strlen(text), id, err));
	}
	TRY(cedar_set_close(set, err));
	job->asked = 0;
	for (size_t i = 0; i < job->rounds; i++)
		TRY(ask_set(job, set, &context, err));
	bench_figure(job->bench, p50, quantile(job->samples, job->asked, 0.5), floor);
	bench_figure(job->bench, p99, quantile(job->samples, job->asked, 0.99), floor);
	return 0;
}

/* --- as a door asks: the tenant's engine found, the table, the engine, the answer told --- */

static int put(struct catalog *catalog, struct arena *arena, const char *key, const char *text,
               int64_t revision, struct err *err)
{
	struct value *value = value_map(arena), *spec = value_map(arena);
	value_set_str(spec, "text", text);
	value_set(value, "spec", spec);
	TRY(value_check(value, err));
	catalog_apply(catalog, key, value, revision);
	return 0;
}

static int fill_catalog(struct job *job, struct catalog *catalog, struct err *err)
{
	char key[64];
	for (size_t i = 0; i < DOMAINS + job->policies; i++) {
		bool domain = i < DOMAINS;
		arena_reset(job->scratch);
		snprintf(key, sizeof key, domain ? "r/domain/acme/d%zu" : "r/policy/acme/p%zu",
		         domain ? i : i - DOMAINS);
		TRY(put(catalog, job->scratch, key,
		        domain ? "" : job->texts + (i - DOMAINS) * TEXT, (int64_t)i + 1, err));
	}
	return 0;
}

static int ask_door(struct job *job, struct policies *policies, bool *ret_allowed)
{
	char domain[8], table[16], group[8];
	size_t at = draw(job, job->policies);
	struct asker asker = { .tenant = "acme", .principal = "ann", .auth = AUTH_KEY,
		               .address = "10.1.2.3" };
	snprintf(group, sizeof group, "g%zu", at % GROUPS_OF);
	snprintf(domain, sizeof domain, "d%zu", at % DOMAINS);
	snprintf(table, sizeof table, "t%zu", at);
	asker.groups[asker.group_count++] = group;
	const struct policies_ask ask = {
		.asker = &asker, .action = ACTION_DATASET_READ, .now_ms = 1800000000000,
		.target = { .tenant = "acme", .domain = domain }, .kind = "Dataset", .name = table,
	};
	arena_reset(job->scratch);
	double began = now_s();
	*ret_allowed = policies_decide(policies, job->scratch, &ask).allowed;
	job->samples[job->asked++] = (now_s() - began) * 1e6;
	return 0;
}

static int time_door(struct job *job, double floor, struct err *err)
{
	AUTO(catalog) *catalog = NULL;
	AUTO(policies) *policies = NULL;
	bool allowed = false;
	TRY(catalog_new(clock_system(), NULL, &catalog, err));
	TRY(policies_new(catalog, &policies, err));
	TRY(fill_catalog(job, catalog, err));
	job->asked = 0;
	TRY(ask_door(job, policies, &allowed));
	arena_reset(job->scratch);
	TRY(put(catalog, job->scratch, "r/policy/acme/p0", job->texts, ENTITIES, err));
	policies_changed(policies, "r/policy/acme/p0");
	job->asked = 0;
	TRY(ask_door(job, policies, &allowed));
	bench_figure(job->bench, FIGURE_decision_swap, job->samples[0] / 1e6, 0);
	job->asked = 0;
	for (size_t i = 0; i < job->rounds; i++) {
		TRY(ask_door(job, policies, &allowed));
		job->allowed += allowed;
	}
	bench_figure(job->bench, FIGURE_decision_door_p50,
	             quantile(job->samples, job->asked, 0.5), floor);
	bench_figure(job->bench, FIGURE_decision_door_p99,
	             quantile(job->samples, job->asked, 0.99), floor);
	return 0;
}

/* --- sizes --- */

struct size { size_t policies; enum figure_id p50, p99, set_p50, set_p99; };

static int time_size(struct job *job, const struct size *size, double floor, struct err *err)
{
	AUTO(engine) *engine = NULL;
	job->policies = size->policies;
	double began = now_s();
	TRY(make_engine(job, size->policies, &engine, err));
	double made = now_s() - began;
	job->engine = engine;
	job->asked = 0;
	for (size_t i = 0; i < job->rounds; i++)
		TRY(ask_engine(job, err));
	bench_figure(job->bench, size->p50, quantile(job->samples, job->asked, 0.5), floor);
	bench_figure(job->bench, size->p99, quantile(job->samples, job->asked, 0.99), floor);
	TRY(time_set(job, size->set_p50, size->set_p99, floor, err));
	if (size->p50 != FIGURE_decision_100k_p50)
		return 0;
	bench_figure(job->bench, FIGURE_decision_build, made, 0);
	bench_figure(job->bench, FIGURE_decision_bytes,
	             (double)engine_bytes(engine) / (double)engine_count(engine), 0);
	return time_door(job, floor, err);
}

static int run(struct job *job, struct err *err)
{
	const struct size sizes[] = {
		{ 10, FIGURE_decision_10_p50, FIGURE_decision_10_p99,
		  FIGURE_decision_set_10_p50, FIGURE_decision_set_10_p99 },
		{ 1000, FIGURE_decision_1k_p50, FIGURE_decision_1k_p99,
		  FIGURE_decision_set_1k_p50, FIGURE_decision_set_1k_p99 },
		{ bench_scaled(job->bench, 100000, 2000), FIGURE_decision_100k_p50,
		  FIGURE_decision_100k_p99, FIGURE_decision_set_100k_p50,
		  FIGURE_decision_set_100k_p99 },
	};
	TRY(ask_table(job, err));
	double floor = job->samples[0];
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		TRY(time_size(job, &sizes[i], floor, err));
	return job->allowed ? 0 : err_set(err, E_INTERNAL, "nothing was allowed");
}

int bench_decision(struct bench *bench, struct err *err)
{
	AUTO(arena) *scratch = NULL, *memory = NULL;
	struct world world = { .count = bench_scaled(bench, ENTITIES / 2, 5000) };
	struct job job = { .bench = bench, .world = &world, .random = 42,
		           .rounds = bench_scaled(bench, ROUNDS, 2000) };
	TRY(arena_new(MIB, &scratch, err));
	TRY(arena_new(2048UL * MIB, &memory, err));
	TRY(cedar_entities_new(memory, &world.entities, err));
	world.arena = memory;
	TRY(fill_world(&world, err));
	job.scratch = scratch;
	job.samples = calloc(job.rounds, sizeof *job.samples);
	job.texts = calloc(100000, TEXT);
	int rc = job.samples && job.texts ? run(&job, err) : no_room(err);
	free(job.texts);
	free(job.samples);
	return rc;
}
