/* core.c - see core.h. */
#include "common/defs.h"
#include "tests/support/core.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 4 * 1024 * 1024 };

struct mapping {
	unsigned long first, end;
	char perms[8], name[256];
	bool left_out;
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

/* One pass, whatever the number of needles: few places begin like one. */
static void search(const uint8_t *data, size_t len, unsigned long base,
                   const struct mapping *mapping, const char *what, const struct needles *needles,
                   struct core_found *found)
{
	bool begins[65536] = { false };
	for (size_t i = 0; i < needles->count; i++)
		begins[pair(needles->at[i].bytes)] = true;
	for (size_t at = 0; at + 1 < len; at++) {
		if (!begins[pair(data + at)])
			continue;
		for (size_t i = 0; i < needles->count; i++) {
			const struct needle *needle = &needles->at[i];
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

bool core_hunt(pid_t pid, const char *what, const struct needles *needles, struct core_found *found)
{
	char path[64], line[512];
	struct mapping mapping = { .first = 0 };
	snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
	FILE *maps = fopen(path, "re");
	uint8_t *piece = malloc(PIECE);
	bool readable = mem >= 0 && maps && piece && fgets(line, sizeof line, maps);
	for (bool more = readable; more; more = fgets(line, sizeof line, maps) != NULL) {
		if (strncmp(line, "VmFlags:", 8) == 0) {
			mapping.left_out = strstr(line, " dd") != NULL;
			scan(mem, &mapping, piece, what, needles, found);
		} else {
			mapping_begins(line, &mapping);
		}
	}
	if (mem >= 0)
		close(mem);
	if (maps)
		fclose(maps);
	free(piece);
	return readable && found->mappings > 0;
}
