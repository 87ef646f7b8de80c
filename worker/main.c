/* main.c - freehold-worker: the agent, with everything built in order, until a signal, and ended in
 * reverse; or, as `freehold-worker executor`, the process that runs one task's SQL. */
#include "common/defs.h"

#include "common/privilege.h"
#include "worker/access_link.h"
#include "worker/agent.h"
#include "worker/egress.h"
#include "worker/executor.h"
#include "worker/badge.h"
#include "worker/machine.h"
#include "worker/online.h"
#include "worker/pool.h"
#include "worker/query.h"
#include "worker/renewal.h"
#include "worker/serve.h"
#include "worker/worker_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	REPLICAS_MAX = 8, URL_MAX = 512, KEY_WAIT_MS = 30000, KEY_STEP_MS = 100,
	MIB_SHIFT = 20, SLOT_CPU_MILLIS = 2000,
	READERS = 8, QUERIES_MOST = 64,      /* threads for all but queries, and for those */
	EXIT_REMOVED = 3             /* control has removed this worker: it is started in vain */
};

struct worker {
	struct worker_conf conf;
	char control[REPLICAS_MAX * 256];         /* conf.control, cut at its commas */
	const char *urls[REPLICAS_MAX + 1];
	char serve_url[URL_MAX];
	struct worker_labels labels;
	struct recent recent;
	struct { int slots; uint64_t memory_bytes; int64_t cpu_millis; } capacity;   /* of tasks */
	struct cage_report cage;
	char cage_short[CAGE_SHORT_MAX];
	struct badge *badge;                /* NULL: it has none */
	struct node_key *node_key;                /* likewise */
	struct link_tls tls;                      /* of the link */
	struct secret *box_secret;
	struct runner runner;                     /* its parts are owned here */
	struct meter *meter;
	struct peer *peer;
	struct access_link access;
	struct access_cache *cache;
	struct queries *queries;
	struct serve *serve;
	struct agent *agent;
	struct renewal *renewal;
};

/* ---- keys ---- */

static int read_key(const char *path, uint8_t out[SIGN_PUBLIC_BYTES], struct err *err)
{
	char text[2 * SIGN_PUBLIC_BYTES + 4] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "--signing-public-file: open %s", path);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n < 2 * SIGN_PUBLIC_BYTES || !badge_hex(text, out))
		return err_set(err, E_INVALID, "--signing-public-file: %s must hold 64 hex digits, "
		               "as the control plane writes them", path);
	return 0;
}

/* Control writes the file when it starts, which may be now. */
static int await_key(const char *path, uint8_t out[SIGN_PUBLIC_BYTES], struct err *err)
{
	struct clock *clock = clock_system();
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never;
	int64_t until = clock_mono_ms(clock) + KEY_WAIT_MS;
	clock_cond_init(&never);
	int rc = read_key(path, out, err);
	while (rc == E_NOT_FOUND && clock_mono_ms(clock) < until) {
		pthread_mutex_lock(&mutex);
		clock_wait(clock, &never, &mutex, clock_mono_ms(clock) + KEY_STEP_MS);
		pthread_mutex_unlock(&mutex);
		rc = read_key(path, out, err);
	}
	pthread_cond_destroy(&never);
	return rc;
}

/* A pair for this life of the process: what was sealed to an earlier one opens no more. */
static int make_box(struct worker *worker, struct err *err)
{
	struct grant_opener *opener = &worker->runner.opener;
	TRY(secret_new(BOX_SECRET_BYTES, &worker->box_secret, err));
	box_keypair(opener->box_public, secret_data(worker->box_secret));
	opener->box_secret = worker->box_secret;
	opener->worker = worker->conf.name;
	if (worker->badge && badge_joined(worker->badge)) {
		memcpy(opener->control_key, badge_signing_key(worker->badge),
		       SIGN_PUBLIC_BYTES);
		return 0;
	}
	return await_key(worker->conf.signing_public_file, opener->control_key, err);
}

/* Who it is: by its folder, where that is said. What is set by hand goes before what control said
 * when it joined. */
static int open_badge(struct worker *worker, struct err *err)
{
	struct worker_conf *conf = &worker->conf;
	const struct badge_conf wanted = {
		.folder = conf->identity, .name = conf->name, .pool = conf->pool,
		.token_file = conf->join_token_file, .api = conf->api,
		.api_ca_file = conf->api_ca_file, .own_certificate = conf->link_cert_file != NULL,
	};
	worker->tls = (struct link_tls){ conf->link_ca_file, conf->link_cert_file,
	                                 conf->link_key_file };
	if (conf->join_token_file && !conf->identity)
		return err_set(err, E_INVALID, "--join-token-file needs --identity, a folder for "
		               "what this worker is then known by");
	if (!conf->identity)
		return 0;
	TRY(badge_open(&wanted, &worker->badge, err));
	if (!worker->tls.ca_file)
		worker->tls.ca_file = badge_ca_file(worker->badge);
	if (!worker->tls.cert_file)
		worker->tls.cert_file = worker->tls.key_file = badge_link_file(worker->badge);
	if (!conf->control)
		conf->control = badge_links(worker->badge);
	return 0;
}

/* The key that it proves its messages with. */
static int agree(struct worker *worker, struct err *err)
{
	if (!worker->badge)
		return 0;
	return badge_agree(worker->badge, worker->runner.opener.control_key,
	                      &worker->node_key, err);
}

/* ---- what is built ---- */

static int split_urls(struct worker *worker, struct err *err)
{
	if (!worker->conf.control)
		worker->conf.control = "tcp://127.0.0.1:7071";
	if (strlen(worker->conf.control) >= sizeof worker->control)
		return err_set(err, E_INVALID, "--control: at most %zu bytes",
		               sizeof worker->control - 1);
	strcpy(worker->control, worker->conf.control);
	char *rest = NULL;
	size_t count = 0;
	for (char *url = strtok_r(worker->control, ", ", &rest); url; url = strtok_r(NULL, ", ",
	                                                                             &rest)) {
		if (count == REPLICAS_MAX)
			return err_set(err, E_INVALID, "--control: at most %d replicas",
			               REPLICAS_MAX);
		worker->urls[count++] = url;
	}
	return 0;
}

static int open_stores(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	char path[4096];
	TRY(object_store_dir(conf->objects, &worker->runner.objects, err));
	TRY(online_new(conf->online, (size_t)conf->online_max_mib << MIB_SHIFT,
	               &worker->runner.online, err));
	/* No tenant's name begins with a dot. */
	if (snprintf(path, sizeof path, "%s/.meter", conf->online) >= (int)sizeof path)
		return err_set(err, E_INVALID, "--online: the path is too long");
	return meter_new(path, &worker->meter, err);
}

static int open_link(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	const struct peer_conf peer = {
		.link = {
			.urls = worker->urls,
			.tls = worker->tls,
		},
		.key = worker->node_key, .worker = conf->name,
		.incarnation = clock_unix_ms(clock_system()),
	};
	TRY(split_urls(worker, err));
	return peer_new(&peer, &worker->peer, err);
}

static int set_serve_url(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	const char *colon = strrchr(conf->listen, ':');
	int host = colon ? (int)(colon - conf->listen) : 0;
	int n = conf->serve_url
		? snprintf(worker->serve_url, URL_MAX, "%s", conf->serve_url)
		: snprintf(worker->serve_url, URL_MAX, "%s://%.*s:%d", conf->cert_file ? "https"
		           : "http", host, conf->listen, serve_port(worker->serve));
	return n < URL_MAX ? 0 : err_set(err, E_INVALID, "--serve-url: at most %d bytes",
	                                 URL_MAX - 1);
}

static int open_queries(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	struct queries_conf queries = {
		.runner = &worker->runner, .meter = worker->meter, .ask = access_link_query,
		.context = &worker->access, .most = conf->queries,
		.bytes_max = (int64_t)conf->query_max_mib << MIB_SHIFT,
	};
	if (conf->queries < 0 || conf->queries > QUERIES_MOST)
		return err_set(err, E_INVALID, "--queries: must be 0 to %d", QUERIES_MOST);
	if (conf->query_memory_mib < 64 || conf->query_threads < 1 || conf->query_timeout_s < 1 ||
	    conf->query_max_mib < 1)
		return err_set(err, E_INVALID, "--query-memory-mib must be 64 or more, and "
		               "--query-threads, --query-timeout-s and --query-max-mib 1 or more");
	limits_default(&queries.limits);
	queries.limits.memory_bytes = (uint64_t)conf->query_memory_mib << MIB_SHIFT;
	queries.limits.threads = conf->query_threads;
	queries.limits.deadline_ms = (int64_t)conf->query_timeout_s * 1000;
	queries.limits.cpu_ms = queries.limits.deadline_ms * conf->query_threads;
	return queries_new(&queries, &worker->queries, err);
}

static int open_door(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	const struct access_cache_conf cache = {
		.clock = clock_system(), .online = worker->runner.online, .meter = worker->meter,
		.ask = access_link_ask, .context = &worker->access,
	};
	worker->access = (struct access_link) { clock_system(), worker->peer,
		&worker->runner.opener };
	TRY(access_cache_new(&cache, &worker->cache, err));
	TRY(open_queries(worker, err));
	const struct serve_conf serve = {
		.http = {
			.listen = conf->listen, .cert_file = conf->cert_file,
			.key_file = conf->key_file,
			.poll_threads = conf->serve_threads,
			.threads = READERS + conf->queries,
			.connections_max = conf->serve_connections,
			.connections_per_address_max = conf->serve_connections_of_address,
			.trusted_proxies = conf->trusted_proxies,
		},
		.clock = clock_system(), .cache = worker->cache, .online = worker->runner.online,
		.meter = worker->meter, .queries = worker->queries, .cage = &worker->cage,
	};
	TRY(serve_new(&serve, &worker->serve, err));
	return set_serve_url(worker, err);
}

static void drop_access(void *context, const char *tenant)
{
	struct worker *worker = context;
	access_cache_drop(worker->cache, tenant);
	queries_drop(worker->queries, tenant);
}

static int erase_online(void *context, const char *tenant, int64_t *ret_rows, struct err *err)
{
	struct worker *worker = context;
	*ret_rows = 0;
	return worker->runner.online ? online_erase(worker->runner.online, tenant, ret_rows, err)
	                             : 0;
}

/* Nothing that runs or is served here may go on, and there is nobody to report to. */
NORETURN static void end_removed(void *context, const char *text)
{
	(void)context;
	log_error(NULL, "removed", "reason=\"%s\"", text);
	_exit(EXIT_REMOVED);
}

/* What is not set is what the machine has, or this process's control group allows. */
static void set_capacity(struct worker *worker)
{
	const struct worker_conf *conf = &worker->conf;
	struct machine machine;
	machine_look("", &machine);
	int64_t cores = (machine.cpu_millis + 999) / 1000;
	worker->capacity.memory_bytes = conf->memory_mib ? (uint64_t)conf->memory_mib << MIB_SHIFT
	                                                 : machine.memory_bytes / 2;
	worker->capacity.slots = conf->slots ? conf->slots
	                         : cores < AGENT_SLOTS_MAX ? (int)cores : AGENT_SLOTS_MAX;
	/* Tasks of the default limits fill the slots: their threads share the cores. */
	int64_t shared = (int64_t)worker->capacity.slots * SLOT_CPU_MILLIS;
	int64_t own = machine.cpu_millis > shared ? machine.cpu_millis : shared;
	worker->capacity.cpu_millis = conf->cpus ? (int64_t)conf->cpus * 1000 : own;
}

static int start_agent(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	TRY(worker_conf_labels(conf, &worker->labels, err));
	const struct agent_conf agent = {
		.clock = clock_system(), .peer = worker->peer, .run = run_grant,
		.runner = &worker->runner,
		.meter = worker->meter, .drop = drop_access, .erase = erase_online,
		.drop_context = worker,
		.removed = end_removed,
		.era = &worker->runner.era,
		.box_public = worker->runner.opener.box_public, .serve_url = worker->serve_url,
		.cage = worker->cage_short, .pool = conf->pool, .labels = worker->labels.labels,
		.label_count = worker->labels.count, .recent = &worker->recent,
		.slots = worker->capacity.slots, .memory_bytes = worker->capacity.memory_bytes,
		.cpu_millis = worker->capacity.cpu_millis,
	};
	TRY(agent_new(&agent, &worker->agent, err));
	serve_set_agent(worker->serve, worker->agent);
	return 0;
}

static int open_egress(struct worker *worker, struct err *err)
{
	const struct worker_conf *conf = &worker->conf;
	const struct egress_conf egress = {
		.deny = conf->egress_deny, .allow = conf->egress_allow_private,
		.ca_file = conf->egress_ca_file,
		.bytes_max = (int64_t)conf->egress_max_mib << MIB_SHIFT,
	};
	return egress_new(&egress, &worker->runner.egress, err);
}

static int start_renewal(struct worker *worker, struct err *err)
{
	const struct renewal_conf renewal = {
		.badge = worker->badge, .peer = worker->peer, .name = worker->conf.name,
		.tls = worker->tls, .http = serve_http(worker->serve),
		.cert_file = worker->conf.cert_file, .key_file = worker->conf.key_file,
	};
	return renewal_new(&renewal, &worker->renewal, err);
}

/* What executors can do to each other and to this host is said before one has a task. */
static int open_pool(struct worker *worker, struct err *err)
{
	char text[CAGE_TEXT_MAX];
	struct pool_conf pool = {
		.ready = worker->conf.ready, .clock = clock_system(), .groups = true,
	};
	TRY(cage_layers_parse(worker->conf.require_cage, &pool.required, err));
	TRY(pool_new(&pool, &worker->runner.pool, err));
	TRY(pool_cage(worker->runner.pool, &worker->cage, err));
	cage_report_short(&worker->cage, worker->cage_short);
	cage_report_print(&worker->cage, text);
	log_info(NULL, "cage", "layers=\"%s\" detail=\"%s\"", worker->cage_short, text);
	return 0;
}

static int build(struct worker *worker, struct err *err)
{
	worker->runner.clock = clock_system();
	worker->runner.files_root = worker->conf.files;
	recent_init(&worker->recent);
	worker->runner.recent = &worker->recent;
	set_capacity(worker);
	bool root = false;
	TRY(crypto_start(err));
	TRY(privilege_drop(worker->conf.user, &root, err));
	if (root)
		log_warn(NULL, "runs_as_root", "reason=\"name a user of its own with --user\"");
	TRY(open_pool(worker, err));
	TRY(open_stores(worker, err));
	TRY(open_badge(worker, err));
	TRY(make_box(worker, err));
	TRY(open_egress(worker, err));
	TRY(agree(worker, err));
	TRY(open_link(worker, err));
	TRY(open_door(worker, err));
	TRY(start_agent(worker, err));
	return start_renewal(worker, err);
}

static void end(struct worker *worker)
{
	renewal_free(worker->renewal);
	if (worker->agent)
		agent_drain(worker->agent, worker->conf.drain_timeout_s * 1000);
	if (worker->serve)
		serve_set_agent(worker->serve, NULL);
	agent_free(worker->agent);
	if (worker->queries)
		queries_end(worker->queries);
	serve_free(worker->serve);
	queries_free(worker->queries);
	access_cache_free(worker->cache);
	peer_free(worker->peer);
	meter_free(worker->meter);
	online_free(worker->runner.online);
	object_store_free(worker->runner.objects);
	pool_free(worker->runner.pool);
	egress_free(worker->runner.egress);
	secret_free(worker->box_secret);
	node_key_free(worker->node_key);
	badge_free(worker->badge);
	recent_release(&worker->recent);
}

/* ---- the process ---- */

static void wait_for_end(const sigset_t *signals)
{
	int number = 0;
	while (sigwait(signals, &number) != 0)
		;
	log_info(NULL, "ending", "signal=%d", number);
}

/* Who asks twice does not want to wait: executors end with us, and control finds us gone. */
static void *end_at_once(void *context)
{
	const sigset_t *signals = context;
	int number = 0;
	while (sigwait(signals, &number) != 0)
		;
	log_warn(NULL, "ended_at_once", "signal=%d", number);
	_exit(1);
}

static void watch_for_second(sigset_t *signals)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, end_at_once, signals) == 0)
		pthread_detach(thread);
}

static int run(struct worker *worker, sigset_t *signals)
{
	struct err err = { 0 };
	int code = build(worker, &err);
	if (code < 0) {
		log_error(NULL, "not_started", "code=%s reason=\"%s\"", err_name(err.code),
		          err.text);
	} else {
		log_info(NULL, "started", "worker=%s port=%d slots=%d version=%s",
		         worker->conf.name, serve_port(worker->serve), worker->capacity.slots,
		         FREEHOLD_VERSION);
		wait_for_end(signals);
		watch_for_second(signals);
	}
	end(worker);
	return code < 0 ? 1 : 0;
}

static int print_help(void)
{
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	worker_conf_help(&out);
	if (buf_check(&out, NULL) < 0)
		return 1;
	return fputs((char *)out.data, stdout) == EOF;
}

static int run_agent(int argc, char **argv)
{
	struct worker worker = { .meter = NULL };
	struct err err = { 0 };
	enum log_level level = LOG_INFO;
	sigset_t signals;
	if (worker_conf_read(argc, argv, &worker.conf, &err) < 0 ||
	    worker_conf_log_level(&worker.conf, &level, &err) < 0) {
		fprintf(stderr, "freehold-worker: %s\n", err.text);
		return 2;
	}
	if (worker.conf.help)
		return print_help();
	if (worker.conf.version)
		return printf("freehold-worker %s\n", FREEHOLD_VERSION) < 0;
	log_start("worker", level);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);     /* before any thread: all inherit it */
	return run(&worker, &signals);
}

int main(int argc, char **argv)
{
	const char *role = executor_role(argc, argv);
	if (role)
		executor_main(role, executor_work);
	/* "agent" may be said; it is what the program is without a word. */
	bool said = argc > 1 && strcmp(argv[1], "agent") == 0;
	return run_agent(argc - said, argv + said);
}
