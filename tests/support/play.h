/* play.h - a short journey on a scene for fault tests: tenants, manifests, tasks of every type, a
 * cancel, a failed attempt, a deposed leader. Clients insist, so a single fault changes nothing of
 * the outcome. */
#ifndef TESTS_SUPPORT_PLAY_H
#define TESTS_SUPPORT_PLAY_H

#include "tests/support/scene.h"

/* From an empty scene to its end; what does not hold then, or NULL. */
const char *play(struct scene *scene);

#endif
