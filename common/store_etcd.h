/* store_etcd.h - store.h on etcd 3.4+, over its JSON gateway. */
#ifndef STORE_ETCD_H
#define STORE_ETCD_H

#include "common/clock.h"
#include "common/store.h"

struct store_etcd_conf {
	const char *endpoints;       /* "http://127.0.0.1:2379,https://b:2379": tried in turn */
	const char *prefix;          /* put before every key, taken off when read: "/freehold/" */
	const char *user;            /* NULL: no authentication */
	const char *password_file;   /* one line; 0600 */
	const char *ca_file, *cert_file, *key_file;   /* NULL: none */
	int timeout_ms;              /* per call, retries and resolution included; 0: 5000 */
	int connections_max;         /* 0: 16 */
};
MUST_USE int store_etcd_new(const struct store_etcd_conf *conf, struct clock *clock,
			    struct store **ret_store, struct err *err);

#endif
