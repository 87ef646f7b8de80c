/* test_argv.c - what any process of the machine can see of another: no credential and no key stands
 * in an argument or the environment of one of ours, and no answer or log says one back. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "common/text.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEEN_MAX = 256 * 1024, NEEDLES = 8, CHILDREN = 16 };

struct needles {
	const char *texts[NEEDLES];
	size_t count;
};

static void add(struct needles *needles, const char *text)
{
	cr_assert_lt(needles->count, NEEDLES);
	cr_assert_geq(strlen(text), 16, "too short to be searched for");
	needles->texts[needles->count++] = text;
}

static const char *root_key(struct system *system)
{
	static char hex[65];
	uint8_t bytes[64] = {0};
	FILE *file = fopen(system_path(system, "keys/root.key"), "r");
	cr_assert_not_null(file);
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	cr_assert_geq(len, 32);
	if (len >= 64)
		snprintf(hex, sizeof hex, "%.64s", (char *)bytes);
	else
		hex_print(bytes, 32, hex);
	return hex;
}

/* A file of /proc, whose parts end with NULs. */
static size_t read_all(const char *path, char *out)
{
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(out, 1, SEEN_MAX, file) : 0;
	if (file)
		fclose(file);
	return len;
}

static void check_process(const struct needles *needles, pid_t pid)
{
	static const char *const files[] = {"cmdline", "environ"};
	static char seen[SEEN_MAX];
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
		size_t len = read_all(path, seen);
		cr_assert(i > 0 || len > 0, "%s cannot be read", path);
		for (size_t j = 0; j < needles->count; j++)
			cr_expect_null(
				memmem(seen, len, needles->texts[j], strlen(needles->texts[j])),
				"%s holds a secret", path);
	}
}

static struct needles needles_of(struct system *system)
{
	struct needles needles = {.count = 0};
	const char *ada = story_key(system, "ada");
	add(&needles, ada);
	add(&needles, ada + strlen(ada) - 24);
	add(&needles, story_key(system, "operator"));
	add(&needles, root_key(system));
	return needles;
}

struct following {
	struct system *system;
	const char *out;
};

/* It has read its profile, and asked. */
static bool follows(void *context)
{
	struct following *following = context;
	const char *text = file_text(system_arena(following->system),
	                             system_path(following->system, "%s", following->out));
	return text && strlen(text) > 0;
}

Test(argv, no_secret_stands_in_an_argument_or_the_environment_of_any_process)
{
	struct system *system = story_start(NULL);
	const struct needles needles = needles_of(system);
	const char *id = story_submit(system, "probe", "{\"sleepMs\":300000}");
	const char *const watch[] = {"tasks", id, "--watch", "--profile", "ada", NULL};
	story_await_running(system, id);
	pid_t executors[CHILDREN];
	pid_t cli = system_cli_start(system, system_path(system, "out/watch"), watch);
	struct following following = {system, "out/watch"};
	cr_assert(wait_until(follows, &following, 20000), "the command line does not follow");
	for (int part = 0; part < PART_COUNT_; part++)
		if (system_pid(system, (enum part)part))
			check_process(&needles, system_pid(system, (enum part)part));
	size_t count = process_children(system_pid(system, PART_WORKER), executors, CHILDREN);
	cr_assert_geq(count, 1);
	for (size_t i = 0; i < count; i++)
		check_process(&needles, executors[i]);
	check_process(&needles, cli);
	process_kill(cli);
	system_stop(system);
}

/* A credential at the wrong place: nobody says it back, and no log keeps it. */
Test(argv, no_answer_and_no_log_says_a_credential_back)
{
	static const char *const paths[] = {"/v1/", "/v1/tenants/",
	                                    "/v1/tenants?continue=", SALES "/datasets/",
	                                    SALES "/tasks?type="};
	struct system *system = story_start(NULL);
	struct arena *arena = system_arena(system);
	const char *ada = story_key(system, "ada"), *secret = ada + strlen(ada) - 24;
	const char *wrong = arena_printf(arena, "%.*sAAAA", (int)strlen(ada) - 4, ada);
	for (int port = PORT_API; port <= PORT_SERVING; port++) {
		struct answer answer = system_call_with(system, port, wrong, NULL, "POST",
		                                        "/get-online-features", "{}");
		cr_expect_null(strstr(answer.text, "AAAA"), "%s", answer.text);
	}
	struct answer body = system_call(system, ada, "PUT", SALES "/datasets/d",
	                                 arena_printf(arena, "{\"kind\":\"%s\"", ada));
	cr_expect_null(strstr(body.text, secret), "%s", body.text);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		system_call(system, ada, "GET", arena_printf(arena, "%s%s", paths[i], ada), NULL);
	DIR *folder = opendir(system_path(system, "log"));
	cr_assert_not_null(folder);
	int logs = 0;
	for (struct dirent *file; (file = readdir(folder));) {
		const char *text = file_text(arena, system_path(system, "log/%s", file->d_name));
		logs += text && strlen(text) > 0;
		cr_expect(!text || !strstr(text, secret), "log/%s holds a credential",
		          file->d_name);
	}
	closedir(folder);
	cr_expect_gt(logs, 1);
	system_stop(system);
}
