/* Tasks that mean harm: SQL that looks elsewhere or takes all it can, inputs made to break their
 * reader, and a process that is no DuckDB any more. Each is contained and named, the worker goes
 * on, and a neighbour's task beside it comes out well. Executors are this program; a probe that
 * would sleep for DEEDS and some milliseconds does a deed instead. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/duck.h"
#include "worker/executor.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MUTATIONS = 12, BOMB_MEMORY = 192 * 1024 * 1024,
        BOMB_CPU_MS = 700, PLENTY_CPU_MS = 60000, DEEDS = 500000 };

/* --- deeds: what is done inside of an executor --- */

static long trace(void) { return syscall(SYS_ptrace, 16L, (long)getppid(), 0L, 0L); }
static long do_fork(void) { return syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L); }
static long do_exec(void) { return syscall(SYS_execve, "/bin/true", NULL, NULL); }
static long do_socket(void) { return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }
static long do_unix(void) { return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NULL); }
static long do_connect(void) { return syscall(SYS_connect, 3, NULL, 0); }
static long do_kill(void) { return syscall(SYS_kill, -1L, SIGTERM); }
static long do_unshare(void) { return syscall(SYS_unshare, 0x10000000L); }
static long do_mount(void) { return syscall(SYS_mount, "x", "/", "tmpfs", 0L, NULL); }
static long do_keyctl(void) { return syscall(SYS_keyctl, 0L, -3L, 0L); }
static long do_ring(void) { return syscall(SYS_io_uring_setup, 8L, NULL); }
static long do_bpf(void) { return syscall(SYS_bpf, 0L, NULL, 0L); }
static long do_fault(void) { return syscall(SYS_userfaultfd, 0L); }
static long do_setuid(void) { return syscall(SYS_setresuid, 0L, 0L, 0L); }
static long do_vm(void)
{
	return syscall(SYS_process_vm_readv, (long)getppid(), NULL, 0L, NULL, 0L, 0L);
}

static long do_pidfd(void) { return syscall(SYS_pidfd_open, (long)getppid(), 0L); }
static long do_handle(void) { return syscall(SYS_open_by_handle_at, -1L, NULL, 0L); }
static long do_code(void)
{
	return (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long opens(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static long open_agent(void) { return opens("/proc/self/../../etc/passwd", O_RDONLY); }
static long open_init(void) { return opens("/proc/1/mem", O_RDONLY); }
static long open_self(void) { return opens("/proc/self/fd/3", O_RDWR); }
static long open_new(void) { return opens("/tmp/freehold-hostile", O_WRONLY | O_CREAT); }
static long make_memfd(void) { return syscall(SYS_memfd_create, "x", 0L); }
static long look(void) { return syscall(SYS_faccessat, AT_FDCWD, "/", 0L); }
static long tgkill_(void) { return syscall(SYS_tgkill, (long)getppid(), (long)getppid(), 9L); }
static long send_else(void) { return syscall(SYS_sendto, 1L, "x", 1L, 0L, NULL, 0L); }
static long dump_again(void) { return syscall(SYS_prctl, PR_SET_DUMPABLE, 1L, 0L, 0L, 0L); }
static long raise_limit(void)
{
	struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};
	return syscall(SYS_prlimit64, 0L, RLIMIT_FSIZE, &most, NULL);
}

static const struct deed {
	const char *name;
	long (*act)(void);
	bool deadly;
} deeds[] = {
	{"ptrace of the agent", trace, true},
	{"fork", do_fork, true},
	{"exec", do_exec, true},
	{"socket", do_socket, true},
	{"socketpair", do_unix, true},
	{"connect", do_connect, true},
	{"kill of everybody", do_kill, true},
	{"unshare", do_unshare, true},
	{"mount", do_mount, true},
	{"keyctl", do_keyctl, true},
	{"io_uring_setup", do_ring, true},
	{"bpf", do_bpf, true},
	{"userfaultfd", do_fault, true},
	{"setresuid", do_setuid, true},
	{"process_vm_readv of the agent", do_vm, true},
	{"pidfd_open", do_pidfd, true},
	{"open_by_handle_at", do_handle, true},
	{"memory as code", do_code, true},
	{"open of a file of the host", open_agent, false},
	{"open of another process's memory", open_init, false},
	{"open of its own descriptors by path", open_self, false},
	{"write of a new file", open_new, false},
	{"memfd_create", make_memfd, false},
	{"a look at the root", look, false},
	{"tgkill of the agent", tgkill_, false},
	{"send on another descriptor", send_else, false},
	{"becoming dumpable", dump_again, false},
	{"setrlimit", raise_limit, false},
};

static int do_deed(int64_t i, struct err *err)
{
	if (i < 0 || (size_t)i >= ARRAY_LEN(deeds))
		return err_set(err, E_INVALID, "there is no such deed");
	errno = 0;
	long rc = deeds[i].act();
	return rc == -1 ? 0 : err_set(err, E_INTERNAL, "%s was not stopped", deeds[i].name);
}

static int hostile_work(struct shop *shop, struct err *err)
{
	const struct value *work = value_get(shop->job, "work");
	int64_t deed = value_get_int(work, "sleepMs", 0) - DEEDS;
	return deed < 0 ? executor_work(shop, err) : do_deed(deed, err);
}

extern executor_work_fn *const worksite_work;
executor_work_fn *const worksite_work = hostile_work;

/* --- a tenant's neighbour --- */

struct neighbour {
	struct worksite site;
	pthread_t thread;
	bool done; /* atomic */
	int tasks, failed;
};

static void *live(void *context)
{
	struct neighbour *neighbour = context;
	do {
		struct value *work = value_map(neighbour->site.arena);
		struct grant grant = worksite_grant(&neighbour->site, TASK_PROBE, work);
		struct report report = worksite_run(&neighbour->site, &grant);
		neighbour->tasks++;
		neighbour->failed += report.outcome != OUTCOME_SUCCEEDED;
	} while (!__atomic_load_n(&neighbour->done, __ATOMIC_ACQUIRE) && neighbour->tasks < 400);
	return NULL;
}

static void neighbour_begin(struct neighbour *neighbour)
{
	*neighbour = (struct neighbour){.tasks = 0};
	worksite_open(&neighbour->site, 1, false);
	REQUIRE(pthread_create(&neighbour->thread, NULL, live, neighbour) == 0);
}

static void neighbour_end(struct neighbour *neighbour)
{
	__atomic_store_n(&neighbour->done, true, __ATOMIC_RELEASE);
	pthread_join(neighbour->thread, NULL);
	cr_expect_gt(neighbour->tasks, 0);
	cr_expect_eq(neighbour->failed, 0, "%d of %d", neighbour->failed, neighbour->tasks);
	worksite_close(&neighbour->site);
}

/* --- what is tried --- */

static struct worksite site;

static void setup(void)
{
	worksite_open(&site, 1, false);
}

static void teardown(void)
{
	worksite_close(&site);
}

TestSuite(hostile, .init = setup, .fini = teardown);

Test(hostile, what_an_executor_is_made_to_do_is_stopped_and_named)
{
	struct neighbour neighbour;
	neighbour_begin(&neighbour);
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		struct value *work = value_map(site.arena);
		value_set_int(work, "sleepMs", DEEDS + (int64_t)i);
		struct grant grant = worksite_grant(&site, TASK_PROBE, work);
		struct report report = worksite_run(&site, &grant);
		int code = deeds[i].deadly ? E_DENIED : 0;
		cr_expect_eq(report.code, code, "%s: %s", deeds[i].name,
		             report.text ? report.text : "nothing happened to it");
		if (deeds[i].deadly && report.text)
			cr_expect_not_null(strstr(report.text, "cage: "), "%s", report.text);
	}
	cr_expect_neq(access("/tmp/freehold-hostile", F_OK), 0);
	neighbour_end(&neighbour);
}

/* cpu_ms: 0: the default limits, of memory too */
static struct report transform(const char *sql, int64_t cpu_ms)
{
	struct value *work = value_map(site.arena);
	value_set_str(work, "sql", sql);
	struct grant grant = worksite_grant(&site, TASK_TRANSFORM, work);
	struct grant_table output = worksite_table("out", "ds9", NULL, NULL, &site);
	grant.outputs = &output;
	grant.output_count = 1;
	if (cpu_ms > 0) {
		grant.limits.memory_bytes = BOMB_MEMORY;
		grant.limits.cpu_ms = cpu_ms;
	}
	return worksite_run(&site, &grant);
}

Test(hostile, sql_reads_no_file_no_setting_and_no_environment)
{
	static const char *const tries[] = {
		"SELECT * FROM read_csv('/etc/passwd')",
		"SELECT * FROM read_text('/proc/self/environ')",
		"SELECT * FROM read_blob('/proc/self/fd/3')",
		"SELECT * FROM '/proc/self/fd/4'",
		"SELECT * FROM glob('/**')",
		"SELECT getenv('PATH') AS a",
		"SELECT current_setting('allowed_paths') AS a",
		"SELECT * FROM duckdb_settings()",
		"SELECT sql FROM duckdb_views()",
		"SELECT * FROM information_schema.tables",
		"SELECT * FROM query('SELECT 1 AS a')",
		"SELECT * FROM acme_other.sales.visits",
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct report report = transform(tries[i], 0);
		cr_expect_eq(report.code, E_DENIED, "%s: %s", tries[i],
		             report.text ? report.text : "it was done");
	}
}

Test(hostile, sql_does_nothing_but_select)
{
	static const char *const tries[] = {
		"COPY (SELECT 1) TO '/tmp/freehold-hostile'", "ATTACH '/tmp/x.db'",
		"INSTALL httpfs", "LOAD httpfs", "PRAGMA database_list",
		"SET memory_limit = '1TB'", "EXPORT DATABASE '/tmp/x'", "CALL pragma_version()",
		"SELECT 1 AS a; SELECT 2 AS a", "CREATE TABLE t(a INT)", "RESET threads",
		"CREATE MACRO m() AS TABLE SELECT 1", "USE system", "CHECKPOINT",
		"EXPLAIN ANALYZE SELECT 1", "SELECT * FROM other.visits", "VACUUM",
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct report report = transform(tries[i], 0);
		cr_expect(report.code == E_INVALID || report.code == E_DENIED, "%s: %s %s",
		          tries[i], err_name(report.code), report.text ? report.text : "");
	}
	cr_expect_neq(access("/tmp/freehold-hostile", F_OK), 0);
}

static const char *nested(const char *open, const char *middle, const char *close, int times)
{
	struct buf text;
	buf_init(&text, MIB);
	buf_puts(&text, "SELECT ");
	for (int i = 0; i < times; i++)
		buf_puts(&text, open);
	buf_puts(&text, middle);
	for (int i = 0; i < times; i++)
		buf_puts(&text, close);
	buf_puts(&text, " AS a");
	cr_assert_eq(buf_check(&text, NULL), 0);
	const char *out = arena_strdup(site.arena, (const char *)text.data);
	buf_release(&text);
	return out;
}

Test(hostile, a_bomb_ends_at_its_own_limit_and_its_neighbour_goes_on)
{
	static const struct { const char *sql, *names; } bombs[] = {
		{"SELECT list(repeat('x', 100000) || i) AS a FROM range(100000) t(i)",
		 "memoryBytes"},
		{"SELECT repeat('x', 4000000000) AS a", "memoryBytes"},
		{"SELECT i, repeat('y', 2000) AS b FROM range(2000000) t(i) ORDER BY hash(i)",
		 "memoryBytes"},
		{"SELECT count(*) AS a FROM range(100000000) x, range(100000000) y "
		 "WHERE x.range % 7 = y.range % 5", NULL},
		{"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "
		 "SELECT max(n) AS a FROM t", NULL},
		{"SELECT max(md5(md5(md5(x.range::VARCHAR)))) AS a FROM range(1000000000) x",
		 "cpuSeconds"},
	};
	struct neighbour neighbour;
	neighbour_begin(&neighbour);
	for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
		bool of_memory = bombs[i].names && strcmp(bombs[i].names, "memoryBytes") == 0;
		struct report report =
			transform(bombs[i].sql, of_memory ? PLENTY_CPU_MS : BOMB_CPU_MS);
		cr_expect_eq(report.code, E_RESOURCES, "%zu: %s %s", i, err_name(report.code),
		             report.text ? report.text : "");
		if (bombs[i].names && report.text)
			cr_expect_not_null(strstr(report.text, bombs[i].names), "%zu: %s", i,
			                   report.text);
	}
	neighbour_end(&neighbour);
}

Test(hostile, what_is_nested_without_end_is_refused_and_kills_nobody)
{
	const char *const tries[] = {
		nested("(", "1", ")", 20000),
		nested("1+(", "1", ")", 5000),
		nested("(SELECT ", "1", ")", 2000),
		nested("[", "1", "]", 5000),
		nested("NOT ", "true", "", 12000),
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct report report = transform(tries[i], BOMB_CPU_MS);
		cr_expect(report.outcome == OUTCOME_SUCCEEDED || report.code == E_INVALID ||
		          report.code == E_RESOURCES, "%zu: %s %s", i, err_name(report.code),
		          report.text);
	}
	struct report after = transform("SELECT 1 AS a", 0);
	cr_expect_eq(after.code, 0, "%s", after.text);
}

Test(hostile, a_pathological_regular_expression_costs_its_author_alone)
{
	static const char *const tries[] = {
		"SELECT regexp_matches(repeat('a', 5000) || '!', '^(a+)+$') AS a",
		"SELECT regexp_matches(repeat('a', 999), '(((a{1,99}){1,99}){1,99}){1,99}') AS a",
		"SELECT regexp_replace(repeat('ab', 100000), '(a|b|ab)*c', '', 'g') AS a",
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct report report = transform(tries[i], BOMB_CPU_MS);
		cr_expect(report.outcome == OUTCOME_SUCCEEDED || report.code == E_INPUT ||
		          report.code == E_INVALID || report.code == E_RESOURCES, "%zu: %s %s", i,
		          err_name(report.code), report.text);
	}
}

/* --- inputs --- */

static struct report ingest(const char *name, const char *format)
{
	struct value *work = value_map(site.arena);
	value_set_str(work, "connector", "file");
	value_set_str(work, "path", name);
	value_set_str(work, "format", format);
	value_set_str(work, "mode", "replace");
	struct grant grant = worksite_grant(&site, TASK_INGEST, work);
	struct grant_table output = worksite_table("in", "ds8", NULL, NULL, &site);
	grant.outputs = &output;
	grant.output_count = 1;
	grant.limits.memory_bytes = BOMB_MEMORY;
	grant.limits.cpu_ms = 5000;
	return worksite_run(&site, &grant);
}

/* Written by DuckDB below the tenant's files; its bytes through ret_len. */
static uint8_t *make_file(const char *name, const char *sql, const char *options, size_t *ret_len)
{
	struct duck *duck = NULL;
	char text[1024], path[256];
	cr_assert_eq(duck_new(&duck, NULL), 0);
	snprintf(path, sizeof path, "%s/acme/%s", site.files, name);
	snprintf(text, sizeof text, "COPY (%s) TO '%s' (%s)", sql, path, options);
	struct err err = {0};
	cr_assert_eq(duck_exec(duck, text, &err), 0, "%s", err.text);
	duck_free(duck);
	FILE *file = fopen(path, "rb");
	cr_assert(file && fseek(file, 0, SEEK_END) == 0);
	*ret_len = (size_t)ftell(file);
	rewind(file);
	uint8_t *bytes = malloc(*ret_len + 1);
	cr_assert(bytes && fread(bytes, 1, *ret_len, file) == *ret_len);
	fclose(file);
	return bytes;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void mutate(uint8_t *bytes, size_t *len, uint32_t *seed)
{
	for (uint32_t n = 1 + next(seed) % 8; n > 0; n--)
		bytes[next(seed) % *len] = (uint8_t)next(seed);
	if (next(seed) % 4 == 0)
		*len = 1 + next(seed) % *len;
}

static void expect_contained(const char *format, const char *options)
{
	size_t len;
	uint32_t seed = 20260;
	uint8_t *bytes = make_file("seed", "SELECT i AS a, 'row ' || i AS b, i / 3 AS c, "
	                           "DATE '2001-01-01' + i::INTEGER AS d FROM range(400) t(i)",
	                           options, &len);
	uint8_t *copy = malloc(len);
	cr_assert_not_null(copy);
	for (int i = 0; i < MUTATIONS; i++) {
		size_t cut = len;
		memcpy(copy, bytes, len);
		mutate(copy, &cut, &seed);
		worksite_file(&site, "hostile", copy, cut);
		struct report report = ingest("hostile", format);
		cr_expect(report.outcome == OUTCOME_SUCCEEDED || report.text, "%s %d", format, i);
	}
	free(copy);
	free(bytes);
}

Test(hostile, files_made_to_break_their_reader_break_nothing_else)
{
	struct neighbour neighbour;
	neighbour_begin(&neighbour);
	expect_contained("csv", "FORMAT csv, HEADER");
	expect_contained("jsonl", "FORMAT json");
	expect_contained("parquet", "FORMAT parquet");
	neighbour_end(&neighbour);
	struct report after = transform("SELECT 1 AS a", 0);
	cr_expect_eq(after.code, 0, "%s", after.text);
}

Test(hostile, a_file_that_unpacks_to_a_thousand_times_its_size_meets_a_limit)
{
	static const char *const packers[] = {"gzip", "zstd"};
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		char options[64], name[32];
		size_t len;
		snprintf(options, sizeof options, "FORMAT csv, COMPRESSION %s", packers[i]);
		snprintf(name, sizeof name, "bomb.csv.%s", i ? "zst" : "gz");
		free(make_file(name, "SELECT repeat('0', 30000000) AS a", options, &len));
		cr_expect_lt(len, 100000);
		struct report report = ingest(name, "csv");
		cr_expect(report.code == E_INPUT || report.code == E_RESOURCES, "%s: %s %s",
		          packers[i], err_name(report.code), report.text ? report.text : "");
	}
}

/* --- spill --- */

Test(hostile, a_query_that_needs_more_than_memory_is_told_so_and_leaves_nothing_on_disk)
{
	struct report report = transform(
		"SELECT 'marker-' || i || repeat('z', 900) AS a FROM range(1500000) t(i) "
		"ORDER BY hash(i)", PLENTY_CPU_MS);
	cr_expect_eq(report.code, E_RESOURCES, "%s", report.text);
	cr_expect_not_null(strstr(report.text, "raise limits."), "%s", report.text);
	char command[256];
	snprintf(command, sizeof command, "grep -rqs marker- %s .tmp /tmp/duckdb_temp*",
	         site.root);
	int status = system(command);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) != 0, "a marker is on the disk");
}
