/* etcd.c - see etcd.h. Talks plain sockets, so that it does not test fetch.c with itself; readiness
 * over TLS is asked of the port alone. */
#include "common/defs.h"
#include "tests/support/etcd.h"

#include "tests/support/aftermath.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_MS = 60000, STEP_MS = 20, STARTS = 3, ANSWER_S = 30, ARGS_MAX = 40 };

struct etcd {
	pid_t pid;                 /* 0: not running */
	struct ports ports;
	int client_port, peer_port;
	bool tls;
	char *ca_file, *cert_file, *key_file;
	char dir[64];
	char url[64];
	char name[16];
	char cluster[256];         /* --initial-cluster */
	char quota[24], token_ttl[12];
	const char *heartbeat, *election;
};

static void pause_ms(int ms)
{
	struct timespec step = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	nanosleep(&step, NULL);
}

static struct sockaddr_in address_of(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int dial(int port)
{
	struct sockaddr_in address = address_of(port);
	struct timeval patience = { .tv_sec = ANSWER_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The status, or -1 when there is no whole answer. */
static int post(int port, const char *path, const char *json, char *answer, size_t len)
{
	char text[16384];
	int n = snprintf(text, sizeof text, "POST %s HTTP/1.0\r\nHost: localhost\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path,
			 strlen(json), json);
	int fd = dial(port);
	if (fd < 0 || n >= (int)sizeof text || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	size_t got = 0;
	ssize_t some;
	while (got < sizeof text - 1 && (some = recv(fd, text + got, sizeof text - 1 - got, 0)) > 0)
		got += (size_t)some;
	close(fd);
	text[got] = 0;
	int status = -1;
	if (sscanf(text, "HTTP/%*s %d", &status) != 1)
		return -1;
	const char *body = strstr(text, "\r\n\r\n");
	if (answer)
		snprintf(answer, len, "%s", body ? body + 4 : "");
	return status;
}

int etcd_post(struct etcd *etcd, const char *path, const char *json, char *answer, size_t len)
{
	cr_assert_not(etcd->tls, "etcd_post speaks no TLS");
	return post(etcd->client_port, path, json, answer, len);
}

static bool is_up(const struct etcd *etcd)
{
	if (etcd->tls) {
		int fd = dial(etcd->client_port);
		if (fd >= 0)
			close(fd);
		return fd >= 0;
	}
	/* A read that needs the leader: only then will writes do. With authentication: 400. */
	int status = post(etcd->client_port, "/v3/kv/range", "{\"key\":\"YQ==\"}", NULL, 0);
	return status == 200 || status == 400;
}

static void run_child(const struct etcd *etcd, pid_t parent)
{
	char data[96], log[96], client[64], peer[64];
	snprintf(data, sizeof data, "%s/data", etcd->dir);
	snprintf(log, sizeof log, "%s/log", etcd->dir);
	snprintf(client, sizeof client, "%s", etcd->url);
	snprintf(peer, sizeof peer, "http://127.0.0.1:%d", etcd->peer_port);
	const char *args[ARGS_MAX] = {
		"etcd", "--data-dir", data, "--listen-client-urls", client, "--name", etcd->name,
		"--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", etcd->cluster,
		"--heartbeat-interval", etcd->heartbeat, "--election-timeout", etcd->election,
		"--quota-backend-bytes", etcd->quota, "--auth-token-ttl", etcd->token_ttl,
		"--auto-tls=false", "--logger", "zap", "--log-level", "error",
	};
	int n = 0;
	while (args[n])
		n++;
	if (etcd->tls) {
		const char *tls[] = {
			"--cert-file", etcd->cert_file, "--key-file", etcd->key_file,
			"--trusted-ca-file", etcd->ca_file, "--client-cert-auth",
		};
		memcpy(args + n, tls, sizeof tls);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	unsetenv("ETCD_DATA_DIR");
	execvp("etcd", (char **)args);
	_exit(127);
}

void etcd_launch(struct etcd *etcd)
{
	pid_t parent = getpid();
	etcd_kill(etcd);
	etcd->pid = fork();
	cr_assert(etcd->pid >= 0, "fork: %s", strerror(errno));
	if (etcd->pid == 0)
		run_child(etcd, parent);
}

/* True when it became ready; false when it died. */
static bool becomes_ready(struct etcd *etcd)
{
	for (int waited = 0; waited < READY_MS; waited += STEP_MS) {
		if (is_up(etcd))
			return true;
		if (waitpid(etcd->pid, NULL, WNOHANG) == etcd->pid) {
			etcd->pid = 0;
			return false;
		}
		pause_ms(STEP_MS);
	}
	etcd_kill(etcd);
	return false;
}

static bool launch(struct etcd *etcd)
{
	etcd_launch(etcd);
	return becomes_ready(etcd);
}

void etcd_await(struct etcd *etcd)
{
	cr_assert(becomes_ready(etcd), "etcd does not become ready");
}

static char *copy(const char *text)
{
	char *own = text ? strdup(text) : NULL;
	cr_assert(!text || own);
	return own;
}

static struct etcd *prepare(const struct etcd_options *options, const char *name)
{
	struct etcd *etcd = calloc(1, sizeof *etcd);
	cr_assert_not_null(etcd);
	etcd->tls = options->cert_file != NULL;
	etcd->ca_file = copy(options->ca_file);
	etcd->cert_file = copy(options->cert_file);
	etcd->key_file = copy(options->key_file);
	snprintf(etcd->dir, sizeof etcd->dir, "/tmp/freehold-test-etcd-XXXXXX");
	cr_assert_not_null(mkdtemp(etcd->dir), "mkdtemp: %s", strerror(errno));
	aftermath_note(etcd->dir);
	snprintf(etcd->name, sizeof etcd->name, "%s", name);
	snprintf(etcd->quota, sizeof etcd->quota, "%lld", (long long)options->quota_bytes);
	snprintf(etcd->token_ttl, sizeof etcd->token_ttl, "%d",
		 options->token_ttl_s ? options->token_ttl_s : 300);
	etcd->heartbeat = "50";
	etcd->election = "500";
	return etcd;
}

static void choose_ports(struct etcd *etcd)
{
	etcd->ports = ports_take();
	etcd->client_port = etcd->ports.base;
	etcd->peer_port = etcd->ports.base + 1;
	snprintf(etcd->url, sizeof etcd->url, "http%s://127.0.0.1:%d", etcd->tls ? "s" : "",
		 etcd->client_port);
}

struct etcd *etcd_start_with(const struct etcd_options *options)
{
	struct etcd *etcd = prepare(options, "default");
	choose_ports(etcd);
	snprintf(etcd->cluster, sizeof etcd->cluster, "default=http://127.0.0.1:%d",
		 etcd->peer_port);
	for (int tried = 0; tried < STARTS; tried++)
		if (launch(etcd))
			return etcd;
	cr_assert_fail("etcd does not start; is Debian's package etcd-server installed?");
	return NULL;
}

struct etcd *etcd_start(void)
{
	return etcd_start_with(&(struct etcd_options){ 0 });
}

const char *etcd_url(const struct etcd *etcd)
{
	return etcd->url;
}

const char *etcd_dir(const struct etcd *etcd)
{
	return etcd->dir;
}

void etcd_kill(struct etcd *etcd)
{
	if (etcd->pid == 0)
		return;
	kill(etcd->pid, SIGKILL);
	waitpid(etcd->pid, NULL, 0);
	etcd->pid = 0;
}

void etcd_restart(struct etcd *etcd)
{
	etcd_kill(etcd);
	for (int tried = 0; tried < STARTS; tried++)
		if (launch(etcd))
			return;
	cr_assert_fail("etcd does not start again");
}

void etcd_pause(struct etcd *etcd)
{
	process_pause(etcd->pid);
}

void etcd_resume(struct etcd *etcd)
{
	cr_assert(etcd->pid > 0 && kill(etcd->pid, SIGCONT) == 0);
}

void etcd_enable_auth(struct etcd *etcd, const char *password)
{
	char json[256];
	snprintf(json, sizeof json, "{\"name\":\"root\",\"password\":\"%s\"}", password);
	cr_assert_eq(etcd_post(etcd, "/v3/auth/user/add", json, NULL, 0), 200);
	cr_assert_eq(etcd_post(etcd, "/v3/auth/user/grant",
			       "{\"user\":\"root\",\"role\":\"root\"}", NULL, 0), 200);
	cr_assert_eq(etcd_post(etcd, "/v3/auth/enable", "{}", NULL, 0), 200);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

void etcd_stop(struct etcd *etcd)
{
	if (!etcd)
		return;
	etcd_kill(etcd);
	nftw(etcd->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	ports_give(&etcd->ports);
	free(etcd->ca_file);
	free(etcd->cert_file);
	free(etcd->key_file);
	free(etcd);
}

/* --- three members --- */

static void join(struct etcd *members[ETCD_MEMBERS])
{
	char cluster[256] = "";
	for (int i = 0; i < ETCD_MEMBERS; i++) {
		size_t len = strlen(cluster);
		snprintf(cluster + len, sizeof cluster - len, "%s%s=http://127.0.0.1:%d",
			 i ? "," : "", members[i]->name, members[i]->peer_port);
	}
	for (int i = 0; i < ETCD_MEMBERS; i++)
		snprintf(members[i]->cluster, sizeof members[i]->cluster, "%s", cluster);
}

void etcd_start_three(struct etcd *members[ETCD_MEMBERS])
{
	for (int i = 0; i < ETCD_MEMBERS; i++) {
		char name[16];
		snprintf(name, sizeof name, "m%d", i);
		members[i] = prepare(&(struct etcd_options){ 0 }, name);
		members[i]->heartbeat = "100";     /* three share a busy machine */
		members[i]->election = "1000";
		choose_ports(members[i]);
	}
	join(members);
	for (int i = 0; i < ETCD_MEMBERS; i++)
		etcd_launch(members[i]);
	for (int i = 0; i < ETCD_MEMBERS; i++)
		etcd_await(members[i]);
}

void etcd_stop_three(struct etcd *members[ETCD_MEMBERS])
{
	for (int i = 0; i < ETCD_MEMBERS; i++)
		etcd_stop(members[i]);
}

void etcd_urls(struct etcd *const members[ETCD_MEMBERS], char out[256])
{
	snprintf(out, 256, "%s,%s,%s", members[0]->url, members[1]->url, members[2]->url);
}

/* The text of a field that is a number in quotes. */
static bool field(const char *json, const char *name, char out[32])
{
	char quoted[32];
	snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
	const char *at = strstr(json, quoted);
	if (at)
		snprintf(out, 32, "%.*s", (int)strspn(at + strlen(quoted), "0123456789"),
			 at + strlen(quoted));
	return at != NULL;
}

static bool leads(struct etcd *etcd)
{
	char answer[2048], member[32], leader[32];
	return etcd->pid && etcd_post(etcd, "/v3/maintenance/status", "{}", answer,
				      sizeof answer) == 200 &&
		field(answer, "member_id", member) && field(answer, "leader", leader) &&
		strcmp(member, leader) == 0;
}

int etcd_leader(struct etcd *members[ETCD_MEMBERS])
{
	for (int waited = 0; waited < READY_MS; waited += STEP_MS) {
		for (int i = 0; i < ETCD_MEMBERS; i++)
			if (leads(members[i]))
				return i;
		pause_ms(STEP_MS);
	}
	cr_assert_fail("no member leads");
	return -1;
}
