/* bench.c - make bench: runs the table of bench.def, one line a figure and all of them in
 * bench.json. A benchmark that fails is said on standard error and fails the program; the others
 * still run. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/buf.h"
#include "common/crypto.h"
#include "tests/bench/floors.h"
#include "tests/bench/system.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { ARENA_MAX = 64 * 1024 * 1024, JSON_MAX = 256 * 1024 };

enum aim { NONE, RATIO_MIN, RATIO_MAX, VALUE_MIN, VALUE_MAX };

struct figure_row {
	const char *name, *unit;
	enum aim aim;
	double bound;
	const char *summary;
};

static const struct figure_row rows[FIGURE_COUNT] = {
#define FIGURE(name, unit, aim, bound, summary) {#name, unit, aim, bound, summary},
#include "tests/bench/bench.def"
};

static const struct {
	const char *name;
	bench_fn *run;
	const char *summary;
} benches[] = {
#define BENCH(name, summary) {#name, bench_##name, summary},
#include "tests/bench/bench.def"
};

static double ratio(double value, double floor)
{
	return floor > 0 ? value / floor : 0;
}

static bool aim_met(const struct figure_row *row, double value, double floor)
{
	switch (row->aim) {
	case RATIO_MIN:
		return ratio(value, floor) >= row->bound;
	case RATIO_MAX:
		return ratio(value, floor) <= row->bound;
	case VALUE_MIN:
		return value >= row->bound;
	case VALUE_MAX:
		return value <= row->bound;
	case NONE:
		break;
	}
	return true;
}

static const char *aim_text(const struct figure_row *row, char out[64])
{
	static const char *const forms[] = {
		[NONE] = "none",
		[RATIO_MIN] = "ratio at least %g",
		[RATIO_MAX] = "ratio at most %g",
		[VALUE_MIN] = "value at least %g",
		[VALUE_MAX] = "value at most %g",
	};
	snprintf(out, 64, forms[row->aim], row->bound);
	return out;
}

void bench_figure(struct bench *bench, enum figure_id id, double value, double floor)
{
	const struct figure_row *row = &rows[id];
	char aim[64];
	bench->figures[id].known = true;
	bench->figures[id].value = value;
	bench->figures[id].floor = floor;
	printf("%s %.6g %s floor %.6g ratio %.3g\n", row->name, value, row->unit, floor,
	       ratio(value, floor));
	fflush(stdout);
	if (!aim_met(row, value, floor))
		fprintf(stderr, "bench: %s misses its aim: %s\n", row->name, aim_text(row, aim));
}

size_t bench_scaled(const struct bench *bench, size_t n, size_t least)
{
	size_t scaled = (size_t)((double)n * bench->scale);
	return scaled > least ? scaled : least;
}

/* ---- bench.json ---- */

static void put_machine(struct buf *out)
{
	struct utsname name;
	char line[256], model[128] = "unknown";
	FILE *info = fopen("/proc/cpuinfo", "r");
	while (info && fgets(line, sizeof line, info))
		if (sscanf(line, "model name : %127[^\n\"\\]", model) == 1)
			break;
	if (info)
		fclose(info);
	if (uname(&name) < 0)
		return;
	buf_printf(out, "  \"machine\": {\"cpu\": \"%s\", \"cores\": %ld, \"kernel\": \"%s\"},\n",
		   model, sysconf(_SC_NPROCESSORS_ONLN), name.release);
}

static int write_json(const struct bench *bench, const char *path, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, JSON_MAX);
	char aim[64], at[32];
	time_t now = time(NULL);
	struct tm utc;
	strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	buf_printf(&out, "{\n  \"version\": \"%s\",\n  \"at\": \"%s\",\n  \"scale\": %g,\n",
		   FREEHOLD_VERSION, at, bench->scale);
	put_machine(&out);
	buf_puts(&out, "  \"figures\": [");
	const char *comma = "";
	for (int i = 0; i < FIGURE_COUNT; i++) {
		double value = bench->figures[i].value, floor = bench->figures[i].floor;
		if (!bench->figures[i].known)
			continue;
		buf_printf(&out,
			   "%s\n    {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", "
			   "\"floor\": %.6g, "
			   "\"ratio\": %.4g, \"aim\": \"%s\", \"met\": %s}",
			   comma, rows[i].name, value, rows[i].unit, floor, ratio(value, floor),
			   aim_text(&rows[i], aim),
			   aim_met(&rows[i], value, floor) ? "true" : "false");
		comma = ",";
	}
	buf_puts(&out, "\n  ]\n}\n");
	TRY(buf_check(&out, err));
	FILE *file = fopen(path, "w");
	bool written = file && fwrite(out.data, 1, out.len, file) == out.len;
	if (!file || fclose(file) != 0 || !written)
		return err_errno(err, errno, "%s", path);
	return 0;
}

/* ---- a run ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

/* What an interrupted or failed run left is removed by the next. */
static void remove_folder(const char *path)
{
	nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static int make_folders(struct bench *bench, const char *build, struct err *err)
{
	char full[4096];
	if (!realpath(build, full))
		return err_errno(err, errno, "--build %s", build);
	bench->build = arena_strdup(bench->arena, full);
	bench->data = arena_printf(bench->arena, "%s/bench-data", full);
	bench->folder = arena_printf(bench->arena, "%s/bench-run", full);
	if (!bench->build || !bench->data || !bench->folder)
		return err_set(err, E_NOMEM, "no memory for paths");
	remove_folder(bench->folder);
	if (mkdir(bench->data, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", bench->data);
	if (mkdir(bench->folder, 0700) < 0)
		return err_errno(err, errno, "%s", bench->folder);
	return 0;
}

static bool wanted(const char *bench, const char *only)
{
	return !only || strcmp(bench, only) == 0 ||
	       (strncmp(only, bench, strlen(bench)) == 0 && only[strlen(bench)] == '_');
}

static int run_all(struct bench *bench, const char *only)
{
	int failed = 0, ran = 0;
	for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
		struct err err = {0};
		if (!wanted(benches[i].name, only))
			continue;
		ran++;
		fprintf(stderr, "bench: %s: %s\n", benches[i].name, benches[i].summary);
		if (benches[i].run(bench, &err) >= 0)
			continue;
		fprintf(stderr, "bench: %s: %s\n", benches[i].name, err.text);
		failed++;
	}
	if (ran == 0)
		fprintf(stderr,
			"bench: no benchmark or figure is called %s; see tests/bench/bench.def\n",
			only);
	return failed || !ran ? 1 : 0;
}

static double read_scale(void)
{
	const char *text = getenv("BENCH_SCALE");
	double scale = text ? strtod(text, NULL) : 1;
	return scale > 0 && scale <= 1 ? scale : 1;
}

static int measure(const char *program, const char *build, const char *only, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct bench bench = {.program = program, .scale = read_scale(), .arena = arena};
	TRY(make_folders(&bench, build, err));
	int failed = run_all(&bench, only);
	system_stop(&bench);
	if (!failed)
		remove_folder(bench.folder);
	else
		fprintf(stderr, "bench: see %s for logs; the next run removes it\n", bench.folder);
	const char *json = arena_printf(arena, "%s/bench.json", bench.build);
	TRY(write_json(&bench, json, err));
	return failed;
}

int main(int argc, char **argv)
{
	const char *build = "build", *only = NULL;
	struct err err = {0};
	if (argc == 3 && strcmp(argv[1], "--floor") == 0)
		return floor_child(argv[2]);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--build") == 0)
			build = argv[i + 1];
		if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
	}
	int rc = crypto_start(&err);
	if (rc >= 0)
		rc = measure("/proc/self/exe", build, only, &err);
	if (rc < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	return rc == 0 ? 0 : 1;
}
