/* crowd.h - clients of a cluster, each a thread: they submit tasks to whichever replica, repeat
 * until they are answered, and keep what they were told; afterwards what came of it is read back.
 */
#ifndef TESTS_SUPPORT_CROWD_H
#define TESTS_SUPPORT_CROWD_H

#include "tests/support/cluster.h"
#include "tests/support/deeds.h"

enum { CROWD_CLIENTS = 4, CROWD_DEEDS_MAX = 20000, CROWD_ROWS = 3 };

struct crowd;
/* Sets up two tenants, "acme" (small tasks and loads of CROWD_ROWS rows) and "globex" (which
 * floods), and begins. */
struct crowd *crowd_start(struct cluster *cluster);
/* Clients that do not pause: more than the workers can do. */
void crowd_hurry(struct crowd *crowd, bool hurry);
/* No new submissions; those without an answer are repeated until they have one. False: not all do.
 */
bool crowd_settle(struct crowd *crowd, int ms);
/* All that was accepted has ended. */
bool crowd_ended(struct crowd *crowd);
/* Reads everything back; valid until crowd_stop. */
struct deeds *crowd_deeds(struct crowd *crowd);
size_t crowd_answered(const struct crowd *crowd);
int64_t crowd_longest_gap_ms(const struct crowd *crowd); /* between two answers of acceptance */
void crowd_stop(struct crowd *crowd);

#endif
