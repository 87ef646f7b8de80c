/* cluster.c - see cluster.h. */
#include "common/defs.h"
#include "tests/support/cluster.h"

#include "common/crypto.h"
#include "common/fetch.h"
#include "common/json.h"
#include "tests/support/aftermath.h"
#include "tests/support/follow.h"
#include "tests/support/pems.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"
#include "tests/support/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_MAX = 64 * 1024 * 1024, ANSWER_MAX = 4 * 1024 * 1024, UP_MS = 60000, ASK_MS = 1000 };

struct node {
	pid_t pid;                  /* 0: does not run */
	int port, peer_port;        /* of clients; of other members, or of workers */
	volatile int64_t *clock_ms; /* its wall clock's step, shared with it */
};

struct cluster {
	struct arena *arena;
	struct fetch *fetch;
	const char *folder, *build, *operator_header;
	struct node nodes[CLUSTER_NODES];
	struct wire *wires[CLUSTER_WORKERS][CLUSTER_CONTROLS];
	struct ports ports;
};
_Static_assert(2 * CLUSTER_NODES <= PORTS_EACH, "two ports a node");

static const char *const names[CLUSTER_NODES] = {"etcd-1",    "etcd-2",   "etcd-3",   "control-1",
                                                 "control-2", "worker-1", "worker-2", "worker-3"};

const char *node_name(int node)
{
	return names[node];
}

static const char *text(const struct cluster *cluster, const char *format, ...) PRINTF(2, 3);
static const char *text(const struct cluster *cluster, const char *format, ...)
{
	char line[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	const char *copy = arena_strdup(cluster->arena, line);
	cr_assert_not_null(copy);
	return copy;
}

static bool is_etcd(int node)
{
	return node < NODE_CONTROL;
}

static bool is_control(int node)
{
	return node >= NODE_CONTROL && node < NODE_WORKER;
}

/* --- folders, ports, certificates, clocks --- */

static void make_folders(struct cluster *cluster)
{
	static const char *const folders[] = {"",       "/keys",       "/log",  "/objects",
	                                      "/files", "/files/acme", "/clock"};
	char path[512];
	cluster->build = getenv("FREEHOLD_BUILD");
	cr_assert_not_null(cluster->build, "FREEHOLD_BUILD is not set; run it with tests/run.sh");
	snprintf(path, sizeof path, "%s/chaos-XXXXXX", cluster->build);
	cr_assert_not_null(mkdtemp(path));
	aftermath_note(path);
	cluster->folder = text(cluster, "%s", path);
	for (size_t i = 1; i < ARRAY_LEN(folders); i++)
		cr_assert_eq(mkdir(text(cluster, "%s%s", path, folders[i]), 0700), 0);
}

static void make_certificates(const struct cluster *cluster)
{
	const char *keys = text(cluster, "%s/keys", cluster->folder);
	pems_authority(keys, "freehold-chaos-ca");
	for (int node = NODE_CONTROL; node < CLUSTER_NODES; node++)
		pems_add(keys, names[node], "DNS:localhost,IP:127.0.0.1");
}

static void make_clock(struct cluster *cluster, int node)
{
	const char *path = text(cluster, "%s/clock/%s", cluster->folder, names[node]);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && ftruncate(fd, 4096) == 0);
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(shared, MAP_FAILED);
	close(fd);
	cluster->nodes[node].clock_ms = shared;
}

void node_clock(struct cluster *cluster, int node, int64_t step_ms)
{
	*cluster->nodes[node].clock_ms = step_ms;
}

/* --- starting --- */

static const char *client_url(const struct cluster *cluster, int node)
{
	return text(cluster, "http://127.0.0.1:%d", cluster->nodes[node].port);
}

static const char *peer_url(const struct cluster *cluster, int node)
{
	return text(cluster, "http://127.0.0.1:%d", cluster->nodes[node].peer_port);
}

static pid_t start_etcd(const struct cluster *cluster, int node)
{
	const char *client = client_url(cluster, node), *peer = peer_url(cluster, node);
	const char *const argv[] = {"etcd",
	                            "--name",
	                            names[node],
	                            "--data-dir",
	                            text(cluster, "%s/%s", cluster->folder, names[node]),
	                            "--listen-client-urls",
	                            client,
	                            "--advertise-client-urls",
	                            client,
	                            "--listen-peer-urls",
	                            peer,
	                            "--initial-advertise-peer-urls",
	                            peer,
	                            "--initial-cluster",
	                            text(cluster, "%s=%s,%s=%s,%s=%s", names[0],
	                                 peer_url(cluster, 0), names[1], peer_url(cluster, 1),
	                                 names[2], peer_url(cluster, 2)),
	                            "--heartbeat-interval",
	                            "200",
	                            "--election-timeout",
	                            "2000",
	                            "--log-level",
	                            "error",
	                            NULL};
	return process_start(argv, text(cluster, "%s/log/%s.log", cluster->folder, names[node]),
	                     NULL);
}

static const char *key_file(const struct cluster *cluster, const char *name)
{
	return text(cluster, "%s/keys/%s", cluster->folder, name);
}

static pid_t start_control(const struct cluster *cluster, int node)
{
	const char *const argv[] = {
		text(cluster, "%s/freehold-control", cluster->build),
		"--replica",
		names[node],
		"--listen",
		text(cluster, "127.0.0.1:%d", cluster->nodes[node].port),
		"--etcd",
		text(cluster, "%s,%s,%s", client_url(cluster, 0), client_url(cluster, 1),
	             client_url(cluster, 2)),
		"--root-key-file",
		key_file(cluster, "root.key"),
		"--make-root-key",
		"true",
		"--workers-without-identity",
		"true",
		"--bootstrap-key-file",
		text(cluster, "%s/operator.key", cluster->folder),
		"--signing-public-file",
		key_file(cluster, "grants.pub"),
		"--link",
		text(cluster, "tls+tcp://127.0.0.1:%d", cluster->nodes[node].peer_port),
		"--link-ca-file",
		key_file(cluster, "ca.pem"),
		"--link-cert-file",
		text(cluster, "%s/keys/%s.pem", cluster->folder, names[node]),
		"--link-key-file",
		text(cluster, "%s/keys/%s.key", cluster->folder, names[node]),
		NULL};
	return process_start(argv, text(cluster, "%s/log/%s.log", cluster->folder, names[node]),
	                     NULL);
}

static pid_t start_worker(const struct cluster *cluster, int node)
{
	struct wire *const *wires = cluster->wires[node - NODE_WORKER];
	const char *const argv[] = {text(cluster, "%s/freehold-worker", cluster->build),
	                            "--name",
	                            names[node],
	                            "--control",
	                            text(cluster, "tls+tcp://127.0.0.1:%d,tls+tcp://127.0.0.1:%d",
	                                 wire_port(wires[0]), wire_port(wires[1])),
	                            "--link-ca-file",
	                            key_file(cluster, "ca.pem"),
	                            "--link-cert-file",
	                            text(cluster, "%s/keys/%s.pem", cluster->folder, names[node]),
	                            "--link-key-file",
	                            text(cluster, "%s/keys/%s.key", cluster->folder, names[node]),
	                            "--signing-public-file",
	                            key_file(cluster, "grants.pub"),
	                            "--objects",
	                            text(cluster, "%s/objects", cluster->folder),
	                            "--files",
	                            text(cluster, "%s/files", cluster->folder),
	                            "--online",
	                            text(cluster, "%s/online-%s", cluster->folder, names[node]),
	                            "--listen",
	                            text(cluster, "127.0.0.1:%d", cluster->nodes[node].port),
	                            "--slots",
	                            "2",
	                            NULL};
	mkdir(text(cluster, "%s/online-%s", cluster->folder, names[node]), 0700);
	return process_start(argv, text(cluster, "%s/log/%s.log", cluster->folder, names[node]),
	                     NULL);
}

/* Control and workers see their wall clock through the file of steps. */
void node_start(struct cluster *cluster, int node)
{
	cr_assert_eq(cluster->nodes[node].pid, 0, "%s runs", names[node]);
	if (is_etcd(node)) {
		cluster->nodes[node].pid = start_etcd(cluster, node);
		return;
	}
	setenv("LD_PRELOAD", text(cluster, "%s/libclockstep.so", cluster->build), 1);
	setenv("CLOCKSTEP_FILE", text(cluster, "%s/clock/%s", cluster->folder, names[node]), 1);
	cluster->nodes[node].pid =
		is_control(node) ? start_control(cluster, node) : start_worker(cluster, node);
	unsetenv("LD_PRELOAD");
	unsetenv("CLOCKSTEP_FILE");
}

/* --- asking --- */

/* The body as text in the arena; NULL: no answer, or not 200. */
static const char *ask(const struct cluster *cluster, const char *url, const char *body)
{
	AUTO_BUF answer;
	int status = 0;
	struct err err;
	const struct fetch_call call = {.url = url,
	                                .body = body,
	                                .body_len = body ? strlen(body) : 0,
	                                .timeout_ms = ASK_MS};
	buf_init(&answer, ANSWER_MAX);
	if (fetch_call(cluster->fetch, &call, &status, &answer, NULL, &err) < 0 || status != 200)
		return NULL;
	return arena_strndup(cluster->arena, (const char *)answer.data, answer.len);
}

int cluster_leader(struct cluster *cluster)
{
	for (int i = 0; i < CLUSTER_CONTROLS; i++) {
		int node = NODE_CONTROL + i;
		const char *said =
			cluster->nodes[node].pid
				? ask(cluster,
		                      text(cluster, "%s/metrics", client_url(cluster, node)), NULL)
				: NULL;
		if (said && strstr(said, "\nfreehold_leader 1"))
			return node;
	}
	return -1;
}

int cluster_etcd_leader(struct cluster *cluster)
{
	for (int node = 0; node < CLUSTER_ETCDS; node++) {
		const char *url =
			text(cluster, "%s/v3/maintenance/status", client_url(cluster, node));
		const char *said = cluster->nodes[node].pid ? ask(cluster, url, "{}") : NULL;
		struct value *map = NULL;
		if (!said || json_parse(cluster->arena, said, strlen(said), &map, NULL) < 0)
			continue;
		const char *leader = value_get_str(map, "leader");
		const char *member = value_get_str(value_get(map, "header"), "member_id");
		if (leader && member && strcmp(leader, member) == 0)
			return node;
	}
	return -1;
}

static bool is_led(void *context)
{
	return cluster_leader(context) >= 0;
}

static bool has_etcd_leader(void *context)
{
	return cluster_etcd_leader(context) >= 0;
}

const char *cluster_operator(struct cluster *cluster)
{
	const char *path = text(cluster, "%s/operator.key", cluster->folder);
	if (!cluster->operator_header) {
		const char *key = file_text(cluster->arena, path);
		cr_assert_not_null(key, "%s", path);
		cluster->operator_header =
			text(cluster, "Authorization: Bearer %.*s", (int)strcspn(key, "\n"), key);
	}
	return cluster->operator_header;
}

/* --- life --- */

struct cluster *cluster_start(void)
{
	struct err err = {0};
	const struct fetch_conf conf = {.connect_timeout_ms = ASK_MS};
	struct cluster *cluster = calloc(1, sizeof *cluster);
	cr_assert_not_null(cluster);
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	cr_assert_eq(arena_new(ARENA_MAX, &cluster->arena, &err), 0, "%s", err.text);
	cr_assert_eq(fetch_new(&conf, &cluster->fetch, &err), 0, "%s", err.text);
	unsetenv("ETCD_DATA_DIR");
	cluster->ports = ports_take();
	make_folders(cluster);
	make_certificates(cluster);
	for (int node = 0; node < CLUSTER_NODES; node++) {
		cluster->nodes[node].port = cluster->ports.base + node;
		cluster->nodes[node].peer_port = cluster->ports.base + CLUSTER_NODES + node;
		make_clock(cluster, node);
	}
	for (int w = 0; w < CLUSTER_WORKERS; w++)
		for (int c = 0; c < CLUSTER_CONTROLS; c++)
			cluster->wires[w][c] =
				wire_open(cluster->nodes[NODE_CONTROL + c].peer_port);
	for (int node = 0; node < NODE_CONTROL; node++)
		node_start(cluster, node);
	cr_assert(wait_until(has_etcd_leader, cluster, UP_MS), "etcd has no leader");
	node_start(cluster, NODE_CONTROL); /* makes the root key */
	cr_assert(wait_until(is_led, cluster, UP_MS), "nobody leads; see %s/log", cluster->folder);
	for (int node = NODE_CONTROL + 1; node < CLUSTER_NODES; node++)
		node_start(cluster, node);
	return cluster;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat, (void)type, (void)walk;
	return remove(path);
}

void cluster_stop(struct cluster *cluster)
{
	for (int node = CLUSTER_NODES; node-- > 0;) {
		if (cluster->nodes[node].pid)
			node_kill(cluster, node);
		munmap((void *)(uintptr_t)cluster->nodes[node].clock_ms, 4096);
	}
	for (int w = 0; w < CLUSTER_WORKERS; w++)
		for (int c = 0; c < CLUSTER_CONTROLS; c++)
			wire_close(cluster->wires[w][c]);
	nftw(cluster->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	ports_give(&cluster->ports);
	fetch_free(cluster->fetch);
	arena_free(cluster->arena);
	free(cluster);
}

const char *cluster_folder(const struct cluster *cluster)
{
	return cluster->folder;
}

const char *cluster_api(const struct cluster *cluster, int control)
{
	return client_url(cluster, NODE_CONTROL + control);
}

int cluster_port(const struct cluster *cluster, int node)
{
	return cluster->nodes[node].port;
}

void node_kill(struct cluster *cluster, int node)
{
	process_kill(cluster->nodes[node].pid);
	cluster->nodes[node].pid = 0;
}

void node_pause(struct cluster *cluster, int node)
{
	process_pause_tree(cluster->nodes[node].pid);
}

void node_resume(struct cluster *cluster, int node)
{
	process_resume_tree(cluster->nodes[node].pid);
}

void node_cut(struct cluster *cluster, int node, bool to_control, bool to_worker)
{
	for (int c = 0; c < CLUSTER_CONTROLS; c++)
		wire_cut(cluster->wires[node - NODE_WORKER][c], to_control, to_worker);
}

void node_mend(struct cluster *cluster, int node)
{
	for (int c = 0; c < CLUSTER_CONTROLS; c++)
		wire_mend(cluster->wires[node - NODE_WORKER][c]);
}
