/* start.h - the control plane put together, apart from its doors: what main.c and the tests share.
 */
#ifndef START_H
#define START_H

#include "control/archive.h"
#include "control/control.h"
#include "control/erasure.h"
#include "control/events.h"
#include "control/lead.h"

struct start_conf {
	struct clock *clock;
	struct store *store;         /* outlives the control */
	struct keyring *keyring;     /* outlives the control */
	struct era era;              /* the store is shifted by its base */
	const char *replica;         /* outlives the control */
	struct lead_conf lead;       /* of each part; its url need not outlive the call */
	const char *peer_ca_file;    /* what other replicas are checked with; NULL: the system's */
	int forwards_max;            /* requests passed on at one time; 0: 16 */
	int shards;                  /* 1 to PARTS_MAX; 0: 1 */
	int journal_window_ms;
	int checkpoint_interval_s;   /* 0: 5 minutes */
	int64_t checkpoint_bytes;    /* of the journal; 0: 64 MiB */
	struct events_conf events;
	struct archive_conf archive;
	struct erasure_conf erasure;
	int64_t erase_after_ms;      /* a deletion can be cancelled for that long, at least */
	const char *issuer_networks; /* private ranges that identity providers may be in; NULL */
	bool issuer_loopback;        /* identity providers may be asked over http on loopback */
	int audit_days;              /* stored audit events are kept so long; 0: for ever */
	int held_max;                /* requests that may wait for a task at one time */
	const char *worker_links;    /* as in struct control; both outlive it */
	const char *link_ca_file;
	int worker_cert_s;
	bool nameless;               /* workers that have not joined may poll too */
	int worker_silent_ms;        /* 0: control/dispatch.h's default */
};

/* Builds everything in order, follows the store and campaigns for the lead of each part. A link
 * server that calls a part's dispatch is freed between control_stop and control_free. */
MUST_USE int control_new(const struct start_conf *conf, struct control **ret_control,
                         struct err *err);
void control_stop(struct control *control);      /* stops every dispatcher */
void control_free(struct control *control);      /* ends it in reverse */
DEFINE_AUTO(control)

#endif
