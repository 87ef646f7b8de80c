/* detour.h - a relay between workers and a stage's link whose connections break on demand: the
 * request or the answer of one exchange is lost, and with it whatever else was under way. */
#ifndef TESTS_SUPPORT_DETOUR_H
#define TESTS_SUPPORT_DETOUR_H

#include "tests/support/stage.h"

struct detour;

enum detour_loss { DETOUR_LOSE_REQUEST, DETOUR_LOSE_ANSWER };

/* Workers that begin from now on go through it (stage->poll_url). */
struct detour *detour_open(struct stage *stage);
/* The n-th exchange from now on (from 1) is lost; 0: none. */
void detour_lose(struct detour *detour, int n, enum detour_loss loss);
int detour_seen(struct detour *detour);   /* exchanges since detour_lose */
void detour_close(struct detour *detour); /* after the workers, before the stage */

#endif
