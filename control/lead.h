/* lead.h - leading and ceasing to: the campaign for the leader key, and what is done when it is
 * won. A thread of its own: the store's may not be kept waiting. */
#ifndef LEAD_H
#define LEAD_H

#include "control/control.h"

struct lead;
struct lead_conf {
	int ttl_s;                   /* of the leader's lease; 0: 5 */
	const char *bootstrap_key_file;   /* NULL: none; outlives the lead */
};
MUST_USE int lead_new(struct part *part, const struct lead_conf *conf, struct lead **ret_lead,
                      struct err *err);
void lead_free(struct lead *lead);       /* gives the lead up */
DEFINE_AUTO(lead)

#endif
