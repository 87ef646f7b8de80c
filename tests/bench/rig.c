/* rig.c - starts what tests/bench/rig.h says and fills it with tenants and tasks. */
#include "common/defs.h"
#include "tests/bench/rig.h"

#include "common/json.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PORTS = 6,
	PORT_FIRST = 18070,
	PORT_LAST = 19000,
	ARENA_MAX = 64 * 1024 * 1024,
	START_TRIES = 500,
	PAUSE_NS = 20000000,
	CALL_ARENA_MAX = 8 * 1024 * 1024,
	ANSWER_MAX = 4 * 1024 * 1024,
	ARGS_MAX = 48,
	FILLERS = 2,
	TIMEOUT_MS = 60000
};

/* --- processes --- */

static const char *say(const struct rig *rig, const char *format, ...) PRINTF(2, 3);
static const char *say(const struct rig *rig, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	const char *copy = arena_strdup(rig->arena, text);
	REQUIRE(copy);
	return copy;
}

static int start_etcd(struct rig *rig, struct err *err)
{
	const char *peer = say(rig, "http://127.0.0.1:%d", rig->port + 3);
	const char *const argv[] = {"etcd",
	                            "--name",
	                            "rig",
	                            "--data-dir",
	                            say(rig, "%s/etcd", rig->folder),
	                            "--listen-client-urls",
	                            rig->etcd_url,
	                            "--advertise-client-urls",
	                            rig->etcd_url,
	                            "--listen-peer-urls",
	                            peer,
	                            "--initial-advertise-peer-urls",
	                            peer,
	                            "--initial-cluster",
	                            say(rig, "rig=%s", peer),
	                            "--log-level",
	                            "error",
	                            "--quota-backend-bytes",
	                            "8589934592",
	                            NULL};
	return process_start(argv, say(rig, "%s/etcd.log", rig->folder), &rig->etcd, err);
}

static int start_control(struct rig *rig, bool second, const char *const *more, struct err *err)
{
	int port = second ? rig->port + 4 : rig->port, link = second ? port + 1 : rig->port + 1;
	const char *name = second ? "control-2" : "control-1";
	const char *argv[ARGS_MAX] = {say(rig, "%s/freehold-control", rig->bench->build),
	                              "--replica",
	                              name,
	                              "--listen",
	                              say(rig, "127.0.0.1:%d", port),
	                              "--etcd",
	                              rig->etcd_url,
	                              "--link",
	                              say(rig, "tcp://127.0.0.1:%d", link),
	                              "--root-key-file",
	                              say(rig, "%s/root.key", rig->folder),
	                              "--make-root-key",
	                              "true",
	                              "--workers-without-identity",
	                              "true",
	                              "--bootstrap-key-file",
	                              say(rig, "%s/operator.key", rig->folder),
	                              "--http-threads",
	                              "64",
	                              "--log-level",
	                              "warn",
	                              NULL};
	int count = 0;
	while (argv[count])
		count++;
	for (; more && *more && count < ARGS_MAX - 1; more++)
		argv[count++] = *more;
	argv[count] = NULL;
	return process_start(argv, say(rig, "%s/%s.log", rig->folder, name),
	                     second ? &rig->second : &rig->control, err);
}

static int await_ready(const struct rig *rig, struct err *err)
{
	struct timespec pause = {0, PAUSE_NS};
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA_MAX, &arena, err));
	for (int i = 0; i < START_TRIES; i++) {
		if (rig_call(rig, "Accept: */*", "GET", "/readyz", NULL, arena, NULL, err) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, E_TIMEOUT, "control is not ready; see the logs in %s", rig->folder);
}

/* --- requests --- */

int rig_call(const struct rig *rig, const char *authorization, const char *method, const char *path,
             const char *body, struct arena *arena, struct value **ret_answer, struct err *err)
{
	AUTO_BUF answer;
	int status = 0;
	const char *headers[] = {authorization, "Content-Type: application/json", NULL};
	const char *url = arena_printf(arena, "%s%s", rig->url, path);
	const struct fetch_call call = {
		.method = method,
		.url = url,
		.headers = headers,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = TIMEOUT_MS,
	};
	buf_init(&answer, ANSWER_MAX);
	if (!url)
		return err_set(err, E_NOMEM, "no memory for a request");
	TRY(fetch_call(rig->fetch, &call, &status, &answer, NULL, err));
	TRY(buf_check(&answer, err));
	if (status / 100 != 2)
		return err_set(err, E_INTERNAL, "%s %s answers %d: %.*s", method, path, status,
		               answer.len > 200 ? 200 : (int)answer.len, (const char *)answer.data);
	if (!ret_answer)
		return 0;
	return json_parse(arena, (const char *)answer.data, answer.len, ret_answer, err);
}

static int put(const struct rig *rig, const char *kind, const char *path, const char *spec,
               struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA_MAX, &arena, err));
	const char *body = arena_printf(arena,
	                                "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"%s\","
	                                "\"metadata\":{\"name\":\"%s\"},\"spec\":%s}",
	                                kind, strrchr(path, '/') + 1, spec);
	return rig_call(rig, rig->operator_header, "PUT", path, body, arena, NULL, err);
}

static int add_tenant(struct rig *rig, int i, struct err *err)
{
	struct rig_tenant *tenant = &rig->tenants[i];
	struct value *made = NULL;
	const char *path = say(rig, "/v1/tenants/team-%d", i);
	tenant->path = say(rig, "%s/domains/d", path);
	TRY(put(rig, "Tenant", path, "{}", err));
	TRY(put(rig, "Domain", tenant->path, "{}", err));
	TRY(put(rig, "Principal", say(rig, "%s/principals/p", path),
	        "{\"roles\":[\"domain-owner\"]}", err));
	TRY(rig_call(rig, rig->operator_header, "POST", say(rig, "%s/principals/p/keys", path),
	             NULL, rig->arena, &made, err));
	tenant->authorization = say(rig, "Authorization: Bearer %s", value_get_str(made, "key"));
	return 0;
}

int rig_limit(struct rig *rig, int tenant, int slots, struct err *err)
{
	const char *spec = say(rig, "{\"mostSlots\":%d}", slots);
	return put(rig, "Share", say(rig, "/v1/tenants/team-%d/shares/all", tenant), spec, err);
}

/* --- life --- */

static int read_operator(struct rig *rig, struct err *err)
{
	char key[512] = "";
	const char *path = say(rig, "%s/operator.key", rig->folder);
	FILE *file = fopen(path, "r");
	bool read = file && fgets(key, sizeof key, file);
	if (file)
		fclose(file);
	if (!read)
		return err_errno(err, errno, "%s", path);
	key[strcspn(key, "\r\n")] = 0;
	rig->operator_header = say(rig, "Authorization: Bearer %s", key);
	return 0;
}

static int begin(struct rig *rig, int tenants, const char *const *more, struct err *err)
{
	const struct fetch_conf conf = {.connect_timeout_ms = 2000, .connections_max = 64};
	rig->port = ports_free(PORT_FIRST, PORT_LAST, PORTS);
	if (!rig->port)
		return err_set(err, E_RESOURCES, "no free ports");
	rig->folder = say(rig, "%s/rig-%d", rig->bench->folder, rig->port);
	rig->url = say(rig, "http://127.0.0.1:%d", rig->port);
	rig->link_url = say(rig, "tcp://127.0.0.1:%d", rig->port + 1);
	rig->etcd_url = say(rig, "http://127.0.0.1:%d", rig->port + 2);
	if (mkdir(rig->folder, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", rig->folder);
	TRY(fetch_new(&conf, &rig->fetch, err));
	TRY(start_etcd(rig, err));
	TRY(start_control(rig, false, more, err));
	TRY(await_ready(rig, err));
	TRY(read_operator(rig, err));
	for (rig->tenant_count = 0; rig->tenant_count < tenants; rig->tenant_count++)
		TRY(add_tenant(rig, rig->tenant_count, err));
	return 0;
}

int rig_new(struct bench *bench, int tenants, const char *const *more, struct rig **ret_rig,
            struct err *err)
{
	AUTO(rig) *rig = calloc(1, sizeof *rig);
	if (!rig)
		return err_set(err, E_NOMEM, "no memory for a rig");
	REQUIRE(tenants <= RIG_TENANTS_MAX);
	rig->bench = bench;
	TRY(arena_new(ARENA_MAX, &rig->arena, err));
	rig->turn = arena_alloc(rig->arena, sizeof *rig->turn);
	REQUIRE(rig->turn);
	TRY(begin(rig, tenants, more, err));
	*ret_rig = MOVE(rig);
	return 0;
}

/* A follower is not ready: that it answers is enough. */
int rig_second(struct rig *rig, struct err *err)
{
	struct timespec pause = {0, PAUSE_NS};
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA_MAX, &arena, err));
	TRY(start_control(rig, true, NULL, err));
	rig->second_url = say(rig, "http://127.0.0.1:%d", rig->port + 4);
	struct rig second = *rig;
	second.url = rig->second_url;
	for (int i = 0; i < START_TRIES; i++) {
		if (rig_call(&second, "Accept: */*", "GET", "/healthz", NULL, arena, NULL, err) ==
		    0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, E_TIMEOUT, "the second replica does not answer; see the logs in %s",
	               rig->folder);
}

void rig_free(struct rig *rig)
{
	struct err err = {0};
	if (!rig)
		return;
	if (rig->control && process_stop(rig->control, SIGTERM, &err) < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	if (rig->second && process_stop(rig->second, SIGTERM, &err) < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	if (rig->etcd && process_stop(rig->etcd, SIGTERM, &err) < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	fetch_free(rig->fetch);
	arena_free(rig->arena);
	free(rig);
}

/* --- tasks --- */

struct filler {
	const struct rig *rig;
	int first, tenants;
	size_t count;     /* of this filler */
	const char *body; /* of a whole batch */
	struct err err;
	int rc;
};

static const char *batch_body(struct arena *arena, size_t count)
{
	static const char task[] = "{\"type\":\"probe\",\"spec\":{}}";
	size_t len = count * sizeof task + 32;
	char *text = arena_alloc(arena, len), *at = text;
	if (!text)
		return NULL;
	at += sprintf(at, "{\"items\":[");
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s%s", i ? "," : "", task);
	sprintf(at, "]}");
	return text;
}

static int fill_some(const struct filler *filler, struct arena *arena, struct err *err)
{
	const struct rig *rig = filler->rig;
	size_t left = filler->count;
	while (left > 0) {
		unsigned turn = atomic_fetch_add(rig->turn, 1) % (unsigned)filler->tenants;
		const struct rig_tenant *to = &rig->tenants[filler->first + (int)turn];
		size_t now = left < RIG_BATCH ? left : RIG_BATCH;
		const char *path = arena_printf(arena, "%s/tasks:batch", to->path);
		const char *body = now == RIG_BATCH ? filler->body : batch_body(arena, now);
		if (!path || !body)
			return err_set(err, E_NOMEM, "no memory for a batch");
		TRY(rig_call(rig, to->authorization, "POST", path, body, arena, NULL, err));
		left -= now;
		arena_reset(arena);
	}
	return 0;
}

static void *fill_run(void *context)
{
	struct filler *filler = context;
	AUTO(arena) *arena = NULL;
	filler->rc = arena_new(CALL_ARENA_MAX, &arena, &filler->err);
	if (filler->rc == 0)
		filler->rc = fill_some(filler, arena, &filler->err);
	return NULL;
}

int rig_fill(const struct rig *rig, int first, int tenants, size_t count, double *ret_s,
             struct err *err)
{
	struct filler fillers[FILLERS];
	pthread_t threads[FILLERS];
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA_MAX, &arena, err));
	const char *body = batch_body(arena, RIG_BATCH);
	double began = now_s();
	int rc = 0;
	for (int i = 0; i < FILLERS; i++) {
		fillers[i] = (struct filler){
			.rig = rig,
			.first = first,
			.tenants = tenants,
			.body = body,
			.count = count / FILLERS + (i == 0 ? count % FILLERS : 0),
		};
		REQUIRE(pthread_create(&threads[i], NULL, fill_run, &fillers[i]) == 0);
	}
	for (int i = 0; i < FILLERS; i++) {
		pthread_join(threads[i], NULL);
		if (fillers[i].rc < 0 && rc == 0)
			rc = err_set(err, fillers[i].rc, "%s", fillers[i].err.text);
	}
	*ret_s = now_s() - began;
	return rc;
}

/* --- what the kernel says of control --- */

double rig_memory_mb(const struct rig *rig)
{
	char path[64], line[256];
	double kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", rig->control);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %lf kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib / 1024;
}

double rig_cpu_s(const struct rig *rig)
{
	char path[64];
	unsigned long user = 0, kernel = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", rig->control);
	FILE *file = fopen(path, "r");
	if (file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
	                   &user, &kernel) != 2)
		user = kernel = 0;
	if (file)
		fclose(file);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}
