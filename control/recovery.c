/* recovery.c - see recovery.h. Order: the archive is read whole, then its objects are looked for,
 * then the store is written; what fails leaves the later ones untouched. */
#include "common/defs.h"
#include "control/recovery.h"

#include "control/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static int look_for_objects(const struct conf *conf, const uint8_t *state_key,
                            struct backup *backup, struct err *err)
{
	struct restore_objects found;
	if (!conf->archive_objects) {
		printf("objects were not looked for: no folder of them was given\n");
		return 0;
	}
	TRY(restore_objects(backup, state_key, conf->archive_objects, &found, err));
	if (found.missing)
		return err_set(err, E_NOT_FOUND, "%" PRIu64 " of %" PRIu64 " objects that the "
		               "archive names are not in %s as they were written, the first is "
		               "%s; bring them there, or go without naming a folder",
		               found.missing, found.named, conf->archive_objects, found.example);
	printf("all %" PRIu64 " objects that current snapshots name are there (%" PRIu64
	       " bytes)\n", found.named, found.bytes);
	return 0;
}

static void print_info(const struct backup_info *info)
{
	char at[TIME_TEXT_MAX];
	printf("the archive is whole: %" PRIu64 " keys, %" PRIu64 " bytes, revision %" PRId64
	       ", %d shard%s, made %s by Freehold %s, installation %s\n", info->keys, info->bytes,
	       info->revision, info->shards, info->shards == 1 ? "" : "s",
	       time_print_s(info->at_ms, at), info->product, info->installation);
}

static int work(const struct conf *conf, const uint8_t *state_key, struct store *store,
                struct clock *clock, struct backup *backup, struct err *err)
{
	struct era era;
	const struct backup_info *info = backup_info(backup);
	print_info(info);
	TRY(look_for_objects(conf, state_key, backup, err));
	if (!store)
		return 0;
	if (conf->shards != info->shards)
		return err_set(err, E_INVALID, "the archive is of an installation with --shards "
		               "%d, not %d; the number never changes", info->shards, conf->shards);
	TRY(restore(store, state_key, backup, clock_unix_ms(clock), &era, err));
	printf("restored: start freehold-control with the same root key and --shards %d, then "
	       "materialize each feature view anew\n",
	       info->shards);
	return 0;
}

int recovery(const struct conf *conf, const struct keyring *keyring, struct store *store,
             struct clock *clock, struct err *err)
{
	AUTO(backup) *backup = NULL;
	if (!conf->archive_file)
		return err_set(err, E_INVALID, "--archive-file names the archive");
	int fd = open(conf->archive_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", conf->archive_file);
	const uint8_t *state_key = keyring_state_key(keyring);
	int rc = backup_open(fd, state_key, &backup, err);
	if (rc == 0)
		rc = work(conf, state_key, store, clock, backup, err);
	close(fd);
	return rc;
}
