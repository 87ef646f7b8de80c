/* query.c - see query.h.
 * Invariants: an executor is given nothing before control has granted it; a query that runs is in
 * the table, and its tenant is known there from its grant on; keys are wiped and descriptors closed
 * on every way out; what it took is counted however it ended. */
#include "common/defs.h"
#include "worker/query.h"

#include "worker/channel.h"
#include "worker/meter.h"
#include "worker/run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIPE_BYTES = 1024 * 1024, DIGEST_TEXT = 65 };

/* One that runs; on its thread's stack. */
struct flight {
	struct flight *next;
	char tenant[64];             /* "": not known yet */
	bool revoked;                /* it was ended for that */
	struct attempt attempt;
};

struct queries {
	struct queries_conf conf;
	pthread_mutex_t mutex;       /* guards all below */
	struct flight *flights;
	int running;
	bool ending;
	int64_t revocations, started, failed, bytes;
};

int queries_new(const struct queries_conf *conf, struct queries **ret_queries, struct err *err)
{
	struct queries *queries = calloc(1, sizeof *queries);
	if (!queries)
		return err_set(err, E_NOMEM, "no memory for queries");
	queries->conf = *conf;
	if (queries->conf.tenant_most == 0)
		queries->conf.tenant_most = conf->most > 1 ? conf->most / 2 : 1;
	pthread_mutex_init(&queries->mutex, NULL);
	*ret_queries = queries;
	return 0;
}

void queries_free(struct queries *queries)
{
	if (!queries)
		return;
	REQUIRE(!queries->flights);
	pthread_mutex_destroy(&queries->mutex);
	free(queries);
}

void queries_drop(struct queries *queries, const char *tenant)
{
	pthread_mutex_lock(&queries->mutex);
	queries->revocations++;
	for (struct flight *flight = queries->flights; flight; flight = flight->next)
		if (strcmp(flight->tenant, tenant) == 0) {
			flight->revoked = true;
			attempt_cancel(&flight->attempt);
		}
	pthread_mutex_unlock(&queries->mutex);
}

void queries_end(struct queries *queries)
{
	pthread_mutex_lock(&queries->mutex);
	queries->ending = true;
	for (struct flight *flight = queries->flights; flight; flight = flight->next)
		attempt_cancel(&flight->attempt);
	pthread_mutex_unlock(&queries->mutex);
}

void queries_status(struct queries *queries, struct queries_status *ret_status)
{
	pthread_mutex_lock(&queries->mutex);
	*ret_status = (struct queries_status){
		.running = queries->running, .most = queries->conf.most,
		.started = queries->started, .failed = queries->failed, .bytes = queries->bytes,
	};
	pthread_mutex_unlock(&queries->mutex);
}

/* ---- places ---- */

static int take_off(struct queries *queries, struct flight *flight, struct err *err)
{
	pthread_mutex_lock(&queries->mutex);
	bool full = queries->running >= queries->conf.most, ending = queries->ending;
	if (!full && !ending) {
		flight->next = queries->flights;
		queries->flights = flight;
		queries->running++;
		queries->started++;
	}
	pthread_mutex_unlock(&queries->mutex);
	if (ending)
		return err_set(err, E_UNAVAILABLE, "this worker ends; ask another");
	if (full && queries->conf.most == 0)
		return err_set(err, E_UNAVAILABLE, "this worker answers no queries (--queries 0); "
		               "ask another");
	return full ? err_set(err, E_BUSY, "%d queries run on this worker, which is the most "
	                      "(--queries); try again", queries->conf.most)
	            : 0;
}

static void land(struct queries *queries, struct flight *flight, bool failed)
{
	pthread_mutex_lock(&queries->mutex);
	struct flight **at = &queries->flights;
	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	queries->running--;
	queries->failed += failed;
	pthread_mutex_unlock(&queries->mutex);
}

/* From here on queries_drop finds it. */
static int name_tenant(struct queries *queries, struct flight *flight, const char *tenant,
                       int64_t revocations, struct err *err)
{
	int own = 0;
	pthread_mutex_lock(&queries->mutex);
	bool stale = queries->revocations != revocations;
	for (const struct flight *other = queries->flights; other; other = other->next)
		own += strcmp(other->tenant, tenant) == 0;
	bool full = own >= queries->conf.tenant_most;
	if (!full && !stale)
		memcpy(flight->tenant, tenant, strlen(tenant) + 1);
	pthread_mutex_unlock(&queries->mutex);
	if (full)
		return err_set(err, E_BUSY, "%d queries of the tenant run on this worker, which is "
		               "the most for one tenant; try again", own);
	return stale ? err_set(err, E_UNAVAILABLE, "access was revoked from somebody while this "
	                       "was being decided; try again")
	             : 0;
}

static int64_t revocations(struct queries *queries)
{
	pthread_mutex_lock(&queries->mutex);
	int64_t count = queries->revocations;
	pthread_mutex_unlock(&queries->mutex);
	return count;
}

/* ---- one query ---- */

struct going {
	struct queries *queries;
	const struct query *query;
	struct flight *flight;
	struct run *run;             /* what tables.c works with */
	const char *id;
	char sha256[DIGEST_TEXT];
	struct limits limits;
	int out;                     /* the pipe's read end; -1: none yet */
	int64_t bytes;
	size_t slots[METER_COUNT_];
};

static void print_digest(const char *text, char out[DIGEST_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[32];
	sha256(text, strlen(text), sum);
	for (size_t i = 0; i < sizeof sum; i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[DIGEST_TEXT - 1] = 0;
}

static struct value *new_work(const struct going *going, struct value *job)
{
	struct value *work = value_map(going->run->arena);
	value_set_str(work, "sql", going->query->sql);
	value_set_str(work, "format", going->query->format);
	value_set_int(work, "limit", going->query->limit);
	value_set_str(job, "type", "query");
	value_set_int(job, "threads", going->limits.threads);
	value_set_int(job, "memory", (int64_t)going->limits.memory_bytes);
	value_set(job, "work", work);
	return job;
}

/* What the SQL names, as control is asked for it. The executor's word is not believed: control
 * decides on whatever it says. */
static int list_tables(struct arena *arena, const struct value *question,
                       struct access_query *wanted, struct err *err)
{
	const struct value *tables = value_get(question, "tables");
	size_t count = value_len(tables);
	if (count > GRANT_TABLES_MAX)
		return err_set(err, E_INVALID, "sql: it names %zu datasets, at most %d are allowed",
		               count, GRANT_TABLES_MAX);
	const char **names = arena_alloc(arena, (count + 1) * sizeof *names);
	if (!names)
		return err_set(err, E_NOMEM, "no memory for a query");
	for (size_t i = 0; i < count; i++) {
		const char *domain = value_get_str(value_at(tables, i), "domain");
		const char *name = value_get_str(value_at(tables, i), "name");
		TRY(name_check("the name of a dataset", name, err));
		if (domain && *domain)
			TRY(name_check("the name of a domain", domain, err));
		names[i] = domain && *domain ? arena_printf(arena, "%s.%s", domain, name)
		                             : arena_strdup(arena, name);
		if (!names[i])
			return err_set(err, E_NOMEM, "no memory for a query");
	}
	wanted->tables = names;
	wanted->table_count = count;
	return 0;
}

static int check_grant(struct going *going, const struct grant *grant, struct err *err)
{
	const struct runner *runner = going->queries->conf.runner;
	const char *sum = value_get_str(grant->work, "sha256");
	if (grant->type != TASK_QUERY || strcmp(grant->task, going->id) != 0 || !sum ||
	    strcmp(sum, going->sha256) != 0)
		return err_set(err, E_DENIED, "the grant is for another query");
	if (grant->token.epoch <= atomic_load(&runner->era))
		return err_set(err, E_DENIED, "the grant is of before the control plane was "
		               "restored from a backup");
	return 0;
}

static int get_grant(struct going *going, const struct value *question, struct err *err)
{
	const struct query *query = going->query;
	struct queries *queries = going->queries;
	struct access_query wanted = {
		.id = going->id, .domain = query->domain, .sha256 = going->sha256,
	};
	const struct access_ask ask = {
		.credential = query->credential, .purpose = query->purpose,
		.address = query->address, .query = &wanted, .query_count = 1,
	};
	int64_t before = revocations(queries);
	TRY(list_tables(going->run->arena, question, &wanted, err));
	TRY(queries->conf.ask(queries->conf.context, &ask, going->run->arena, &going->run->grant,
	                      err));
	TRY(check_grant(going, going->run->grant, err));
	return name_tenant(queries, going->flight, going->run->grant->tenant, before, err);
}

/* A query counts from its grant on. */
static int open_meter(struct going *going, struct err *err)
{
	const struct grant *grant = going->run->grant;
	const char *account = value_get_str(grant->work, "account");
	struct meter *meter = going->queries->conf.meter;
	for (int what = METER_QUERIES; what < METER_COUNT_; what++)
		TRY(meter_slot_of(meter, (enum meter_what)what, grant->tenant, account,
		                  &going->slots[what], err));
	meter_add(meter, going->slots[METER_QUERIES], 1);
	return 0;
}

static int open_pipe(struct going *going, struct err *err)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) != 0)
		return err_errno(err, errno, "a pipe for a query's rows");
	(void)fcntl(pair[1], F_SETPIPE_SZ, PIPE_BYTES);  /* fewer turns; the default works too */
	going->out = pair[0];
	int index = run_add_fd(going->run, "out", pair[1], err);
	return index < 0 ? index : 0;
}

static int count_bytes(void *context, const void *data, size_t len, struct err *err)
{
	struct going *going = context;
	int64_t most = going->queries->conf.bytes_max;
	going->bytes += (int64_t)len;
	if (going->bytes > most)
		return err_set(err, E_TOO_LARGE, "the result has more than %" PRId64
		               " bytes, which is the most (--query-max-mib); ask for fewer rows or "
		               "columns", most);
	return going->query->sink.put(going->query->sink.context, data, len, err);
}

static bool has_room(void *context)
{
	const struct query_sink *sink = &((struct going *)context)->query->sink;
	return !sink->room || sink->room(sink->context);
}

static bool is_wanted(void *context)
{
	const struct query_sink *sink = &((struct going *)context)->query->sink;
	return !sink->wanted || sink->wanted(sink->context);
}

/* A pool_ask_fn: from the names to the job that reads them. */
static int answer(void *context, const struct value *question, struct pool_job *job,
                  struct err *err)
{
	struct going *going = context;
	struct run *run = going->run;
	TRY(get_grant(going, question, err));
	TRY(open_meter(going, err));
	run->job = new_work(going, value_map(run->arena));
	value_set_str(run->job, "domain", run->grant->domain);
	TRY(run_add_tables(run, err));
	TRY(open_pipe(going, err));
	TRY(value_check(run->job, err));
	job->message = run->job;
	job->fds = run->fds;
	job->fd_count = run->fd_count;
	run->fd_count = 0;           /* the pool's from here */
	job->drains[job->drain_count++] = (struct pool_drain){
		.fd = going->out, .sink = count_bytes, .room = has_room, .context = going,
	};
	return 0;
}

static int fly(struct going *going, struct value **ret_result, struct err *err)
{
	struct run *run = going->run;
	struct pool_job job = {
		.message = new_work(going, value_map(run->arena)), .ask = answer,
		.wanted = is_wanted, .context = going, .limits = &going->limits,
	};
	TRY(value_check(job.message, err));
	return pool_run(run->runner->pool, &job, run->attempt, run->arena, ret_result,
	                &run->usage, err);
}

static void count(struct going *going)
{
	struct queries *queries = going->queries;
	const struct usage *usage = &going->run->usage;
	if (going->slots[METER_CPU_MS] != SIZE_MAX && usage->cpu_ms > 0)
		meter_add(queries->conf.meter, going->slots[METER_CPU_MS], usage->cpu_ms);
	if (going->slots[METER_BYTES_READ] != SIZE_MAX && usage->bytes_read > 0)
		meter_add(queries->conf.meter, going->slots[METER_BYTES_READ], usage->bytes_read);
	pthread_mutex_lock(&queries->mutex);
	queries->bytes += going->bytes;
	pthread_mutex_unlock(&queries->mutex);
}

static void release(struct going *going)
{
	struct run *run = going->run;
	channel_wipe(run->job);
	for (size_t i = 0; i < run->fd_count; i++)
		close(run->fds[i]);
	if (going->out >= 0)
		close(going->out);
	if (run->grant)
		grant_wipe(run->grant);
}

static int run_query(struct queries *queries, const struct query *query, struct flight *flight,
                     struct arena *arena, struct query_result *ret_result, struct err *err)
{
	struct value *result = NULL;
	struct run *run = arena_alloc(arena, sizeof *run);
	if (!run)
		return err_set(err, E_NOMEM, "no memory for a query");
	*run = (struct run){
		.runner = queries->conf.runner, .attempt = &flight->attempt, .arena = arena };
	struct going going = {
		.queries = queries, .query = query, .flight = flight, .run = run, .id = query->id,
		.limits = queries->conf.limits, .out = -1,
		.slots = { SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX },
	};
	print_digest(query->sql, going.sha256);
	int rc = fly(&going, &result, err);
	count(&going);
	release(&going);
	TRY(rc);
	ret_result->rows = value_get_int(result, "rows", 0);
	ret_result->more = value_get_bool(result, "more", false);
	return 0;
}

/* The pool speaks of tasks; a query's limits are its worker's. */
static int told(struct queries *queries, const struct flight *flight, int rc, struct err *err)
{
	if (rc == E_CANCELLED && flight->revoked)
		return err_set(err, rc, "the query was ended, because access was revoked while it "
		               "ran; ask again");
	if (rc != E_RESOURCES || !err)
		return rc;
	char *way = strstr(err->text, "; raise");
	if (way)
		*way = 0;
	struct err said = *err;
	return err_set(err, rc, "%s; a query on this worker may take %" PRIu64 " bytes of memory, "
	               "%" PRId64 " s of cpu and %" PRId64 " s (--query-memory-mib, "
	               "--query-timeout-s): read less, or run it as a transformation", said.text,
	               queries->conf.limits.memory_bytes, queries->conf.limits.cpu_ms / 1000,
	               queries->conf.limits.deadline_ms / 1000);
}

int queries_run(struct queries *queries, const struct query *query, struct arena *arena,
                struct query_result *ret_result, struct err *err)
{
	struct flight flight = { .next = NULL };
	attempt_init(&flight.attempt);
	int rc = take_off(queries, &flight, err);
	if (rc == 0) {
		rc = run_query(queries, query, &flight, arena, ret_result, err);
		land(queries, &flight, rc < 0);
		rc = rc < 0 ? told(queries, &flight, rc, err) : rc;
	}
	attempt_release(&flight.attempt);
	return rc;
}
