/* zone_file.c - time zones by name, out of the system's folder of TZif files (Debian: tzdata). */
#include "common/defs.h"
#include "common/text.h"
#include "common/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char folder[] = "/usr/share/zoneinfo/";

enum { LIST_BYTES_MAX = 256 * 1024, NAMES_MAX = 1024 };

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool in_name(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
}

/* Segments that begin with a letter, joined by slashes: a name cannot leave the folder. */
static bool name_valid(const char *name)
{
	size_t segment = 0;
	for (const char *at = name; *at; at++) {
		bool good = segment ? in_name(*at) || *at == '/' : is_letter(*at);
		if (!good)
			return false;
		segment = *at == '/' ? 0 : segment + 1;
	}
	return segment > 0 && strlen(name) <= ZONE_NAME_MAX;
}

static int read_file(const char *name, size_t bytes_max, struct buf *out, struct err *err)
{
	char path[sizeof folder + ZONE_NAME_MAX + 1];
	snprintf(path, sizeof path, "%s%s", folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_errno(err, errno, "cannot open the time zone %s", name);
	ssize_t got = 1;
	buf_init(out, bytes_max);
	while (got > 0) {
		uint8_t *room = buf_room(out, 4096);
		got = room ? read(fd, room, 4096) : 0;
		if (got > 0)
			out->len += (size_t)got;
	}
	int failed = got < 0 ? errno : 0;
	close(fd);
	if (failed)
		return err_errno(err, failed, "cannot read the time zone %s", name);
	return buf_check(out, err);
}

/* The last column's names of zone1970.tab, which ends each at a tab or the line's end. */
static size_t names_in(char *text, const char **names, size_t most)
{
	size_t count = 0;
	char *line_state = NULL;
	for (char *line = strtok_r(text, "\n", &line_state); line && count < most;
	     line = strtok_r(NULL, "\n", &line_state)) {
		char *name = line[0] == '#' ? NULL : strchr(line, '\t');
		name = name ? strchr(name + 1, '\t') : NULL;
		if (!name)
			continue;
		name[1 + strcspn(name + 1, "\t")] = 0;
		names[count++] = name + 1;
	}
	return count;
}

static int unknown(const char *name, struct err *err)
{
	const char *names[NAMES_MAX] = { "UTC" };
	AUTO_BUF list = { .data = NULL };
	if (read_file("zone1970.tab", LIST_BYTES_MAX, &list, NULL) < 0)
		return err_set(err, E_INVALID, "control has no time zones but UTC: install tzdata "
		               "where it runs");
	size_t count = 1 + names_in((char *)list.data, names + 1, NAMES_MAX - 1);
	const char *nearest = name_nearest(name, names, count);
	return err_set(err, E_INVALID, "there is no time zone %.*s%s%s%s", ZONE_NAME_MAX, name,
	               nearest ? "; did you mean " : "; a name is like Europe/Berlin or UTC",
	               nearest ? nearest : "", nearest ? "?" : "");
}

int zone_open(const char *name, struct zone **ret_zone, struct err *err)
{
	AUTO_BUF file = { .data = NULL };
	struct err why = { 0 };
	if (strcmp(name, "UTC") == 0)
		return zone_utc(ret_zone, err);
	if (!name_valid(name))
		return unknown(name, err);
	int rc = read_file(name, ZONE_FILE_MAX, &file, &why);
	if (rc == E_NOMEM)
		return err_set(err, rc, "%s", why.text);
	if (rc < 0)
		return unknown(name, err);
	rc = zone_parse(file.data, file.len, ret_zone, &why);
	if (rc == E_CORRUPT)
		return err_set(err, E_INVALID, "%s cannot be used: %s", name, why.text);
	return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}
