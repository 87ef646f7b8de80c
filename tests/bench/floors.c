/* floors.c - DuckDB, libmicrohttpd and nng by themselves. */
#include "common/defs.h"
#include "tests/bench/floors.h"

#include <duckdb.h>
#include <microhttpd.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- DuckDB ---- */

struct plain {
	duckdb_database database;
	duckdb_connection connection;
};

int plain_new(int threads, struct plain **ret_plain, struct err *err)
{
	AUTO(plain) *plain = calloc(1, sizeof *plain);
	char sql[64];
	if (!plain)
		return err_set(err, E_NOMEM, "no memory for DuckDB");
	if (duckdb_open(NULL, &plain->database) != DuckDBSuccess ||
	    duckdb_connect(plain->database, &plain->connection) != DuckDBSuccess)
		return err_set(err, E_INTERNAL, "DuckDB does not open");
	snprintf(sql, sizeof sql, "SET threads=%d; SET TimeZone='UTC'", threads);
	TRY(plain_exec(plain, sql, err));
	*ret_plain = MOVE(plain);
	return 0;
}

void plain_free(struct plain *plain)
{
	if (!plain)
		return;
	duckdb_disconnect(&plain->connection);
	duckdb_close(&plain->database);
	free(plain);
}

int plain_exec(struct plain *plain, const char *sql, struct err *err)
{
	duckdb_result result;
	int rc = 0;
	if (duckdb_query(plain->connection, sql, &result) != DuckDBSuccess)
		rc = err_set(err, E_INTERNAL, "DuckDB alone: %s", duckdb_result_error(&result));
	duckdb_destroy_result(&result);
	return rc;
}

/* ---- libmicrohttpd ---- */

struct constant {
	struct MHD_Daemon *daemon;
	struct MHD_Response *response;
};

static enum MHD_Result answer_constant(void *context, struct MHD_Connection *connection,
				       const char *url, const char *method, const char *version,
				       const char *data, size_t *len, void **state)
{
	const struct constant *constant = context;
	(void)url, (void)method, (void)version, (void)data;
	if (!*state) {
		*state = context;
		return MHD_YES;
	}
	if (*len > 0) {
		*len = 0;
		return MHD_YES;
	}
	return MHD_queue_response(connection, 200, constant->response);
}

int constant_new(int threads, const char *answer, struct constant **ret_constant, int *ret_port,
		 struct err *err)
{
	AUTO(constant) *constant = calloc(1, sizeof *constant);
	if (!constant)
		return err_set(err, E_NOMEM, "no memory for a server");
	constant->response = MHD_create_response_from_buffer(strlen(answer), (void *)answer,
							     MHD_RESPMEM_MUST_COPY);
	constant->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_constant, constant,
		threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (unsigned)threads,
		MHD_OPTION_END);
	if (!constant->response || !constant->daemon)
		return err_set(err, E_INTERNAL, "libmicrohttpd does not start");
	MHD_add_response_header(constant->response, "Content-Type", "application/json");
	*ret_port = MHD_get_daemon_info(constant->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	*ret_constant = MOVE(constant);
	return 0;
}

void constant_free(struct constant *constant)
{
	if (!constant)
		return;
	if (constant->daemon)
		MHD_stop_daemon(constant->daemon);
	if (constant->response)
		MHD_destroy_response(constant->response);
	free(constant);
}

/* ---- nng ---- */

enum { ECHO_BYTES = 256 };

struct echo {
	nng_socket req, rep;
	pthread_t thread;
	bool running;
};

static void *reply(void *context)
{
	struct echo *echo = context;
	nng_msg *message;
	while (nng_recvmsg(echo->rep, &message, 0) == 0)
		if (nng_sendmsg(echo->rep, message, 0) != 0)
			nng_msg_free(message);
	return NULL;
}

static int echo_fail(int code, struct err *err)
{
	return err_set(err, E_INTERNAL, "nng: %s", nng_strerror(code));
}

int echo_new(struct echo **ret_echo, struct err *err)
{
	AUTO(echo) *echo = calloc(1, sizeof *echo);
	nng_listener listener;
	nng_sockaddr address;
	char url[64];
	if (!echo)
		return err_set(err, E_NOMEM, "no memory for sockets");
	int rc = nng_rep0_open(&echo->rep);
	rc = rc ? rc : nng_req0_open(&echo->req);
	rc = rc ? rc : nng_listen(echo->rep, "tcp://127.0.0.1:0", &listener, 0);
	rc = rc ? rc : nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address);
	if (rc)
		return echo_fail(rc, err);
	uint16_t port = address.s_in.sa_port;
	snprintf(url, sizeof url, "tcp://127.0.0.1:%d", (port & 0xff) << 8 | port >> 8);
	rc = nng_dial(echo->req, url, NULL, 0);
	if (rc)
		return echo_fail(rc, err);
	echo->running = pthread_create(&echo->thread, NULL, reply, echo) == 0;
	*ret_echo = MOVE(echo);
	return 0;
}

void echo_free(struct echo *echo)
{
	if (!echo)
		return;
	nng_close(echo->req);
	nng_close(echo->rep);
	if (echo->running)
		pthread_join(echo->thread, NULL);
	free(echo);
}

int echo_once(struct echo *echo, struct err *err)
{
	char message[ECHO_BYTES] = "";
	size_t len = sizeof message;
	int rc = nng_send(echo->req, message, sizeof message, 0);
	rc = rc ? rc : nng_recv(echo->req, message, &len, 0);
	return rc ? echo_fail(rc, err) : 0;
}

/* ---- a child ---- */

int floor_child(const char *name)
{
	duckdb_database database;
	duckdb_connection connection;
	if (strcmp(name, "open") != 0)
		return 1;
	bool open = duckdb_open(NULL, &database) == DuckDBSuccess &&
		    duckdb_connect(database, &connection) == DuckDBSuccess;
	_exit(open ? 0 : 1);
}
