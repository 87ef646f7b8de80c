/* h_system.c - the replica about itself, and the caller about itself. Nothing here names a tenant
 * to whoever is not of it. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/openapi.h"
#include "control/dispatch.h"
#include "control/events.h"
#include "control/explain.h"
#include "control/forward.h"
#include "control/metrics.h"
#include "control/shard_log.h"
#include "control/shard_work.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { CERTIFICATE_LEAST_MS = 6 * 3600 * 1000 };

handler_fn h_health, h_ready, h_metrics, h_openapi, h_version, h_whoami;

int h_health(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	(void)control;
	value_set_str(body, "status", "up");
	return request_reply(request, 200, body, err);
}

int h_version(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	(void)control;
	value_set_str(body, "name", "freehold-control");
	value_set_str(body, "version", FREEHOLD_VERSION);
	value_set_str(body, "api", API_VERSION);
	return request_reply(request, 200, body, err);
}

int h_openapi(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	openapi_print(&request->reply->body);
	request->reply->status = 200;
	request->reply->content_type = "application/json";
	return buf_check(&request->reply->body, err);
}

/* The same workers are known to every part that is led here. */
static void workers_status(const struct control *control, struct arena *arena,
                        struct dispatch_status *all)
{
	for (int i = 0; i < control->part_count; i++) {
		struct dispatch_status one = { 0 };
		dispatch_status(control->parts[i].dispatch, arena, &one);
		if (one.workers > all->workers) {
			all->workers = one.workers;
			all->slots = one.slots;
		}
		all->running += one.running;
		if (one.serve_url)
			all->serve_url = one.serve_url;
	}
}

/* Each role once in roles, with each of its places in bindings. */
static void add_role(struct arena *arena, struct value *roles, struct value *bindings,
                     const struct binding *binding)
{
	struct value *held = value_map(arena);
	bool known = false;
	for (size_t i = 0; i < value_len(roles); i++)
		known |= strcmp(value_as_str(value_at(roles, i)), binding->role) == 0;
	if (!known)
		value_add_str(roles, binding->role);
	value_set_str(held, "role", binding->role);
	value_set_str(held, "domain", binding->domain);
	if (binding->name) {
		struct value *resource = value_map(arena);
		value_set_str(resource, "kind", binding->kind);
		value_set_str(resource, "name", binding->name);
		value_set(held, "resource", resource);
	}
	value_add(bindings, held);
}

static struct value *scope_list(const struct request *request)
{
	struct value *list = value_list(request->arena);
	for (size_t i = 0; i < request->asker.scope_count; i++)
		value_add_str(list, request->asker.scopes[i]);
	return list;
}

int h_whoami(struct control *control, struct request *request, struct err *err)
{
	static const char *const auth_names[] = {
		[AUTH_NONE] = "none", [AUTH_KEY] = "key", [AUTH_TOKEN] = "token",
		[AUTH_OIDC] = "oidc",
	};
	char time[TIME_TEXT_MAX];
	const struct asker *asker = &request->asker;
	struct value *body = value_map(request->arena), *roles = value_list(request->arena);
	struct value *bindings = value_list(request->arena), *groups = value_list(request->arena);
	struct dispatch_status status = { 0 };
	workers_status(control, request->arena, &status);
	for (size_t i = 0; i < asker->binding_count; i++)
		add_role(request->arena, roles, bindings, &asker->bindings[i]);
	for (size_t i = 0; i < asker->group_count; i++)
		value_add_str(groups, asker->groups[i]);
	value_set_str(body, "tenant", asker->tenant);
	value_set_str(body, "principal", asker->principal);
	value_set_str(body, "domain", asker->domain);
	value_set(body, "roles", roles);
	value_set(body, "bindings", bindings);
	if (asker->group_count)
		value_set(body, "groups", groups);
	value_set_str(body, "auth", auth_names[asker->auth]);
	value_set_str(body, "credential", asker->credential);
	value_set_str(body, "expiresAt", asker->expires_ms ? time_print_s(asker->expires_ms, time)
	                                                   : NULL);
	if (asker->scoped)
		value_set(body, "scope", scope_list(request));
	value_set_str(body, "servingUrl", status.serve_url);
	return request_reply(request, 200, body, err);
}

/* --- ready --- */

static int led_here(const struct control *control)
{
	int count = 0;
	for (int i = 0; i < control->part_count; i++)
		count += part_leads(&control->parts[i]);
	return count;
}

/* Here, or by a replica that requests are passed on to. */
static bool is_led(const struct control *control, int part)
{
	struct leader leader;
	if (part_leads(&control->parts[part]))
		return true;
	return control->forward && forward_leader(control->forward, part, &leader) &&
		leader.url[0] && strcmp(leader.replica, control->replica) != 0;
}

static bool all_led(const struct control *control)
{
	bool all = true;
	for (int i = 0; i < control->part_count; i++)
		all &= is_led(control, i);
	return all;
}

static int ignore_item(void *context, const struct store_item *item, struct err *err)
{
	(void)context;
	(void)item;
	(void)err;
	return 0;
}

static bool add_check(struct arena *arena, struct value *checks, const char *name, bool ok,
                      bool required, const char *detail)
{
	struct value *check = value_map(arena);
	value_set_str(check, "name", name);
	value_set_bool(check, "ok", ok);
	value_set_bool(check, "required", required);
	value_set_str(check, "detail", detail);
	value_add(checks, check);
	return ok || !required;
}

/* A certificate that ends within six hours was not renewed by who should have. */
static void add_certificate(const struct request *request, struct value *checks, const char *name,
                            int64_t until_ms)
{
	char until[TIME_TEXT_MAX];
	if (!until_ms)
		return;
	bool ok = until_ms > request->now_ms + CERTIFICATE_LEAST_MS;
	add_check(request->arena, checks, name, ok, false,
	          arena_printf(request->arena, "its certificate %s %s",
	                       until_ms > request->now_ms ? "ends at" : "ended at",
	                       time_print_ms(until_ms, until)));
}

int h_ready(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena), *checks = value_list(request->arena);
	struct dispatch_status status = { 0 };
	struct err store_err = { 0 };
	workers_status(control, request->arena, &status);
	bool store = store_get(control->store, "ready", ignore_item, NULL, &store_err) == 0;
	bool led = all_led(control);
	bool ready = add_check(request->arena, checks, "store", store, true,
	                       store ? "it answers" : "it does not answer");
	ready &=
		add_check(request->arena, checks, "lead", led, true,
	                  led ? "every shard has a leader, this replica or one it passes "
	                        "requests on to" : "a shard has no leader yet");
	add_check(request->arena, checks, "workers", status.workers > 0, false,
	          status.workers > 0 ? "at least one is alive" : "none is alive; tasks wait");
	add_certificate(request, checks, "api", atomic_load(&control->api_until_ms));
	add_certificate(request, checks, "link", atomic_load(&control->link_until_ms));
	value_set_bool(body, "ready", ready);
	value_set_int(body, "shards", control->part_count);
	value_set_int(body, "shardsLed", led_here(control));
	value_set(body, "checks", checks);
	return request_reply(request, ready ? 200 : 503, body, err);
}

/* --- metrics --- */

static void route_labels(size_t row, char *out, size_t size)
{
	if (row < route_count)
		snprintf(out, size, "method=\"%s\",route=\"%s\"", routes[row].method,
		         routes[row].path);
	else
		snprintf(out, size, "method=\"\",route=\"\"");
}

static void print_counts(const struct metrics *metrics, struct buf *out)
{
	char labels[256], full[300];
	metrics_head(out, "freehold_http_requests_total", "counter",
	             "Requests by route and class of status.");
	for (size_t row = 0; row <= route_count; row++)
		for (int class = 1; class <= 5; class++) {
			uint64_t count = metrics_count(metrics, row, class);
			route_labels(row, labels, sizeof labels);
			snprintf(full, sizeof full, "%s,status=\"%dxx\"", labels, class);
			if (count)
				metrics_line(out, "freehold_http_requests_total", full,
				             (double)count);
		}
}

static uint64_t count_all(const struct metrics *metrics, size_t row)
{
	uint64_t all = 0;
	for (int class = 0; class <= 5; class++)
		all += metrics_count(metrics, row, class);
	return all;
}

static void print_times(const struct metrics *metrics, struct buf *out)
{
	char labels[256];
	metrics_head(out, "freehold_http_request_seconds", "summary",
	             "Time from a parsed request to its answer.");
	for (size_t row = 0; row <= route_count; row++) {
		uint64_t count = count_all(metrics, row);
		if (!count)
			continue;
		route_labels(row, labels, sizeof labels);
		metrics_line(out, "freehold_http_request_seconds_sum", labels,
		             (double)metrics_us(metrics, row) / 1e6);
		metrics_line(out, "freehold_http_request_seconds_count", labels, (double)count);
	}
}

static void print_one(struct buf *out, const char *name, const char *type, const char *help,
                      double value)
{
	metrics_head(out, name, type, help);
	metrics_line(out, name, NULL, value);
}

static void add_stats(struct journal_stats *all, struct journal *journal)
{
	struct journal_stats stats = { 0 };
	journal_stats(journal, &stats);
	all->commits += stats.commits;
	all->changes += stats.changes;
	all->records += stats.records;
	all->bytes += stats.bytes;
	if (stats.last_commit_us > all->last_commit_us)
		all->last_commit_us = stats.last_commit_us;
	all->checkpoints += stats.checkpoints;
	all->checkpoints_failed += stats.checkpoints_failed;
	if (stats.pause_most_us > all->pause_most_us)
		all->pause_most_us = stats.pause_most_us;
	if (stats.store_bytes > 0)           /* they share the store */
		all->store_bytes = stats.store_bytes;
}

static void print_checkpoints(const struct journal_stats *stats, struct buf *out)
{
	print_one(out, "freehold_checkpoints_total", "counter", "Checkpoints in force.",
	          (double)stats->checkpoints);
	print_one(out, "freehold_checkpoints_failed_total", "counter",
	          "Checkpoints that were given up.", (double)stats->checkpoints_failed);
	print_one(out, "freehold_checkpoint_pause_seconds", "gauge",
	          "The longest that commits waited for one to begin.",
	          (double)stats->pause_most_us / 1e6);
	print_one(out, "freehold_store_bytes", "gauge",
	          "The store's size after the last checkpoint; 0: none yet.",
	          (double)stats->store_bytes);
}

static void print_journal(struct control *control, struct buf *out)
{
	struct journal_stats stats = { 0 };
	for (int i = 0; i < control->part_count; i++)
		add_stats(&stats, control->parts[i].journal);
	print_one(out, "freehold_journal_commits_total", "counter", "Store transactions.",
	          (double)stats.commits);
	print_one(out, "freehold_journal_changes_total", "counter", "Changes in them.",
	          (double)stats.changes);
	print_one(out, "freehold_journal_records_total", "counter", "Records in them.",
	          (double)stats.records);
	print_one(out, "freehold_journal_bytes_total", "counter", "Bytes of records, packed.",
	          (double)stats.bytes);
	print_one(out, "freehold_journal_last_commit_seconds", "gauge", "Duration of the last one.",
	          (double)stats.last_commit_us / 1e6);
	print_checkpoints(&stats, out);
}

static void print_tasks(struct control *control, struct arena *arena, struct buf *out)
{
	struct dispatch_status status = { 0 };
	struct shard_counts counts = { 0 };
	workers_status(control, arena, &status);
	for (int i = 0; i < control->part_count; i++) {
		struct shard_counts one = { 0 };
		shard_counts(control->parts[i].shard, &one);
		counts.running += one.running;
		counts.waiting += one.waiting;
	}
	print_one(out, "freehold_leader", "gauge", "Shards that this replica leads.",
	          led_here(control));
	print_one(out, "freehold_workers", "gauge", "Workers known alive.", status.workers);
	print_one(out, "freehold_worker_slots", "gauge", "Attempts they can run at one time.",
	          status.slots);
	print_one(out, "freehold_tasks_running", "gauge", "Attempts under way.",
	          (double)counts.running);
	print_one(out, "freehold_tasks_waiting", "gauge", "Tasks in line.", (double)counts.waiting);
}

/* --- pools --- */

enum { POOLS_MOST = 100 };       /* anybody may name a pool that does not exist */

struct gauge { const char *name, *group, *member, *help; double per; };

static void print_gauge(const struct gauge *gauge, const struct value *pools, struct buf *out)
{
	char labels[NAME_MAX_LEN + 16];
	metrics_head(out, gauge->name, "gauge", gauge->help);
	for (size_t i = 0; i < value_len(pools) && i < POOLS_MOST; i++) {
		const struct value *pool = value_at(pools, i);
		const struct value *from = gauge->group ? value_get(pool, gauge->group) : pool;
		snprintf(labels, sizeof labels, "pool=\"%s\"", value_get_str(pool, "pool"));
		metrics_line(out, gauge->name, labels,
		             (double)value_get_int(from, gauge->member, 0) / gauge->per);
	}
}

/* Of the shards that are led here: summed over the replicas it is the whole. */
static void print_pools(struct control *control, struct arena *arena, struct buf *out)
{
	static const struct gauge gauges[] = {
		{ "freehold_pool_workers", NULL, "workers", "Workers alive.", 1 },
		{ "freehold_pool_cores", "total", "cpuMillis", "Cores of its workers.", 1000 },
		{ "freehold_pool_memory_bytes", "total", "memoryBytes", "Memory of its workers.",
		  1 },
		{ "freehold_pool_used_cores", "used", "cpuMillis", "Cores of what runs.", 1000 },
		{ "freehold_pool_used_memory_bytes", "used", "memoryBytes", "Memory of what runs.",
		  1 },
		{ "freehold_pool_waiting_tasks", "waiting", "tasks", "Tasks in line.", 1 },
		{ "freehold_pool_waiting_cores", "waiting", "cpuMillis", "Cores they want.", 1000 },
		{ "freehold_pool_waiting_memory_bytes", "waiting", "memoryBytes",
		  "Memory they want.", 1 },
		{ "freehold_pool_wanted_cores", "wanted", "cpuMillis",
		  "Cores of what runs and what waits.", 1000 },
		{ "freehold_pool_wanted_memory_bytes", "wanted", "memoryBytes",
		  "Memory of what runs and what waits.", 1 },
		{ "freehold_pool_never_fits", NULL, "neverFits",
		  "Tasks in line that none of its workers could ever hold.", 1 },
		{ "freehold_pool_oldest_wait_seconds", NULL, "oldestWaitMs",
		  "Of the task that waits longest.", 1000 },
	};
	const struct value *parts[PARTS_MAX];
	size_t count = 0;
	for (int i = 0; i < control->part_count; i++)
		if (part_leads(&control->parts[i]))
			parts[count++] = shard_pools(control->parts[i].shard, arena);
	const struct value *pools = explain_pools(arena, parts, count);
	for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
		print_gauge(&gauges[i], pools, out);
}

static double forked_logs(const struct control *control)
{
	struct log_name names[16];
	size_t count = 0;
	for (int i = 0; i < control->part_count; i++)
		count += shard_logs_forked(control->parts[i].shard, names, ARRAY_LEN(names));
	return (double)count;
}

int h_metrics(struct control *control, struct request *request, struct err *err)
{
	struct buf *out = &request->reply->body;
	print_counts(control->metrics, out);
	print_times(control->metrics, out);
	print_journal(control, out);
	print_tasks(control, request->arena, out);
	print_pools(control, request->arena, out);
	print_one(out, "freehold_audit_logs_forked", "gauge",
	          "Audit logs that do not hold what was signed of them; none is signed any more.",
	          forked_logs(control));
	print_one(out, "freehold_event_streams", "gauge", "Server-sent event streams open.",
	          control->events ? events_count(control->events) : 0);
	request->reply->status = 200;
	request->reply->content_type = "text/plain; version=0.0.4";
	return buf_check(out, err);
}
