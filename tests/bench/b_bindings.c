/* b_bindings.c - what a request pays for knowing the asker's roles: one tenant with 10,000
 * principals, 1,000 groups of ten and 10,000 role bindings, half of them to a group. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/json.h"
#include "control/bindings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINCIPALS = 10000, GROUPS = 1000, MEMBERS = 10, BOUND = 10000, ROUNDS = 20000, OWN = 100 };

struct job {
	struct bindings *bindings;
	struct arena *arena;
	size_t principals, groups, bound;
	char key[128], spec[512];
};

static int put(struct job *job, struct err *err)
{
	struct value *value = NULL;
	arena_reset(job->arena);
	TRY(json_parse(job->arena, job->spec, strlen(job->spec), &value, err));
	bindings_changed(job->bindings, job->key, value);
	return 0;
}

static int fill(struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->principals; i++) {
		snprintf(job->key, sizeof job->key, "r/principal/acme/p%zu", i);
		snprintf(job->spec, sizeof job->spec,
			 "{\"spec\":{\"roles\":[\"consumer\"],\"domain\":\"d%zu\"}}", i % OWN);
		TRY(put(job, err));
	}
	for (size_t i = 0; i < job->groups; i++) {
		int len = snprintf(job->spec, sizeof job->spec, "{\"spec\":{\"members\":[");
		for (size_t j = 0; j < MEMBERS; j++)
			len += snprintf(job->spec + len, sizeof job->spec - (size_t)len,
					"%s\"p%zu\"", j ? "," : "",
					(i * MEMBERS + j) % job->principals);
		snprintf(job->spec + len, sizeof job->spec - (size_t)len, "]}}");
		snprintf(job->key, sizeof job->key, "r/group/acme/g%zu", i);
		TRY(put(job, err));
	}
	for (size_t i = 0; i < job->bound; i++) {
		snprintf(job->key, sizeof job->key, "r/rolebinding/acme/b%zu", i);
		snprintf(job->spec, sizeof job->spec,
			 "{\"spec\":{\"role\":\"producer\",\"domain\":\"d%zu\",\"subjects\":["
			 "\"%s%zu\"]}}",
			 i % OWN, i % 2 ? "group:g" : "p",
			 i % (i % 2 ? job->groups : job->principals));
		TRY(put(job, err));
	}
	return 0;
}

static int measure(struct bench *bench, struct job *job, struct err *err)
{
	char name[32];
	size_t rounds = bench_scaled(bench, ROUNDS, 1000), found = 0;
	double *samples = calloc(rounds, sizeof *samples);
	if (!samples)
		return err_set(err, E_NOMEM, "no memory for %zu samples", rounds);
	for (size_t i = 0; i < rounds; i++) {
		struct asker asker = {.tenant = "acme", .principal = name};
		snprintf(name, sizeof name, "p%zu", i * 7919 % job->principals);
		arena_reset(job->arena);
		double began = now_s();
		bindings_fill(job->bindings, job->arena, &asker);
		samples[i] = (now_s() - began) * 1e6;
		found += asker.binding_count;
	}
	bench_figure(bench, FIGURE_bindings_p50, quantile(samples, rounds, 0.5), 0);
	bench_figure(bench, FIGURE_bindings_p99, quantile(samples, rounds, 0.99), 0);
	free(samples);
	return found ? 0 : err_set(err, E_INTERNAL, "no principal has a role");
}

int bench_bindings(struct bench *bench, struct err *err)
{
	AUTO(bindings) *bindings = NULL;
	AUTO(arena) *arena = NULL;
	TRY(crypto_start(err));
	TRY(bindings_new(&bindings, err));
	TRY(arena_new(16 * MIB, &arena, err));
	struct job job = {.bindings = bindings,
			  .arena = arena,
			  .principals = bench_scaled(bench, PRINCIPALS, 100),
			  .groups = bench_scaled(bench, GROUPS, 10),
			  .bound = bench_scaled(bench, BOUND, 100)};
	double began = now_s();
	TRY(fill(&job, err));
	bench_figure(bench, FIGURE_bindings_index, now_s() - began, 0);
	return measure(bench, &job, err);
}
