/* cli.h - what every verb of `freehold` works with: options, the logged-in profile, calls, output.
 */
#ifndef CLI_H
#define CLI_H

#include "api/sse.h"
#include "common/buf.h"
#include "common/fetch.h"
#include "common/value.h"

/* Exit codes, for scripts; `freehold help` lists them. */
enum exit_code {
	EXIT_OK = 0, EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3, EXIT_DENIED = 4, EXIT_CONFLICT = 5,
	EXIT_QUOTA = 6, EXIT_UNAVAILABLE = 7,
	EXIT_TASK_FAILED = 10
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_YAML };

enum { OPTIONS_MAX = 32, WORDS_MAX = 16 };

/* One option of a verb: --name ARG, or a switch where arg is NULL. */
struct option_row {
	const char *name;
	const char *arg;
	const char *doc;
};

struct cli;
struct verb {
	const char *name;
	const char *words; /* usage of what is no option: "KIND [NAME]" */
	int words_min, words_max;
	const char *summary;
	const char *example;
	const struct option_row *options; /* ends with a NULL name; NULL: none of its own */
	bool offline;                     /* needs no profile */
	int (*run)(struct cli *cli, struct err *err);
};
extern const struct verb *const verbs[]; /* from verbs.def; ends with NULL */
extern const struct option_row common_options[];

struct cli {
	struct arena *arena;
	const struct verb *verb;
	const char *words[WORDS_MAX];
	int word_count;
	struct {
		const char *name;
		const char *value;
	} options[OPTIONS_MAX];
	int option_count;
	enum format format;
	bool terminal;               /* standard output is one */
	struct fetch *fetch;         /* NULL for offline verbs */
	const char *profile;         /* its name */
	const char *url;             /* of the control plane, no slash at the end */
	const char *authorization;   /* header line; never printed */
	const char *tenant, *domain; /* default ones; NULL: none */
	const char *ca_file;         /* NULL: the system's */
	int exit_code;               /* a verb may set another than its error says */
};

/* Parses argv; EXIT_USAGE errors name the option and the nearest known one. */
MUST_USE int cli_parse(struct cli *cli, int argc, char **argv, struct err *err);
const char *cli_option(const struct cli *cli, const char *name); /* NULL: not given; "" switch */
bool cli_switch(const struct cli *cli, const char *name);
const char *cli_word(const struct cli *cli, int i); /* NULL: not given */
/* --tenant, else the profile's; E_INVALID says how to give one. Likewise the domain. */
MUST_USE int cli_tenant(const struct cli *cli, const char **ret_tenant, struct err *err);
MUST_USE int cli_domain(const struct cli *cli, const char **ret_domain, struct err *err);
/* The first word is one of actions (NULL-terminated), and the second names on what, if it is to. */
MUST_USE int cli_action(const struct cli *cli, const char *const *actions, const char *what,
                        struct err *err);
/* A time that an option gives: RFC 3339, a day (its beginning, UTC), or "2h": that long ago. */
MUST_USE int cli_time(const struct cli *cli, const char *name, const char **ret_time,
                      struct err *err);
int cli_exit_code(const struct err *err);
void cli_help(const struct verb *verb); /* NULL: the overview */

/* --- profiles: a YAML file, 0600: FREEHOLD_CONFIG or ~/.config/freehold/config.yaml --- */
MUST_USE int profile_load(struct cli *cli, struct err *err);
MUST_USE int profile_save(struct cli *cli, const char *name, const struct value *profile,
                          struct err *err);

/* --- calls --- */
struct call {
	const char *method;
	const char *path;         /* with the query, already encoded */
	const struct value *body; /* NULL: none */
	const char *header;       /* one more; NULL: none */
	const char *purpose;      /* what it reads for; NULL: not said */
	int timeout_ms;           /* 0: 30000 */
};
/* The answer as a value; a problem document becomes the error. ret_value may be NULL. */
MUST_USE int client_call(struct cli *cli, const struct call *call, struct value **ret_value,
                         struct err *err);
const char *client_path(struct cli *cli, const char *fmt, ...) PRINTF(2, 3);
/* Server-sent events of a route, after last_id ("": from where it stands), until either side ends;
 * last_id then names the last one. E_UNKNOWN_OUTCOME: cut off in the middle. */
MUST_USE int client_stream(struct cli *cli, const char *path, char last_id[SSE_ID_MAX + 1],
                           sse_event_fn *event, void *context, struct err *err);
/* The bytes of a route that answers with a long body, as they come; its end may be a cut. */
MUST_USE int client_download(struct cli *cli, const char *path, fetch_data_fn *data, void *context,
                             struct err *err);
/* The same for any call. E_UNKNOWN_OUTCOME: cut off. */
MUST_USE int client_pour(struct cli *cli, const struct call *call, fetch_data_fn *data,
                         void *context, struct err *err);
/* All pages of a list route into one list value; path as client_path made it. */
MUST_USE int client_list(struct cli *cli, const char *path, size_t most, struct value **ret_list,
                         struct err *err);

MUST_USE int datakeys_status(struct cli *cli, struct err *err); /* freehold keys status */
/* --- following --- */
/* Shows a task below collection to its end, by its events or, where there are none to be had, by
 * held reads; a server that is away for a while is waited for. EXIT_TASK_FAILED unless it
 * succeeded. */
MUST_USE int progress_follow(struct cli *cli, const char *collection, const char *id,
                             struct err *err);
/* Shows a list of tasks again and again until it is empty. */
MUST_USE int progress_follow_all(struct cli *cli, const char *path, struct err *err);
bool progress_ended(const char *state);
/* After a failed try: 0, after a short pause, if another is worth it; otherwise the code. */
MUST_USE int progress_give_up(int64_t heard_ms, int code);
/* Whether events are refused, so that held reads may still tell. */
bool progress_is_refused(const struct err *err);
/* The same as progress_follow for a run; how it stands; how many of its tasks have ended. */
MUST_USE int run_progress_follow(struct cli *cli, const char *collection, const char *id,
                                 struct err *err);
MUST_USE int run_progress_show(struct cli *cli, const struct value *run, struct err *err);
int64_t run_progress_ended_count(const struct value *run);

/* What /explain answers, or a dry run: a sentence and a table. */
void explain_print(struct cli *cli, const struct value *explained);

/* --- output --- */
struct table;
struct table *table_new(struct cli *cli, const char *const *titles); /* NULL-terminated */
void table_cell(struct table *table, const char *text);              /* row by row; NULL: "-" */
void table_cellf(struct table *table, const char *fmt, ...) PRINTF(2, 3);
void table_number(struct table *table, int64_t number); /* right-aligned, 1,234 */
void table_print(struct table *table);
MUST_USE int print_value(struct cli *cli, const struct value *value, struct err *err); /* as -o */
const char *human_bytes(struct cli *cli, int64_t bytes);
const char *human_micros(struct cli *cli, int64_t micros); /* 1.234567 */
const char *human_age(struct cli *cli, const char *rfc3339);

#endif
