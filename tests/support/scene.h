/* scene.h - a stage with two furnished tenants and puppets, clients that insist, and an end at
 * which everything must add up. What histories and fault tests share. */
#ifndef TESTS_SUPPORT_SCENE_H
#define TESTS_SUPPORT_SCENE_H

#include "tests/support/ledger.h"

enum { SCENE_PUPPETS = 3, SCENE_PROMISES = 256 };

struct scene {
	struct stage *stage;
	struct arena *arena;
	struct company companies[3]; /* acme/sales, globex/trips, and one of NULLs */
	struct puppet *puppets[SCENE_PUPPETS];
	bool deaf[SCENE_PUPPETS];
	int64_t life;   /* the next incarnation */
	bool forgetful; /* memory fails: what was lost from memory comes with a listing */
	struct promised promised[SCENE_PROMISES];
	size_t promised_count;
};

/* Empty: no tenants, no puppets. */
void scene_open(struct scene *scene);
void scene_close(struct scene *scene);
/* Tenants, a rate card, a quota for globex; datasets raw, whole, sums; sources raw (appends) and
 * whole (replaces); transformation sums; view `view`. Insists. */
void scene_furnish(struct scene *scene);
void scene_puppet(struct scene *scene, int i); /* begins, or dies and begins anew */

/* Asks until the answer is one that asking again does not change, letting time pass in between.
 * body: single quotes for double ones; key: Idempotency-Key, NULL: none. */
struct answer scene_insist(struct scene *scene, const char *credential, const char *method,
                           const char *path, const char *body, const char *key);
/* One submission; promised when it is accepted. */
struct answer scene_submit(struct scene *scene, int company, const char *body, const char *key,
                           bool insist);
/* Puppets end what they run, successfully, until all that was accepted has ended and all is
 * acknowledged; then everything is compared. What does not hold, or NULL. */
const char *scene_end(struct scene *scene);

#endif
