/* test_object.c - the folder as an object store: atomic, durable, and never outside its root. */
#include "common/defs.h"
#include "common/crypto.h"
#include "common/object.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64];
static struct object_store *store;

static void start(void)
{
	cr_assert_eq(crypto_start(NULL), 0);
	strcpy(root, "/tmp/test-object-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(object_store_dir(root, &store, NULL), 0);
}

static void stop(void)
{
	char command[128];
	object_store_free(store);
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(object, .init = start, .fini = stop);

static int put(const char *path, const char *text, struct err *err)
{
	AUTO(object_writer) *writer = NULL;
	TRY(object_writer_new(store, path, &writer, err));
	TRY(object_write(writer, text, strlen(text), err));
	return object_commit(writer, err);
}

static bool holds(const char *path, const char *text)
{
	char got[64] = { 0 };
	uint64_t len = 0;
	int fd = -1;
	if (object_open(store, path, &fd, &len, NULL) < 0)
		return false;
	ssize_t n = pread(fd, got, sizeof got - 1, 0);
	close(fd);
	return n == (ssize_t)len && strcmp(got, text) == 0;
}

static size_t entries(const char *folder)
{
	char path[512];
	size_t count = 0;
	snprintf(path, sizeof path, "%s/%s", root, folder);
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return count;
}

Test(object, what_was_committed_is_read_back)
{
	cr_assert_eq(put("acme/ds01/part-0.parquet", "hello", NULL), 0);
	cr_assert_eq(put("top", "", NULL), 0);
	cr_expect(holds("acme/ds01/part-0.parquet", "hello"));
	cr_expect(holds("top", ""));
	cr_expect_eq(entries(".tmp"), 0);
}

Test(object, files_and_folders_are_the_owners_alone)
{
	char path[256];
	struct stat st;
	umask(0);
	cr_assert_eq(put("acme/x", "hello", NULL), 0);
	snprintf(path, sizeof path, "%s/acme/x", root);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	snprintf(path, sizeof path, "%s/acme", root);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
}

Test(object, nothing_shows_before_the_commit_and_nothing_stays_without_it)
{
	struct object_writer *writer = NULL;
	cr_assert_eq(object_writer_new(store, "a/b", &writer, NULL), 0);
	cr_assert_eq(object_write(writer, "half", 4, NULL), 0);
	cr_expect_not(holds("a/b", "half"));
	cr_expect_eq(entries(".tmp"), 1);
	object_writer_free(writer);
	cr_expect_eq(entries(".tmp"), 0);
	cr_expect_eq(entries(""), 2, "only .tmp and .head");
}

Test(object, an_object_is_never_replaced)
{
	struct err err;
	cr_assert_eq(put("a/b", "first", NULL), 0);
	cr_expect_eq(put("a/b", "second", &err), E_CONFLICT);
	cr_expect(holds("a/b", "first"));
	cr_expect_eq(put("a", "a folder is there", &err), E_CONFLICT);
	cr_expect_eq(put("a/b/c", "a file is there", &err), E_CONFLICT);
	cr_expect_eq(entries(".tmp"), 0);
}

Test(object, paths_that_break_a_rule_are_refused_by_every_call)
{
	static const char *const bad[] = {
		"",    "/",    "/a",	 "a/",		"a//b",	  ".",
		"..",  "../x", "a/../b", "a/./b",	".tmp/x", "a/.hidden",
		"a b", "a\nb", "a\\b",	 "caf\xc3\xa9", "a:b",	  "a*",
	};
	char lengthy[402], segment[258];
	memset(lengthy, 'a', 401);
	for (int i = 100; i < 401; i += 100)
		lengthy[i] = '/';
	lengthy[401] = 0;
	memset(segment, 'a', 257);
	segment[256] = 0;
	struct err err;
	uint64_t len;
	int fd;
	for (size_t i = 0; i < ARRAY_LEN(bad) + 2; i++) {
		const char *path = i < ARRAY_LEN(bad)	 ? bad[i]
				   : i == ARRAY_LEN(bad) ? lengthy
							 : segment;
		cr_expect_eq(put(path, "x", &err), E_INVALID, "%s", path);
		cr_expect_eq(object_open(store, path, &fd, &len, &err), E_INVALID, "%s", path);
		cr_expect_eq(object_delete(store, path, &err), E_INVALID, "%s", path);
	}
	lengthy[399] = 0;
	cr_expect_eq(put(lengthy, "x", &err), 0, "%s", err.text);
}

Test(object, links_are_not_followed)
{
	char path[256], outside[] = "/tmp/test-outside-XXXXXX", target[64];
	uint64_t len;
	int fd;
	cr_assert_not_null(mkdtemp(outside));
	snprintf(target, sizeof target, "%s/there", outside);
	close(open(target, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof path, "%s/out", root);
	cr_assert_eq(symlink(outside, path), 0);
	snprintf(path, sizeof path, "%s/name", root);
	cr_assert_eq(symlink(target, path), 0);
	cr_expect_eq(object_open(store, "out/there", &fd, &len, NULL), E_NOT_FOUND);
	cr_expect_eq(object_open(store, "name", &fd, &len, NULL), E_NOT_FOUND);
	cr_expect_eq(object_delete(store, "out/there", NULL), E_NOT_FOUND);
	cr_expect_lt(put("out/new", "x", NULL), 0);
	unlink(target);
	cr_expect_eq(rmdir(outside), 0, "something was written outside");
}

Test(object, what_is_missing_is_not_found)
{
	struct err err;
	uint64_t len;
	int fd;
	cr_assert_eq(put("a/b", "x", NULL), 0);
	static const char *const missing[] = { "c", "a", "a/c", "a/b/c", "c/d/e" };
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		cr_expect_eq(object_open(store, missing[i], &fd, &len, &err), E_NOT_FOUND, "%s",
			     missing[i]);
		cr_expect_eq(object_delete(store, missing[i], &err), E_NOT_FOUND, "%s", missing[i]);
	}
}

Test(object, deleting_removes_the_object_and_its_empty_folders)
{
	cr_assert_eq(put("a/b/c", "x", NULL), 0);
	cr_assert_eq(put("a/d", "y", NULL), 0);
	cr_assert_eq(object_delete(store, "a/b/c", NULL), 0);
	cr_expect_not(holds("a/b/c", "x"));
	cr_expect_eq(entries("a"), 1);
	cr_expect(holds("a/d", "y"));
	cr_assert_eq(object_delete(store, "a/d", NULL), 0);
	cr_expect_eq(entries(""), 2, "only .tmp and .head");
}

/* Listing. */

struct seen { char text[512]; uint64_t bytes; int stop_after; };

static int see(void *context, const struct object_info *info, struct err *err)
{
	struct seen *seen = context;
	if (seen->stop_after-- == 0)
		return err_set(err, E_CANCELLED, "enough");
	strcat(strcat(seen->text, info->path), " ");
	seen->bytes += info->len;
	int64_t age_ms = (int64_t)time(NULL) * 1000 - info->at_ms;
	cr_expect(age_ms > -10000 && age_ms < 600000, "made %" PRId64 " ms ago", age_ms);
	return 0;
}

Test(object, a_list_has_what_begins_with_the_prefix)
{
	static const char *const paths[] = { "a/1", "a/2", "ab", "b/c/d/e", "b/cc" };
	static const struct { const char *prefix; size_t count; } wanted[] = {
		{ "", 5 }, { "a", 3 }, { "a/", 2 }, { "a/1", 1 }, { "b/c", 2 }, { "b/c/", 1 },
		{ "b/c/d/e", 1 }, { "b/c/d/e/f", 0 }, { "zz/", 0 }, { "ab/", 0 },
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		cr_assert_eq(put(paths[i], "12", NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct seen seen = { .stop_after = -1 };
		cr_assert_eq(object_list(store, wanted[i].prefix, see, &seen, &err), 0, "%s",
			     err.text);
		cr_expect_eq(seen.bytes, 2 * wanted[i].count, "%s: %s", wanted[i].prefix,
			     seen.text);
	}
	struct seen seen = { .stop_after = -1 };
	cr_expect_eq(object_list(store, "../", see, &seen, &err), E_INVALID);
	seen.stop_after = 1;
	cr_expect_eq(object_list(store, "", see, &seen, &err), E_CANCELLED);
}

static int drop(void *context, const struct object_info *info, struct err *err)
{
	(void)context;
	return object_delete(store, info->path, err);
}

Test(object, a_visit_may_delete_what_it_was_shown)
{
	for (int i = 0; i < 50; i++) {
		char path[32];
		snprintf(path, sizeof path, "a/%d/%d", i % 5, i);
		cr_assert_eq(put(path, "x", NULL), 0);
	}
	cr_assert_eq(object_list(store, "a/", drop, NULL, NULL), 0);
	cr_expect_eq(entries(""), 2);
}

/* Crashes, full disks, races. */

static void touch_old(const char *name, time_t age_s)
{
	char path[256];
	snprintf(path, sizeof path, "%s/.tmp/%s", root, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	struct timespec then[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
	cr_assert_eq(futimens(fd, then), 0);
	close(fd);
}

Test(object, orphans_of_a_crash_are_swept_when_old_enough)
{
	touch_old("old", 3700);
	touch_old("young", 3500);
	struct object_store *again = NULL;
	cr_assert_eq(object_store_dir(root, &again, NULL), 0);
	cr_expect_eq(entries(".tmp"), 1);
	object_store_free(again);
}

/* In a mount namespace of its own: a store on a file system of 256 KiB. 0, or what went wrong. */
static int fill_disk(void)
{
	char block[4096] = { 0 };
	struct err err = { 0 };
	struct object_store *small = NULL;
	struct object_writer *writer = NULL;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", root, "tmpfs", 0, "size=256k") < 0)
		return 77;
	if (object_store_dir(root, &small, &err) < 0 ||
	    object_writer_new(small, "a/b", &writer, &err) < 0)
		return 1;
	int rc = 0;
	for (int i = 0; i < 100 && rc == 0; i++)
		rc = object_write(writer, block, sizeof block, &err);
	if (rc != E_NO_SPACE)
		return 2;
	if (object_commit(writer, &err) != E_NO_SPACE)
		return 3;
	object_writer_free(writer);
	return entries(".tmp") == 0 && entries("") == 2 ? 0 : 4;
}

Test(object, a_full_disk_is_named_and_leaves_nothing)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(fill_disk());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		cr_skip_test("needs the right to mount a tmpfs");
	cr_expect_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}

static void *one_of_many(void *arg)
{
	return (void *)(intptr_t)put("race/x", arg, NULL);
}

Test(object, of_many_writers_one_wins)
{
	for (int round = 0; round < 20; round++) {
		pthread_t threads[4];
		int won = 0;
		for (int i = 0; i < 4; i++)
			cr_assert_eq(pthread_create(&threads[i], NULL, one_of_many,
						    (void *)(uintptr_t) "same"),
				     0);
		for (int i = 0; i < 4; i++) {
			void *rc = NULL;
			pthread_join(threads[i], &rc);
			won += (intptr_t)rc == 0;
			cr_expect((intptr_t)rc == 0 || (intptr_t)rc == E_CONFLICT);
		}
		cr_expect_eq(won, 1);
		cr_assert_eq(object_delete(store, "race/x", NULL), 0);
	}
}

static void *come_and_go(void *arg)
{
	for (int i = 0; i < 100; i++) {
		char path[32];
		snprintf(path, sizeof path, "same/folder/%s%d", (const char *)arg, i);
		struct err err = { 0 };
		if (put(path, "x", &err) < 0 || object_delete(store, path, &err) < 0) {
			fprintf(stderr, "%s: %s\n", path, err.text);
			return (void *)"failed";
		}
	}
	return NULL;
}

Test(object, folders_vanishing_meanwhile_do_not_disturb_a_writer)
{
	pthread_t threads[2];
	cr_assert_eq(pthread_create(&threads[0], NULL, come_and_go, (void *)(uintptr_t)"a"), 0);
	cr_assert_eq(pthread_create(&threads[1], NULL, come_and_go, (void *)(uintptr_t)"b"), 0);
	for (int i = 0; i < 2; i++) {
		void *what = NULL;
		pthread_join(threads[i], &what);
		cr_expect_null(what);
	}
}

Test(object, a_root_that_is_a_file_or_has_no_parent_is_refused)
{
	char path[256];
	struct object_store *other = NULL;
	struct err err;
	cr_assert_eq(put("file", "x", NULL), 0);
	snprintf(path, sizeof path, "%s/file", root);
	cr_expect_eq(object_store_dir(path, &other, &err), E_IO, "%s", err.text);
	snprintf(path, sizeof path, "%s/no/where", root);
	cr_expect_eq(object_store_dir(path, &other, &err), E_NOT_FOUND, "%s", err.text);
	cr_expect_null(other);
}

Test(object, each_failing_allocation_is_an_error)
{
	struct object_store *other = NULL;
	struct object_writer *writer = NULL;
	alloc_fail_after(0);
	cr_expect_eq(object_store_dir(root, &other, NULL), E_NOMEM);
	alloc_fail_after(0);
	cr_expect_eq(object_writer_new(store, "x", &writer, NULL), E_NOMEM);
	alloc_fail_after(-1);
	cr_expect_eq(entries(".tmp"), 0);
}
