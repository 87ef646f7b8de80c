/* bench.h - the benchmarks' frame: the table's rows, figures with their floors, and how they are
 * taken. A floor is measured in the same run as its figure, in turns, because machines drift. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include "common/arena.h"

enum figure_id {
#define FIGURE(name, unit, aim, bound, summary) FIGURE_##name,
#include "tests/bench/bench.def"
	FIGURE_COUNT
};

struct bench_system;

struct bench {
	const char *program; /* this one, to run as a child */
	const char *build;   /* folder of the binaries; absolute, as all folders here */
	const char *data;    /* inputs that are made once and kept: build/bench-data */
	const char *folder;  /* of this run; removed at its end */
	double scale;	     /* 1, or BENCH_SCALE: part of the data and of the repetitions */
	struct arena *arena;
	int64_t tokens; /* given to attempts so far: no two of a run write to one path */
	struct bench_system *system; /* system_get starts it once */
	struct {
		bool known;
		double value, floor;
	} figures[FIGURE_COUNT];
};

typedef int bench_fn(struct bench *bench, struct err *err);
#define BENCH(name, summary) bench_fn bench_##name;
#include "tests/bench/bench.def"

/* Reports a figure: its line on standard output, and later its place in bench.json. floor 0: none.
 */
void bench_figure(struct bench *bench, enum figure_id id, double value, double floor);
/* n scaled down, at least least. */
size_t bench_scaled(const struct bench *bench, size_t n, size_t least);

/* One measurement: what it took, in the figure's unit or in seconds. */
typedef int measure_fn(void *context, double *ret_value, struct err *err);
/* Value and floor in turns, `rounds` times after one that does not count; medians. */
int bench_turns(size_t rounds, measure_fn *value, measure_fn *floor, void *context,
		double *ret_value, double *ret_floor, struct err *err);

double now_s(void);					  /* monotonic seconds */
double quantile(double *samples, size_t count, double q); /* sorts them */

/* ---- children ---- */
/* Runs argv to its end with standard output into out (NUL-terminated, at most cap - 1 bytes);
 * E_INTERNAL with its last words when it does not exit with 0. env: "NAME=VALUE" more, or NULL. */
int process_run(const char *const *argv, const char *env, char *out, size_t cap, struct err *err);
/* Starts it with both outputs into a file. It dies with us. */
int process_start(const char *const *argv, const char *log, int *ret_pid, struct err *err);
int process_stop(int pid, int signal, struct err *err); /* and waits */
/* The first of count free ports of loopback in a row; 0: there are none below last. */
int ports_free(int first, int last, int count);
/* The children of a process; returns how many, at most max. */
size_t process_list(int parent, int *ret_pids, size_t max);

#endif
