/* serve.h - the worker's own HTTP door: POST /get-online-features in the shape of Feast's
 * server, and GET /healthz, /readyz, /metrics. A read on a warm access grant is answered in the
 * server's thread and touches neither control nor a handler thread. */
#ifndef SERVE_H
#define SERVE_H

#include "api/http.h"
#include "worker/access_cache.h"
#include "worker/agent.h"
#include "worker/cage_report.h"

/* borrowed for the door's life; http's callbacks are filled in here */
struct serve_conf {
	struct http_conf http;
	struct clock *clock;
	struct access_cache *cache;
	struct online *online;
	struct meter *meter;
	struct queries *queries;     /* NULL: none are answered here */
	const struct cage_report *cage; /* of executors, told in /readyz; NULL: it says nothing */
};
struct serve;
MUST_USE int serve_new(const struct serve_conf *conf, struct serve **ret_serve, struct err *err);
int serve_port(const struct serve *serve);
struct http_server *serve_http(const struct serve *serve);     /* its own */
/* Whose state /readyz and /metrics tell; NULL: none, or no longer. */
void serve_set_agent(struct serve *serve, struct agent *agent);
void serve_free(struct serve *serve);
DEFINE_AUTO(serve)

#endif
