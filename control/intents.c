/* intents.c - a list of what is under way, as short as there are handler threads. */
#include "common/defs.h"
#include "control/intents.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct intent {
	struct intent *next;
	bool deletes;
	size_t count;
	char *keys[];
};

struct intents {
	pthread_mutex_t mutex;       /* guards first */
	struct intent *first;
};

int intents_new(struct intents **ret_intents, struct err *err)
{
	struct intents *intents = calloc(1, sizeof *intents);
	if (!intents)
		return err_set(err, E_NOMEM, "no memory for the list of writes under way");
	pthread_mutex_init(&intents->mutex, NULL);
	*ret_intents = intents;
	return 0;
}

static void intent_free(struct intent *intent)
{
	for (size_t i = 0; i < intent->count; i++)
		free(intent->keys[i]);
	free(intent);
}

void intents_free(struct intents *intents)
{
	if (!intents)
		return;
	REQUIRE(!intents->first);
	pthread_mutex_destroy(&intents->mutex);
	free(intents);
}

static bool names(const struct intent *intent, const char *key)
{
	for (size_t i = 0; i < intent->count; i++)
		if (strcmp(intent->keys[i], key) == 0)
			return true;
	return false;
}

/* The mutex is held. */
static bool meets(const struct intents *intents, const struct intent *mine)
{
	for (const struct intent *other = intents->first; other; other = other->next)
		for (size_t i = 0; other->deletes != mine->deletes && i < mine->count; i++)
			if (names(other, mine->keys[i]))
				return true;
	return false;
}

static int intent_new(bool deletes, const char *const *keys, size_t count,
                      struct intent **ret_intent, struct err *err)
{
	struct intent *intent = calloc(1, sizeof *intent + count * sizeof *intent->keys);
	if (!intent)
		return err_set(err, E_NOMEM, "no memory for what a write rests on");
	intent->deletes = deletes;
	for (; intent->count < count; intent->count++) {
		intent->keys[intent->count] = strdup(keys[intent->count]);
		if (!intent->keys[intent->count]) {
			intent_free(intent);
			return err_set(err, E_NOMEM, "no memory for what a write rests on");
		}
	}
	*ret_intent = intent;
	return 0;
}

int intents_begin(struct intents *intents, bool deletes, const char *const *keys, size_t count,
                  struct intent **ret_intent, struct err *err)
{
	struct intent *intent = NULL;
	TRY(intent_new(deletes, keys, count, &intent, err));
	pthread_mutex_lock(&intents->mutex);
	bool met = meets(intents, intent);
	if (!met) {
		intent->next = intents->first;
		intents->first = intent;
	}
	pthread_mutex_unlock(&intents->mutex);
	if (met) {
		intent_free(intent);
		return err_set(err, E_CONFLICT,
		               deletes ? "something that refers to it is being written "
		                         "at this moment; look again"
		                       : "something it refers to is being deleted at "
		                         "this moment; look again");
	}
	*ret_intent = intent;
	return 0;
}

void intents_end(struct intents *intents, struct intent *intent)
{
	if (!intent)
		return;
	pthread_mutex_lock(&intents->mutex);
	struct intent **at = &intents->first;
	while (*at && *at != intent)
		at = &(*at)->next;
	REQUIRE(*at);
	*at = intent->next;
	pthread_mutex_unlock(&intents->mutex);
	intent_free(intent);
}
