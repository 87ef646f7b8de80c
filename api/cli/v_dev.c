/* v_dev.c - freehold dev: etcd, one control replica and one worker on this machine, in one folder.
 * The embedded default: no other server is needed, nothing but the folder is left behind. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/cli/supervisor.h"
#include "common/cert.h"
#include "common/crypto.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT_DEFAULT = 7070, CERT_DAYS = 365, START_MS = 30000 };
enum { TOKEN_TRIES = 150, TOKEN_PAUSE_US = 200 * 1000 };
enum { PORT_API, PORT_SERVING, PORT_LINK, PORT_ETCD, PORT_PEER, PORT_COUNT };

struct dev {
	struct cli *cli;
	const char *folder; /* absolute */
	const char *files;  /* absolute: what connector "file" may read */
	const char *bin;    /* folder of our own programs */
	int port;           /* of the API; the others follow it */
	int lock_fd;
	const char *health_url; /* of what is being waited for */
};

static const char *at(const struct dev *dev, const char *name)
{
	const char *path = arena_printf(dev->cli->arena, "%s/%s", dev->folder, name);
	REQUIRE(path);
	return path;
}

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", path);
	return 0;
}

static int absolute(struct cli *cli, const char *path, const char **ret_path, struct err *err)
{
	char *full = realpath(path, NULL);
	if (!full)
		return err_errno(err, errno, "%s", path);
	*ret_path = arena_strdup(cli->arena, full);
	free(full);
	return *ret_path ? 0 : err_set(err, E_NOMEM, "no memory for a path");
}

static int own_folder(struct dev *dev, struct err *err)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len < 0)
		return err_errno(err, errno, "/proc/self/exe");
	self[len] = 0;
	*strrchr(self, '/') = 0;
	dev->bin = arena_strdup(dev->cli->arena, self);
	return dev->bin ? 0 : err_set(err, E_NOMEM, "no memory for a path");
}

static int port_free(int port, struct err *err)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0)
		return err_errno(err, errno, "a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	int rc = bind(fd, (struct sockaddr *)&address, sizeof address);
	int reason = errno;
	close(fd);
	if (rc < 0 && reason == EADDRINUSE)
		return err_set(err, E_IO, "port %d of 127.0.0.1 is in use; choose "
		               "others with --port", port);
	if (rc < 0)
		return err_errno(err, reason, "port %d of 127.0.0.1", port);
	return 0;
}

static int take_lock(struct dev *dev, struct err *err)
{
	dev->lock_fd = open(at(dev, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dev->lock_fd < 0)
		return err_errno(err, errno, "%s", at(dev, "lock"));
	if (flock(dev->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, E_CONFLICT,
		               "%s is in use by another freehold dev; end that one, or "
		               "choose another folder with --data",
		               dev->folder);
	return 0;
}

static int prepare(struct dev *dev, struct err *err)
{
	static const char *const folders[] = {"etcd", "objects", "online", "keys", "log"};
	struct cli *cli = dev->cli;
	const char *data = cli_option(cli, "data") ? cli_option(cli, "data") : "freehold-data";
	const char *files = cli_option(cli, "files") ? cli_option(cli, "files") : ".";
	const char *port = cli_option(cli, "port");
	dev->port = port ? atoi(port) : PORT_DEFAULT;
	if (dev->port < 1024 || dev->port > 65535 - PORT_COUNT)
		return err_set(err, E_INVALID, "--port: must be 1024 to %d, not %s",
		               65535 - PORT_COUNT, port);
	TRY(make_folder(data, err));
	TRY(absolute(cli, data, &dev->folder, err));
	TRY(absolute(cli, files, &dev->files, err));
	TRY(own_folder(dev, err));
	TRY(take_lock(dev, err));
	for (int i = 0; i < PORT_COUNT; i++)
		TRY(port_free(dev->port + i, err));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		TRY(make_folder(at(dev, folders[i]), err));
	TRY(cert_make_ca(at(dev, "keys"), "freehold-dev-ca", CERT_DAYS, err));
	return cert_make(at(dev, "keys"), "control", "DNS:localhost,IP:127.0.0.1", CERT_DAYS, err);
}

static const char *url(const struct dev *dev, const char *scheme, int port)
{
	return arena_printf(dev->cli->arena, "%s://127.0.0.1:%d", scheme, dev->port + port);
}

static const char *listen_at(const struct dev *dev, int port)
{
	return arena_printf(dev->cli->arena, "127.0.0.1:%d", dev->port + port);
}

/* argv out of its parts; NULL ends them. */
static const char *const *args(const struct dev *dev, const char *const *parts)
{
	const char **argv = arena_alloc(dev->cli->arena, CHILD_ARGS_MAX * sizeof *argv);
	REQUIRE(argv);
	for (int i = 0; parts[i]; i++) {
		REQUIRE(i < CHILD_ARGS_MAX - 1);
		argv[i] = parts[i];
	}
	return argv;
}

static int healthy(void *context, struct err *err)
{
	const struct dev *dev = context;
	AUTO_BUF body;
	buf_init(&body, 1 * MIB);
	int status = 0;
	struct fetch_call call = {.url = dev->health_url, .timeout_ms = 1000};
	TRY(fetch_call(dev->cli->fetch, &call, &status, &body, NULL, err));
	return status == 200
	               ? 0
	               : err_set(err, E_UNAVAILABLE, "%s answers %d", dev->health_url, status);
}

static int start(struct dev *dev, struct supervisor *supervisor, const struct child *child,
                 const char *health_url, struct err *err)
{
	dev->health_url = health_url;
	TRY(supervisor_start(supervisor, child, err));
	return supervisor_await(supervisor, child->name, healthy, dev, START_MS, err);
}

static int start_etcd(struct dev *dev, struct supervisor *supervisor, struct err *err)
{
	const char *client = url(dev, "http", PORT_ETCD), *peer = url(dev, "http", PORT_PEER);
	const char *const parts[] = {"etcd",
	                             "--name",
	                             "dev",
	                             "--data-dir",
	                             at(dev, "etcd"),
	                             "--listen-client-urls",
	                             client,
	                             "--advertise-client-urls",
	                             client,
	                             "--listen-peer-urls",
	                             peer,
	                             "--initial-advertise-peer-urls",
	                             peer,
	                             "--initial-cluster",
	                             arena_printf(dev->cli->arena, "dev=%s", peer),
	                             "--log-level",
	                             "warn",
	                             "--auto-compaction-mode",
	                             "periodic",
	                             "--auto-compaction-retention",
	                             "15m",
	                             "--quota-backend-bytes",
	                             "8589934592",
	                             NULL};
	struct child child = {.name = "etcd",
	                      .argv = args(dev, parts),
	                      .stop_ms = 10000,
	                      .log_file = at(dev, "log/etcd.log")};
	return start(dev, supervisor, &child, arena_printf(dev->cli->arena, "%s/health", client),
	             err);
}

static int start_control(struct dev *dev, struct supervisor *supervisor, struct err *err)
{
	const char *const parts[] = {arena_printf(dev->cli->arena, "%s/freehold-control", dev->bin),
	                             "--replica",
	                             "control-1",
	                             "--listen",
	                             listen_at(dev, PORT_API),
	                             "--etcd",
	                             url(dev, "http", PORT_ETCD),
	                             "--root-key-file",
	                             at(dev, "keys/root.key"),
	                             "--make-root-key",
	                             "true",
	                             "--issuer-loopback",
	                             "true",
	                             "--bootstrap-key-file",
	                             at(dev, "operator.key"),
	                             "--signing-public-file",
	                             at(dev, "keys/grants.pub"),
	                             "--link",
	                             url(dev, "tls+tcp", PORT_LINK),
	                             "--link-ca-file",
	                             at(dev, "keys/ca.pem"),
	                             "--link-cert-file",
	                             at(dev, "keys/control.pem"),
	                             "--link-key-file",
	                             at(dev, "keys/control.key"),
	                             NULL};
	struct child child = {.name = "control",
	                      .argv = args(dev, parts),
	                      .stop_ms = 10000,
	                      .log_file = at(dev, "log/control.log")};
	return start(dev, supervisor, &child,
	             arena_printf(dev->cli->arena, "%s/healthz", url(dev, "http", PORT_API)), err);
}

/* A token for the worker of this machine, made with the operator's key of this folder. */
static int ask_token(struct dev *dev, const char *key, struct buf *answer, struct err *err)
{
	static const char body[] = "{\"name\":\"worker-1\"}";
	int status = 0;
	const char *const headers[] = {
		"Content-Type: application/json",
		arena_printf(dev->cli->arena, "Authorization: Bearer %s", key), NULL};
	struct fetch_call call = {.url = arena_printf(dev->cli->arena, "%s/v1/workers/tokens",
	                                              url(dev, "http", PORT_API)),
	                          .headers = headers,
	                          .body = body,
	                          .body_len = sizeof body - 1,
	                          .timeout_ms = 30000};
	TRY(fetch_call(dev->cli->fetch, &call, &status, answer, NULL, err));
	return status == 201 ? 0 : err_set(err, E_DENIED, "the worker cannot join: the operator's "
	                                   "key in %s is not taken (%d)",
	                                   at(dev, "operator.key"), status);
}

static int read_line(const char *path, char out[256], struct err *err)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return err_errno(err, errno, "%s", path);
	bool got = fgets(out, 256, file) != NULL;
	fclose(file);
	out[got ? strcspn(out, "\n") : 0] = 0;
	return got ? 0 : err_set(err, E_CORRUPT, "%s is empty", path);
}

static int write_line(const char *path, const char *text, struct err *err)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	bool written = dprintf(fd, "%s\n", text) > 0;
	return close(fd) == 0 && written ? 0 : err_errno(err, errno, "%s", path);
}

static int try_token(struct dev *dev, const char **ret_token, struct err *err)
{
	AUTO_BUF answer;
	char key[256];
	struct value *said = NULL;
	buf_init(&answer, 64 * KIB);
	TRY(read_line(at(dev, "operator.key"), key, err));
	int rc = ask_token(dev, key, &answer, err);
	secret_wipe(key, sizeof key);
	TRY(rc);
	TRY(json_parse(dev->cli->arena, (char *)answer.data, answer.len, &said, err));
	*ret_token = value_get_str(said, "token");
	return *ret_token ? 0 : err_set(err, E_INTERNAL, "the API's answer holds no token");
}

/* The worker joins by itself, as one on another machine would, once in the folder's life. The
 * operator's key is there, and taken, a moment after the API answers. */
static int make_token(struct dev *dev, struct err *err)
{
	const char *token = NULL;
	if (access(at(dev, "keys/worker-1/joined"), F_OK) == 0)
		return 0;
	int rc = try_token(dev, &token, err);
	for (int tries = 0; rc < 0 && tries < TOKEN_TRIES; tries++) {
		usleep(TOKEN_PAUSE_US);
		rc = try_token(dev, &token, err);
	}
	TRY(rc);
	return write_line(at(dev, "keys/worker-1.token"), token, err);
}

static int start_worker(struct dev *dev, struct supervisor *supervisor, struct err *err)
{
	const char *slots = cli_option(dev->cli, "slots");
	const char *const parts[] = {arena_printf(dev->cli->arena, "%s/freehold-worker", dev->bin),
	                             "--name",
	                             "worker-1",
	                             "--control",
	                             url(dev, "tls+tcp", PORT_LINK),
	                             "--identity",
	                             at(dev, "keys/worker-1"),
	                             "--join-token-file",
	                             at(dev, "keys/worker-1.token"),
	                             "--api",
	                             url(dev, "http", PORT_API),
	                             "--objects",
	                             at(dev, "objects"),
	                             "--files",
	                             dev->files,
	                             "--online",
	                             at(dev, "online"),
	                             "--listen",
	                             listen_at(dev, PORT_SERVING),
	                             "--slots",
	                             slots ? slots : "2",
	                             NULL};
	struct child child = {.name = "worker",
	                      .argv = args(dev, parts),
	                      .stop_ms = 15000,
	                      .log_file = at(dev, "log/worker.log")};
	TRY(start(dev, supervisor, &child,
	          arena_printf(dev->cli->arena, "%s/healthz", url(dev, "http", PORT_SERVING)),
	          err));
	dev->health_url = arena_printf(dev->cli->arena, "%s/readyz", url(dev, "http", PORT_API));
	return supervisor_await(supervisor, "Freehold", healthy, dev, START_MS, err);
}

static int start_all(struct dev *dev, struct supervisor *supervisor, struct err *err)
{
	TRY(start_etcd(dev, supervisor, err));
	TRY(start_control(dev, supervisor, err));
	TRY(make_token(dev, err));
	TRY(start_worker(dev, supervisor, err));
	printf("Freehold is up: API %s, serving %s; log in with: freehold login --url %s "
	       "--key-file %s\n",
	       url(dev, "http", PORT_API), url(dev, "http", PORT_SERVING),
	       url(dev, "http", PORT_API), at(dev, "operator.key"));
	fflush(stdout);
	return supervisor_run(supervisor, err);
}

static int dev(struct cli *cli, struct err *err)
{
	struct dev dev = {.cli = cli, .lock_fd = -1};
	struct fetch_conf conf = {.connect_timeout_ms = 500};
	TRY(crypto_start(err));
	TRY(fetch_new(&conf, &cli->fetch, err));
	TRY(prepare(&dev, err));
	AUTO(supervisor) *supervisor = NULL;
	TRY(supervisor_new(&supervisor, err));
	int rc = start_all(&dev, supervisor, err);
	printf("freehold dev: ending\n");
	return rc;
}

static const struct option_row options[] = {
	{"data", "FOLDER", "everything lies there; default ./freehold-data"},
	{"files", "FOLDER", "what sources with connector file may read, below TENANT/; default ."},
	{"port", "PORT", "of the API; serving and the rest take the next four; default 7070"},
	{"slots", "N", "tasks the worker runs at one time; default 2"},
	{NULL, NULL, NULL}};

const struct verb verb_dev = {
	.name = "dev",
	.words = "",
	.summary = "Start etcd, control and a worker on this machine, until Ctrl-C",
	.options = options,
	.offline = true,
	.run = dev,
	.example = "freehold dev --data ./freehold-data",
};
