/* core.c - see core.h. */
#include "common/defs.h"
#include "tests/support/core.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIECE = 4 * 1024 * 1024,
	BLOCK = 16,
	DISTINCT_MIN = 12            /* of the bytes of a block that counts as random */
};

struct mapping {
	unsigned long first, end;
	char perms[8], name[256];
	bool left_out, locked;
};

static void add(struct needles *needles, const char *name, const char *half, const void *bytes,
                size_t len)
{
	struct needle *needle = &needles->at[needles->count++];
	cr_assert(needles->count < NEEDLES_MAX && len >= 16 && len <= NEEDLE_MAX, "%s %zu", name,
	          len);
	snprintf(needle->name, sizeof needle->name, "%.50s%s", name, half);
	memcpy(needle->bytes, bytes, len);
	needle->len = len;
}

void needle_key(struct needles *needles, const char *name, const uint8_t *key, size_t len)
{
	add(needles, name, " (begin)", key, 16);
	add(needles, name, " (end)", key + len - 16, 16);
}

void needle_text(struct needles *needles, const char *name, const char *text)
{
	size_t len = strlen(text);
	add(needles, name, "", text, len < NEEDLE_MAX ? len : NEEDLE_MAX);
}

static size_t pair(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static void tell(const struct needle *needle, const struct mapping *mapping, const char *what,
                 unsigned long at, struct core_found *found)
{
	size_t used = strlen(found->text);
	found->hits++;
	snprintf(found->text + used, sizeof found->text - used, "%s: %s at %lx in %s %s\n", what,
	         needle->name, at, mapping->name[0] ? mapping->name : "anonymous memory",
	         mapping->perms);
}

/* One pass, whatever the number of needles: few places begin like one, and those that begin alike
 * are a chain. Numbers are one more than the place, 0 is none. */
static void search(const uint8_t *data, size_t len, unsigned long base,
                   const struct mapping *mapping, const char *what, const struct needles *needles,
                   struct core_found *found)
{
	uint16_t first[65536] = { 0 }, next[NEEDLES_MAX];
	for (size_t i = 0; i < needles->count; i++) {
		next[i] = first[pair(needles->at[i].bytes)];
		first[pair(needles->at[i].bytes)] = (uint16_t)(i + 1);
	}
	for (size_t at = 0; at + 1 < len; at++) {
		for (size_t i = first[pair(data + at)]; i > 0; i = next[i - 1]) {
			const struct needle *needle = &needles->at[i - 1];
			if (needle->len <= len - at &&
			    memcmp(data + at, needle->bytes, needle->len) == 0)
				tell(needle, mapping, what, base + at, found);
		}
	}
}

static void scan(int mem, const struct mapping *mapping, uint8_t *piece, const char *what,
                 const struct needles *needles, struct core_found *found)
{
	if (mapping->perms[0] != 'r' || strstr(mapping->name, "[v"))
		return;
	if (mapping->left_out) {
		found->left_out++;
		return;
	}
	found->mappings++;
	for (unsigned long at = mapping->first; at < mapping->end;) {
		size_t want = mapping->end - at < PIECE ? mapping->end - at : PIECE;
		ssize_t len = pread(mem, piece, want, (off_t)at);
		if (len <= 0)
			break;
		search(piece, (size_t)len, at, mapping, what, needles, found);
		found->bytes += (size_t)len;
		if ((size_t)len < want)
			break;
		/* What lies over a border is seen with the next piece. */
		at += want < PIECE ? want : want - NEEDLE_MAX;
	}
}

static bool mapping_begins(const char *line, struct mapping *mapping)
{
	struct mapping next = { .first = 0 };
	if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255[^\n]", &next.first, &next.end, next.perms,
	           next.name) < 3)
		return false;
	*mapping = next;
	return true;
}

/* Calls with each mapping of a process, and PIECE bytes to read it into. false: its memory may not
 * be read. */
typedef void mapping_fn(void *context, int mem, const struct mapping *mapping, uint8_t *piece);

static bool each_mapping(pid_t pid, mapping_fn *act, void *context)
{
	char path[64], line[512];
	struct mapping mapping = { .first = 0 };
	uint8_t *piece = malloc(PIECE);
	cr_assert_not_null(piece);
	snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
	FILE *maps = fopen(path, "re");
	bool readable = mem >= 0 && maps && fgets(line, sizeof line, maps);
	for (bool more = readable; more; more = fgets(line, sizeof line, maps) != NULL) {
		if (strncmp(line, "VmFlags:", 8) == 0) {
			mapping.left_out = strstr(line, " dd") != NULL;
			mapping.locked = strstr(line, " lo") != NULL;
			act(context, mem, &mapping, piece);
		} else {
			mapping_begins(line, &mapping);
		}
	}
	if (mem >= 0)
		close(mem);
	if (maps)
		fclose(maps);
	free(piece);
	return readable;
}

struct looking {
	const char *what;
	const struct needles *needles;
	struct core_found *found;
};

static void look(void *context, int mem, const struct mapping *mapping, uint8_t *piece)
{
	const struct looking *looking = context;
	scan(mem, mapping, piece, looking->what, looking->needles, looking->found);
}

bool core_hunt(pid_t pid, const char *what, const struct needles *needles, struct core_found *found)
{
	struct looking looking = { what, needles, found };
	return each_mapping(pid, look, &looking) && found->mappings > 0;
}

/* --- what lies in locked memory --- */

static bool looks_random(const uint8_t *block)
{
	bool seen[256] = { false }, text = true;
	int distinct = 0;
	for (size_t i = 0; i < BLOCK; i++) {
		distinct += !seen[block[i]];
		seen[block[i]] = true;
		text = text && block[i] >= ' ' && block[i] <= '~';
	}
	return distinct >= DISTINCT_MIN && !text;
}

static bool is_among(const struct needles *needles, const uint8_t *block)
{
	for (size_t i = 0; i < needles->count; i++)
		if (memcmp(needles->at[i].bytes, block, BLOCK) == 0)
			return true;
	return false;
}

struct collecting {
	const char *what;
	const struct needles *known;
	struct needles *needles;
};

static void collect(void *context, int mem, const struct mapping *mapping, uint8_t *piece)
{
	const struct collecting *to = context;
	size_t len = mapping->end - mapping->first, at = 0;
	char name[64];
	if (!mapping->left_out || !mapping->locked || len > PIECE ||
	    pread(mem, piece, len, (off_t)mapping->first) != (ssize_t)len)
		return;
	while (at < len && piece[at] == 0)
		at++;
	/* What is asked for lies at the end of its pages, behind a canary of libsodium's. */
	snprintf(name, sizeof name, "what %s has locked at %lx", to->what, mapping->first);
	for (at = at / BLOCK * BLOCK + BLOCK; at + BLOCK <= len; at += BLOCK) {
		const uint8_t *block = piece + at;
		if (looks_random(block) && !is_among(to->known, block) &&
		    !is_among(to->needles, block) && to->needles->count < NEEDLES_MAX - 1)
			add(to->needles, name, "", block, BLOCK);
	}
}

bool core_locked(pid_t pid, const char *what, const struct needles *known, struct needles *needles)
{
	struct collecting to = { what, known, needles };
	return each_mapping(pid, collect, &to);
}
