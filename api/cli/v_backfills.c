/* v_backfills.c - freehold backfills: run what a schedule has not run, over a range. */
#include "common/defs.h"
#include "api/cli/strip.h"

#include "api/manifest.h"
#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKFILLS_MOST = 10000, BAR_WIDTH = 40, UNREACHABLE_MS = 120000 };

static int collection(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/backfills", tenant, domain);
	return 0;
}

static int read_progress(struct cli *cli, const char *path, struct value **ret_progress,
                         struct err *err)
{
	struct call call = {.method = "GET", .path = client_path(cli, "%s/progress", path)};
	return client_call(cli, &call, ret_progress, err);
}

static bool is_over(const char *state)
{
	return state && (strcmp(state, "done") == 0 || strcmp(state, "failed") == 0);
}

/* "3m20s" of seconds. */
static const char *human_seconds(struct cli *cli, int64_t seconds)
{
	char text[TIME_TEXT_MAX];
	return arena_strdup(cli->arena, duration_print(seconds * 1000, text));
}

/* --- showing --- */

static void draw_bar(const struct value *progress, bool terminal)
{
	int64_t all = value_get_int(progress, "intervals", 0);
	int64_t done = value_get_int(progress, "done", 0);
	int64_t failed = value_get_int(progress, "failed", 0);
	int64_t running = value_get_int(progress, "running", 0);
	int64_t marks[] = {done, failed, running};
	static const char *const drawn[] = {"\033[32m█\033[0m", "\033[31m█\033[0m",
	                                    "\033[36m▒\033[0m"};
	static const char *const plain[] = {"#", "x", ">"};
	int64_t upto = 0, at = 0;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		upto += marks[i];
		for (; all && at * all < upto * BAR_WIDTH && at < BAR_WIDTH; at++)
			fputs(terminal ? drawn[i] : plain[i], stdout);
	}
	for (; at < BAR_WIDTH; at++)
		fputs(terminal ? "░" : ".", stdout);
	printf(" %3" PRId64 "%%", all ? (done + failed) * 100 / all : 100);
}

static void draw(struct cli *cli, const struct value *progress)
{
	int64_t estimate = value_get_int(progress, "estimateSeconds", -1);
	const struct value *trouble = value_get(progress, "trouble");
	printf("%s%s  ", cli->terminal ? "\r\033[K" : "", value_get_str(progress, "backfill"));
	draw_bar(progress, cli->terminal);
	printf("  %s, %" PRId64 " done, %" PRId64 " failed, %" PRId64 " running, %" PRId64 " left",
	       value_get_str(progress, "state"), value_get_int(progress, "done", 0),
	       value_get_int(progress, "failed", 0), value_get_int(progress, "running", 0),
	       value_get_int(progress, "left", 0));
	if (estimate >= 0)
		printf(", about %s to go", human_seconds(cli, estimate));
	if (trouble)
		printf("; the last try failed: %s", value_get_str(trouble, "text"));
	if (!cli->terminal || is_over(value_get_str(progress, "state")))
		printf("\n");
	fflush(stdout);
}

static int finish(struct cli *cli, const struct value *progress, struct err *err)
{
	int64_t failed = value_get_int(progress, "failed", 0);
	if (cli->format != FORMAT_TABLE)
		TRY(print_value(cli, progress, err));
	if (!failed)
		return 0;
	cli->exit_code = EXIT_TASK_FAILED;
	return err_set(err, E_CONFLICT, "%" PRId64 " intervals failed; `freehold tasks --state "
	               "failed` says why, and a backfill with --redo failed runs them again",
	               failed);
}

/* A server that is away for a while is waited for. */
static int read_at_last(struct cli *cli, const char *path, struct value **ret_progress,
                        struct err *err)
{
	int64_t until_ms = clock_mono_ms(clock_system()) + UNREACHABLE_MS;
	int rc = 0;
	while ((rc = read_progress(cli, path, ret_progress, err)) < 0) {
		if (!err_retryable(rc) || clock_mono_ms(clock_system()) > until_ms)
			return rc;
		pause_between_looks();
	}
	return 0;
}

/* A line that grows; where no terminal is, a line whenever some have ended. */
static int watch(struct cli *cli, const char *path, struct err *err)
{
	for (int64_t shown = -1;;) {
		struct value *progress = NULL;
		TRY(read_at_last(cli, path, &progress, err));
		int64_t ended = value_get_int(progress, "done", 0) +
		                value_get_int(progress, "failed", 0);
		bool over = is_over(value_get_str(progress, "state"));
		if (cli->format == FORMAT_TABLE && (cli->terminal || over || ended != shown))
			draw(cli, progress);
		if (over)
			return finish(cli, progress, err);
		shown = ended;
		pause_between_looks();
	}
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	static const char *const titles[] = {"NAME", "SCHEDULE", "STATE", "INTERVALS", "DONE",
	                                     "FAILED", "NOW", "LEFT", "TO GO", NULL};
	struct value *items = NULL;
	TRY(client_list(cli, path, BACKFILLS_MOST, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const char *name =
			value_get_str(value_get(value_at(items, i), "metadata"), "name");
		struct value *progress = NULL;
		TRY(read_progress(cli, client_path(cli, "%s/%s", path, name), &progress, err));
		int64_t estimate = value_get_int(progress, "estimateSeconds", -1);
		table_cell(table, name);
		table_cell(table, value_get_str(progress, "schedule"));
		table_cell(table, value_get_str(progress, "state"));
		table_number(table, value_get_int(progress, "intervals", 0));
		table_number(table, value_get_int(progress, "done", 0));
		table_number(table, value_get_int(progress, "failed", 0));
		table_number(table, value_get_int(progress, "running", 0));
		table_number(table, value_get_int(progress, "left", 0));
		table_cell(table, estimate >= 0 ? human_seconds(cli, estimate) : NULL);
	}
	table_print(table);
	return 0;
}

/* --- starting --- */

/* SCHEDULE-YYYYMMDDhhmmss of now, unless a name is given. */
static const char *new_name(struct cli *cli, const char *schedule)
{
	char now[TIME_TEXT_MAX], digits[TIME_TEXT_MAX];
	size_t len = 0;
	const char *given = cli_option(cli, "name");
	if (given)
		return given;
	time_print_s(clock_unix_ms(clock_system()), now);
	for (const char *at = now; *at; at++)
		if (*at >= '0' && *at <= '9')
			digits[len++] = *at;
	digits[len] = 0;
	return arena_printf(cli->arena, "%.*s-%s", NAME_MAX_LEN - 15, schedule, digits);
}

static int make_spec(struct cli *cli, const char *schedule, struct value *spec, struct err *err)
{
	static const char *const texts[] = {"priority", "redo"};
	const char *parallelism = cli_option(cli, "parallelism"), *from = NULL, *to = NULL;
	char *end = NULL;
	long number = parallelism ? strtol(parallelism, &end, 10) : 1;
	if (parallelism && (*end || number < 1))
		return err_set(err, E_INVALID, "--parallelism: must be a number from 1, not %s",
		               parallelism);
	TRY(cli_time(cli, "from", &from, err));
	TRY(cli_time(cli, "to", &to, err));
	if (!from || !to)
		return err_set(err, E_INVALID, "--from and --to: which range? days as in "
		               "2026-01-31, or times as in 2026-01-31T08:00:00Z");
	value_set_str(spec, "from", from);
	value_set_str(spec, "to", to);
	value_set_str(spec, "schedule", schedule);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		value_set_str(spec, texts[i], cli_option(cli, texts[i]));
	value_set_int(spec, "parallelism", number);
	return 0;
}

static int start(struct cli *cli, const char *path, const char *schedule, struct err *err)
{
	struct value *manifest = value_map(cli->arena), *metadata = value_map(cli->arena);
	struct value *spec = value_map(cli->arena);
	const char *name = new_name(cli, schedule);
	TRY(name_check("--name", name, err));
	TRY(make_spec(cli, schedule, spec, err));
	value_set_str(metadata, "name", name);
	value_set_str(manifest, "apiVersion", API_VERSION);
	value_set_str(manifest, "kind", "Backfill");
	value_set(manifest, "metadata", metadata);
	value_set(manifest, "spec", spec);
	TRY(value_check(manifest, err));
	struct call call = {
		.method = "PUT",
		.path = client_path(cli, "%s/%s%s", path, name,
	                            cli_switch(cli, "dry-run") ? "?dryRun=true" : ""),
		.body = manifest,
		.header = "If-None-Match: *",
	};
	int rc = client_call(cli, &call, NULL, err);
	if (rc == E_PRECONDITION)
		return err_set(err, E_PRECONDITION, "the backfill %s exists already; give another "
		               "--name, or cancel that one first", name);
	TRY(rc);
	if (cli_switch(cli, "dry-run")) {
		printf("would be started (dry run: nothing was)\n");
		return 0;
	}
	printf("backfill %s\n", name);
	return cli_switch(cli, "no-wait") ? 0
	                                  : watch(cli, client_path(cli, "%s/%s", path, name), err);
}

static int cancel(struct cli *cli, const char *path, const char *name, struct err *err)
{
	struct call call = {.method = "DELETE", .path = path};
	TRY(client_call(cli, &call, NULL, err));
	printf("backfill %s cancelled; what it runs is ended, what it has done stays\n", name);
	return 0;
}

static int pause(struct cli *cli, const char *path, const char *name, bool paused,
                 struct err *err)
{
	TRY(pause_set(cli, path, paused, err));
	printf("backfill %s %s\n", name, paused ? "paused; what runs goes on" : "resumed");
	return 0;
}

static int backfills(struct cli *cli, struct err *err)
{
	static const char *const actions[] = {"list", "start", "watch", "pause", "resume",
	                                      "cancel", NULL};
	const char *verb = cli_word(cli, 0), *name = cli_word(cli, 1), *path = NULL;
	TRY(collection(cli, &path, err));
	if (!verb || strcmp(verb, "list") == 0)
		return list(cli, path, err);
	TRY(cli_action(cli, actions, strcmp(verb, "start") == 0 ? "schedule" : "backfill", err));
	const char *one = client_path(cli, "%s/%s", path, name);
	if (strcmp(verb, "start") == 0)
		return start(cli, path, name, err);
	if (strcmp(verb, "watch") == 0)
		return watch(cli, one, err);
	if (strcmp(verb, "cancel") == 0)
		return cancel(cli, one, name, err);
	return pause(cli, one, name, verb[0] == 'p', err);
}

static const struct option_row options[] = {
	{"from", "TIME", "start: whole intervals from then on: a day, a time, or 30d"},
	{"to", "TIME", "start: until then"},
	{"name", "NAME", "start: of the backfill; default: the schedule's and the time"},
	{"parallelism", "N", "start: intervals at one time; default 1"},
	{"priority", "PRIORITY", "start: low, normal, high or urgent; default low"},
	{"redo", "WHAT", "start: missing, failed (too) or all; default missing"},
	{"no-wait", NULL, "start: return at once"},
	{"dry-run", NULL, "start: only ask whether it would be accepted"},
	{NULL, NULL, NULL}};

const struct verb verb_backfills = {
	.name = "backfills",
	.words = "[list|start|watch|pause|resume|cancel] [NAME]",
	.words_max = 2,
	.summary = "Run a schedule's intervals over a range: start, watch, pause, resume, cancel",
	.example = "freehold backfills start nightly --from 2026-01-01 --to 2026-02-01 "
                   "--parallelism 4",
	.options = options,
	.run = backfills,
};
