/* worksite.c - see worksite.h. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "common/json.h"
#include "common/seal.h"
#include "worker/duck.h"
#include "worker/executor.h"
#include "worker/online.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SITE_ARENA = 256 * 1024 * 1024 };

/* What this program's executors do with a job, where a suite says something else. */
extern executor_work_fn *const worksite_work __attribute__((weak));

/* Before main: the pool starts this program again, as `freehold-worker executor`. */
__attribute__((constructor)) static void become_executor(int argc, char **argv)
{
	const char *role = executor_role(argc, argv);
	if (role)
		executor_main(role, &worksite_work ? worksite_work : executor_work);
}

static void check(int rc, const struct err *err)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "worksite: %s\n", err->text);
	abort();
}

void worksite_open(struct worksite *site, int ready, bool online)
{
	struct err err = {0};
	*site = (struct worksite){.counter = 1};
	check(crypto_start(&err), &err);
	snprintf(site->root, sizeof site->root, "/tmp/worksite-XXXXXX");
	REQUIRE(mkdtemp(site->root));
	snprintf(site->files, sizeof site->files, "%s/files", site->root);
	char path[160];
	snprintf(path, sizeof path, "%s/acme", site->files);
	REQUIRE(mkdir(site->files, 0700) == 0 && mkdir(path, 0700) == 0);
	check(arena_new(SITE_ARENA, &site->arena, &err), &err);
	snprintf(path, sizeof path, "%s/objects", site->root);
	REQUIRE(mkdir(path, 0700) == 0);
	check(object_store_dir(path, &site->runner.objects, &err), &err);
	uint8_t secret[SIGN_SECRET_BYTES];
	sign_keypair(site->runner.opener.control_key, secret);
	check(grant_signer_new(secret, &site->signer, &err), &err);
	check(secret_new(BOX_SECRET_BYTES, &site->box_secret, &err), &err);
	box_keypair(site->runner.opener.box_public, secret_data(site->box_secret));
	site->runner.opener.worker = "w1";
	site->runner.opener.box_secret = site->box_secret;
	site->runner.clock = clock_system();
	site->runner.files_root = site->files;
	struct pool_conf conf = {.ready = ready, .clock = clock_system()};
	check(pool_new(&conf, &site->runner.pool, &err), &err);
	snprintf(path, sizeof path, "%s/online", site->root);
	REQUIRE(mkdir(path, 0700) == 0);
	if (online)
		check(online_new(path, 64 * MIB, &site->runner.online, &err), &err);
	attempt_init(&site->attempt);
}

void worksite_close(struct worksite *site)
{
	pool_free(site->runner.pool);
	online_free(site->runner.online);
	attempt_release(&site->attempt);
	object_store_free(site->runner.objects);
	grant_signer_free(site->signer);
	secret_free(site->box_secret);
	arena_free(site->arena);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", site->root);
	REQUIRE(system(command) == 0);
}

void worksite_file(struct worksite *site, const char *name, const void *data, size_t len)
{
	char path[256];
	snprintf(path, sizeof path, "%s/acme/%s", site->files, name);
	FILE *file = fopen(path, "wb");
	REQUIRE(file && fwrite(data, 1, len, file) == len && fclose(file) == 0);
}

const struct value *worksite_schema(struct worksite *site, const char *columns)
{
	struct value *schema = value_list(site->arena);
	char *copy = arena_strdup(site->arena, columns), *rest = copy;
	for (char *word = strsep(&rest, ";"); word; word = strsep(&rest, ";")) {
		struct value *column = value_map(site->arena);
		char *type = strchr(word, ':');
		*type++ = 0;
		size_t len = strlen(type);
		bool required = type[len - 1] == '!';
		type[required ? len - 1 : len] = 0;
		value_set_str(column, "name", word);
		value_set_str(column, "type", type);
		value_set_bool(column, "required", required);
		value_add(schema, column);
	}
	return schema;
}

const struct value *worksite_map(struct worksite *site, const char *json)
{
	struct err err = {0};
	char *copy = arena_strdup(site->arena, json);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	struct value *map;
	check(json_parse(site->arena, copy, strlen(copy), &map, &err), &err);
	return map;
}

/* The key of every table here. */
static const uint8_t sevens[KEY_BYTES] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
                                          7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

struct grant_table worksite_table(const char *name, const char *uid, const struct value *schema,
                                  const struct output *output, struct worksite *site)
{
	struct grant_table table = {
		.domain = "sales", .name = name, .uid = uid, .key_version = 1, .key = sevens,
		.schema = schema};
	if (!output)
		return table;
	struct grant_file *files = arena_alloc(site->arena, output->file_count * sizeof *files);
	for (size_t i = 0; i < output->file_count; i++)
		files[i] = (struct grant_file){output->files[i].path, output->files[i].bytes,
		                               output->files[i].rows};
	table.snapshot = 1;
	table.files = files;
	table.file_count = output->file_count;
	return table;
}

struct grant worksite_grant(struct worksite *site, enum task_type type, const struct value *work)
{
	int64_t counter = site->counter++;
	struct grant grant = {.task = "01hzzzzzzzzzzzzzzzzzzzzzzz",
	                      .token = {1, counter},
	                      .attempt = 1,
	                      .worker = "w1",
	                      .tenant = "acme",
	                      .domain = "sales",
	                      .type = type,
	                      .work = work,
	                      .expires_ms = clock_unix_ms(clock_system()) + 60000};
	limits_default(&grant.limits);
	grant.output_prefix = arena_printf(site->arena, "acme/sales/1-%d", (int)counter);
	return grant;
}

struct report worksite_run(struct worksite *site, const struct grant *grant)
{
	struct err err = {0};
	struct buf bytes;
	buf_init(&bytes, MIB);
	check(grant_sign(site->signer, grant, site->runner.opener.box_public, &bytes, &err), &err);
	struct report report = {0};
	check(run_grant(&site->runner, &site->attempt, site->arena, bytes.data, bytes.len, &report,
	                &err),
	      &err);
	buf_release(&bytes);
	return report;
}

/* The object's plaintext in a memfd. */
static int open_plain(struct worksite *site, const char *uid, const char *path)
{
	struct err err = {0};
	int fd = -1;
	uint64_t len = 0;
	check(object_open(site->runner.objects, path, &fd, &len, &err), &err);
	uint8_t *sealed = malloc((size_t)len), key[KEY_BYTES];
	memset(key, 7, sizeof key);
	REQUIRE(sealed && pread(fd, sealed, (size_t)len, 0) == (ssize_t)len);
	struct seal_label label = {"acme", uid, path, 1};
	struct buf plain;
	buf_init(&plain, 64 * MIB);
	check(open_bytes(&label, key, sealed, (size_t)len, &plain, &err), &err);
	int copy = memfd_create("plain", MFD_CLOEXEC);
	REQUIRE(copy >= 0 && write(copy, plain.data, plain.len) == (ssize_t)plain.len);
	buf_release(&plain);
	free(sealed);
	close(fd);
	return copy;
}

const char *worksite_query(struct worksite *site, const char *uid, const char *path,
                           const char *sql)
{
	struct err err = {0};
	int fd = open_plain(site, uid, path);
	struct duck *duck = NULL;
	check(duck_new(&duck, &err), &err);
	char view[160];
	snprintf(view, sizeof view,
	         "CREATE VIEW t AS SELECT * FROM read_parquet('/proc/self/fd/%d')", fd);
	check(duck_exec(duck, view, &err), &err);
	const struct value *rows;
	check(duck_table(duck, site->arena, sql, 1000, &rows, &err), &err);
	duck_free(duck);
	close(fd);
	struct buf text;
	buf_init(&text, MIB);
	json_print(rows, &text);
	check(buf_check(&text, &err), &err);
	const char *out = arena_strdup(site->arena, (const char *)text.data);
	buf_release(&text);
	return out;
}
