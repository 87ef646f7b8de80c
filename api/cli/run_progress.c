/* run_progress.c - a run as it goes on: on a terminal a picture that is drawn over the one before,
 * elsewhere a line a change. What is known of the run is read whole once, kept up to date by its
 * events, and read again whenever its stream ended. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/json.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 20000, PAUSE_MS = 250, ROWS_DRAWN = 30, BAR_WIDTH = 30, LINE_MAX_LEN = 256 };
#define ARENA_MAX (64 * MIB)

/* What is shown of one run. */
struct showing {
	struct cli *cli;
	const char *path;            /* of the run; in the command's own arena */
	struct arena *arenas[2];     /* by turns, the command's arena meanwhile */
	int turn;
	struct value *run;           /* as it is known, in the arena of that turn; NULL: nothing */
	size_t lines;                /* of the picture that was drawn last */
	char told[LINE_MAX_LEN];     /* the line that was printed last */
	int64_t heard_ms;
};

/* --- drawing --- */

static const char *depends(struct cli *cli, const struct value *task)
{
	const struct value *deps = value_get(task, "dependsOn");
	const char *text = NULL;
	for (size_t i = 0; i < value_len(deps); i++) {
		const char *on = value_get_str(value_at(deps, i), "on");
		bool plain = on && strcmp(on, "success") == 0;
		text = arena_printf(cli->arena, "%s%s%s%s%s", text ? text : "", text ? ", " : "",
		                    value_get_str(value_at(deps, i), "task"), plain ? "" : ":",
		                    plain ? "" : on);
	}
	return text;
}

static const char *remark(struct cli *cli, const struct value *task)
{
	const char *text = value_get_str(task, "text"), *state = value_get_str(task, "state");
	bool plain = state && (strcmp(state, "succeeded") == 0 || strcmp(state, "running") == 0);
	const struct value *progress = value_get(task, "progress");
	const char *phase = value_get_str(progress, "phase");
	int64_t percent = value_get_int(progress, "percent", -1);
	if (phase && *phase && percent >= 0)
		return arena_printf(cli->arena, "%s %" PRId64 " %%", phase, percent);
	if (phase && *phase)
		return phase;
	return text ? text : plain ? NULL : value_get_str(task, "reason");
}

/* Of many tasks on a terminal only what moves or failed. */
static bool is_drawn(const struct value *task, size_t count)
{
	const char *state = value_get_str(task, "state");
	return count <= ROWS_DRAWN || !state || strcmp(state, "running") == 0 ||
		strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0;
}

static size_t draw_tasks(struct cli *cli, const struct value *run, bool all)
{
	static const char *const titles[] = {"TASK",  "TYPE", "STATE",  "ATTEMPT",
	                                     "AFTER", "AGE",  "REMARK", NULL};
	const struct value *tasks = value_get(run, "tasks");
	struct table *table = table_new(cli, titles);
	size_t rows = 0;
	for (size_t i = 0; i < value_len(tasks) && (all || rows < ROWS_DRAWN); i++) {
		const struct value *task = value_at(tasks, i);
		if (!all && !is_drawn(task, value_len(tasks)))
			continue;
		const char *began = value_get_str(task, "startedAt");
		table_cell(table, value_get_str(task, "name"));
		table_cell(table, value_get_str(task, "type"));
		table_cell(table, value_get_bool(task, "skipped", false) ? "skipped" :
		           value_get_str(task, "state"));
		table_number(table, value_get_int(task, "attempt", 0));
		table_cell(table, depends(cli, task));
		table_cell(table, began ? human_age(cli, began) : NULL);
		table_cell(table, remark(cli, task));
		rows++;
	}
	table_print(table);
	return rows + 1;
}

int64_t run_progress_ended_count(const struct value *run)
{
	static const char *const states[] = {"succeeded", "failed", "cancelled", "dead"};
	int64_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		count += value_get_int(value_get(run, "counts"), states[i], 0);
	return count;
}

/* "run ID running: 3 of 5 ended, 3 succeeded, 2 running" */
static const char *line_of(struct cli *cli, const struct value *run)
{
	const struct value *counts = value_get(run, "counts");
	const char *name = NULL, *state = value_get_str(run, "state");
	const char *line = arena_printf(cli->arena, "run %s %s: %" PRId64 " of %" PRId64 " ended",
	                                value_get_str(run, "id"), state,
	                                run_progress_ended_count(run),
	                                value_get_int(run, "count", 1));
	for (size_t i = 0; line && i < value_len(counts); i++) {
		int64_t tasks = value_as_int(value_member(counts, i, &name), 0);
		line = arena_printf(cli->arena, "%s, %" PRId64 " %s", line, tasks, name);
	}
	return line ? line : "";
}

static void draw_bar(struct cli *cli, const struct value *run)
{
	int64_t count = value_get_int(run, "count", 1), done = run_progress_ended_count(run);
	for (int i = 0; cli->terminal && i < BAR_WIDTH; i++)
		fputs(i * count < done * BAR_WIDTH ? "█" : "░", stdout);
	printf("%s%s\n", cli->terminal ? "  " : "", line_of(cli, run));
}

int run_progress_show(struct cli *cli, const struct value *run, struct err *err)
{
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, run, err);
	draw_tasks(cli, run, true);
	draw_bar(cli, run);
	return 0;
}

static void draw(struct showing *show)
{
	struct cli *cli = show->cli;
	if (cli->format != FORMAT_TABLE)
		return;
	if (cli->terminal) {
		if (show->lines > 0)
			printf("\033[%zuA\033[J", show->lines);
		show->lines = draw_tasks(cli, show->run, false) + 1;
		draw_bar(cli, show->run);
	} else if (strcmp(line_of(cli, show->run), show->told) != 0) {
		snprintf(show->told, sizeof show->told, "%s", line_of(cli, show->run));
		draw_bar(cli, show->run);
	}
	fflush(stdout);
}

/* Where no terminal is: a task's change of state; of many tasks only that one failed. */
static void tell_task(const struct showing *show, const struct value *before,
                      const struct value *now)
{
	const char *was = value_get_str(before, "state"), *state = value_get_str(now, "state");
	const char *why = remark(show->cli, now);
	bool many = value_get_int(show->run, "count", 0) > ROWS_DRAWN;
	if (show->cli->terminal || show->cli->format != FORMAT_TABLE || !was || !state ||
	    strcmp(was, state) == 0)
		return;
	if (many && strcmp(state, "failed") != 0 && strcmp(state, "dead") != 0)
		return;
	printf("task %s: %s%s%s%s\n", value_get_str(before, "name"), state, why ? " (" : "",
	       why ? why : "", why ? ")" : "");
}

/* --- what is known --- */

static bool has_ended(const struct value *run)
{
	return value_get(run, "endedAt") != NULL;
}

/* The run as it is now, or once it is past that version. */
static int read_now(struct showing *show, int wait_ms, int64_t after, struct err *err)
{
	struct cli *cli = show->cli;
	struct value *run = NULL;
	arena_reset(show->arenas[!show->turn]);
	cli->arena = show->arenas[!show->turn];
	struct call call = {
		.method = "GET",
		.timeout_ms = wait_ms + 10000,
		.path = client_path(cli, "%s?waitMs=%d&afterVersion=%" PRId64, show->path, wait_ms,
	                            after),
	};
	int rc = client_call(cli, &call, &run, err);
	if (rc == 0 && !value_get_str(run, "state"))
		rc = err_set(err, E_INTERNAL, "the server's answer names no state");
	cli->arena = show->arenas[rc == 0 ? !show->turn : show->turn];
	TRY(rc);
	show->turn = !show->turn;
	const struct value *tasks = value_get(run, "tasks");
	const struct value *before = value_get(show->run, "tasks");
	for (size_t i = 0; i < value_len(tasks) && i < value_len(before); i++)
		tell_task(show, value_at(before, i), value_at(tasks, i));
	show->run = run;
	show->heard_ms = clock_mono_ms(clock_system());
	draw(show);
	return 0;
}

static int look(struct showing *show, int wait_ms, int64_t after, struct err *err)
{
	int rc = 0;
	while ((rc = read_now(show, wait_ms, after, err)) < 0)
		TRY(progress_give_up(show->heard_ms, rc));
	return 0;
}

/* The memory of old events goes when it is much. */
static void make_room(struct showing *show)
{
	struct arena *other = show->arenas[!show->turn];
	if (arena_used(show->arenas[show->turn]) < ARENA_MAX / 2)
		return;
	arena_reset(other);
	struct value *run = value_copy(other, show->run);
	if (value_check(run, NULL) < 0)
		return;
	show->run = run;
	show->turn = !show->turn;
	show->cli->arena = other;
}

static struct value *task_of(struct showing *show, const char *id)
{
	const struct value *tasks = value_get(show->run, "tasks");
	for (size_t i = 0; id && i < value_len(tasks); i++) {
		const char *its = value_get_str(value_at(tasks, i), "id");
		if (its && strcmp(its, id) == 0)
			return (struct value *)value_at(tasks, i);
	}
	return NULL;
}

/* What an event says of a task or a run takes the place of what was known. */
static void take_over(struct value *known, const struct value *said, struct arena *arena)
{
	static const char *const names[] = {"state", "attempt", "reason", "progress", "counts",
	                                    "version"};
	char now[TIME_TEXT_MAX];
	const char *state = value_get_str(said, "state");
	bool running = state && strcmp(state, "running") == 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct value *member = value_get(said, names[i]);
		bool stale = strcmp(names[i], "reason") == 0 || strcmp(names[i], "progress") == 0;
		if (member)
			value_set(known, names[i], value_copy(arena, member));
		else if (stale)
			value_remove(known, names[i]);
	}
	if (running && !value_get(known, "startedAt"))
		value_set_str(known, "startedAt",
		              time_print_ms(clock_unix_ms(clock_system()), now));
}

static void on_event(void *context, const struct sse_event *event)
{
	struct showing *show = context;
	struct value *said = NULL;
	show->heard_ms = clock_mono_ms(clock_system());
	make_room(show);
	struct arena *arena = show->arenas[show->turn];
	if (json_parse(arena, event->data, strlen(event->data), &said, NULL) < 0 ||
	    !value_get_str(said, "state"))
		return;
	if (value_get_str(said, "run")) {
		take_over(show->run, said, arena);
	} else {
		struct value *task = task_of(show, value_get_str(said, "task"));
		if (!task)
			return;
		tell_task(show, task, said);
		take_over(task, said, arena);
	}
	draw(show);
}

/* --- following --- */

static int finish(struct cli *cli, const struct value *run, struct err *err)
{
	const char *state = value_get_str(run, "state");
	if (cli->format != FORMAT_TABLE)
		TRY(print_value(cli, run, err));
	if (state && strcmp(state, "succeeded") == 0)
		return 0;
	cli->exit_code = EXIT_TASK_FAILED;
	return err_set(err, E_CONFLICT, "run %s %s; `freehold runs resume %s` starts anew what did "
	               "not succeed", value_get_str(run, "id"), state ? state : "ended",
	               value_get_str(run, "id"));
}

/* By events; by held reads where there are none to be had. */
static int follow(struct showing *show, struct err *err)
{
	char last_id[SSE_ID_MAX + 1] = "";
	bool held = false;
	TRY(look(show, 0, 0, err));
	while (!has_ended(show->run)) {
		const char *events = client_path(show->cli, "%s/events", show->path);
		int rc = held ? 0 : client_stream(show->cli, events, last_id, on_event, show, err);
		held = held || (rc < 0 && progress_is_refused(err));
		if (rc < 0 && !held)
			TRY(progress_give_up(show->heard_ms, rc));
		TRY(look(show, held ? WAIT_MS : 0,
		         held ? value_get_int(show->run, "version", 0) : 0, err));
		if (!held && !has_ended(show->run))
			poll(NULL, 0, PAUSE_MS);
	}
	return finish(show->cli, show->run, err);
}

int run_progress_follow(struct cli *cli, const char *collection, const char *id, struct err *err)
{
	AUTO(arena) *one = NULL;
	AUTO(arena) *two = NULL;
	struct arena *own = cli->arena;
	TRY(arena_new(ARENA_MAX, &one, err));
	TRY(arena_new(ARENA_MAX, &two, err));
	struct showing show = {
		.cli = cli, .path = arena_printf(own, "%s/%s", collection, id),
		.arenas = {one, two}, .heard_ms = clock_mono_ms(clock_system()),
	};
	if (!show.path)
		return err_set(err, E_NOMEM, "no memory for a path");
	int rc = follow(&show, err);
	cli->arena = own;
	return rc;
}
