/* follow.h - a replica that does not lead keeps a part's state current: it watches the part's
 * journal, builds the state from the checkpoint and the journal, then applies each batch as it
 * comes. A batch names the one before it, so nothing can be missing unseen: after a lost watch, a
 * compaction or a gap the state is cleared and built again. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "control/journal.h"

struct follow_ops {
	void (*clear)(void *context);        /* the state is to be empty: it is built (again) */
	void (*record)(void *context, const struct value *record);
	/* It is whole again, after clear and before what comes live. NULL: nobody asks. */
	void (*whole)(void *context);
	void *context;
};

struct follow_conf {
	struct store *store;
	struct clock *clock;
	const uint8_t *state_key;    /* KEY_BYTES; outlives the follow, as all below */
	const char *prefix;          /* the journal's: "journal/0/" */
	const char *checkpoint_prefix;       /* "checkpoint/0/" */
	int64_t relist_ms;           /* how often the journal is listed anew; 0: 5 minutes */
	struct follow_ops ops;       /* called by one thread at a time */
};

struct follow;
/* Begins at once, in the store's watch thread. */
MUST_USE int follow_new(const struct follow_conf *conf, struct follow **ret_follow,
                        struct err *err);
void follow_free(struct follow *follow);         /* when it returns no call of ops is under way */
DEFINE_AUTO(follow)

/* The store's revision that the state stands at; 0: it is being built, and answers nothing. */
int64_t follow_revision(struct follow *follow);
/* Waits until the state stands at a revision or after it; false: not by the deadline. */
bool follow_wait(struct follow *follow, int64_t revision, int64_t deadline_mono_ms);

/* To take the lead: no call of ops is under way when it returns, and none comes any more. True: the
 * state is whole up to *ret_position, which journal_lead_from goes on from. False: it is not; clear
 * it and call journal_lead. Free it all the same. */
bool follow_stop(struct follow *follow, struct position *ret_position);

#endif
