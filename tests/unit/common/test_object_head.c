/* test_object_head.c - a new head for an old body: whoever is interrupted, and whoever reads, there
 * is one head or the other, whole. */
#include "common/defs.h"
#include "common/crypto.h"
#include "common/object_impl.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAD = 200, BODY = 100 };
static const char path[] = "acme/sales/1-1/data";

static char root[64];
static struct object_store *store;
static char old_head[HEAD], new_head[HEAD], third[HEAD], body[BODY];

static void start(void)
{
	cr_assert_eq(crypto_start(NULL), 0);
	strcpy(root, "/tmp/test-object-head-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(object_store_dir(root, &store, NULL), 0);
	memset(old_head, 'o', sizeof old_head);
	memset(new_head, 'n', sizeof new_head);
	memset(third, 't', sizeof third);
	memset(body, 'b', sizeof body);
	AUTO(object_writer) *writer = NULL;
	cr_assert_eq(object_writer_new(store, path, &writer, NULL), 0);
	cr_assert_eq(object_write(writer, old_head, HEAD, NULL), 0);
	cr_assert_eq(object_write(writer, body, BODY, NULL), 0);
	cr_assert_eq(object_commit(writer, NULL), 0);
}

static void stop(void)
{
	char command[128];
	object_store_free(store);
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(object_head, .init = start, .fini = stop);

/* 'o', 'n' or 't': whose head it is; '?': nobody's, or the body is another. */
static char whose_at(const char *at)
{
	char got[HEAD + BODY + 1];
	uint64_t len = 0;
	size_t got_len = 0;
	int fd = -1;
	if (object_open(store, at, &fd, &len, NULL) < 0)
		return '?';
	int rc = object_head(store, at, fd, got, sizeof got, &got_len, NULL);
	close(fd);
	if (rc < 0 || got_len != HEAD + BODY || memcmp(got + HEAD, body, BODY) != 0)
		return '?';
	const char *heads[] = { old_head, new_head, third };
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		if (memcmp(got, heads[i], HEAD) == 0)
			return *heads[i];
	return '?';
}

static char whose(void)
{
	return whose_at(path);
}

static size_t beside(void)
{
	char folder[128];
	size_t count = 0;
	snprintf(folder, sizeof folder, "%s/.head", root);
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

Test(object_head, replaces_the_first_bytes_and_nothing_else)
{
	struct stat before, after;
	char file[128];
	snprintf(file, sizeof file, "%s/%s", root, path);
	const struct timespec times[] = { { 1000, 0 }, { 2000, 5 } };
	cr_assert_eq(utimensat(AT_FDCWD, file, times, 0), 0);
	cr_assert_eq(stat(file, &before), 0);
	cr_assert_eq(object_rehead(store, path, old_head, new_head, HEAD, NULL), 0);
	cr_assert_eq(stat(file, &after), 0);
	cr_expect_eq(whose(), 'n');
	cr_expect_eq(after.st_size, before.st_size);
	cr_expect_eq(after.st_mtim.tv_sec, 2000, "when it was written stays");
	cr_expect_eq(after.st_ino, before.st_ino, "the body is not copied");
	cr_expect_eq(beside(), 0);
}

Test(object_head, a_head_that_was_replaced_meanwhile_is_not_overwritten)
{
	struct err err = { 0 };
	cr_assert_eq(object_rehead(store, path, old_head, new_head, HEAD, NULL), 0);
	cr_expect_eq(object_rehead(store, path, old_head, third, HEAD, &err), E_PRECONDITION);
	cr_expect_eq(whose(), 'n');
	cr_expect_eq(object_rehead(store, "acme/none", old_head, third, HEAD, &err), E_NOT_FOUND);
	cr_expect_eq(object_rehead(store, path, new_head, third, OBJECT_HEAD_MAX + 1, &err),
	             E_INVALID);
	cr_expect_eq(object_rehead(store, path, new_head, third, 0, &err), E_INVALID);
}

static void die(void *context, enum object_step step)
{
	if (step == *(enum object_step *)context)
		kill(getpid(), SIGKILL);
}

/* A process of its own that is killed at a step. */
static void killed_at(enum object_step step)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		object_on_step(store, die, &step);
		(void)!object_rehead(store, path, old_head, new_head, HEAD, NULL);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "step %d", (int)step);
}

static void reopen(void)
{
	object_store_free(store);
	store = NULL;
	cr_assert_eq(object_store_dir(root, &store, NULL), 0);
}

Test(object_head, a_kill_at_any_step_leaves_a_whole_head_at_once_and_after_a_start)
{
	static const enum object_step steps[] = {
		OBJECT_SIDE_MADE, OBJECT_HEAD_TORN, OBJECT_HEAD_MADE
	};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		killed_at(steps[i]);
		cr_expect_eq(whose(), 'n', "step %zu: what is beside is read", i);
		cr_expect_eq(beside(), 1);
		reopen();
		cr_expect_eq(whose(), 'n');
		cr_expect_eq(beside(), 0, "step %zu: the start finished it", i);
		cr_assert_eq(object_rehead(store, path, new_head, old_head, HEAD, NULL), 0);
	}
}

Test(object_head, who_comes_after_a_kill_finishes_it_before_its_own)
{
	killed_at(OBJECT_HEAD_TORN);
	cr_expect_eq(object_rehead(store, path, old_head, third, HEAD, NULL), E_PRECONDITION);
	cr_expect_eq(beside(), 0);
	cr_assert_eq(object_rehead(store, path, new_head, third, HEAD, NULL), 0);
	cr_expect_eq(whose(), 't');
}

Test(object_head, what_is_left_beside_a_deleted_object_goes_at_the_next_start)
{
	killed_at(OBJECT_HEAD_TORN);
	cr_assert_eq(object_delete(store, path, NULL), 0);
	reopen();
	cr_expect_eq(beside(), 0);
}

Test(object_head, what_is_beside_and_damaged_is_passed_over)
{
	char command[256];
	killed_at(OBJECT_SIDE_MADE);
	snprintf(command, sizeof command,
	         "for f in %s/.head/*; do printf x | dd of=$f bs=1 seek=20 conv=notrunc "
	         "2>/dev/null; done", root);
	cr_assert_eq(system(command), 0);
	cr_expect_eq(whose(), 'o', "the object's own head was not touched yet");
	reopen();
	cr_expect_eq(whose(), 'o');
}

struct race { _Atomic bool over; _Atomic int torn, read; };

static void *read_on(void *context)
{
	struct race *race = context;
	while (!race->over) {
		char who = whose();
		for (int i = 0; i < 2 && who == '?'; i++)
			who = whose();       /* once between two heads, as object.h says */
		race->torn += who == '?';
		race->read++;
	}
	return NULL;
}

static void dawdle(void *context, enum object_step step)
{
	(void)context;
	if (step == OBJECT_HEAD_TORN)
		usleep(200);
}

Test(object_head, a_reader_meanwhile_gets_one_or_the_other)
{
	struct race race = { .over = false };
	pthread_t reader;
	object_on_step(store, dawdle, NULL);
	cr_assert_eq(pthread_create(&reader, NULL, read_on, &race), 0);
	for (int i = 0; i < 150; i++) {
		bool odd = i % 2;
		cr_assert_eq(object_rehead(store, path, odd ? new_head : old_head,
		                           odd ? old_head : new_head, HEAD, NULL), 0);
	}
	race.over = true;
	pthread_join(reader, NULL);
	cr_expect_eq(race.torn, 0, "of %d", race.read);
}

static void *rewrite(void *context)
{
	int *done = context;
	*done = object_rehead(store, path, old_head, new_head, HEAD, NULL);
	return NULL;
}

Test(object_head, of_two_that_replace_the_same_head_one_is_told)
{
	pthread_t threads[2];
	int done[2] = { 1, 1 };
	object_on_step(store, dawdle, NULL);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, rewrite, &done[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(done[0] + done[1], E_PRECONDITION, "%d %d", done[0], done[1]);
	cr_expect_eq(whose(), 'n');
}

/* --- several together --- */

enum { MANY = 5 };

static void paths_fill(char paths[MANY][64])
{
	snprintf(paths[0], 64, "%s", path);
	for (int i = 1; i < MANY; i++)
		snprintf(paths[i], 64, "acme/sales/1-1/data%d", MANY - i);
}

static void put(const char *at)
{
	AUTO(object_writer) *writer = NULL;
	cr_assert_eq(object_writer_new(store, at, &writer, NULL), 0);
	cr_assert_eq(object_write(writer, old_head, HEAD, NULL), 0);
	cr_assert_eq(object_write(writer, body, BODY, NULL), 0);
	cr_assert_eq(object_commit(writer, NULL), 0);
}

static void put_others(void)
{
	char paths[MANY][64];
	paths_fill(paths);
	for (int i = 1; i < MANY; i++)
		put(paths[i]);
}

static int rehead_all(const char *was, const char *head, int rcs[MANY])
{
	char paths[MANY][64];
	struct object_change changes[MANY];
	paths_fill(paths);
	for (int i = 0; i < MANY; i++)
		changes[i] = (struct object_change){ .path = paths[i], .was = was, .head = head,
		                                     .len = HEAD };
	int rc = object_rehead_many(store, changes, MANY, NULL);
	for (int i = 0; i < MANY; i++)
		rcs[i] = changes[i].rc;
	return rc;
}

/* Whose heads they are, in the order of paths_fill. */
static void whose_all(char out[MANY + 1])
{
	char paths[MANY][64];
	paths_fill(paths);
	for (int i = 0; i < MANY; i++)
		out[i] = whose_at(paths[i]);
	out[MANY] = 0;
}

Test(object_head, several_get_theirs_together_and_each_that_cannot_is_told)
{
	int rcs[MANY];
	char who[MANY + 1], paths[MANY][64];
	put_others();
	paths_fill(paths);
	cr_assert_eq(object_delete(store, paths[2], NULL), 0);
	cr_assert_eq(object_rehead(store, paths[3], old_head, third, HEAD, NULL), 0);
	cr_assert_eq(rehead_all(old_head, new_head, rcs), 0);
	whose_all(who);
	cr_expect_str_eq(who, "nn?tn");
	const int told[MANY] = { 0, 0, E_NOT_FOUND, E_PRECONDITION, 0 };
	cr_expect_arr_eq(rcs, told, sizeof told);
	cr_expect_eq(beside(), 0);
}

Test(object_head, too_many_together_or_one_twice_are_refused_untouched)
{
	struct object_change changes[OBJECT_CHANGES_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		changes[i] = (struct object_change){ .path = path, .was = old_head,
		                                     .head = new_head, .len = HEAD };
	cr_expect_eq(object_rehead_many(store, changes, ARRAY_LEN(changes), NULL), E_INVALID);
	cr_expect_eq(object_rehead_many(store, changes, 2, NULL), E_INVALID);
	cr_expect_eq(whose(), 'o');
	cr_expect_eq(object_rehead_many(store, changes, 0, NULL), 0);
}

struct countdown { int left; };

static void die_at_zero(void *context, enum object_step step)
{
	struct countdown *countdown = context;
	(void)step;
	if (countdown->left-- == 0)
		kill(getpid(), SIGKILL);
}

/* False: it was over before the step came. */
static bool batch_killed_at(int step)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		int rcs[MANY];
		struct countdown countdown = { step };
		object_on_step(store, die_at_zero, &countdown);
		_exit(rehead_all(old_head, new_head, rcs) == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return false;
}

static int kills_of_a_batch(void)
{
	int step = 0, rcs[MANY];
	char at_once[MANY + 1], after[MANY + 1];
	put_others();
	for (; batch_killed_at(step); step++) {
		whose_all(at_once);
		cr_expect_eq(strspn(at_once, "on"), MANY, "step %d: %s", step, at_once);
		reopen();
		whose_all(after);
		cr_expect_str_eq(after, at_once, "step %d: a start changes no answer", step);
		cr_expect_eq(beside(), 0, "step %d: the start finished it", step);
		cr_assert_eq(rehead_all(new_head, old_head, rcs), 0);
		whose_all(after);
		cr_assert_str_eq(after, "ooooo", "step %d", step);
	}
	whose_all(after);
	cr_expect_str_eq(after, "nnnnn");
	return step;
}

Test(object_head, a_kill_at_any_step_of_a_batch_leaves_whole_heads_at_once_and_after_a_start)
{
	cr_expect_eq(kills_of_a_batch(), MANY - 1 + 1 + 2 * MANY, "all steps were come to");
}

Test(object_head, without_links_each_has_a_file_of_its_own_and_a_kill_does_as_little)
{
	int rcs[MANY];
	store->linkless = true;
	put_others();
	cr_assert(batch_killed_at(0));
	cr_expect_eq(beside(), MANY);
	char who[MANY + 1];
	whose_all(who);
	cr_expect_str_eq(who, "nnnnn");
	reopen();
	whose_all(who);
	cr_expect_str_eq(who, "nnnnn");
	store->linkless = true;
	cr_expect_eq(rehead_all(new_head, third, rcs), 0);
	whose_all(who);
	cr_expect_str_eq(who, "ttttt");
	cr_expect_eq(beside(), 0);
}

static void keep_names(void *context, enum object_step step)
{
	char command[256];
	(void)context;
	snprintf(command, sizeof command, "cp -al %s/.head %s.kept", root, root);
	if (step == OBJECT_SIDE_MADE)
		cr_assert_eq(system(command), 0);
}

/* The folder is not waited for after a name went: a crash of the machine may bring it back. */
Test(object_head, a_name_whose_going_did_not_last_changes_nothing)
{
	int rcs[MANY];
	char who[MANY + 1], command[256];
	put_others();
	object_on_step(store, keep_names, NULL);
	cr_assert_eq(rehead_all(old_head, new_head, rcs), 0);
	snprintf(command, sizeof command, "mv %s.kept/* %s/.head/ && rmdir %s.kept", root, root,
	         root);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(beside(), MANY);
	whose_all(who);
	cr_expect_str_eq(who, "nnnnn");
	reopen();
	whose_all(who);
	cr_expect_str_eq(who, "nnnnn");
	cr_expect_eq(beside(), 0);
}

struct turn { const char *head; int rcs[MANY]; int rc; };

static void *rewrite_all(void *context)
{
	struct turn *turn = context;
	turn->rc = rehead_all(old_head, turn->head, turn->rcs);
	return NULL;
}

Test(object_head, of_two_batches_over_the_same_objects_each_object_is_one_s)
{
	pthread_t threads[2];
	struct turn turns[2] = { { .head = new_head }, { .head = third } };
	char who[MANY + 1];
	put_others();
	object_on_step(store, dawdle, NULL);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, rewrite_all, &turns[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	whose_all(who);
	for (int i = 0; i < MANY; i++) {
		bool first = turns[0].rcs[i] == 0;
		cr_expect_eq(turns[0].rcs[i] + turns[1].rcs[i], E_PRECONDITION, "%d", i);
		cr_expect_eq(who[i], first ? 'n' : 't', "%d: %s", i, who);
	}
	cr_expect(turns[0].rc == 0 && turns[1].rc == 0);
}

Test(object_head, a_reader_meanwhile_of_a_batch_gets_one_or_the_other)
{
	struct race race = { .over = false };
	pthread_t reader;
	int rcs[MANY];
	put_others();
	object_on_step(store, dawdle, NULL);
	cr_assert_eq(pthread_create(&reader, NULL, read_on, &race), 0);
	for (int i = 0; i < 40; i++)
		cr_assert_eq(rehead_all(i % 2 ? new_head : old_head, i % 2 ? old_head : new_head,
		                        rcs), 0);
	race.over = true;
	pthread_join(reader, NULL);
	cr_expect_eq(race.torn, 0, "of %d", race.read);
}
