/* test_catalog.c - the resources in memory: what is newer wins, however it comes; lists and keys.
 */
#include "common/defs.h"
#include "control/catalog.h"

#include "common/crypto.h"
#include "common/store_mem.h"
#include "control/journal.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint8_t state_key[KEY_BYTES] = { 3 };

struct fixture {
	struct arena *arena;
	struct catalog *catalog;
	int changes;
	char last[STORE_KEY_MAX];
};

static void count(void *context, const char *key, const struct value *value)
{
	struct fixture *f = context;
	(void)value;
	f->changes++;
	snprintf(f->last, sizeof f->last, "%s", key);
}

static void start(struct fixture *f)
{
	struct err err = { 0 };
	memset(f, 0, sizeof *f);
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(arena_new(64 * MIB, &f->arena, &err), 0);
	cr_assert_eq(catalog_new(clock_system(), state_key, &f->catalog, &err), 0);
	catalog_on_change(f->catalog, count, f);
}

static void end(struct fixture *f)
{
	catalog_free(f->catalog);
	arena_free(f->arena);
}

static struct value *text(struct fixture *f, const char *word)
{
	struct value *map = value_map(f->arena);
	value_set_str(map, "word", word);
	return map;
}

static const char *word_of(struct fixture *f, const char *key, int64_t *ret_revision)
{
	struct value *value = NULL;
	if (catalog_get(f->catalog, f->arena, key, &value, ret_revision, NULL) < 0)
		return NULL;
	return value_get_str(value, "word");
}

Test(catalog, gives_back_what_was_applied_with_its_revision)
{
	struct fixture f;
	int64_t revision = 0;
	start(&f);
	catalog_apply(f.catalog, "r/domain/acme/flights", text(&f, "one"), 7);
	cr_expect_str_eq(word_of(&f, "r/domain/acme/flights", &revision), "one");
	cr_expect_eq(revision, 7);
	cr_expect_eq(catalog_revision(f.catalog), 7);
	cr_expect_eq(f.changes, 1);
	struct value *value = NULL;
	struct err err = { 0 };
	cr_expect_eq(catalog_get(f.catalog, f.arena, "r/domain/acme/none", &value, NULL, &err),
	             E_NOT_FOUND);
	cr_expect_str_eq(err.text, "the domain none does not exist");
	end(&f);
}

Test(catalog, ignores_what_is_older_than_what_it_knows)
{
	struct fixture f;
	start(&f);
	catalog_apply(f.catalog, "r/a/x", text(&f, "new"), 9);
	catalog_apply(f.catalog, "r/a/x", text(&f, "old"), 8);
	catalog_apply(f.catalog, "r/a/x", text(&f, "same"), 9);
	cr_expect_str_eq(word_of(&f, "r/a/x", NULL), "new");
	cr_expect_eq(f.changes, 1);
	end(&f);
}

Test(catalog, does_not_bring_back_what_was_deleted_later)
{
	struct fixture f;
	start(&f);
	catalog_apply(f.catalog, "r/a/x", text(&f, "one"), 5);
	catalog_apply(f.catalog, "r/a/x", NULL, 6);
	catalog_apply(f.catalog, "r/a/x", text(&f, "one"), 5);
	cr_expect_null(word_of(&f, "r/a/x", NULL));
	cr_expect(!catalog_has(f.catalog, "r/a/x"));
	cr_expect(!catalog_has_prefix(f.catalog, "r/a/"));
	catalog_apply(f.catalog, "r/a/x", text(&f, "two"), 7);
	cr_expect_str_eq(word_of(&f, "r/a/x", NULL), "two");
	end(&f);
}

struct seen { char text[512]; };

static int note(void *context, const char *key, const struct value *value, int64_t revision,
                struct err *err)
{
	struct seen *seen = context;
	(void)value;
	(void)revision;
	(void)err;
	strncat(seen->text, strrchr(key, '/') + 1, 32);
	strncat(seen->text, " ", 2);
	return 0;
}

Test(catalog, lists_a_prefix_in_order_and_page_by_page)
{
	struct fixture f;
	struct seen seen = { "" };
	bool more = false;
	struct err err = { 0 };
	start(&f);
	static const char *const keys[] = { "r/a/c", "r/a/a", "r/b/z", "r/a/b", "r/a/d", "r/A/q" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		catalog_apply(f.catalog, keys[i], text(&f, "w"), (int64_t)i + 1);
	catalog_apply(f.catalog, "r/a/b", NULL, 99);
	cr_assert_eq(catalog_list(f.catalog, f.arena, "r/a/", NULL, 2, note, &seen, &more, &err),
	             0);
	cr_expect_str_eq(seen.text, "a c ");
	cr_expect(more);
	cr_assert_eq(catalog_list(f.catalog, f.arena, "r/a/", "r/a/c", 2, note, &seen, &more, &err),
	             0);
	cr_expect_str_eq(seen.text, "a c d ");
	cr_expect(!more);
	end(&f);
}

static void wait_for(struct fixture *f, const char *key, const char *word)
{
	for (int i = 0; i < 60000; i++) {
		const char *now = word_of(f, key, NULL);
		if (word ? now && strcmp(now, word) == 0 : !now)
			return;
		usleep(1000);
	}
	cr_assert_fail("%s never became %s", key, word ? word : "absent");
}

/* Commits through a journal, as control does, without applying to the catalog. */
struct writer {
	struct store *store;
	struct store_lead *lead;
	struct journal *journal;
	_Atomic int64_t epoch;
};

static void on_lead(void *context, int64_t epoch)
{
	struct writer *w = context;
	w->epoch = epoch;
}

static void ignore_record(void *context, const struct value *record)
{
	(void)context;
	(void)record;
}

static void ignore_resource(void *context, const char *key, const struct value *value,
                            int64_t revision)
{
	(void)context;
	(void)key;
	(void)value;
	(void)revision;
}

static void writer_start(struct writer *w)
{
	struct err err = { 0 };
	memset(w, 0, sizeof *w);
	cr_assert_eq(store_mem_new(clock_system(), &w->store, &err), 0);
	cr_assert_eq(store_lead_new(w->store, "leader/0", "t", 2, on_lead, w, &w->lead, &err), 0);
	while (!w->epoch)
		usleep(1000);
	const struct journal_conf conf = {
		.store = w->store, .clock = clock_system(), .state_key = state_key,
		.leader_key = "leader/0", .prefix = "journal/0/",
		.ops = { .record = ignore_record, .resource = ignore_resource },
	};
	cr_assert_eq(journal_new(&conf, &w->journal, &err), 0, "%s", err.text);
	cr_assert_eq(journal_lead(w->journal, w->epoch, &err), 0, "%s", err.text);
}

static void writer_end(struct writer *w)
{
	journal_free(w->journal);
	store_lead_free(w->lead);
	store_free(w->store);
}

static void write_word(struct writer *w, struct fixture *f, const char *key, const char *word)
{
	struct err err = { 0 };
	AUTO(change) *change = NULL;
	cr_assert_eq(change_new(&change, &err), 0);
	if (word)
		cr_assert_eq(change_put(change, key, text(f, word), -1, &err), 0);
	else
		cr_assert_eq(change_delete(change, key, -1, &err), 0);
	cr_assert_eq(journal_commit(w->journal, change, &err), 0, "%s", err.text);
}

Test(catalog, follows_what_others_write_and_delete)
{
	struct fixture f;
	struct writer w;
	struct err err = { 0 };
	start(&f);
	writer_start(&w);
	write_word(&w, &f, "r/a/before", "listed");
	cr_assert_eq(catalog_follow(f.catalog, w.store, &err), 0, "%s", err.text);
	cr_expect_str_eq(word_of(&f, "r/a/before", NULL), "listed");
	write_word(&w, &f, "r/a/after", "one");
	wait_for(&f, "r/a/after", "one");
	write_word(&w, &f, "r/a/after", "two");
	wait_for(&f, "r/a/after", "two");
	write_word(&w, &f, "r/a/before", NULL);
	wait_for(&f, "r/a/before", NULL);
	catalog_unfollow(f.catalog);
	write_word(&w, &f, "r/a/after", NULL);
	write_word(&w, &f, "r/a/late", "three");
	cr_assert_eq(catalog_refresh(f.catalog, w.store, &err), 0, "%s", err.text);
	cr_expect_null(word_of(&f, "r/a/after", NULL));
	cr_expect_str_eq(word_of(&f, "r/a/late", NULL), "three");
	writer_end(&w);
	end(&f);
}

static void write_words(struct writer *w, struct fixture *f, int count)
{
	char key[32];
	for (int i = 0; i < count; i++) {
		snprintf(key, sizeof key, "r/a/%03d", i);
		write_word(w, f, key, "there");
	}
}

Test(catalog, loses_nothing_when_two_listings_run_at_one_time)
{
	enum { KEYS = 999, TIMES = 100 };
	struct fixture f;
	struct writer w;
	struct err err = { 0 };
	start(&f);
	writer_start(&w);
	write_words(&w, &f, KEYS);
	for (int i = 0; i < TIMES; i++) {
		cr_assert_eq(catalog_follow(f.catalog, w.store, &err), 0, "%s", err.text);
		cr_assert_eq(catalog_refresh(f.catalog, w.store, &err), 0, "%s", err.text);
		catalog_unfollow(f.catalog);
		cr_assert_eq(f.changes, KEYS, "time %d: %s was taken for deleted", i, f.last);
	}
	writer_end(&w);
	end(&f);
}

struct lister { struct catalog *catalog; struct store *store; int failed; };

static void *list_often(void *context)
{
	struct lister *lister = context;
	for (int i = 0; i < 20; i++)
		lister->failed += catalog_refresh(lister->catalog, lister->store, NULL) < 0;
	return NULL;
}

/* As the shards' threads do that take the lead at one time. */
Test(catalog, loses_nothing_when_many_list_it_at_one_time)
{
	enum { KEYS = 300, LISTERS = 4 };
	struct fixture f;
	struct writer w;
	struct lister listers[LISTERS];
	pthread_t threads[LISTERS];
	start(&f);
	writer_start(&w);
	write_words(&w, &f, KEYS);
	for (int i = 0; i < LISTERS; i++) {
		listers[i] = (struct lister){ f.catalog, w.store, 0 };
		cr_assert_eq(pthread_create(&threads[i], NULL, list_often, &listers[i]), 0);
	}
	for (int i = 0; i < LISTERS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(listers[i].failed, 0);
	}
	cr_expect_eq(f.changes, KEYS, "%s was taken for deleted", f.last);
	writer_end(&w);
	end(&f);
}

Test(catalog, finds_again_what_memory_was_missing_for)
{
	struct fixture f;
	struct writer w;
	struct err err = { 0 };
	start(&f);
	writer_start(&w);
	write_word(&w, &f, "r/a/lost", "there");
	write_word(&w, &f, "r/a/next", "there");
	for (long n = 0;; n++) {
		alloc_fail_after(n);
		int rc = catalog_refresh(f.catalog, w.store, &err);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		bool both = word_of(&f, "r/a/lost", NULL) && word_of(&f, "r/a/next", NULL);
		cr_assert(both ? catalog_whole(f.catalog) : rc == E_NOMEM, "allocation %ld", n);
		cr_assert_eq(catalog_refresh(f.catalog, w.store, &err), 0, "%s", err.text);
		cr_assert(catalog_whole(f.catalog));
		cr_assert_str_eq(word_of(&f, "r/a/lost", NULL), "there");
		cr_assert_str_eq(word_of(&f, "r/a/next", NULL), "there");
		if (!fired)
			break;
		catalog_free(f.catalog);
		cr_assert_eq(catalog_new(clock_system(), state_key, &f.catalog, &err), 0);
	}
	writer_end(&w);
	end(&f);
}

Test(catalog, splits_references_and_refuses_what_is_none)
{
	char domain[64], name[64];
	struct err err = { 0 };
	cr_assert_eq(catalog_ref("x", "own", domain, name, &err), 0);
	cr_expect_str_eq(domain, "own");
	cr_assert_eq(catalog_ref("d.x", "own", domain, name, &err), 0);
	cr_expect_str_eq(domain, "d");
	cr_expect_str_eq(name, "x");
	static const char *const bad[] = { "", ".x", "x.", "a.b.c", "A.b", "a/b", "a..b", "../x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(catalog_ref(bad[i], "own", domain, name, &err), E_INVALID, "%s",
		             bad[i]);
	cr_expect_eq(catalog_ref("x", NULL, domain, name, &err), E_INVALID);
}
