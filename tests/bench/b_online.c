/* b_online.c - one entity's five features over HTTP, on a warm access grant, with 32 connections
 * kept busy by wrk, beside libmicrohttpd answering the very same bytes to the same requests. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/json.h"
#include "tests/bench/floors.h"
#include "tests/bench/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3, SERVER_THREADS = 2, ANSWER_MAX = 64 * 1024, OUTPUT_MAX = 16 * 1024 };

#define BODY                                                                                       \
	"{\"features\":[\"readings:a\",\"readings:b\",\"readings:c\",\"readings:d\","              \
	"\"readings:e\"],\"entities\":{\"station\":[\"S7\"]},\"full_feature_names\":false}"

struct load {
	double rate, p50, p99;
};

static int run_wrk(struct bench *bench, const char *url, struct load *ret_load, struct err *err)
{
	const char *seconds = bench->scale < 1 ? "-d1s" : "-d5s";
	const char *script = "tests/bench/online.lua";
	const char *const argv[] = {"wrk", "-t2", "-c32", seconds, "--latency", "-s", script, url,
				    NULL};
	char output[OUTPUT_MAX];
	int errors = 0;
	TRY(process_run(argv, NULL, output, sizeof output, err));
	const char *line = strstr(output, "FIGURES ");
	if (!line || sscanf(line, "FIGURES %lf %lf %lf %d", &ret_load->rate, &ret_load->p50,
			    &ret_load->p99, &errors) != 4)
		return err_set(err, E_INTERNAL, "wrk said no figures: %.200s", output);
	return errors == 0
		       ? 0
		       : err_set(err, E_INTERNAL, "%d requests of wrk failed at %s", errors, url);
}

/* One request by hand: it must be answered with values, and its bytes are the floor's. */
static int ask_once(struct bench *bench, struct bench_system *system, const char *url,
		    struct buf *ret_text, struct err *err)
{
	struct value *answer;
	TRY(system_call(system, bench->arena, url, system->reader, BODY, &answer, err));
	json_print(answer, ret_text);
	TRY(buf_check(ret_text, err));
	const struct value *last = value_at(value_get(answer, "results"), 5);
	const char *status = value_as_str(value_at(value_get(last, "statuses"), 0));
	if (!status || strcmp(status, "PRESENT") != 0)
		return err_set(err, E_INTERNAL, "the feature e of S7 is %s",
			       status ? status : "not answered");
	return 0;
}

static int measure(struct bench *bench, const char *url, const char *floor_url, struct err *err)
{
	double samples[6][ROUNDS], medians[6];
	for (size_t i = 0; i < ROUNDS; i++) {
		struct load value, floor;
		TRY(run_wrk(bench, floor_url, &floor, err));
		TRY(run_wrk(bench, url, &value, err));
		double all[6] = {value.rate, value.p50, value.p99,
				 floor.rate, floor.p50, floor.p99};
		for (size_t k = 0; k < 6; k++)
			samples[k][i] = all[k];
	}
	for (size_t k = 0; k < 6; k++)
		medians[k] = quantile(samples[k], ROUNDS, 0.5);
	bench_figure(bench, FIGURE_online_rate, medians[0], medians[3]);
	bench_figure(bench, FIGURE_online_p50, medians[1], medians[4]);
	bench_figure(bench, FIGURE_online_p99, medians[2], medians[5]);
	return 0;
}

int bench_online(struct bench *bench, struct err *err)
{
	struct bench_system *system;
	AUTO(constant) *constant = NULL;
	AUTO_BUF text;
	int port = 0;
	buf_init(&text, ANSWER_MAX);
	TRY(system_get(bench, &system, err));
	const char *url = arena_printf(bench->arena, "%s/get-online-features", system->serve_url);
	TRY(ask_once(bench, system, url, &text, err));
	TRY(constant_new(SERVER_THREADS, (const char *)text.data, &constant, &port, err));
	const char *floor_url =
		arena_printf(bench->arena, "http://127.0.0.1:%d/get-online-features", port);
	if (!url || !floor_url)
		return err_set(err, E_NOMEM, "no memory for a URL");
	if (setenv("BENCH_BODY", BODY, 1) < 0 ||
	    setenv("BENCH_AUTHORIZATION", system->reader + strlen("Authorization: "), 1) < 0)
		return err_set(err, E_NOMEM, "no memory for the environment");
	return measure(bench, url, floor_url, err);
}
