/* system.c - starts and sets up what tests/bench/system.h says, as its users would: by the command
 * line. */
#include "common/defs.h"
#include "tests/bench/system.h"

#include "common/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PORTS = 5,
	PORT_FIRST = 17070,
	PORT_LAST = 18000,
	START_S = 60,
	WORDS_MAX = 16,
	OUTPUT_MAX = 64 * 1024,
	ANSWER_MAX = 1024 * 1024,
	CHILDREN_MAX = 64
};

#define TENANT "bench"

static const char tenant_yaml[] =
	"apiVersion: freehold.io/v1\nkind: Tenant\nmetadata: {name: bench}\n"
	"spec: {displayName: Bench, contact: bench@example.org}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Domain\nmetadata: {name: bench, tenant: bench}\n"
	"spec: {description: benchmarks, owner: owner}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: owner, tenant: bench}\n"
	"spec: {roles: [domain-owner], domain: bench}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: reader, tenant: bench}\n"
	"spec: {roles: [consumer], domain: bench}\n";

static const char domain_yaml[] =
	"apiVersion: freehold.io/v1\nkind: Dataset\n"
	"metadata: {name: readings, tenant: bench, domain: bench}\nspec: {description: "
	"readings}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Source\n"
	"metadata: {name: readings, tenant: bench, domain: bench}\n"
	"spec: {connector: file, path: readings.csv, format: csv, dataset: readings, mode: "
	"replace}\n"
	"---\napiVersion: freehold.io/v1\nkind: Entity\n"
	"metadata: {name: station, tenant: bench, domain: bench}\n"
	"spec: {joinKey: station, valueType: string}\n---\n"
	"apiVersion: freehold.io/v1\nkind: FeatureView\n"
	"metadata: {name: readings, tenant: bench, domain: bench}\n"
	"spec:\n  entities: [station]\n  dataset: readings\n  timestampField: at\n  features:\n"
	"    - {name: a, type: int64}\n    - {name: b, type: int64}\n    - {name: c, type: "
	"float64}\n"
	"    - {name: d, type: float64}\n    - {name: e, type: float64}\n";

static const char *at(struct bench *bench, const char *name)
{
	const char *path = arena_printf(bench->arena, "%s/%s", bench->folder, name);
	REQUIRE(path);
	return path;
}

static int write_file(const char *path, const char *text, struct err *err)
{
	FILE *file = fopen(path, "w");
	bool written = file && fputs(text, file) >= 0;
	if (!file || fclose(file) != 0 || !written)
		return err_errno(err, errno, "%s", path);
	return 0;
}

static int write_readings(const char *path, struct err *err)
{
	FILE *file = fopen(path, "w");
	if (!file)
		return err_errno(err, errno, "%s", path);
	fputs("station,at,a,b,c,d,e\n", file);
	for (int i = 0; i < SYSTEM_ENTITIES; i++)
		fprintf(file, "S%d,2026-01-01 00:00:00,%d,%d,%d.25,%d.5,%d.75\n", i, i, i * 7, i,
			i * 3, i * 5);
	return fclose(file) == 0 ? 0 : err_errno(err, errno, "%s", path);
}

static int write_files(struct bench *bench, struct err *err)
{
	static const char *const folders[] = {"files", "files/" TENANT, "tenant", "domain"};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (mkdir(at(bench, folders[i]), 0700) < 0)
			return err_errno(err, errno, "%s", at(bench, folders[i]));
	TRY(write_readings(at(bench, "files/" TENANT "/readings.csv"), err));
	TRY(write_file(at(bench, "tenant/all.yaml"), tenant_yaml, err));
	return write_file(at(bench, "domain/all.yaml"), domain_yaml, err);
}

/* ---- starting ---- */

static bool said(const char *path, const char *words)
{
	char text[8192];
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
	text[len] = 0;
	if (file)
		fclose(file);
	return strstr(text, words) != NULL;
}

static int await_up(const char *log, struct err *err)
{
	struct timespec pause = {0, 20000000};
	double began = now_s();
	while (!said(log, "Freehold is up")) {
		if (now_s() - began > START_S)
			return err_set(err, E_TIMEOUT, "freehold dev is not up after %d s; see %s",
				       START_S, log);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int start(struct bench *bench, struct bench_system *system, int port, struct err *err)
{
	const char *program = arena_printf(bench->arena, "%s/freehold", bench->build);
	const char *number = arena_printf(bench->arena, "%d", port);
	const char *log = at(bench, "dev.out");
	const char *data = at(bench, "dev"), *files = at(bench, "files");
	const char *const argv[] = {program, "dev", "--data", data, "--files", files,
				    "--port", number, NULL};
	if (!program || !number)
		return err_set(err, E_NOMEM, "no memory for a command");
	TRY(write_file(log, "", err));
	TRY(process_start(argv, log, &system->pid, err));
	return await_up(log, err);
}

/* ---- use ---- */

int system_cli(struct bench *bench, const char *profile, const char *const *words, struct err *err)
{
	const char *argv[WORDS_MAX] = {arena_printf(bench->arena, "%s/freehold", bench->build)};
	char output[OUTPUT_MAX];
	int count = 1;
	for (; words[count - 1]; count++) {
		REQUIRE(count < WORDS_MAX - 3);
		argv[count] = words[count - 1];
	}
	if (profile) {
		argv[count++] = "--profile";
		argv[count++] = profile;
	}
	return process_run(argv, bench->system->cli_env, output, sizeof output, err);
}

int system_call(struct bench_system *system, struct arena *arena, const char *url,
		const char *authorization, const char *body, struct value **ret_answer,
		struct err *err)
{
	const char *headers[] = {authorization, "Content-Type: application/json", NULL};
	struct fetch_call call = {.url = url,
				  .headers = headers,
				  .body = body,
				  .body_len = body ? strlen(body) : 0,
				  .timeout_ms = 30000};
	AUTO_BUF answer;
	int status = 0;
	buf_init(&answer, ANSWER_MAX);
	TRY(fetch_call(system->fetch, &call, &status, &answer, NULL, err));
	TRY(buf_check(&answer, err));
	if (status / 100 != 2)
		return err_set(err, E_INTERNAL, "%s answers %d: %.200s", url, status,
			       (const char *)answer.data);
	return json_parse(arena, (const char *)answer.data, answer.len, ret_answer, err);
}

int system_process(const struct bench_system *system, const char *name)
{
	int pids[CHILDREN_MAX];
	size_t count = process_list(system->pid, pids, CHILDREN_MAX);
	for (size_t i = 0; i < count; i++) {
		char path[64], comm[32] = "";
		snprintf(path, sizeof path, "/proc/%d/comm", pids[i]);
		FILE *file = fopen(path, "r");
		if (file && !fgets(comm, sizeof comm, file))
			comm[0] = 0;
		if (file)
			fclose(file);
		comm[strcspn(comm, "\n")] = 0;
		if (comm[0] && strncmp(comm, name, strlen(comm)) == 0)
			return pids[i];
	}
	return 0;
}

/* ---- setting up ---- */

static int read_key(struct bench *bench, const char *name, const char **ret_header, struct err *err)
{
	char key[512] = "";
	FILE *file = fopen(at(bench, name), "r");
	if (!file || !fgets(key, sizeof key, file))
		return err_errno(err, errno, "%s", at(bench, name));
	fclose(file);
	key[strcspn(key, "\r\n")] = 0;
	*ret_header = arena_printf(bench->arena, "Authorization: Bearer %s", key);
	return *ret_header ? 0 : err_set(err, E_NOMEM, "no memory for a key");
}

static int principal(struct bench *bench, const char *name, const char **ret_header,
		     struct err *err)
{
	const char *file = arena_printf(bench->arena, "%s.key", name);
	const char *key = at(bench, file), *url = bench->system->url;
	const char *const create[] = {"keys", "create", name, "--tenant", TENANT,
				      "--out", key, NULL};
	const char *const login[] = {"login", "--url", url, "--key-file", key, NULL};
	TRY(system_cli(bench, "operator", create, err));
	TRY(system_cli(bench, name, login, err));
	return read_key(bench, file, ret_header, err);
}

static int set_up(struct bench *bench, struct err *err)
{
	struct bench_system *system = bench->system;
	const char *const login[] = {
		"login", "--url", system->url, "--key-file", at(bench, "dev/operator.key"), NULL};
	const char *const tenant[] = {"apply", "-f", at(bench, "tenant"), NULL};
	const char *const domain[] = {"apply", "-f", at(bench, "domain"), NULL};
	const char *const ingest[] = {"run", "ingest", "readings", NULL};
	const char *const materialize[] = {"run", "materialize", "readings", NULL};
	TRY(system_cli(bench, "operator", login, err));
	TRY(system_cli(bench, "operator", tenant, err));
	TRY(principal(bench, "owner", &system->owner, err));
	TRY(principal(bench, "reader", &system->reader, err));
	TRY(system_cli(bench, "owner", domain, err));
	TRY(system_cli(bench, "owner", ingest, err));
	return system_cli(bench, "owner", materialize, err);
}

int system_get(struct bench *bench, struct bench_system **ret_system, struct err *err)
{
	if (bench->system) {
		*ret_system = bench->system;
		return bench->system->reader ? 0
					     : err_set(err, E_INTERNAL, "the system did not start");
	}
	int port = ports_free(PORT_FIRST, PORT_LAST, PORTS);
	struct bench_system *system = arena_alloc(bench->arena, sizeof *system);
	struct fetch_conf conf = {.connect_timeout_ms = 2000};
	if (!system || !port)
		return err_set(err, E_RESOURCES, "no memory or no free ports for freehold dev");
	bench->system = system;
	system->url = arena_printf(bench->arena, "http://127.0.0.1:%d", port);
	system->serve_url = arena_printf(bench->arena, "http://127.0.0.1:%d", port + 1);
	system->etcd_url = arena_printf(bench->arena, "http://127.0.0.1:%d", port + 3);
	system->tasks_path = "/v1/tenants/" TENANT "/domains/bench/tasks";
	system->cli_env =
		arena_printf(bench->arena, "FREEHOLD_CONFIG=%s/config.yaml", bench->folder);
	TRY(fetch_new(&conf, &system->fetch, err));
	TRY(write_files(bench, err));
	TRY(start(bench, system, port, err));
	TRY(set_up(bench, err));
	*ret_system = system;
	return 0;
}

void system_stop(struct bench *bench)
{
	struct err err = {0};
	if (!bench->system)
		return;
	if (bench->system->pid && process_stop(bench->system->pid, SIGINT, &err) < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	fetch_free(bench->system->fetch);
	bench->system = NULL;
}
