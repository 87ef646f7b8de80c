/* progress.c - a task as it goes on: a line that grows on a terminal, elsewhere a line a change. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/json.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	WAIT_MS = 20000, BAR_WIDTH = 30, UNREACHABLE_MS = 120000, PAUSE_MS = 250,
	WATCHED_MOST = 200, REDRAW_MS = 1000, WHY_MOST = 70
};

/* What is shown of one task. */
struct show {
	struct cli *cli;
	const char *id;
	char state[32], phase[32];   /* shown last; "": nothing yet */
	int64_t rows, first_rows;
	int64_t attempt;
	int64_t first_ms;            /* when this attempt's first rows were seen; 0: not yet */
	int64_t heard_ms;
};

bool progress_ended(const char *state)
{
	static const char *const ends[] = { "succeeded", "failed", "cancelled", "dead" };
	for (size_t i = 0; state && i < ARRAY_LEN(ends); i++)
		if (strcmp(state, ends[i]) == 0)
			return true;
	return false;
}

/* --- showing --- */

static void print_bar(int64_t percent)
{
	for (int i = 0; i < BAR_WIDTH; i++)
		fputs(percent >= 0 && i * 100 < percent * BAR_WIDTH ? "█" : "░", stdout);
	if (percent >= 0)
		printf(" %3" PRId64 "%%", percent);
	else
		printf("  --%%");
}

/* Rows a second since the attempt's first ones; 0: not known yet. */
static int64_t rate_of(struct show *show, int64_t rows, int64_t attempt)
{
	int64_t now_ms = clock_mono_ms(clock_system());
	if (attempt != show->attempt || rows < show->rows) {
		show->first_ms = 0;
		show->attempt = attempt;
	}
	show->rows = rows;
	if (rows > 0 && show->first_ms == 0) {
		show->first_ms = now_ms;
		show->first_rows = rows;
	}
	int64_t ms = show->first_ms ? now_ms - show->first_ms : 0;
	return ms > 500 ? (rows - show->first_rows) * 1000 / ms : 0;
}

static void draw_figures(struct show *show, const struct value *seen, bool done, bool over)
{
	const struct value *figures = value_get(seen, done ? "usage" : "progress");
	int64_t rows = value_get_int(figures, "rows", 0);
	int64_t bytes = value_get_int(figures, done ? "bytesWritten" : "bytes", 0);
	int64_t attempt = value_get_int(seen, "attempt", 0);
	int64_t rate = over ? 0 : rate_of(show, rows, attempt);
	printf("  %" PRId64 " rows", rows);
	if (bytes > 0)
		printf("  %s", human_bytes(show->cli, bytes));
	if (rate > 0)
		printf("  %" PRId64 "/s", rate);
	if (attempt > 1)
		printf("  attempt %" PRId64, attempt);
}

static void draw(struct show *show, const char *type, const struct value *seen)
{
	const char *state = value_get_str(seen, "state");
	bool done = strcmp(state, "succeeded") == 0, over = progress_ended(state);
	const struct value *progress = value_get(seen, "progress");
	const char *phase = over ? NULL : value_get_str(progress, "phase");
	const char *why = value_get_str(seen, "reason");
	printf("\r\033[K%-11s ", type);
	print_bar(done ? 100 : value_get_int(progress, "percent", -1));
	printf("  %s%s%s", state, phase && *phase ? ", " : "", phase ? phase : "");
	if (why && !progress && !over) {
		printf(": %.*s", WHY_MOST, why);         /* one line has no room for more */
		return;
	}
	draw_figures(show, seen, done, over);
	if (over)
		printf("\n");
}

/* Where no terminal is: whenever the state or the phase changes. */
static void tell(struct show *show, const char *type, const struct value *seen)
{
	const char *state = value_get_str(seen, "state");
	const struct value *progress = value_get(seen, "progress");
	const char *phase = value_get_str(progress, "phase"), *why = value_get_str(seen, "reason");
	bool same_state = strcmp(state, show->state) == 0;
	phase = phase ? phase : "";
	if (same_state && strcmp(phase, show->phase) == 0)
		return;
	printf("%s %s: %s", type, show->id, state);
	if (*phase)
		printf(", %s, %" PRId64 " rows", phase, value_get_int(progress, "rows", 0));
	else if (why && !progress_ended(state))
		printf(" (%s)", why);
	if (*phase && value_get_int(seen, "attempt", 0) > 1)
		printf(", attempt %" PRId64, value_get_int(seen, "attempt", 0));
	printf("\n");
	snprintf(show->phase, sizeof show->phase, "%s", phase);
}

static void show_it(struct show *show, const char *type, const struct value *seen)
{
	const char *state = value_get_str(seen, "state");
	if (progress_ended(show->state))
		return;                  /* its end was shown */
	if (show->cli->format == FORMAT_TABLE && show->cli->terminal)
		draw(show, type, seen);
	else if (show->cli->format == FORMAT_TABLE)
		tell(show, type, seen);
	snprintf(show->state, sizeof show->state, "%s", state);
	fflush(stdout);
}

/* --- its end --- */

static int64_t rejected_rows(const struct value *task)
{
	const struct value *outputs = value_get(task, "outputs");
	int64_t rows = 0;
	for (size_t i = 0; i < value_len(outputs); i++)
		rows += value_get_int(value_at(outputs, i), "rejectedRows", 0);
	return rows;
}

/* Of a sweep; false: it is none. */
static bool sum_up_sweep(struct cli *cli, const struct value *task)
{
	const struct value *told = value_at(value_get(task, "outputs"), 0);
	if (!value_get(told, "objectsSeen"))
		return false;
	printf("  objects looked at: %" PRId64 ", deleted: %" PRId64 ", %s freed\n",
	       value_get_int(told, "objectsSeen", 0), value_get_int(told, "objectsDeleted", 0),
	       human_bytes(cli, value_get_int(told, "bytesDeleted", 0)));
	return true;
}

static void sum_up(struct cli *cli, const struct value *task)
{
	const struct value *usage = value_get(task, "usage");
	int64_t rejected = rejected_rows(task);
	if (sum_up_sweep(cli, task))
		return;
	printf("  %" PRId64 " rows, %s read, %s written, %.2f cpu s, peak %s, attempt %" PRId64,
	       value_get_int(usage, "rows", 0),
	       human_bytes(cli, value_get_int(usage, "bytesRead", 0)),
	       human_bytes(cli, value_get_int(usage, "bytesWritten", 0)),
	       (double)value_get_int(usage, "cpuMs", 0) / 1000,
	       human_bytes(cli, value_get_int(usage, "memoryPeakBytes", 0)),
	       value_get_int(task, "attempt", 1));
	if (rejected > 0)
		printf(", %" PRId64 " bad row%s kept aside", rejected, rejected == 1 ? "" : "s");
	printf("\n");
}

static int finish(struct cli *cli, const struct value *task, struct err *err)
{
	const char *state = value_get_str(task, "state");
	const struct value *error = value_get(task, "error");
	const char *code = value_get_str(error, "code"), *text = value_get_str(error, "text");
	bool succeeded = strcmp(state, "succeeded") == 0;
	if (cli->format != FORMAT_TABLE)
		TRY(print_value(cli, task, err));
	else if (succeeded)
		sum_up(cli, task);
	if (succeeded)
		return 0;
	cli->exit_code = EXIT_TASK_FAILED;
	return err_set(err, E_CONFLICT, "task %s %s: %s%s%s", value_get_str(task, "id"), state,
	               code ? code : "", code ? ": " : "", text ? text : "no reason given");
}

/* --- following --- */

static int get(struct show *show, const char *collection, int wait_ms, int64_t after,
               struct value **ret_task, struct err *err)
{
	struct call call = {
		.method = "GET",
		.timeout_ms = wait_ms + 10000,
		.path = client_path(show->cli, "%s/%s?waitMs=%d&afterVersion=%" PRId64, collection,
	                            show->id, wait_ms, after),
	};
	struct value *task = NULL;
	TRY(client_call(show->cli, &call, &task, err));
	if (!value_get_str(task, "state"))
		return err_set(err, E_INTERNAL, "the server's answer names no state");
	*ret_task = task;
	show->heard_ms = clock_mono_ms(clock_system());
	return 0;
}

int progress_give_up(int64_t heard_ms, int code)
{
	bool cut = code == E_UNKNOWN_OUTCOME || err_retryable(code);
	if (!cut || clock_mono_ms(clock_system()) - heard_ms > UNREACHABLE_MS)
		return code;
	poll(NULL, 0, PAUSE_MS);
	return 0;
}

static int get_at_last(struct show *show, const char *collection, int wait_ms, int64_t after,
                       struct value **ret_task, struct err *err)
{
	int rc = 0;
	while ((rc = get(show, collection, wait_ms, after, ret_task, err)) < 0)
		TRY(progress_give_up(show->heard_ms, rc));
	return 0;
}

/* By held reads. */
static int follow_held(struct show *show, const char *collection, struct value **ret_task,
                       struct err *err)
{
	int64_t version = 0;
	do {
		TRY(get_at_last(show, collection, WAIT_MS, version, ret_task, err));
		version = value_get_int(*ret_task, "version", 0);
		show_it(show, value_get_str(*ret_task, "type"), *ret_task);
	} while (!progress_ended(value_get_str(*ret_task, "state")));
	return 0;
}

bool progress_is_refused(const struct err *err)
{
	return err->code == E_BUSY || err->code == E_NOT_FOUND || err->code == E_METHOD;
}

struct heard { struct show *show; const char *type; struct arena *arena; };

static void on_event(void *context, const struct sse_event *event)
{
	struct heard *heard = context;
	struct value *data = NULL;
	arena_reset(heard->arena);
	heard->show->heard_ms = clock_mono_ms(clock_system());
	if (json_parse(heard->arena, event->data, strlen(event->data), &data, NULL) == 0 &&
	    value_get_str(data, "state"))
		show_it(heard->show, heard->type, data);
}

/* By events. E_BUSY, or that there is no such route: it is not to be had that way. */
static int follow_events(struct show *show, const char *collection, const char *type,
                         struct err *err)
{
	AUTO(arena) *arena = NULL;
	char last_id[SSE_ID_MAX + 1] = "";
	TRY(arena_new(4 * MIB, &arena, err));
	struct heard heard = { show, type, arena };
	const char *path = client_path(show->cli, "%s/%s/events", collection, show->id);
	while (!progress_ended(show->state)) {
		int rc = client_stream(show->cli, path, last_id, on_event, &heard, err);
		if (rc < 0 && progress_is_refused(err))
			return rc;
		if (rc < 0 && !progress_ended(show->state))
			TRY(progress_give_up(show->heard_ms, rc));
		else if (rc == 0 && !progress_ended(show->state))
			poll(NULL, 0, PAUSE_MS);
	}
	return 0;
}

int progress_follow(struct cli *cli, const char *collection, const char *id, struct err *err)
{
	struct show show = { .cli = cli, .id = id, .heard_ms = clock_mono_ms(clock_system()) };
	struct value *task = NULL;
	TRY(get_at_last(&show, collection, 0, 0, &task, err));
	const char *type = value_get_str(task, "type");
	if (progress_ended(value_get_str(task, "state")))
		show_it(&show, type, task);
	int rc = follow_events(&show, collection, type ? type : "task", err);
	if (rc < 0 && !progress_is_refused(err))
		return rc;
	TRY(follow_held(&show, collection, &task, err));
	return finish(cli, task, err);
}

/* --- all that have not ended --- */

/* "reading 40 %" or why it waits. */
static const char *doing(struct cli *cli, const struct value *task)
{
	const struct value *progress = value_get(task, "progress");
	const char *phase = value_get_str(progress, "phase");
	int64_t percent = value_get_int(progress, "percent", -1);
	if (!progress)
		return value_get_str(task, "reason");
	return percent >= 0 ? arena_printf(cli->arena, "%s %" PRId64 " %%", phase ? phase : "",
	                                   percent)
	                    : phase;
}

static void draw_all(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = { "ID", "TYPE", "STATE", "ATTEMPT", "ROWS", "BYTES",
		                              "AGE", "DOING", NULL };
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *task = value_at(items, i);
		const struct value *progress = value_get(task, "progress");
		table_cell(table, value_get_str(task, "id"));
		table_cell(table, value_get_str(task, "type"));
		table_cell(table, value_get_str(task, "state"));
		table_number(table, value_get_int(task, "attempt", 0));
		table_number(table, value_get_int(progress, "rows", 0));
		table_cell(table, human_bytes(cli, value_get_int(progress, "bytes", 0)));
		table_cell(table, human_age(cli, value_get_str(task, "acceptedAt")));
		table_cell(table, doing(cli, task));
	}
	if (cli->terminal)
		printf("\033[H\033[J");
	table_print(table);
	if (!cli->terminal)
		printf("\n");
	fflush(stdout);
}

/* The same tasks in the same states, as far as a list without a terminal tells. */
static bool is_same(const struct value *before, const struct value *now)
{
	bool same = value_len(before) == value_len(now);
	for (size_t i = 0; same && i < value_len(now); i++) {
		const char *id = value_get_str(value_at(now, i), "id");
		const char *was = value_get_str(value_at(before, i), "id");
		const char *state = value_get_str(value_at(now, i), "state");
		const char *stood = value_get_str(value_at(before, i), "state");
		same = id && was && state && stood && strcmp(id, was) == 0 &&
			strcmp(state, stood) == 0;
	}
	return same;
}

/* Two arenas by turns: what was shown last is compared with what is now. */
static int follow_in(struct cli *cli, const char *path, struct arena *arenas[2], struct err *err)
{
	struct value *shown = NULL, *items = NULL;
	for (int turn = 0;; turn = !turn) {
		arena_reset(arenas[turn]);
		cli->arena = arenas[turn];
		TRY(client_list(cli, path, WATCHED_MOST, &items, err));
		if (cli->terminal || !shown || !is_same(shown, items))
			draw_all(cli, items);
		if (value_len(items) == 0)
			return 0;
		shown = items;
		poll(NULL, 0, REDRAW_MS);
	}
}

int progress_follow_all(struct cli *cli, const char *path, struct err *err)
{
	struct arena *own = cli->arena;
	AUTO(arena) *one = NULL;
	AUTO(arena) *two = NULL;
	TRY(arena_new(64 * MIB, &one, err));
	TRY(arena_new(64 * MIB, &two, err));
	struct arena *arenas[2] = { one, two };
	int rc = follow_in(cli, path, arenas, err);
	cli->arena = own;
	return rc;
}
