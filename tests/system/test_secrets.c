/* No plaintext and no key in any file, log or core dump, whatever was done. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEEDLES_MAX = 16 };

/* nftw knows no context. */
static struct {
	const char *needles[NEEDLES_MAX];
	size_t count, files;
	char found[1024];
} hunt;

static void search(const char *path, const char *data, size_t len)
{
	for (size_t i = 0; i < hunt.count; i++)
		if (memmem(data, len, hunt.needles[i], strlen(hunt.needles[i])))
			snprintf(hunt.found, sizeof hunt.found, "%s holds %.24s", path,
				 hunt.needles[i]);
}

static int search_file(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)walk;
	if (type != FTW_F || st->st_size == 0)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = malloc((size_t)st->st_size);
	cr_assert(fd >= 0 && data, "%s", path);
	ssize_t len = read(fd, data, (size_t)st->st_size);
	search(path, data, len > 0 ? (size_t)len : 0);
	hunt.files++;
	free(data);
	close(fd);
	return 0;
}

static void hunt_in(const char *folder)
{
	nftw(folder, search_file, 16, FTW_PHYS);
}

static void hunt_for(const char *needle)
{
	cr_assert(hunt.count < NEEDLES_MAX && strlen(needle) >= 8, "%s", needle);
	hunt.needles[hunt.count++] = needle;
}

static void work(struct system *system)
{
	data_csv(system, "orders.csv", 20000);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer answer = story_features(system, "eve",
					      "{\"features\":[\"spending:note\"],\"entities\":{"
					      "\"customer\":[\"customer-of-marker-1\"]}}");
	cr_assert(answer.status == 200 && strstr(answer.text, "plaintext-marker"), "%s",
		  answer.text);
	file_write(system_path(system, "files/acme/bad.csv"),
		   "customer,seen,amount,note\nreject-marker-a,never-marker,1,reject-marker-b\n"
		   "customer-of-marker-2,2024-01-01,2,fine\n");
	story_orders(system, "bad.csv", "csv", ", rejectLimit: 5");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_orders(system, "bad.csv", "csv", "");
	story_fail(system, "ingest", "{\"source\":\"orders\"}");
	story_apply(system, "ada",
		    "apiVersion: freehold.io/v1\nkind: Transformation\n"
		    "metadata: {name: spending, domain: sales}\nspec:\n  inputs: [orders]\n"
		    "  output: spending\n  sql: SELECT CAST(note AS INTEGER) AS sql_marker FROM "
		    "orders\n");
	story_fail(system, "transform", "{\"transformation\":\"spending\"}");
}

/* Everything the control plane keeps leaves it here. */
static void back_up(struct system *system)
{
	cr_assert_eq(mkdir(system_path(system, "backup"), 0700), 0);
	system_cli_ok(system, "backup", system_path(system, "backup/all.fhb"), "--objects-from",
	              system_path(system, "objects"), "--profile", "operator", NULL);
}

/* One that dies with what it has in memory; cores are off, and none may appear. */
static void crash_executors(struct system *system)
{
	pid_t executors[16];
	const char *id = story_submit(system, "probe", "{\"sleepMs\":60000}");
	story_await_running(system, id);
	size_t count = process_children(system_pid(system, PART_WORKER), executors, 16);
	for (size_t i = 0; i < count; i++)
		kill(executors[i], SIGSEGV);
	system_ask(system, story_key(system, "ada"), "POST",
	           arena_printf(system_arena(system), SALES "/tasks/%s/cancel", id), NULL);
	story_await(system, id, 60000);
}

static void crash(struct system *system, enum part part)
{
	kill(system_pid(system, part), SIGSEGV);
	cr_assert_geq(system_wait(system, part, 60000), 256, "it died of a signal");
	system_run(system, part);
	system_await_ready(system);
}

static void kill_in_an_ingestion(struct system *system)
{
	data_csv(system, "big.csv", 1000000);
	story_orders(system, "big.csv", "csv", "");
	const char *id = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	story_await_running(system, id);
	wait_ms(700);
	system_kill(system, PART_WORKER);
	hunt_in(system_path(system, "objects"));
	system_run(system, PART_WORKER);
	story_await(system, id, 120000);
}

Test(secrets, no_file_holds_data_keys_or_sql_after_success_failure_and_a_crash)
{
	static const char *const folders[] = {"etcd", "objects", "online", "log", "keys",
	                                      "backup"};
	static const char *const debug[] = {"--log-level", "debug", NULL};
	struct system *system =
		story_start(&(struct system_options){.control = debug, .worker = debug});
	hunt_for("plaintext-marker");
	hunt_for("customer-of-marker");
	hunt_for("reject-marker");
	hunt_for("never-marker");
	hunt_for("sql_marker");
	hunt_for(story_key(system, "ada"));
	hunt_for(story_key(system, "eve"));
	hunt_for(story_key(system, "operator"));
	/* The secret half of a key may not be found without its other half either. */
	hunt_for(story_key(system, "ada") + strlen(story_key(system, "ada")) - 20);
	work(system);
	kill_in_an_ingestion(system);
	crash_executors(system);
	crash(system, PART_CONTROL);
	crash(system, PART_WORKER);
	back_up(system);
	hunt_in(system_path(system, "files"));
	cr_assert(hunt.found[0], "the search finds nothing where there is something");
	hunt.found[0] = 0;
	hunt.files = 0;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		hunt_in(system_path(system, "%s", folders[i]));
	cr_assert_geq(hunt.files, 10);
	cr_assert_eq(hunt.found[0], 0, "%s", hunt.found);
	system_stop(system);
}

/* Whether a core of it would be written: its files in /proc belong to root alone then, and the
 * limit is 0. A test that runs as root looks at the limit, and at what prctl says through /proc. */
static void check_no_core(pid_t pid)
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
	FILE *limits = fopen(path, "re");
	bool zero = false;
	cr_assert_not_null(limits);
	while (fgets(line, sizeof line, limits)) {
		long soft = -1, hard = -1;
		if (sscanf(line, "Max core file size %ld %ld", &soft, &hard) == 2)
			zero = soft == 0 && hard == 0;
	}
	fclose(limits);
	cr_assert(zero, "process %d may write a core", (int)pid);
}

/* Nor would one that is forced hold any memory: not what TLS keeps of its keys, nor what clients
 * sent. */
static void check_empty_core(pid_t pid)
{
	char path[64], text[16] = "";
	snprintf(path, sizeof path, "/proc/%d/coredump_filter", (int)pid);
	FILE *filter = fopen(path, "re");
	if (!filter)
		return;         /* this kernel has none */
	cr_assert_not_null(fgets(text, sizeof text, filter));
	fclose(filter);
	cr_assert_eq(strtol(text, NULL, 16), 0, "a core of process %d holds %s", (int)pid, text);
}

Test(secrets, no_process_that_holds_keys_can_leave_a_core_or_be_read_by_another)
{
	struct system *system = story_start(NULL);
	const char *id = story_submit(system, "probe", "{\"sleepMs\":3000}");
	story_await_running(system, id);
	check_no_core(system_pid(system, PART_CONTROL));
	check_no_core(system_pid(system, PART_WORKER));
	check_empty_core(system_pid(system, PART_CONTROL));
	check_empty_core(system_pid(system, PART_WORKER));
	pid_t executors[16];
	size_t count = process_children(system_pid(system, PART_WORKER), executors, 16);
	cr_assert_geq(count, 1);
	for (size_t i = 0; i < count; i++) {
		check_no_core(executors[i]);
		check_empty_core(executors[i]);
	}
	story_await(system, id, 60000);
	system_stop(system);
}

Test(secrets, files_that_hold_keys_are_their_owners_alone)
{
	static const char *const files[] = {
		"keys/root.key", "keys/ca.key", "keys/control.key", "keys/worker-1.key",
		"operator.key",  "ada.key",     "config.yaml"};
	struct system *system = story_start(NULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct stat st;
		cr_assert_eq(stat(system_path(system, "%s", files[i]), &st), 0, "%s", files[i]);
		cr_assert_eq(st.st_mode & 0077, 0, "%s has mode %o", files[i], st.st_mode & 0777);
	}
	system_stop(system);
}

Test(secrets, a_root_key_that_others_can_read_is_refused_with_the_way_out)
{
	struct system *system = story_start(NULL);
	system_kill(system, PART_CONTROL);
	cr_assert_eq(chmod(system_path(system, "keys/root.key"), 0644), 0);
	const char *const args[] = {
		arena_printf(system_arena(system), "%s/freehold-control", getenv("FREEHOLD_BUILD")),
		"--etcd",
		system_url(system, PORT_ETCD),
		"--replica",
		"control-1",
		"--root-key-file",
		system_path(system, "keys/root.key"),
		NULL};
	pid_t pid = process_start(args, system_path(system, "out/control"), NULL);
	int code = process_wait(pid, 60000);
	cr_assert(code > 0 && code < 256, "%d", code);
	cr_assert_not_null(strstr(
		file_text(system_arena(system), system_path(system, "out/control")), "chmod"));
	system_stop(system);
}
