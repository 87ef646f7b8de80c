/* b_rekey.c - a dataset's objects get headers under a new key: a rekey attempt over 10,000 objects,
 * beside one pwrite and fdatasync of as many bytes in each of as many files. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/seal.h"
#include "tests/bench/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OBJECTS = 10000, PLAIN = 4096, ROUNDS = 3, ARENA_MAX = 64 * 1024 * 1024 };

struct job {
	struct bench *bench;
	struct local *local;
	const uint8_t *keys[ROUNDS + 2];
	uint32_t version;            /* that the objects are under */
	size_t count;
};

static const char *path_of(const struct job *job, const char *folder, size_t i)
{
	return arena_printf(job->bench->arena, "%s/%s/%s/0-1/%zu", folder, LOCAL_TENANT,
			    LOCAL_DOMAIN, i);
}

/* Without waiting for the disk: only what follows is measured. */
static int put(const char *path, const struct buf *bytes, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool written = fd >= 0 && write(fd, bytes->data, bytes->len) == (ssize_t)bytes->len;
	int why = errno;
	if (fd >= 0)
		close(fd);
	return written ? 0 : err_errno(err, why, "cannot write %s", path);
}

static int make_folders(const struct job *job, const char *folder, struct err *err)
{
	const char *const parts[] = {"", "/" LOCAL_TENANT, "/" LOCAL_TENANT "/" LOCAL_DOMAIN,
				     "/" LOCAL_TENANT "/" LOCAL_DOMAIN "/0-1"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *path = arena_printf(job->bench->arena, "%s%s", folder, parts[i]);
		if (!path || (mkdir(path, 0700) < 0 && errno != EEXIST))
			return err_errno(err, errno, "cannot make a folder");
	}
	return 0;
}

static int make_objects(struct job *job, struct err *err)
{
	static const uint8_t plain[PLAIN];
	const char *objects = arena_printf(job->bench->arena, "%s/objects", job->bench->folder);
	const char *floor = arena_printf(job->bench->arena, "%s/floor", job->bench->folder);
	AUTO_BUF sealed;
	buf_init(&sealed, 64 * KIB);
	TRY(make_folders(job, objects, err));
	TRY(make_folders(job, floor, err));
	for (size_t i = 0; i < job->count; i++) {
		const char *path = path_of(job, objects, i), *beside = path_of(job, floor, i);
		if (!path || !beside)
			return err_set(err, E_NOMEM, "no memory for a path");
		const struct seal_label label = {LOCAL_TENANT, "bench-rekey",
						 path + strlen(objects) + 1, 1};
		buf_clear(&sealed);
		TRY(seal_bytes(&label, job->keys[1], plain, sizeof plain, &sealed, err));
		TRY(put(path, &sealed, err));
		TRY(put(beside, &sealed, err));
	}
	return 0;
}

static int product(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct grant_table table = {
		.domain = LOCAL_DOMAIN, .name = "rekey", .uid = "bench-rekey",
		.key_version = job->version + 1, .key = job->keys[job->version + 1],
		.old_version = job->version, .old_key = job->keys[job->version],
	};
	struct grant grant = {.type = TASK_REKEY, .work = value_map(arena), .inputs = &table,
			      .input_count = 1};
	double began = now_s();
	TRY(local_run(job->local, arena, &grant, NULL, err));
	*ret_value = (double)job->count / (now_s() - began);
	job->version++;
	return 0;
}

static int floor_one(const char *path, const uint8_t *head, size_t len, struct err *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool done = fd >= 0 && pwrite(fd, head, len, 0) == (ssize_t)len && fdatasync(fd) == 0;
	int why = errno;
	if (fd >= 0)
		close(fd);
	return done ? 0 : err_errno(err, why, "cannot write a header");
}

static int plain_writes(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	uint8_t head[200];
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	memset(head, (int)job->version, sizeof head);
	double began = now_s();
	for (size_t i = 0; i < job->count; i++) {
		const char *path = arena_printf(arena, "%s/floor/%s/%s/0-1/%zu", job->bench->folder,
						LOCAL_TENANT, LOCAL_DOMAIN, i);
		TRY(path ? floor_one(path, head, sizeof head, err)
			 : err_set(err, E_NOMEM, "no memory for a path"));
	}
	*ret_value = (double)job->count / (now_s() - began);
	return 0;
}

int bench_rekey(struct bench *bench, struct err *err)
{
	AUTO(local) *local = NULL;
	double value = 0, floor = 0;
	TRY(local_new(bench, 1, &local, err));
	struct job job = {.bench = bench, .local = local, .version = 1,
			  .count = bench_scaled(bench, OBJECTS, 100)};
	for (size_t i = 1; i < ARRAY_LEN(job.keys); i++)
		job.keys[i] = local_key(bench->arena);
	TRY(make_objects(&job, err));
	TRY(bench_turns(ROUNDS - 1, product, plain_writes, &job, &value, &floor, err));
	bench_figure(bench, FIGURE_rekey_objects, value, floor);
	return 0;
}
