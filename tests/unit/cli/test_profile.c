/* The file of logins: for its owner only, written whole, and refused when it is none. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[40], path[80];
static struct arena *arena;
static struct cli cli;

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/profile-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b/config.yaml", dir);
	setenv("FREEHOLD_CONFIG", path, 1);
	unsetenv("FREEHOLD_PROFILE");
	cr_assert_eq(arena_new(4 * MIB, &arena, NULL), 0);
	cli = (struct cli) { .arena = arena };
}
static void teardown(void)
{
	char command[80];
	fetch_free(cli.fetch);
	arena_free(arena);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}
TestSuite(profile, .init = setup, .fini = teardown);

static int save(const char *name, const char *url, struct err *err)
{
	struct value *profile = value_map(arena);
	value_set_str(profile, "url", url);
	value_set_str(profile, "key", "secret-key");
	value_set_str(profile, "tenant", "acme");
	return profile_save(&cli, name, profile, err);
}

static void saved(const char *name, const char *url)
{
	struct err err = { 0 };
	cr_assert_eq(save(name, url, &err), 0, "%s", err.text);
}

static int load(const char *option, struct err *err)
{
	fetch_free(cli.fetch);
	cli = (struct cli) { .arena = arena };
	if (option) {
		cli.options[0].name = "profile";
		cli.options[0].value = option;
		cli.option_count = 1;
	}
	return profile_load(&cli, err);
}

static void write_file(const char *text)
{
	saved("x", "http://x");
	FILE *file = fopen(path, "w");
	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static mode_t mode_of(const char *at)
{
	struct stat stat_;
	return stat(at, &stat_) == 0 ? stat_.st_mode & 07777 : 0;
}

Test(profile, what_was_saved_is_loaded)
{
	struct err err = { 0 };
	saved("home", "http://127.0.0.1:7070");
	cr_assert_eq(load(NULL, &err), 0, "%s", err.text);
	cr_expect_str_eq(cli.profile, "home");
	cr_expect_str_eq(cli.url, "http://127.0.0.1:7070");
	cr_expect_str_eq(cli.authorization, "Authorization: Bearer secret-key");
	cr_expect_str_eq(cli.tenant, "acme");
	cr_expect_null(cli.domain);
	cr_expect_null(cli.ca_file);
	cr_expect_not_null(cli.fetch);
}

Test(profile, the_file_is_its_owners_whatever_the_umask)
{
	umask(0);
	saved("home", "http://x");
	cr_expect_eq(mode_of(path), 0600);
	char folder[80];
	snprintf(folder, sizeof folder, "%s/a/b", dir);
	cr_expect_eq(mode_of(folder), 0700);
}

Test(profile, a_file_that_was_open_to_all_is_closed_by_the_next_login)
{
	char fresh[90];
	saved("home", "http://x");
	snprintf(fresh, sizeof fresh, "%s.new", path);
	int fd = open(fresh, O_WRONLY | O_CREAT, 0644);
	cr_assert(fd >= 0 && fchmod(fd, 0644) == 0 && chmod(path, 0644) == 0);
	close(fd);
	saved("home", "http://y");
	cr_expect_eq(mode_of(path), 0600);
	cr_expect_eq(access(fresh, F_OK), -1, "nothing is left beside it");
}

Test(profile, the_last_login_counts_and_the_others_stay)
{
	saved("home", "http://home");
	saved("work", "http://work");
	cr_assert_eq(load(NULL, NULL), 0);
	cr_expect_str_eq(cli.url, "http://work");
	cr_assert_eq(load("home", NULL), 0);
	cr_expect_str_eq(cli.url, "http://home");
	saved("home", "http://moved");
	cr_assert_eq(load(NULL, NULL), 0);
	cr_expect_str_eq(cli.url, "http://moved");
	cr_assert_eq(load("work", NULL), 0);
	cr_expect_str_eq(cli.url, "http://work");
}

Test(profile, the_option_wins_over_the_environment_and_that_over_the_last_login)
{
	saved("a", "http://a");
	saved("b", "http://b");
	saved("c", "http://c");
	setenv("FREEHOLD_PROFILE", "b", 1);
	cr_assert_eq(load(NULL, NULL), 0);
	cr_expect_str_eq(cli.profile, "b");
	cr_assert_eq(load("a", NULL), 0);
	cr_expect_str_eq(cli.profile, "a");
}

Test(profile, who_is_not_logged_in_is_told_how)
{
	struct err err = { 0 };
	cr_expect_eq(load(NULL, &err), E_UNAUTHENTICATED);
	cr_expect_not_null(strstr(err.text, "freehold login"), "%s", err.text);
	saved("home", "http://x");
	cr_expect_eq(load("away", &err), E_UNAUTHENTICATED);
	cr_expect_not_null(strstr(err.text, "freehold login --profile away"), "%s", err.text);
}

Test(profile, the_default_place_is_below_home)
{
	char expected[120];
	struct err err = { 0 };
	unsetenv("FREEHOLD_CONFIG");
	setenv("HOME", dir, 1);
	saved("home", "http://x");
	snprintf(expected, sizeof expected, "%s/.config/freehold/config.yaml", dir);
	cr_expect_eq(mode_of(expected), 0600);
	unsetenv("HOME");
	cr_expect_eq(load(NULL, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "FREEHOLD_CONFIG"), "%s", err.text);
}

Test(profile, a_profile_without_url_or_key_is_refused_without_the_key)
{
	struct err err = { 0 };
	write_file("current: x\nprofiles:\n  x:\n    key: secret-key\n");
	cr_expect_eq(load(NULL, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "profile x"), "%s", err.text);
	cr_expect_null(strstr(err.text, "secret-key"));
	write_file("current: x\nprofiles:\n  x:\n    url: http://x\n");
	cr_expect_eq(load(NULL, &err), E_INVALID);
}

/* Each is some other program's file, or was spoiled by hand. */
Test(profile, a_file_of_another_form_is_refused_and_not_overwritten)
{
	static const char *const texts[] = {
		"- a\n- b\n", "words\n", "profiles: all\n", "profiles: [x]\n", "a: [\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char back[64] = "";
		struct err err = { 0 };
		unlink(path);
		write_file(texts[i]);
		cr_expect_lt(load(NULL, &err), 0, "%s", texts[i]);
		cr_expect_lt(save("home", "http://x", &err), 0, "%s", texts[i]);
		cr_expect_not_null(strstr(err.text, path), "%s", err.text);
		FILE *file = fopen(path, "r");
		cr_assert_not_null(file);
		back[fread(back, 1, sizeof back - 1, file)] = 0;
		fclose(file);
		cr_expect_str_eq(back, texts[i]);
	}
}

Test(profile, an_empty_file_is_no_login_yet)
{
	write_file("");
	cr_expect_eq(load(NULL, NULL), E_UNAUTHENTICATED);
	saved("home", "http://x");
	cr_expect_eq(load(NULL, NULL), 0);
}

Test(profile, a_file_over_the_bound_is_refused_whole)
{
	struct err err = { 0 };
	saved("x", "http://x");
	FILE *file = fopen(path, "a");
	cr_assert_not_null(file);
	for (int i = 0; i < 20000; i++)
		fputs("# a comment line\n", file);
	cr_assert_eq(fclose(file), 0);
	cr_expect_eq(load(NULL, &err), E_TOO_LARGE);
	cr_expect_not_null(strstr(err.text, path), "%s", err.text);
}

Test(profile, a_folder_that_cannot_be_made_is_named)
{
	struct err err = { 0 };
	setenv("FREEHOLD_CONFIG", "/dev/null/config.yaml", 1);
	cr_expect_lt(save("home", "http://x", &err), 0);
	cr_expect_not_null(strstr(err.text, "/dev/null/config.yaml"), "%s", err.text);
}

Test(profile, each_allocation_may_fail_and_the_file_stays_whole)
{
	saved("home", "http://old");
	for (long n = 0;; n++) {
		arena_reset(arena);
		alloc_fail_after(n);
		struct err err = { 0 };
		int rc = save("home", "http://new", &err);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert(rc == 0 || (fired && rc == E_NOMEM), "allocation %ld: %s", n,
		          err.text);
		cr_assert_eq(load(NULL, NULL), 0, "allocation %ld", n);
		cr_assert_str_eq(cli.url, rc == 0 ? "http://new" : "http://old");
		if (!fired)
			break;
	}
}
