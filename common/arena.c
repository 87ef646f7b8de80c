/* arena.c - bump allocation out of a chain of blocks. Invariant: total <= bytes_max. */
#include "common/defs.h"
#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8192, ALIGN = 16 };

struct block {
	struct block *next;
	size_t size;
	size_t used;
	_Alignas(ALIGN) unsigned char bytes[];
};

struct arena {
	size_t bytes_max;
	size_t total;         /* bytes in all blocks */
	struct block *first;  /* kept by arena_reset */
	struct block *last;
};

static struct block *block_new(struct arena *arena, size_t len);

int arena_new(size_t bytes_max, struct arena **ret_arena, struct err *err)
{
	struct arena *arena = calloc(1, sizeof *arena);
	if (!arena)
		return err_set(err, E_NOMEM, "no memory for a request arena");
	arena->bytes_max = bytes_max;
	*ret_arena = arena;
	return 0;
}

static void blocks_free(struct block *block)
{
	while (block) {
		struct block *next = block->next;
		free(block);
		block = next;
	}
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	blocks_free(arena->first);
	free(arena);
}

void arena_reset(struct arena *arena)
{
	if (!arena->first)
		return;
	blocks_free(arena->first->next);
	arena->first->next = NULL;
	arena->first->used = 0;
	arena->last = arena->first;
	arena->total = arena->first->size;
}

size_t arena_used(const struct arena *arena)
{
	size_t used = 0;
	for (const struct block *block = arena->first; block; block = block->next)
		used += block->used;
	return used;
}

bool arena_has_room(const struct arena *arena, size_t len)
{
	return len <= arena->bytes_max - arena->total;
}

static struct block *block_new(struct arena *arena, size_t len)
{
	size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
	if (size > arena->bytes_max - arena->total)
		size = len;
	if (size > arena->bytes_max - arena->total)
		return NULL;
	struct block *block = malloc(sizeof *block + size);
	if (!block)
		return NULL;
	*block = (struct block){ .size = size };
	arena->total += size;
	if (arena->last)
		arena->last->next = block;
	else
		arena->first = block;
	arena->last = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	if (len > arena->bytes_max)
		return NULL;
	len = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *block = arena->last;
	if (!block || len > block->size - block->used)
		block = block_new(arena, len);
	if (!block)
		return NULL;
	void *at = block->bytes + block->used;
	block->used += len;
	return memset(at, 0, len);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);
	if (copy && len > 0)
		memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return text;
}
