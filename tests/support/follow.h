/* follow.h - what tests of the store share: terse reads and writes, a follower that keeps what a
 * watch told it, and a record of what a campaign was told. Waits are bounded and fail the test. */
#ifndef TESTS_SUPPORT_FOLLOW_H
#define TESTS_SUPPORT_FOLLOW_H

#include "common/store.h"

#include <pthread.h>

/* A copy of an item; value NUL-terminated. */
struct kept {
	char key[STORE_KEY_MAX + 1];
	char value[256];           /* the beginning */
	size_t value_len;
	int64_t mod_revision, create_revision;
	int64_t listing;           /* follower: named by the listing of this revision */
};

struct kept get_key(struct store *store, const char *key);
int64_t put_key(struct store *store, const char *key, const char *value);   /* no compare */
/* key must have that mod revision; the code, *ret_revision on success. */
int put_if_mod(struct store *store, const char *key, const char *value, int64_t mod_revision,
	       int64_t *ret_revision);
int delete_key(struct store *store, const char *key);

enum { FOLLOW_KEYS_MAX = 4096, FOLLOW_CHANGES_MAX = 64 };

struct follower {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct kept *keys;         /* what exists, in no order */
	int count;
	int syncs;                 /* whole listings */
	int events, txns;          /* events and ends of transactions */
	int64_t revision;          /* of the last event or listing */
	int faults;                /* revisions that went back, runs that were broken */
	int64_t open_revision;     /* of the transaction whose end was not told yet, or 0 */
	struct store_watch *watch;
};
void follower_start(struct follower *follower, struct store *store, const char *prefix,
		    int64_t relist_ms);
void follower_stop(struct follower *follower);
void follower_await_syncs(struct follower *follower, int syncs);
/* Until key has the value (NULL: until there is no key). */
void follower_await(struct follower *follower, const char *key, const char *value);
int follower_count(struct follower *follower);

struct campaign {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int64_t told[FOLLOW_CHANGES_MAX];
	int count;
	struct store_lead *lead;
};
void campaign_start(struct campaign *campaign, struct store *store, const char *key, const char *id,
		    int ttl_s);
void campaign_stop(struct campaign *campaign);
int64_t campaign_now(struct campaign *campaign);           /* what it was told last */
/* Waits until the last it was told is a revision over `over` (leads) or 0 (does not); returns it.
 * -1 when that does not happen in time. */
int64_t campaign_await(struct campaign *campaign, bool leads, int64_t over, int wait_ms);

void wait_ms(int ms);
int64_t mono_ms(void);

#endif
