/* tells.c - see tells.h. */
#include "common/defs.h"
#include "tests/support/tells.h"

#include "common/text.h"

#include <string.h>

static bool is_plain(char letter)
{
	return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

/* How many letters and digits stand together around that place. */
static size_t run_at(const char *text, size_t len, size_t at)
{
	size_t from = at, to = at;
	while (from > 0 && is_plain(text[from - 1]))
		from--;
	while (to < len && is_plain(text[to]))
		to++;
	return to - from;
}

bool tells_in(const void *bytes, size_t len, const char *word)
{
	const char *text = bytes, *at = text;
	while (text && (at = memmem(at, len - (size_t)(at - text), word, strlen(word)))) {
		if (run_at(text, len, (size_t)(at - text)) < ID_LEN)
			return true;
		at++;
	}
	return false;
}

bool tells(const char *text, const char *word)
{
	return text && tells_in(text, strlen(text), word);
}
