/* arena.h - memory that lives as long as one request; nobody frees its parts.
 * Bounded: an allocation that would pass bytes_max fails. One thread at a time. */
#ifndef ARENA_H
#define ARENA_H

#include "common/err.h"

#include <stdarg.h>

struct arena;

MUST_USE int arena_new(size_t bytes_max, struct arena **ret_arena, struct err *err);
void arena_free(struct arena *arena);     /* accepts NULL */
void arena_reset(struct arena *arena);    /* forgets all, keeps the first block */
size_t arena_used(const struct arena *arena);
/* Whether its bound allows len more: tells why an allocation failed. */
bool arena_has_room(const struct arena *arena, size_t len);

/* Zeroed, 16-byte aligned; NULL when out of memory or over the bound. */
void *arena_alloc(struct arena *arena, size_t len);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF(2, 3);

DEFINE_AUTO(arena)

#endif
