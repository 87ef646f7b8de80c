/* v_backup.c - freehold backup: everything the control plane keeps, into one sealed file, and maybe
 * the objects beside it. Objects are copied before and after the state is read: what a snapshot of
 * that moment names was there already at the first pass, or is too young at the second to have been
 * swept, for a snapshot that was replaced keeps its files for an hour. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/cli/crate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRAILER = 12 };

struct taking {
	int fd;
	uint64_t len, shown;         /* bytes so far; of those, when it was last said */
	uint8_t end[TRAILER];        /* the last bytes */
	int code;                    /* of a failed write */
	bool talks;
};

static void note_end(struct taking *taking, const char *data, size_t len)
{
	size_t add = len < TRAILER ? len : TRAILER;
	memmove(taking->end, taking->end + add, TRAILER - add);
	memcpy(taking->end + TRAILER - add, data + len - add, add);
}

static bool on_data(void *context, const char *data, size_t len)
{
	struct taking *taking = context;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(taking->fd, data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			taking->code = errno;
			return false;
		}
		done += (size_t)n;
	}
	note_end(taking, data, len);
	taking->len += len;
	if (taking->talks && taking->len - taking->shown >= 16 * MIB) {
		taking->shown = taking->len;
		fprintf(stderr, "\r%" PRIu64 " MiB", taking->len / MIB);
	}
	return true;
}

/* "FHBE" and the length before it: control/backup.h. */
static bool is_whole(const struct taking *taking)
{
	uint64_t len = 0;
	for (int i = 7; i >= 0; i--)
		len = len << 8 | taking->end[4 + i];
	return memcmp(taking->end, "FHBE", 4) == 0 && len == taking->len - TRAILER;
}

static int take(struct cli *cli, struct taking *taking, const char *path, struct err *err)
{
	taking->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (taking->fd < 0)
		return err_errno(err, errno, "cannot make %s", path);
	int rc = client_download(cli, "/v1/backup", on_data, taking, err);
	if (rc == 0 && taking->code)
		rc = err_errno(err, taking->code, "cannot write %s", path);
	if (rc == 0 && !is_whole(taking))
		rc = err_set(err, E_UNAVAILABLE, "the archive was cut off after %" PRIu64 " bytes; "
		             "the server's log says why, take it again", taking->len);
	if (rc == 0 && fsync(taking->fd) < 0)
		rc = err_errno(err, errno, "cannot write %s", path);
	close(taking->fd);
	if (taking->shown)
		fprintf(stderr, "\n");
	return rc;
}

static int take_state(struct cli *cli, const char *file, struct err *err)
{
	struct taking taking = { .talks = cli->terminal };
	const char *partial = arena_printf(cli->arena, "%s.partial", file);
	if (!partial)
		return err_set(err, E_NOMEM, "no memory for a path");
	int rc = take(cli, &taking, partial, err);
	if (rc == 0 && rename(partial, file) < 0)
		rc = err_errno(err, errno, "cannot make %s", file);
	if (rc < 0)
		unlink(partial);
	else
		printf("%s: %" PRIu64 " bytes\n", file, taking.len);
	return rc;
}

static int backup(struct cli *cli, struct err *err)
{
	const char *file = cli_word(cli, 0);
	struct crate_count count = { .copied = 0 };
	const struct crate_conf crate = {
		.from = cli_option(cli, "objects-from"),
		.to = arena_printf(cli->arena, "%s.objects", file),
		.link_from = cli_option(cli, "link-from"),
	};
	if (!crate.to)
		return err_set(err, E_NOMEM, "no memory for a path");
	if (!crate.from)
		return take_state(cli, file, err);
	TRY(crate_fill(&crate, &count, err));
	TRY(take_state(cli, file, err));
	TRY(crate_fill(&crate, &count, err));
	printf("%s: %" PRIu64 " objects copied (%s), %" PRIu64 " linked\n", crate.to, count.copied,
	       human_bytes(cli, (int64_t)count.bytes), count.linked);
	return 0;
}

static const struct option_row options[] = {
	{"objects-from", "FOLDER", "the objects' folder: it is copied to FILE.objects"},
	{"link-from", "FOLDER", "an earlier backup's .objects: what is the same is linked"},
	{NULL, NULL, NULL}};

const struct verb verb_backup = {
	.name = "backup",
	.words = "FILE",
	.words_min = 1,
	.words_max = 1,
	.summary = "Write everything the control plane keeps into a sealed file (the operator's)",
	.options = options,
	.run = backup,
	.example = "freehold backup monday.fhb --objects-from /srv/objects --link-from "
		   "sunday.fhb.objects",
};
