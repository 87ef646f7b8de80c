/* keeper.h - writes checkpoints beside the journal's thread: an image of the state becomes pages
 * and a head, then what it covers is deleted and the store's history compacted. One at a time. */
#ifndef KEEPER_H
#define KEEPER_H

#include "control/checkpoint.h"
#include "control/image.h"
#include "control/spans.h"

struct keeper_done {
	int rc;                      /* 0: it is in force */
	struct err err;
	struct position covers;
	struct checkpoint_stats stats;
	int64_t us;                  /* from the image to the end of the deletions */
	int64_t store_bytes;         /* the store's size after it; 0: not known */
	bool deleted;                /* all that it covers */
};

struct keeper_conf {
	struct store *store;
	struct clock *clock;
	const uint8_t *state_key;
	const char *leader_key, *prefix, *checkpoint_prefix;     /* outlive the keeper */
	void (*done)(void *context, const struct keeper_done *done);     /* in its thread */
	void *context;
};

struct keeper;
MUST_USE int keeper_new(const struct keeper_conf *conf, struct keeper **ret_keeper,
                        struct err *err);
void keeper_free(struct keeper *keeper);
DEFINE_AUTO(keeper)

struct keeper_job {
	int64_t epoch;
	uint64_t attempt;            /* greater than any before it in this epoch */
	struct position covers;
	struct image *image;
	struct spans spans;          /* the journal's keys up to covers */
};
/* Takes image and spans. Not before done was called for the one before. */
void keeper_start(struct keeper *keeper, struct keeper_job *job);
/* Breaks off what is under way and waits until it is idle; done was called then. */
void keeper_cancel(struct keeper *keeper);

#endif
