/* system.c - see system.h. */
#include "common/defs.h"
#include "tests/support/system.h"

#include "common/crypto.h"
#include "common/fetch.h"
#include "common/json.h"
#include "tests/support/aftermath.h"
#include "tests/support/follow.h"
#include "tests/support/pems.h"
#include "tests/support/ports.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	START_MS = 60000, ARENA_MAX = 512 * 1024 * 1024, ANSWER_MAX = 64 * 1024 * 1024,
	AGAIN_MS = 100
};

struct system {
	struct arena *arena;
	struct fetch *fetch;
	struct system_options options;
	char folder[512];
	char build[512];
	struct ports ports;
	pid_t pids[PART_COUNT_];
	int outs;                    /* runs of the command line so far */
};

static const char *text(struct system *system, const char *fmt, ...) PRINTF(2, 3);
static const char *text(struct system *system, const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	const char *copy = arena_strdup(system->arena, line);
	cr_assert_not_null(copy);
	return copy;
}

const char *system_path(struct system *system, const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	return text(system, "%s/%s", system->folder, line);
}

struct arena *system_arena(struct system *system)
{
	return system->arena;
}

int system_port(const struct system *system, int port)
{
	return system->ports.base + port;
}

const char *system_url(struct system *system, int port)
{
	bool api = port == PORT_API || port == PORT_API_2;
	bool link = port == PORT_LINK || port == PORT_LINK_2;
	const char *scheme = link ? "tls+tcp" : api && system->options.tls ? "https" : "http";
	return text(system, "%s://127.0.0.1:%d", scheme, system_port(system, port));
}

pid_t system_pid(const struct system *system, enum part part)
{
	return system->pids[part];
}

static void make_folder(const char *path)
{
	cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST, "%s: %s", path, strerror(errno));
}

static void make_folders(struct system *system)
{
	static const char *const folders[] = {
		"etcd", "objects", "online", "online-2", "keys", "log", "out", "files",
		"files/acme", "files/globex", "manifests"
	};
	const char *build = getenv("FREEHOLD_BUILD");
	cr_assert_not_null(build, "FREEHOLD_BUILD is not set; run it with tests/run.sh");
	snprintf(system->build, sizeof system->build, "%s", build);
	snprintf(system->folder, sizeof system->folder, "%s/system", build);
	make_folder(system->folder);
	snprintf(system->folder, sizeof system->folder, "%s/system/XXXXXX", build);
	cr_assert_not_null(mkdtemp(system->folder));
	aftermath_note(system->folder);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		make_folder(system_path(system, "%s", folders[i]));
}

static void make_certificates(struct system *system)
{
	static const char *const names[] = { "control", "worker-1", "worker-2" };
	const char *keys = system_path(system, "keys"), *sans = "DNS:localhost,IP:127.0.0.1";
	pems_authority(keys, "freehold-test-ca");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		pems_add(keys, names[i], sans);
}

struct system *system_new(void)
{
	struct err err = { 0 };
	struct fetch_conf conf = { .connect_timeout_ms = 1000, .connections_max = 64 };
	struct system *system = calloc(1, sizeof *system);
	cr_assert_not_null(system);
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	cr_assert_eq(arena_new(ARENA_MAX, &system->arena, &err), 0, "%s", err.text);
	cr_assert_eq(fetch_new(&conf, &system->fetch, &err), 0, "%s", err.text);
	system->ports = ports_take();
	make_folders(system);
	make_certificates(system);
	setenv("FREEHOLD_CONFIG", system_path(system, "config.yaml"), 1);
	unsetenv("FREEHOLD_PROFILE");
	unsetenv("ETCD_DATA_DIR");
	return system;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

void system_stop(struct system *system)
{
	for (int part = PART_COUNT_; part-- > 0;)
		if (system->pids[part])
			system_kill(system, (enum part)part);
	nftw(system->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	fetch_free(system->fetch);
	arena_free(system->arena);
	ports_give(&system->ports);
	free(system);
}

/* --- parts --- */

static size_t add_all(const char **argv, size_t count, const char *const *more)
{
	for (; more && *more; more++) {
		cr_assert(count < PROCESS_ARGS_MAX - 1);
		argv[count++] = *more;
	}
	argv[count] = NULL;
	return count;
}

static void etcd_args(struct system *system, const char **argv)
{
	const char *client = system_url(system, PORT_ETCD), *peer = system_url(system, PORT_PEER);
	const char *const parts[] = {
		"etcd", "--name", "dev", "--data-dir", system_path(system, "etcd"),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", text(system, "dev=%s", peer), "--log-level", "error", NULL
	};
	add_all(argv, 0, parts);
}

static void control_args(struct system *system, const char **argv, bool second)
{
	int api = second ? PORT_API_2 : PORT_API, link = second ? PORT_LINK_2 : PORT_LINK;
	const char *const parts[] = {
		text(system, "%s/freehold-control", system->build), "--replica",
		second ? "control-2" : "control-1",
		"--listen", text(system, "127.0.0.1:%d", system_port(system, api)),
		"--etcd", system_url(system, PORT_ETCD),
		"--root-key-file", system_path(system, "keys/root.key"), "--make-root-key", "true",
		"--bootstrap-key-file", system_path(system, "operator.key"),
		"--workers-without-identity", "true",
		"--signing-public-file", system_path(system, "keys/grants.pub"),
		"--link", system_url(system, link),
		"--link-ca-file", system_path(system, "keys/ca.pem"),
		"--link-cert-file", system_path(system, "keys/control.pem"),
		"--link-key-file", system_path(system, "keys/control.key"), NULL
	};
	const char *const tls[] = {
		"--cert-file", system_path(system, "keys/control.pem"),
		"--key-file", system_path(system, "keys/control.key"), NULL
	};
	const char *const trust[] = {
		"--peer-ca-file", system_path(system, "keys/ca.pem"), NULL
	};
	size_t count = add_all(argv, 0, parts);
	if (system->options.tls)
		count = add_all(argv, count, tls);
	if (system->options.tls && !system->options.strangers)
		count = add_all(argv, count, trust);
	add_all(argv, count, system->options.control);
}

static const char *links(struct system *system)
{
	const char *first = system_url(system, PORT_LINK);
	if (!system->options.replicas)
		return first;
	return text(system, "%s,%s", first, system_url(system, PORT_LINK_2));
}

static void worker_args(struct system *system, const char **argv, bool second)
{
	const char *name = second ? "worker-2" : "worker-1";
	int port = second ? PORT_SERVING_2 : PORT_SERVING;
	const char *const parts[] = {
		text(system, "%s/freehold-worker", system->build), "--name", name,
		"--control", links(system),
		"--link-ca-file", system_path(system, "keys/ca.pem"),
		"--link-cert-file", system_path(system, "keys/%s.pem", name),
		"--link-key-file", system_path(system, "keys/%s.key", name),
		"--signing-public-file", system_path(system, "keys/grants.pub"),
		"--objects", system_path(system, "objects"),
		"--files", system_path(system, "files"),
		"--online", system_path(system, second ? "online-2" : "online"),
		"--listen", text(system, "127.0.0.1:%d", system_port(system, port)),
		"--slots", "2", NULL
	};
	size_t count = add_all(argv, add_all(argv, 0, parts), system->options.worker);
	if (second)
		add_all(argv, count, system->options.worker_2);
}

struct waiting { struct system *system; enum part part; const char *url; };

static bool is_up(void *context)
{
	struct waiting *waiting = context;
	AUTO_BUF body;
	buf_init(&body, 1 * MIB);
	int status = 0;
	struct fetch_call call = { .url = waiting->url, .timeout_ms = 1000 };
	struct err err;
	pid_t pid = waiting->system->pids[waiting->part];
	cr_assert(process_alive(pid), "part %d ended; see %s/log", (int)waiting->part,
	          waiting->system->folder);
	return fetch_call(waiting->system->fetch, &call, &status, &body, NULL, &err) == 0 &&
	       status == 200;
}

static void await(struct system *system, enum part part, int port, const char *path)
{
	const char *url = text(system, "%s%s", system_url(system, port), path);
	struct waiting waiting = { system, part, url };
	cr_assert(wait_until(is_up, &waiting, START_MS), "%s is not there after %d ms; see %s/log",
	          waiting.url, START_MS, system->folder);
}

void system_run(struct system *system, enum part part)
{
	static const char *const logs[] = {
		"etcd", "control-1", "control-2", "worker-1", "worker-2"
	};
	static const int ports[] = {
		PORT_ETCD, PORT_API, PORT_API_2, PORT_SERVING, PORT_SERVING_2
	};
	const char *argv[PROCESS_ARGS_MAX];
	cr_assert_eq(system->pids[part], 0, "part %d runs", (int)part);
	if (part == PART_ETCD)
		etcd_args(system, argv);
	else if (part == PART_CONTROL || part == PART_CONTROL_2)
		control_args(system, argv, part == PART_CONTROL_2);
	else
		worker_args(system, argv, part == PART_WORKER_2);
	const char *log = system_path(system, "log/%s.log", logs[part]);
	system->pids[part] = process_start(argv, log, NULL);
	await(system, part, ports[part], part == PART_ETCD ? "/health" : "/healthz");
}

void system_await_ready(struct system *system)
{
	await(system, PART_CONTROL, PORT_API, "/readyz");
}

/* From here on answers come over TLS. */
static void trust_certificates(struct system *system)
{
	struct err err = { 0 };
	const struct fetch_conf conf = {
		.ca_file = system_path(system, "keys/ca.pem"), .connect_timeout_ms = 1000,
		.connections_max = 64,
	};
	fetch_free(system->fetch);
	cr_assert_eq(fetch_new(&conf, &system->fetch, &err), 0, "%s", err.text);
}

struct system *system_start(const struct system_options *options)
{
	struct system *system = system_new();
	if (options)
		system->options = *options;
	if (system->options.tls)
		trust_certificates(system);
	system_run(system, PART_ETCD);
	system_run(system, PART_CONTROL);
	system_run(system, PART_WORKER);
	system_await_ready(system);
	return system;
}

void system_kill(struct system *system, enum part part)
{
	cr_assert(system->pids[part] > 0);
	process_kill(system->pids[part]);
	system->pids[part] = 0;
}

int system_wait(struct system *system, enum part part, int ms)
{
	int code = process_wait(system->pids[part], ms);
	if (code >= 0)
		system->pids[part] = 0;
	return code;
}

void system_pause(struct system *system, enum part part)
{
	process_pause_tree(system->pids[part]);
}

void system_resume(struct system *system, enum part part)
{
	process_resume_tree(system->pids[part]);
}

/* --- HTTP --- */

struct answer system_call_with(struct system *system, int port, const char *key,
                               const char *header, const char *method, const char *path,
                               const char *body)
{
	const char *headers[4] = { "Content-Type: application/json" };
	size_t count = 1;
	if (key)
		headers[count++] = text(system, "Authorization: Bearer %s", key);
	if (header)
		headers[count++] = header;
	AUTO_BUF got;
	AUTO_BUF lines;
	buf_init(&got, ANSWER_MAX);
	buf_init(&lines, 1 * MIB);
	struct fetch_call call = {
		.method = method, .url = text(system, "%s%s", system_url(system, port), path),
		.headers = headers, .body = body, .body_len = body ? strlen(body) : 0,
		.timeout_ms = 30000,
	};
	struct answer answer = { .text = "", .headers = "" };
	struct err err = { 0 };
	if (fetch_call(system->fetch, &call, &answer.status, &got, &lines, &err) < 0) {
		answer.status = 0;
		answer.text = text(system, "%s", err.text);
		return answer;
	}
	cr_assert_eq(buf_check(&got, NULL), 0);
	cr_assert_eq(buf_check(&lines, NULL), 0);
	answer.text = arena_strndup(system->arena, (const char *)got.data, got.len);
	answer.headers = arena_strndup(system->arena, (const char *)lines.data, lines.len);
	if (got.len == 0 || json_parse(system->arena, answer.text, got.len, &answer.body, NULL) < 0)
		answer.body = NULL;
	return answer;
}

struct answer system_call(struct system *system, const char *key, const char *method,
                          const char *path, const char *body)
{
	return system_call_with(system, PORT_API, key, NULL, method, path, body);
}

struct value *system_ask(struct system *system, const char *key, const char *method,
                         const char *path, const char *body)
{
	struct answer answer = system_call(system, key, method, path, body);
	/* A leader that begins says when to come back. */
	for (int waited = 0; answer.status == 503 && waited < START_MS; waited += AGAIN_MS) {
		wait_ms(AGAIN_MS);
		answer = system_call(system, key, method, path, body);
	}
	cr_assert(answer.status >= 200 && answer.status < 300, "%s %s: %d %s", method, path,
	          answer.status, answer.text);
	return answer.body;
}

const char *answer_header(struct system *system, const struct answer *answer, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = answer->headers; line && *line;) {
		const char *end = strchr(line, '\n');
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1 + strspn(line + len + 1, " ");
			return arena_strndup(system->arena, line, strcspn(line, "\r\n"));
		}
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

/* --- the command line --- */

pid_t system_cli_start(struct system *system, const char *out, const char *const *args)
{
	const char *argv[PROCESS_ARGS_MAX] = { text(system, "%s/freehold", system->build) };
	add_all(argv, 1, args);
	return process_start(argv, out, NULL);
}

struct ran system_cli_args(struct system *system, const char *const *args)
{
	const char *out = system_path(system, "out/%d", ++system->outs);
	struct ran ran = { .code = process_wait(system_cli_start(system, out, args), 120000) };
	ran.out = file_text(system->arena, out);
	cr_assert(ran.code >= 0, "freehold %s ... does not end; it said: %s", args[0], ran.out);
	cr_assert_not_null(ran.out);
	return ran;
}

static struct ran run_cli(struct system *system, va_list ap)
{
	const char *args[PROCESS_ARGS_MAX] = { NULL };
	for (size_t i = 0; (args[i] = va_arg(ap, const char *)); i++)
		cr_assert(i < PROCESS_ARGS_MAX - 2);
	return system_cli_args(system, args);
}

struct ran system_cli(struct system *system, ...)
{
	va_list ap;
	va_start(ap, system);
	struct ran ran = run_cli(system, ap);
	va_end(ap);
	return ran;
}

const char *system_cli_ok(struct system *system, ...)
{
	va_list ap;
	va_start(ap, system);
	struct ran ran = run_cli(system, ap);
	va_end(ap);
	cr_assert_eq(ran.code, 0, "exit code %d: %s", ran.code, ran.out);
	return ran.out;
}
