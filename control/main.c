/* main.c - freehold-control: builds everything in order, waits for a signal, ends it in reverse. */
#include "common/defs.h"

#include "api/http.h"
#include "api/link.h"
#include "common/privilege.h"
#include "common/store_etcd.h"
#include "common/store_shift.h"
#include "common/text.h"
#include "control/certs.h"
#include "control/conf.h"
#include "control/dispatch.h"
#include "control/door.h"
#include "control/recovery.h"
#include "control/start.h"
#include "tenant/root.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is built --- */

struct process {
	struct conf conf;
	struct root_conf root;
	struct keyring *keyring;
	struct store *store;
	struct era era;
	struct control *control;
	struct http_server *http;
	struct link_server *link;
	struct certs *certs;
};

/* Written whole under another name first: a worker never reads half a key. */
static int write_public(const char *path, const uint8_t key[SIGN_PUBLIC_BYTES], struct err *err)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1], partial[4096];
	hex_print(key, SIGN_PUBLIC_BYTES, hex);
	snprintf(partial, sizeof partial, "%s.partial", path);
	int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(err, errno, "cannot write --signing-public-file %s", partial);
	bool written = fchmod(fd, 0644) == 0 &&
		dprintf(fd, "%s\n", hex) == 2 * SIGN_PUBLIC_BYTES + 1 && fsync(fd) == 0;
	int reason = errno;
	if (close(fd) == 0 && written && rename(partial, path) == 0)
		return 0;
	return err_errno(err, written ? errno : reason, "cannot write --signing-public-file %s",
	                 path);
}

static int open_store(struct process *process, struct err *err)
{
	const struct conf *conf = &process->conf;
	const struct store_etcd_conf etcd = {
		.endpoints = conf->etcd, .prefix = conf->etcd_prefix, .user = conf->etcd_user,
		.password_file = conf->etcd_password_file, .ca_file = conf->etcd_ca_file,
		.cert_file = conf->etcd_cert_file, .key_file = conf->etcd_key_file,
	};
	return store_etcd_new(&etcd, clock_system(), &process->store, err);
}

/* After a restore, revisions go on where they were. */
static int begin_era(struct process *process, struct err *err)
{
	struct store *shifted = NULL;
	TRY(era_load(process->store, keyring_state_key(process->keyring), &process->era, err));
	if (!process->era.base)
		return 0;
	TRY(store_shift_new(process->store, process->era.base, &shifted, err));
	process->store = shifted;
	return 0;
}

/* The default file is meant when nothing else is said. */
static void set_root(struct process *process, bool make)
{
	const struct conf *conf = &process->conf;
	bool other = conf->root_key_env || conf->transit_url;
	bool said = conf->root_key_file && strcmp(conf->root_key_file, "root.key") != 0;
	process->root = (struct root_conf){
		.file = other && !said ? NULL : conf->root_key_file, .make = make,
		.env = conf->root_key_env, .old_file = conf->old_root_key_file,
		.record_file = conf->root_record_file, .clock = clock_system(),
		.transit = {
			.url = conf->transit_url, .mount = conf->transit_mount,
			.key = conf->transit_key, .space = conf->transit_namespace,
			.token_file = conf->transit_token_file, .k8s_role = conf->transit_k8s_role,
			.k8s_mount = conf->transit_k8s_mount,
			.k8s_token_file = conf->transit_k8s_token_file,
			.ca_file = conf->transit_ca_file,
		},
	};
}

static int open_keyring(struct process *process, bool make, struct err *err)
{
	AUTO(secret) *key = NULL;
	set_root(process, make);
	TRY(root_open(&process->root, process->store, &key, err));
	return keyring_from(key, &process->keyring, err);
}

static int build_control(struct process *process, struct err *err)
{
	const struct conf *conf = &process->conf;
	char url[256];
	TRY(conf_advertise(conf, url, err));
	const struct start_conf start = {
		.clock = clock_system(),
		.store = process->store,
		.keyring = process->keyring,
		.era = process->era,
		.replica = conf->replica ? conf->replica : "control",
		.lead = { .ttl_s = conf->lead_ttl_s, .url = url[0] ? url : NULL,
		          .bootstrap_key_file = conf->bootstrap_key_file },
		.peer_ca_file = conf->peer_ca_file,
		.forwards_max = conf->http_threads - conf->http_threads / 4,
		.shards = conf->shards,
		.journal_window_ms = conf->journal_window_ms,
		.checkpoint_interval_s = conf->checkpoint_interval_s,
		.checkpoint_bytes = (int64_t)conf->checkpoint_mib * 1024 * 1024,
		.held_max = conf->http_threads / 2,
		.issuer_loopback = conf->issuer_loopback,
		.issuer_networks = conf->issuer_networks,
		.worker_silent_ms = conf->worker_silent_ms,
		.nameless = conf->workers_without_identity,
		.worker_links = conf_worker_links(conf),
		.link_ca_file = conf->link_ca_file,
		.worker_cert_s = conf->worker_cert_s,
		.events = { conf->event_streams, conf->event_streams_of_tenant },
		.erasure.workers_ms = (int64_t)conf->erase_workers_s * 1000,
		.erase_after_ms = (int64_t)conf->erase_after_s * 1000,
		.audit_days = conf->audit_days,
		.archive.audit = {
			.enough = conf->audit_batch > 0 ? (size_t)conf->audit_batch : 1,
			.old_ms = (int64_t)conf->audit_within_s * 1000,
		},
		.archive.rules = {
			.enough = conf->history_batch > 0 ? (size_t)conf->history_batch : 0,
			.young_ms = (int64_t)conf->history_after_s * 1000,
			.old_ms = (int64_t)conf->history_within_s * 1000,
			.dead_ms = (int64_t)conf->history_dead_after_s * 1000,
		},
	};
	TRY(control_new(&start, &process->control, err));
	process->control->root = &process->root;
	if (conf->signing_public_file)
		TRY(write_public(conf->signing_public_file, process->control->signer_public, err));
	return 0;
}

static int open_doors(struct process *process, struct err *err)
{
	const struct conf *conf = &process->conf;
	const struct http_conf http = {
		.listen = conf->listen, .cert_file = conf->cert_file, .key_file = conf->key_file,
		.connections_max = conf->http_connections,
		.connections_per_address_max = conf->http_connections_of_address,
		.trusted_proxies = conf->trusted_proxies,
		.threads = conf->http_threads, .serve = door_serve, .context = process->control,
	};
	const struct link_server_conf link = {
		.url = conf->link,
		.tls = { conf->link_ca_file, conf->link_cert_file, conf->link_key_file },
		.call = dispatch_call, .gone = dispatch_gone,
		.context = process->control,
	};
	TRY(http_server_new(&http, &process->http, err));
	TRY(link_server_new(&link, &process->link, err));
	const struct certs_conf certs = {
		.control = process->control, .http = process->http, .link = process->link,
		.cert_file = conf->cert_file, .key_file = conf->key_file,
		.link_ca_file = conf->link_ca_file, .link_cert_file = conf->link_cert_file,
		.link_key_file = conf->link_key_file,
	};
	return certs_new(&certs, &process->certs, err);
}

static int drop_root(const char *user, struct err *err)
{
	bool root = false;
	TRY(privilege_drop(user, &root, err));
	if (root)
		log_warn(NULL, "runs_as_root", "reason=\"name a user of its own with --user\"");
	return 0;
}

static int build(struct process *process, struct err *err)
{
	const struct conf *conf = &process->conf;
	if (!conf->etcd || !conf->listen || !conf->link)
		return err_set(err, E_INVALID, "--listen, --link and --etcd need a value");
	TRY(crypto_start(err));
	TRY(drop_root(conf->user, err));
	TRY(open_store(process, err));
	TRY(open_keyring(process, conf->make_root_key, err));
	TRY(begin_era(process, err));
	TRY(build_control(process, err));
	return open_doors(process, err);
}

static void end(struct process *process)
{
	certs_free(process->certs);
	http_server_free(process->http);
	if (process->control)                /* it holds calls of the link */
		control_stop(process->control);
	link_server_free(process->link);
	control_free(process->control);
	store_free(process->store);
	keyring_free(process->keyring);
}

/* --- the process --- */

static void wait_for_end(const sigset_t *signals)
{
	int number = 0;
	while (sigwait(signals, &number) != 0)
		;
	log_info(NULL, "ending", "signal=%d", number);
}

/* restore, verify-backup: see control/recovery.h. */
static int recover(struct process *process, bool writes)
{
	struct err err = { 0 };
	const struct conf *conf = &process->conf;
	int code = crypto_start(&err);
	if (code == 0)
		code = writes ? open_store(process, &err) : 0;
	if (code == 0)
		code = open_keyring(process, false, &err);
	if (code == 0)
		code = recovery(conf, process->keyring, process->store, clock_system(), &err);
	if (code < 0)
		fprintf(stderr, "freehold-control: %s\n", err.text);
	end(process);
	return code < 0 ? 1 : 0;
}

static int run(struct process *process, const sigset_t *signals)
{
	struct err err = { 0 };
	int code = build(process, &err);
	if (code < 0) {
		log_error(NULL, "not_started", "code=%s reason=\"%s\"", err_name(err.code),
		          err.text);
	} else {
		log_info(NULL, "started", "replica=%s port=%d version=%s",
		         process->control->replica, http_server_port(process->http),
		         FREEHOLD_VERSION);
		wait_for_end(signals);
	}
	end(process);
	return code < 0 ? 1 : 0;
}

static int print_help(void)
{
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	conf_help(&out);
	if (buf_check(&out, NULL) < 0)
		return 1;
	return fputs((char *)out.data, stdout) == EOF;
}

enum mode { MODE_SERVE, MODE_RESTORE, MODE_VERIFY, MODE_NONE };

/* A first word that is no flag; it is taken off. */
static enum mode take_mode(int *argc, char ***argv)
{
	const char *word = *argc > 1 ? (*argv)[1] : "-";
	if (word[0] == '-')
		return MODE_SERVE;
	--*argc;
	++*argv;
	if (strcmp(word, "restore") == 0)
		return MODE_RESTORE;
	if (strcmp(word, "verify-backup") == 0)
		return MODE_VERIFY;
	fprintf(stderr, "freehold-control: there is no mode %.60s; there are restore and "
	        "verify-backup\n", word);
	return MODE_NONE;
}

int main(int argc, char **argv)
{
	struct process process = { .keyring = NULL };
	struct err err = { 0 };
	enum log_level level = LOG_INFO;
	sigset_t signals;
	enum mode mode = take_mode(&argc, &argv);
	if (mode == MODE_NONE)
		return 2;
	if (conf_read(argc, argv, &process.conf, &err) < 0 ||
	    conf_log_level(&process.conf, &level, &err) < 0) {
		fprintf(stderr, "freehold-control: %s\n", err.text);
		return 2;
	}
	if (process.conf.help)
		return print_help();
	if (process.conf.version)
		return printf("freehold-control %s\n", FREEHOLD_VERSION) < 0;
	if (mode != MODE_SERVE)
		return recover(&process, mode == MODE_RESTORE);
	log_start("control", level);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);     /* before any thread: all inherit it */
	return run(&process, &signals);
}
