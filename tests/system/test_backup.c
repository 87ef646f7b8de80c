/* The drill: a backup while tasks run and clients write, everything destroyed, and an equal system
 * out of the archive and the root key on an empty etcd. A worker that lived through it all changes
 * nothing. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"
#include "tests/support/relay.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 3000, TASK_MS = 120000, PROBES = 6, NOISE_MAX = 400 };

/* What must be the same again. */
static const char *const lists[] = {
	"/v1/tenants", "/v1/ratecards", "/v1/tenants/acme/domains", "/v1/tenants/acme/principals",
	"/v1/tenants/globex/principals", "/v1/tenants/acme/quotas",
};
static const char *const sales[] = {
	SALES "/datasets", SALES "/sources", SALES "/transformations", SALES "/featureviews",
	SALES "/entities", SALES "/datasets/orders/snapshots", SALES "/datasets/spending/snapshots",
};

struct memory {
	const char *lists[ARRAY_LEN(lists)], *sales[ARRAY_LEN(sales)];
	const char *etag;
	int64_t rows, cost, audit;
	const char *probes[PROBES];
	const char *done;            /* a task that has ended */
};

static const char *get(struct system *system, const char *who, const char *path)
{
	struct answer answer = system_call(system, story_key(system, who), "GET", path, NULL);
	cr_assert_eq(answer.status, 200, "%s: %d %s", path, answer.status, answer.text);
	return answer.text;
}

static int64_t audited(struct system *system)
{
	const struct value *events = system_ask(
		system, story_key(system, "operator"), "GET",
		"/v1/tenants/acme/audit?action=dataset:write&limit=100", NULL);
	return (int64_t)value_len(value_get(events, "items"));
}

static void remember(struct system *system, struct memory *memory)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		memory->lists[i] = get(system, "operator", lists[i]);
	for (size_t i = 0; i < ARRAY_LEN(sales); i++)
		memory->sales[i] = get(system, "ada", sales[i]);
	struct answer dataset = system_call(system, story_key(system, "ada"), "GET",
	                                    SALES "/datasets/orders", NULL);
	memory->etag = answer_header(system, &dataset, "ETag");
	cr_assert_not_null(memory->etag);
	memory->rows = story_rows(system, "orders");
	memory->cost = story_usage(system, "cost");
	memory->audit = audited(system);
}

/* Stars in place of a member's text. */
static void blot(char *text, const char *member)
{
	for (char *at = text; (at = strstr(at, member)); )
		for (at += strlen(member); *at && *at != ',' && *at != '}'; at++)
			*at = '*';
}

/* Revisions are new ones; all the rest is as it was. */
static const char *plain(struct system *system, const char *text)
{
	char *copy = arena_strdup(system_arena(system), text);
	blot(copy, "\"etag\":");
	return copy;
}

static void same(struct system *system, const char *path, const char *was, const char *is)
{
	/* How many stars a number has does not count. */
	const char *a = plain(system, was), *b = plain(system, is);
	while (*a && *b) {
		if (*a == '*' || *b == '*') {
			a += strspn(a, "*");
			b += strspn(b, "*");
			continue;
		}
		cr_assert(*a == *b, "%s was %s\nand is %s", path, was, is);
		a++;
		b++;
	}
	cr_assert(!*a && !*b, "%s was %s\nand is %s", path, was, is);
}

static void compare(struct system *system, const struct memory *memory)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		same(system, lists[i], memory->lists[i], get(system, "operator", lists[i]));
	for (size_t i = 0; i < ARRAY_LEN(sales); i++)
		same(system, sales[i], memory->sales[i], get(system, "ada", sales[i]));
	cr_assert_eq(story_rows(system, "orders"), memory->rows);
	cr_assert_geq(story_usage(system, "cost"), memory->cost);
	cr_assert_geq(audited(system), memory->audit);
	cr_assert_str_eq(value_get_str(story_task(system, memory->done), "state"), "succeeded");
}

/* Writes while the backup is taken; what was answered before it began is in it. */
static void back_up(struct system *system)
{
	const char *const args[] = {
		"backup", system_path(system, "monday.fhb"), "--objects-from",
		system_path(system, "objects"), "--profile", "operator", NULL
	};
	const char *out = system_path(system, "out/backup");
	pid_t pid = system_cli_start(system, out, args);
	int code = -1;
	for (int i = 0; code < 0 && i < NOISE_MAX; i++) {
		system_ask(system, story_key(system, "gus"), "POST", TRIPS "/tasks",
		           "{\"type\":\"probe\",\"spec\":{}}");
		code = process_wait(pid, 1);
	}
	if (code < 0)
		code = process_wait(pid, TASK_MS);
	cr_assert_eq(code, 0, "%s", file_text(system_arena(system), out));
}

/* Empties a folder but for what the worker that lives on has open. */
static void wipe(struct system *rig, const char *name)
{
	const char *path = system_path(rig, "%s", name);
	const char *command = arena_printf(system_arena(rig), "find %s -mindepth 1 ! -name .tmp "
	                                   "-delete", path);
	cr_assert_eq(system(command), 0);
}

static struct ran restore(struct system *system, const char *root_key, const char *file)
{
	return system_cli(system, "restore", file, "--root-key-file", root_key, "--etcd",
	                  system_url(system, PORT_ETCD), "--objects-from",
	                  system_path(system, "monday.fhb.objects"), "--objects",
	                  system_path(system, "objects"), NULL);
}

static void refuses(struct system *system, const char *root_key, const char *file, const char *why)
{
	struct ran ran = restore(system, root_key, file);
	cr_assert_neq(ran.code, 0, "%s", ran.out);
	cr_assert_not_null(strstr(ran.out, why), "%s, not %s", ran.out, why);
}

/* Half an archive, and another's root key: neither leaves anything behind, as the restore that
 * follows needs an empty etcd. */
static void restore_after_refusals(struct system *system)
{
	const char *file = system_path(system, "monday.fhb"), *half = system_path(system, "half");
	const char *other = system_path(system, "other.key"), *key = system_path(system,
	                                                                        "keys/root.key");
	file_write(other, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	chmod(other, 0600);
	refuses(system, other, file, "another root key");
	struct stat st;
	cr_assert_eq(stat(file, &st), 0);
	cr_assert_eq((int)system_cli(system, "version", NULL).code, 0);
	AUTO_BUF bytes;
	buf_init(&bytes, 256 * MIB);
	FILE *in = fopen(file, "re");
	cr_assert_not_null(in);
	size_t len = fread(buf_room(&bytes, (size_t)st.st_size), 1, (size_t)st.st_size, in);
	fclose(in);
	FILE *out = fopen(half, "we");
	cr_assert_not_null(out);
	cr_assert_eq(fwrite(bytes.data, 1, len / 2, out), len / 2);
	fclose(out);
	refuses(system, key, half, "cut off");
	const char *checked = system_cli_ok(
		system, "restore", file, "--check", "--root-key-file", key, "--objects-from",
		system_path(system, "monday.fhb.objects"), NULL);
	cr_assert_not_null(strstr(checked, "objects that current snapshots name are there"), "%s",
	                   checked);
	struct ran ran = restore(system, key, file);
	cr_assert_eq(ran.code, 0, "%s", ran.out);
	cr_assert_not_null(strstr(ran.out, "objects that current snapshots name are there"), "%s",
	                   ran.out);
	refuses(system, key, file, "not empty");
}

static void work(struct system *system, struct memory *memory)
{
	data_csv(system, "orders.csv", ROWS);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	memory->done = value_get_str(story_run(system, "ingest", "{\"source\":\"orders\"}"), "id");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	remember(system, memory);
	for (int i = 0; i < PROBES; i++)
		memory->probes[i] = story_submit(system, "probe", "{\"sleepMs\":1500}");
	story_await_running(system, memory->probes[0]);
}

/* What was accepted is done, new data goes on, and what was online is made anew. */
static void goes_on(struct system *system, const struct memory *memory)
{
	for (int i = 0; i < PROBES; i++) {
		const struct value *task = story_await(system, memory->probes[i], TASK_MS);
		cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s", task_text(task));
	}
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), 2 * memory->rows);
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer answer = story_features(system, "eve",
	                                      "{\"features\":[\"spending:note\"],\"entities\":{"
	                                      "\"customer\":[\"customer-of-marker-1\"]}}");
	cr_assert(answer.status == 200 && strstr(answer.text, "plaintext-marker"), "%s",
	          answer.text);
}

/* An ETag of before the restore matches nothing that is there now. */
static void etags_are_new(struct system *system, const struct memory *memory)
{
	const char *header = arena_printf(system_arena(system), "If-Match: %s", memory->etag);
	struct answer answer = system_call_with(system, PORT_API, story_key(system, "ada"), header,
	                                        "DELETE", SALES "/datasets/orders", NULL);
	cr_assert_eq(answer.status, 412, "%d %s", answer.status, answer.text);
}

static bool says(struct system *system, const char *log, const char *what)
{
	const char *text = file_text(system_arena(system), system_path(system, "log/%s", log));
	return text && strstr(text, what);
}

Test(backup, a_destroyed_system_comes_back_equal_and_what_lived_through_it_changes_nothing)
{
	struct memory memory;
	struct system *system = story_start(NULL);
	work(system, &memory);
	back_up(system);
	/* This worker never dies: it wakes up with attempts that the new system never began. */
	system_pause(system, PART_WORKER);
	system_kill(system, PART_CONTROL);
	system_kill(system, PART_ETCD);
	wipe(system, "etcd");
	wipe(system, "objects");
	system_run(system, PART_ETCD);
	restore_after_refusals(system);
	system_run(system, PART_CONTROL);
	system_resume(system, PART_WORKER);
	system_await_ready(system);
	compare(system, &memory);
	etags_are_new(system, &memory);
	goes_on(system, &memory);
	cr_assert_not(says(system, "control-1.log", "attempt_adopted"),
	              "an attempt of before the restore was taken over");
	system_stop(system);
}

/* --- one that is killed --- */

/* The second transaction: after the mark come keys; the last begins the era. */
enum { KILLED_AT = 2 };

struct victim { _Atomic pid_t pid; int transactions; };

/* etcd has answered, and the restore has not heard of it. */
static void kill_at_once(void *context)
{
	struct victim *victim = context;
	pid_t pid;
	while ((pid = atomic_load(&victim->pid)) == 0)
		sched_yield();
	if (++victim->transactions == KILLED_AT)
		kill(pid, SIGKILL);
}

/* freehold-control, as a victim in the mode restore, else to serve; how it ended. */
static struct ran control_runs(struct system *system, struct victim *victim, const char *etcd)
{
	struct arena *arena = system_arena(system);
	const char *program = arena_printf(arena, "%s/freehold-control", getenv("FREEHOLD_BUILD"));
	const char *key = system_path(system, "keys/root.key");
	const char *out = system_path(system, "out/%s", victim ? "victim" : "refused");
	const char *const restores[] = {
		program, "restore", "--archive-file", system_path(system, "monday.fhb"),
		"--etcd", etcd, "--root-key-file", key, NULL
	};
	const char *const serves[] = {
		program, "--listen", "127.0.0.1:0", "--etcd", etcd, "--root-key-file", key, NULL
	};
	pid_t pid = process_start(victim ? restores : serves, out, NULL);
	if (victim)
		atomic_store(&victim->pid, pid);
	struct ran ran = { .code = process_wait(pid, TASK_MS) };
	ran.out = file_text(arena, out);
	return ran;
}

static void kill_in_the_middle(struct system *system)
{
	struct victim victim = { .transactions = 0 };
	struct relay *relay = relay_start(system_url(system, PORT_ETCD));
	relay_lose(relay, RELAY_LOSE_NOTHING, "/kv/txn", KILLED_AT, kill_at_once, &victim);
	struct ran ran = control_runs(system, &victim, relay_url(relay));
	cr_assert_eq(ran.code, 256 + SIGKILL, "%d: %s", ran.code, ran.out);
	relay_stop(relay);
	ran = control_runs(system, NULL, system_url(system, PORT_ETCD));
	cr_assert_eq(ran.code, 1, "%s", ran.out);
	cr_assert_not_null(strstr(ran.out, "a restore into this store"), "%s", ran.out);
}

Test(backup, a_restore_that_is_killed_in_the_middle_is_ended_by_the_same_command_again)
{
	struct system *system = story_start(NULL);
	const char *file = system_path(system, "monday.fhb"), *was[ARRAY_LEN(lists)];
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		was[i] = get(system, "operator", lists[i]);
	system_cli_ok(system, "backup", file, "--profile", "operator", NULL);
	system_kill(system, PART_CONTROL);
	system_kill(system, PART_ETCD);
	wipe(system, "etcd");
	system_run(system, PART_ETCD);
	kill_in_the_middle(system);
	system_cli_ok(system, "restore", file, "--root-key-file",
	              system_path(system, "keys/root.key"), "--etcd",
	              system_url(system, PORT_ETCD), NULL);
	system_run(system, PART_CONTROL);
	system_await_ready(system);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		same(system, lists[i], was[i], get(system, "operator", lists[i]));
	story_run(system, "probe", "{}");
	system_stop(system);
}
