/* events.h - tasks and runs as server-sent events: every stream that is open at this replica, and
 * the one thread that feeds them all. A stream says where its task stands, then each change of it,
 * and ends after the last one; also when this replica no longer leads the part, and within seconds
 * when the credential it was opened with no longer permits it. */
#ifndef EVENTS_H
#define EVENTS_H

#include "api/outflow.h"
#include "control/control.h"

struct board;
struct events;
struct events_conf {
	int most;                    /* streams at one time; 0: 512 */
	int most_of_tenant;          /* 0: 128 */
};
MUST_USE int events_new(struct control *control, const struct events_conf *conf,
                        struct events **ret_events, struct err *err);
void events_stop(struct events *events);         /* ends every stream and the thread */
void events_free(struct events *events);         /* after the shards that note on its board */
DEFINE_AUTO(events)
struct board *events_board(struct events *events);
int events_count(struct events *events);         /* streams that are open */

/* A stream that is prepared: it is fed from feed_attach on. */
struct feed;
struct feed_conf {
	struct part *part;
	const char *tenant, *domain, *id;
	bool is_run;
	const struct value *proof;   /* of who asks; NULL in tests: never checked */
	const char *address;         /* it asks from; NULL: not known */
	const char *last_id;         /* of the last event its client knows; NULL: none */
};
enum { FEED_KEPT_MAX = 64 * 1024 };      /* for http_answer_stream */
/* E_BUSY: as many as there may be are open. */
MUST_USE int feed_new(struct events *events, const struct feed_conf *conf, struct feed **ret_feed,
                      struct err *err);
void feed_attach(struct feed *feed, struct outflow *outflow);    /* takes both over */
void feed_free(struct feed *feed);               /* one that was not attached */

/* "EPOCH-VERSION", what an event's id is: a version of a task counts under one leader. */
enum { EVENT_ID_MAX = 48 };
const char *event_id_print(int64_t epoch, int64_t version, char out[EVENT_ID_MAX]);
bool event_id_read(const char *text, int64_t *ret_epoch, int64_t *ret_version);

#endif
