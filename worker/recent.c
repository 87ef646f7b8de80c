/* recent.c - a short list, the newest first; each at most once. */
#include "common/defs.h"
#include "worker/recent.h"

#include <string.h>

void recent_init(struct recent *recent)
{
	memset(recent, 0, sizeof *recent);
	pthread_mutex_init(&recent->mutex, NULL);
}

void recent_release(struct recent *recent)
{
	pthread_mutex_destroy(&recent->mutex);
}

void recent_add(struct recent *recent, const char *name)
{
	size_t len = strlen(name), at = 0;
	if (len == 0 || len > RECENT_NAME_LEN)
		return;
	pthread_mutex_lock(&recent->mutex);
	while (at < recent->count && strcmp(recent->names[at], name) != 0)
		at++;
	if (at == recent->count && recent->count < RECENT_MAX)
		recent->count++;
	if (at == RECENT_MAX)
		at--;                        /* the oldest makes room */
	memmove(recent->names[1], recent->names[0], at * sizeof recent->names[0]);
	memcpy(recent->names[0], name, len + 1);
	pthread_mutex_unlock(&recent->mutex);
}

int recent_list(struct recent *recent, struct arena *arena, const char *const **ret_names,
                size_t *ret_count, struct err *err)
{
	const char **names = arena_alloc(arena, RECENT_MAX * sizeof *names);
	bool whole = names;
	pthread_mutex_lock(&recent->mutex);
	size_t count = recent->count;
	for (size_t i = 0; whole && i < count; i++)
		whole = (names[i] = arena_strdup(arena, recent->names[i]));
	pthread_mutex_unlock(&recent->mutex);
	if (!whole)
		return err_set(err, E_NOMEM, "no memory for the list of datasets");
	*ret_names = names;
	*ret_count = count;
	return 0;
}
