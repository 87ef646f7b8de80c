/* etcd.h - a real etcd as a child process, for tests: on free loopback ports, in a directory of its
 * own, dead when its parent is. Every function fails the test when it cannot do what it says. */
#ifndef TESTS_SUPPORT_ETCD_H
#define TESTS_SUPPORT_ETCD_H

#include "common/defs.h"

struct etcd;

struct etcd_options {
	const char *ca_file, *cert_file, *key_file;   /* all set: TLS both ways */
	int64_t quota_bytes;                       /* 0: etcd's own */
	int token_ttl_s;                           /* 0: etcd's own */
};

struct etcd *etcd_start(void);                     /* ready for requests when it returns */
struct etcd *etcd_start_with(const struct etcd_options *options);
const char *etcd_url(const struct etcd *etcd);     /* "http://127.0.0.1:PORT" */
const char *etcd_dir(const struct etcd *etcd);     /* its directory; a test may put files there */

void etcd_kill(struct etcd *etcd);                 /* SIGKILL, and waits for its death */
void etcd_restart(struct etcd *etcd);              /* same data and ports; kills it if it runs */
void etcd_pause(struct etcd *etcd);                /* SIGSTOP: connections open, no answers */
void etcd_resume(struct etcd *etcd);
/* One request straight to the JSON gateway; the HTTP status. answer may be NULL. */
int etcd_post(struct etcd *etcd, const char *path, const char *json, char *answer, size_t len);
/* Turns authentication on, with user root and that password. */
void etcd_enable_auth(struct etcd *etcd, const char *password);
void etcd_stop(struct etcd *etcd);                 /* kills it and removes the directory */

/* --- three members of one cluster --- */
enum { ETCD_MEMBERS = 3 };
void etcd_start_three(struct etcd *members[ETCD_MEMBERS]);
void etcd_stop_three(struct etcd *members[ETCD_MEMBERS]);
/* "http://127.0.0.1:1,http://127.0.0.1:2,..." */
void etcd_urls(struct etcd *const members[ETCD_MEMBERS], char out[256]);
/* Which one leads; waits until one does. */
int etcd_leader(struct etcd *members[ETCD_MEMBERS]);
void etcd_launch(struct etcd *etcd);               /* the process only; others may be needed yet */
void etcd_await(struct etcd *etcd);                /* until it takes requests */

#endif
