/* aftermath.c - see aftermath.h. A test is a process of its own and may be killed: the runner
 * tells, and finds a test's folder by a note that the test left there. A test that passes takes the
 * note away with its folder. */
#include "common/defs.h"
#include "tests/support/aftermath.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINES = 15, LINE_MAX = 300, SAID_MAX = 1000, TAIL_MAX = 16 * 1024, NOTE_MAX = 512,
	PLACE_MAX = 1024
};

/* The runner's process and the test: tests of two runners share the places. */
static void note_text(char note[NOTE_MAX], pid_t runner, const struct criterion_test *test)
{
	snprintf(note, NOTE_MAX, "%d %s/%s\n", (int)runner, test->category, test->name);
}

void aftermath_note(const char *folder)
{
	char path[PLACE_MAX], note[NOTE_MAX];
	note_text(note, getppid(), criterion_current_test);
	snprintf(path, sizeof path, "%s/note", folder);
	FILE *file = fopen(path, "we");
	cr_assert(file && fputs(note, file) >= 0 && fclose(file) == 0, "%s", path);
}

/* The file's end as text; nothing of what is no file. */
static void read_tail(const char *path, char tail[TAIL_MAX])
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = -1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		len = pread(fd, tail, TAIL_MAX - 1,
		            st.st_size > TAIL_MAX - 1 ? st.st_size - (TAIL_MAX - 1) : 0);
	if (fd >= 0)
		close(fd);
	tail[len > 0 ? len : 0] = 0;
}

/* etcd tells every election of a start, whatever its level is set to. */
static bool is_noise(const char *line)
{
	return *line == 0 || strstr(line, " INFO: ") || strstr(line, " Deprecated ");
}

static void tell_log(const char *path)
{
	char tail[TAIL_MAX], *rest = tail;
	const char *kept[LINES];
	size_t count = 0;
	read_tail(path, tail);
	for (char *line; (line = strsep(&rest, "\n"));)
		if (!is_noise(line))
			kept[count++ % LINES] = line;
	if (count > 0)
		fprintf(stderr, "---- last in %s\n", path);
	for (size_t i = count < LINES ? 0 : count - LINES; i < count; i++)
		fprintf(stderr, "%.*s\n", LINE_MAX, kept[i % LINES]);
}

static void tell_logs(const char *folder)
{
	static const char *const places[] = { "log", "log/*.log", "dev/log/*.log" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char pattern[PLACE_MAX];
		glob_t found = { 0 };
		snprintf(pattern, sizeof pattern, "%s/%s", folder, places[i]);
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t j = 0; j < found.gl_pathc; j++)
				tell_log(found.gl_pathv[j]);
		globfree(&found);
	}
}

/* Every folder below the pattern that the test noted. */
static void tell_folders(const char *pattern, const char *note)
{
	glob_t found = { 0 };
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			char tail[TAIL_MAX];
			read_tail(found.gl_pathv[i], tail);
			*strrchr(found.gl_pathv[i], '/') = 0;
			if (strcmp(tail, note) == 0)
				tell_logs(found.gl_pathv[i]);
		}
	globfree(&found);
}

static void tell(const struct criterion_test *test)
{
	const char *build = getenv("FREEHOLD_BUILD");
	static const char *const places[] = {
		"%s/system/*/note", "%s/chaos-*/note", "/tmp/freehold-test-etcd-*/note"
	};
	char note[NOTE_MAX], pattern[PLACE_MAX];
	note_text(note, getpid(), test);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(pattern, sizeof pattern, places[i], build ? build : ".");
		tell_folders(pattern, note);
	}
	fflush(stderr);
}

/* Once more what failed: often only the last lines of all this are seen. */
ReportHook(POST_TEST)(struct criterion_test_stats *stats)
{
	if (stats->test_status != CR_STATUS_FAILED)
		return;
	tell(stats->test);
	for (const struct criterion_assert_stats *one = stats->asserts; one; one = one->next)
		if (!one->passed)
			fprintf(stderr, "---- %s:%u: %.*s\n", one->file, one->line, SAID_MAX,
			        one->message);
}

ReportHook(TEST_CRASH)(struct criterion_test_stats *stats)
{
	tell(stats->test);
}
