/* cedar_near.c - see cedar_near.h. */
#include "common/defs.h"
#include "policy/cedar_near.h"

#include "common/text.h"

const char *cedar_near(struct arena *arena, struct cedar_str word, const void *first, size_t stride,
		       size_t count)
{
	const char **names = arena_alloc(arena, (count + 1) * sizeof *names);
	const char *text = arena_strndup(arena, word.text, word.len);
	const char *at = first;
	for (size_t i = 0; names && i < count; i++, at += stride) {
		const struct cedar_str *name = (const void *)at;
		names[i] = arena_strndup(arena, name->text, name->len);
		if (!names[i])
			return "";
	}
	const char *near = names && text ? name_nearest(text, names, count) : NULL;
	const char *said = near ? arena_printf(arena, "; did you mean `%s`?", near) : "";
	return said ? said : "";
}
