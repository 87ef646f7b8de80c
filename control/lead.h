/* lead.h - leading and ceasing to: the campaign for the leader key, and what is done when it is
 * won. A thread of its own: the store's may not be kept waiting. */
#ifndef LEAD_H
#define LEAD_H

#include "control/control.h"

struct lead;
struct lead_conf {
	int ttl_s;                   /* of the leader's lease; 0: 5 */
	const char *url;             /* where others reach this replica; NULL: nowhere */
	const char *bootstrap_key_file;   /* NULL: none; outlives the lead */
};
MUST_USE int lead_new(struct part *part, const struct lead_conf *conf, struct lead **ret_lead,
                      struct err *err);
/* Campaigns from now on; part->lead is set before. */
MUST_USE int lead_start(struct lead *lead, struct err *err);
/* While another leads, the shard's memory follows the journal: the store's revision it stands at,
 * and how often it was emptied so far. 0: it is not whole, or led here. Any thread. */
int64_t lead_followed(struct lead *lead, uint64_t *ret_replays);
/* The journal has stopped leading by itself: it is looked at at once. Any thread. */
void lead_look(struct lead *lead);
void lead_stop(struct lead *lead);       /* gives the lead up; its thread has ended then */
void lead_free(struct lead *lead);       /* after the journal, which may call lead_look */
DEFINE_AUTO(lead)

#endif
