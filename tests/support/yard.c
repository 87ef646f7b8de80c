/* yard.c - see yard.h. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include "common/fetch.h"
#include "common/json.h"
#include "tests/support/alloc.h"
#include "worker/online.h"
#include "worker/pool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STEP_MS = 5,
	STEP_REAL_US = 1000,
	TASK_MS = 600000,
	SLOTS = 2,
	WALK_FDS = 16,
	AGAIN_MOST = 600,
	PAUSE_MS = 100,
	PAUSES = 600,
	PAUSE_REAL_US = 100000
};

static void make_folder(const struct yard *yard, const char *name, char *out, size_t size)
{
	REQUIRE(snprintf(out, size, "%s/%s", yard->dir, name) < (int)size);
	mkdir(out, 0700);
}

/* --- the worker, built as worker/main.c builds it --- */

static void open_stores(struct yard *yard)
{
	struct err err = {0};
	char path[128];
	make_folder(yard, "objects", path, sizeof path);
	cr_assert_eq(object_store_dir(path, &yard->runner.objects, &err), 0, "%s", err.text);
	make_folder(yard, "online", path, sizeof path);
	cr_assert_eq(online_new(path, 64 * MIB, &yard->runner.online, &err), 0, "%s", err.text);
	REQUIRE(snprintf(path, sizeof path, "%s/online/.meter", yard->dir) < (int)sizeof path);
	cr_assert_eq(meter_new(path, &yard->meter, &err), 0, "%s", err.text);
}

static void open_link(struct yard *yard)
{
	struct err err = {0};
	struct grant_opener *opener = &yard->runner.opener;
	const struct peer_conf conf = {
		.link = {.urls = yard->urls, .reconnect_min_ms = 1, .reconnect_max_ms = 5},
		.worker = yard->name,
		.incarnation = ++yard->incarnation,
	};
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &yard->box_secret, &err), 0, "%s", err.text);
	box_keypair(opener->box_public, secret_data(yard->box_secret));
	opener->box_secret = yard->box_secret;
	opener->worker = yard->name;
	memcpy(opener->control_key, yard->stage->plane->control->signer_public, SIGN_PUBLIC_BYTES);
	memcpy(yard->url, yard->stage->poll_url, sizeof yard->url);
	yard->urls[0] = yard->url;
	cr_assert_eq(peer_new(&conf, &yard->peer, &err), 0, "%s", err.text);
}

static void open_door(struct yard *yard)
{
	struct err err = {0};
	struct clock *clock = yard->stage->clock;
	const struct access_cache_conf cache = {
		.clock = clock,
		.online = yard->runner.online,
		.meter = yard->meter,
		.ask = access_link_ask,
		.context = &yard->access,
	};
	yard->access = (struct access_link){clock, yard->peer, &yard->runner.opener};
	cr_assert_eq(access_cache_new(&cache, &yard->cache, &err), 0, "%s", err.text);
	struct queries_conf queries = {
		.runner = &yard->runner,
		.meter = yard->meter,
		.ask = access_link_query,
		.context = &yard->access,
		.most = 4,
		.tenant_most = 2,
		.bytes_max = 64 * MIB,
	};
	limits_default(&queries.limits);
	cr_assert_eq(queries_new(&queries, &yard->queries, &err), 0, "%s", err.text);
	const struct serve_conf serve = {
		.http = {.listen = "127.0.0.1:0", .poll_threads = 1, .threads = 4},
		.clock = clock,
		.cache = yard->cache,
		.online = yard->runner.online,
		.meter = yard->meter,
		.queries = yard->queries,
	};
	cr_assert_eq(serve_new(&serve, &yard->serve, &err), 0, "%s", err.text);
	snprintf(yard->serve_url, sizeof yard->serve_url, "http://127.0.0.1:%d",
	         serve_port(yard->serve));
}

static void drop_access(void *context, const char *tenant)
{
	struct yard *yard = context;
	access_cache_drop(yard->cache, tenant);
	queries_drop(yard->queries, tenant);
}

static int erase_online(void *context, const char *tenant, int64_t *ret_rows, struct err *err)
{
	struct yard *yard = context;
	return online_erase(yard->runner.online, tenant, ret_rows, err);
}

/* An attempt is over as quickly as the machine likes; a test that has to see it run withholds it.
 */
static int run_and_hold(struct runner *runner, struct attempt *attempt, struct arena *arena,
                        const uint8_t *grant, size_t len, struct report *ret_report,
                        struct err *err)
{
	struct yard *yard =
		(struct yard *)(void *)((char *)runner - offsetof(struct yard, runner));
	int rc = run_grant(runner, attempt, arena, grant, len, ret_report, err);
	struct err over = {0};
	while (yard->withhold && attempt_goes_on(attempt, &over) == 0)
		usleep(STEP_REAL_US);
	return rc;
}

static void start_agent(struct yard *yard)
{
	struct err err = {0};
	const struct agent_conf conf = {
		.clock = yard->stage->clock,
		.peer = yard->peer,
		.run = run_and_hold,
		.runner = &yard->runner,
		.meter = yard->meter,
		.drop = drop_access,
		.erase = erase_online,
		.drop_context = yard,
		.box_public = yard->runner.opener.box_public,
		.serve_url = yard->serve_url,
		.slots = SLOTS,
		.memory_bytes = 8 * KIB * MIB,
		.cpu_millis = SLOTS * 4000,      /* whatever the machine: a slot is what is short */
	};
	cr_assert_eq(agent_new(&conf, &yard->agent, &err), 0, "%s", err.text);
	serve_set_agent(yard->serve, yard->agent);
}

static void start_worker(struct yard *yard)
{
	struct err err = {0};
	const struct pool_conf pool = {.program = yard->program, .clock = yard->stage->clock};
	yard->runner.clock = yard->stage->clock;
	yard->runner.files_root = yard->files;
	cr_assert_eq(pool_new(&pool, &yard->runner.pool, &err), 0, "%s", err.text);
	open_stores(yard);
	open_link(yard);
	open_door(yard);
	start_agent(yard);
}

void yard_end_worker(struct yard *yard)
{
	if (!yard->agent)
		return;
	serve_set_agent(yard->serve, NULL);
	agent_free(MOVE(yard->agent));
	queries_end(yard->queries);
	serve_free(yard->serve);
	queries_free(yard->queries);
	access_cache_free(yard->cache);
	peer_free(yard->peer);
	meter_free(yard->meter);
	online_free(yard->runner.online);
	object_store_free(yard->runner.objects);
	pool_free(yard->runner.pool);
	secret_free(yard->box_secret);
}

/* --- the yard --- */

struct yard *yard_open(void)
{
	struct err err = {0};
	struct yard *yard = calloc(1, sizeof *yard);
	const char *build = getenv("FREEHOLD_BUILD");
	cr_assert_not_null(yard);
	cr_assert_not_null(build, "FREEHOLD_BUILD names the folder with freehold-worker");
	snprintf(yard->program, sizeof yard->program, "%s/freehold-worker", build);
	snprintf(yard->dir, sizeof yard->dir, "/tmp/yard-XXXXXX");
	cr_assert_not_null(mkdtemp(yard->dir));
	make_folder(yard, "files", yard->files, sizeof yard->files);
	cr_assert_eq(fetch_new(&(struct fetch_conf){0}, &yard->fetch, &err), 0, "%s", err.text);
	yard->stage = stage_open();
	yard->stage->step_ms = STEP_MS;
	yard->stage->step_real_us = STEP_REAL_US;
	yard->name = "w-1";
	start_worker(yard);
	return yard;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
	(void)stat, (void)kind, (void)ftw;
	return remove(path);
}

void yard_close(struct yard *yard)
{
	yard_end_worker(yard);
	stage_close(yard->stage);
	fetch_free(yard->fetch);
	nftw(yard->dir, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS);
	free(yard);
}

void yard_kill(struct yard *yard)
{
	yard_end_worker(yard);
	start_worker(yard);
}

void yard_file(struct yard *yard, const char *tenant, const char *name, const char *text)
{
	char path[256];
	REQUIRE(snprintf(path, sizeof path, "%s/%s", yard->files, tenant) < (int)sizeof path);
	mkdir(path, 0700);
	REQUIRE(snprintf(path, sizeof path, "%s/%s/%s", yard->files, tenant, name) <
	        (int)sizeof path);
	FILE *file = fopen(path, "w");
	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

/* --- tasks --- */

static const char *tasks_path(struct yard *yard, const struct company *company, const char *id)
{
	return arena_printf(yard->stage->plane->arena, "/v1/tenants/%s/domains/%s/tasks%s%s",
	                    company->tenant, company->domain, id ? "/" : "", id ? id : "");
}

static bool leads(void *context)
{
	return stage_leads(context);
}

static bool never(void *context)
{
	(void)context;
	return false;
}

void yard_pause(struct yard *yard)
{
	/* By turns: who tries again later needs the clock, who reads needs the machine. */
	for (int i = 0; i < PAUSES && !stage_pass(yard->stage, leads, yard->stage, PAUSE_MS); i++)
		usleep(PAUSE_REAL_US);
	(void)stage_pass(yard->stage, never, NULL, PAUSE_MS);
}

struct answer yard_ask(struct yard *yard, const struct asked *asked)
{
	struct answer answer = plane_ask(yard->stage->plane, asked);
	for (int i = 0; i < AGAIN_MOST && answer.status == 503; i++) {
		yard_pause(yard);
		answer = plane_ask(yard->stage->plane, asked);
	}
	return answer;
}

struct held {
	struct plane *plane;
	const struct asked *asked;
	struct answer answer;
	_Atomic bool done;
};

static void *ask_held(void *context)
{
	struct held *held = context;
	held->answer = plane_ask(held->plane, held->asked);
	atomic_store(&held->done, true);
	return NULL;
}

static bool is_answered(void *context)
{
	struct held *held = context;
	return atomic_load(&held->done);
}

struct answer yard_ask_held_once(struct yard *yard, const struct asked *asked)
{
	struct held held = {.plane = yard->stage->plane, .asked = asked};
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, ask_held, &held), 0);
	cr_assert(stage_await(yard->stage, is_answered, &held, TASK_MS), "%s", asked->path);
	pthread_join(thread, NULL);
	return held.answer;
}

struct answer yard_ask_held(struct yard *yard, const struct asked *asked)
{
	struct answer answer = yard_ask_held_once(yard, asked);
	for (int i = 0; i < AGAIN_MOST && answer.status == 503; i++) {
		yard_pause(yard);
		answer = yard_ask_held_once(yard, asked);
	}
	return answer;
}

const char *yard_submit(struct yard *yard, const struct company *company, const char *type,
                        const char *spec)
{
	struct plane *plane = yard->stage->plane;
	char key[32];
	const struct header headers[] = {{"Idempotency-Key", key}, {NULL, NULL}};
	char *body = arena_printf(plane->arena, "{'type':'%s','spec':%s}", type, spec);
	const struct asked asked = {
		.method = "POST",
		.path = tasks_path(yard, company, NULL),
		.key = company->key,
		.body = body,
		.headers = headers,
	};
	snprintf(key, sizeof key, "submission-%d", yard->submissions++);
	for (char *at = body; *at; at++)
		if (*at == '\'')
			*at = '"';
	struct answer answer = yard_ask(yard, &asked);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return value_get_str(answer.body, "id");
}

const struct value *yard_task(struct yard *yard, const struct company *company, const char *id)
{
	const struct asked asked = {"GET", tasks_path(yard, company, id), .key = company->key};
	/* Looking is an event, which may not be written down at the first try. */
	struct answer answer = yard_ask(yard, &asked);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return answer.body;
}

struct awaited {
	struct yard *yard;
	const struct company *company;
	const char *id, *state;
};

/* In an arena of its own: it is asked often. */
static bool has_come(void *context)
{
	const struct awaited *awaited = context;
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct value *task = shard_task(awaited->yard->stage->plane->part->shard, arena,
	                                awaited->company->tenant, NULL, awaited->id);
	const char *state = value_get_str(task, "state");
	bool ended = value_get(task, "endedAt") && stage_leads(awaited->yard->stage);
	return state && (awaited->state ? strcmp(state, awaited->state) == 0 : ended);
}

const struct value *yard_await(struct yard *yard, const struct company *company, const char *id,
                               const char *state)
{
	struct awaited awaited = {yard, company, id, state};
	bool came = stage_await(yard->stage, has_come, &awaited, TASK_MS);
	const struct value *task = yard_task(yard, company, id);
	cr_assert(came, "task %s is %s: %s", id, value_get_str(task, "state"),
	          value_get_str(task, "reason"));
	return task;
}

struct taken {
	struct yard *yard;
	int count;
};

static bool are_taken(void *context)
{
	const struct taken *taken = context;
	struct agent_status status;
	agent_status(taken->yard->agent, &status);
	return status.running == taken->count;
}

void yard_await_taken(struct yard *yard, int count)
{
	struct taken taken = {yard, count};
	cr_assert(stage_await(yard->stage, are_taken, &taken, TASK_MS), "%d tasks are not taken",
	          count);
}

/* --- reads --- */

static struct answer post(struct yard *yard, const char *path, const char *key, const char *header,
                          const char *body)
{
	struct arena *arena = yard->stage->plane->arena;
	struct answer answer = {0};
	struct err err = {0};
	struct buf out;
	struct value *read = NULL;
	const char *headers[] = {"Content-Type: application/json",
	                         arena_printf(arena, "Authorization: Bearer %s", key), header,
	                         NULL};
	char *text = arena_strdup(arena, body);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	const struct fetch_call call = {
		.url = arena_printf(arena, "%s%s", yard->serve_url, path),
		.headers = headers,
		.body = text,
		.body_len = strlen(text),
		.timeout_ms = 120000,
	};
	buf_init(&out, 16 * MIB);
	alloc_spare();
	int rc = fetch_call(yard->fetch, &call, &answer.status, &out, NULL, &err);
	alloc_unspare();
	cr_assert(rc == 0 || rc == E_UNKNOWN_OUTCOME, "%s", err.text);
	answer.text = arena_strndup(arena, out.len ? (const char *)out.data : "", out.len);
	if (json_parse(arena, answer.text, out.len, &read, NULL) == 0)
		answer.body = read;
	answer.code = value_get_str(read, "code");
	answer.detail = value_get_str(read, "detail") ? value_get_str(read, "detail") : "";
	buf_release(&out);
	return answer;
}

/* Control did not answer its worker in time, or the access was decided anew meanwhile. */
static bool is_to_be_asked_again(const struct answer *answer)
{
	return answer->status == 503 || answer->status == 504 ||
	       (answer->status == 409 && strstr(answer->detail, "was revoked while it ran"));
}

static struct answer post_again(struct yard *yard, const char *path, const char *key,
                                const char *header, const char *body)
{
	struct answer answer = post(yard, path, key, header, body);
	for (int i = 0; i < AGAIN_MOST && is_to_be_asked_again(&answer); i++) {
		yard_pause(yard);
		answer = post(yard, path, key, header, body);
	}
	return answer;
}

struct answer yard_read_once(struct yard *yard, const char *key, const char *body)
{
	return post(yard, "/get-online-features", key, NULL, body);
}

struct answer yard_read(struct yard *yard, const char *key, const char *body)
{
	return post_again(yard, "/get-online-features", key, NULL, body);
}

struct answer yard_query(struct yard *yard, const char *key, const char *purpose, const char *body)
{
	const char *header = purpose ? arena_printf(yard->stage->plane->arena,
	                                            "Freehold-Purpose: %s", purpose)
	                             : NULL;
	return post_again(yard, "/query", key, header, body);
}

static bool file_holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	cr_assert(fd >= 0 && fstat(fd, &stat) == 0, "cannot read %s", path);
	char *bytes = malloc((size_t)stat.st_size + 1);
	cr_assert_not_null(bytes);
	ssize_t len = read(fd, bytes, (size_t)stat.st_size);
	bool holds = len > 0 && memmem(bytes, (size_t)len, text, strlen(text));
	free(bytes);
	close(fd);
	return holds;
}

static bool folder_holds(const char *path, const char *text)
{
	char command[256];
	char line[512];
	bool holds = false;
	snprintf(command, sizeof command, "find %s -type f", path);
	FILE *files = popen(command, "r");
	cr_assert_not_null(files);
	while (!holds && fgets(line, sizeof line, files)) {
		line[strcspn(line, "\n")] = 0;
		holds = file_holds(line, text);
	}
	pclose(files);
	return holds;
}

bool yard_stores(const struct yard *yard, const char *text)
{
	char path[128];
	bool holds = false;
	static const char *const folders[] = {"objects", "online"};
	for (size_t i = 0; !holds && i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof path, "%s/%s", yard->dir, folders[i]);
		holds = folder_holds(path, text);
	}
	return holds;
}
