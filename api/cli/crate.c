/* crate.c - see crate.h. Invariant: a file appears under its name only when it is whole. */
#include "common/defs.h"
#include "api/cli/crate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16, HEAD = 2048, PIECE = 1024 * 1024 };

struct filling {
	const struct crate_conf *conf;
	struct crate_count *count;
	uint8_t *piece;              /* PIECE bytes */
};

static int join(char out[CRATE_PATH_MAX], const char *folder, const char *path, struct err *err)
{
	int len = snprintf(out, CRATE_PATH_MAX, "%s/%s", folder, path);
	if (len < CRATE_PATH_MAX)
		return 0;
	return err_set(err, E_TOO_LARGE, "a path below %s has over %d bytes", folder,
	               CRATE_PATH_MAX - 1);
}

static ssize_t head_of(const char *path, uint8_t out[HEAD])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : pread(fd, out, HEAD, 0);
	if (fd >= 0)
		close(fd);
	return len;
}

static bool same(const char *a, const char *b, off_t len)
{
	struct stat st;
	uint8_t heads[2][HEAD];
	if (stat(b, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != len)
		return false;
	ssize_t first = head_of(a, heads[0]), second = head_of(b, heads[1]);
	return first >= 0 && first == second && memcmp(heads[0], heads[1], (size_t)first) == 0;
}

static int pump(struct filling *filling, int from, int to, const char *path, struct err *err)
{
	for (;;) {
		ssize_t len = read(from, filling->piece, PIECE);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_errno(err, errno, "cannot read %s", path);
		if (len == 0)
			break;
		for (ssize_t done = 0, n = 0; done < len; done += n) {
			n = write(to, filling->piece + done, (size_t)(len - done));
			if (n < 0)
				return err_errno(err, errno, "cannot write a copy of %s", path);
		}
		filling->count->bytes += (uint64_t)len;
	}
	if (fsync(to) < 0)
		return err_errno(err, errno, "cannot write a copy of %s", path);
	return 0;
}

static int copy(struct filling *filling, const char *from, const char *to, struct err *err)
{
	char partial[CRATE_PATH_MAX + 16];
	snprintf(partial, sizeof partial, "%s.partial", to);
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot open %s", from);
	int out = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = out < 0 ? err_errno(err, errno, "cannot make %s", partial)
	                 : pump(filling, in, out, from, err);
	close(in);
	if (out >= 0)
		close(out);
	if (rc == 0 && rename(partial, to) < 0)
		rc = err_errno(err, errno, "cannot make %s", to);
	if (rc < 0 && out >= 0)
		unlink(partial);
	filling->count->copied += rc == 0;
	return rc;
}

static int bring(struct filling *filling, const char *path, off_t len, struct err *err)
{
	char from[CRATE_PATH_MAX], to[CRATE_PATH_MAX], before[CRATE_PATH_MAX];
	const struct crate_conf *conf = filling->conf;
	TRY(join(from, conf->from, path, err));
	TRY(join(to, conf->to, path, err));
	if (same(from, to, len)) {
		filling->count->kept++;
		return 0;
	}
	if (conf->link_from) {
		TRY(join(before, conf->link_from, path, err));
		unlink(to);
		if (same(from, before, len) && link(before, to) == 0) {
			filling->count->linked++;
			return 0;
		}
	}
	return copy(filling, from, to, err);
}

static int folder_make(const char *path, struct err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the folder %s", path);
	return 0;
}

static int walk(struct filling *filling, const char *path, int depth, struct err *err);

static int visit(struct filling *filling, const char *path, const char *name, int depth,
                 struct err *err)
{
	char below[CRATE_PATH_MAX], from[CRATE_PATH_MAX];
	struct stat st;
	if (name[0] == '.')
		return 0;
	if (path[0])
		TRY(join(below, path, name, err));
	else
		snprintf(below, sizeof below, "%s", name);
	TRY(join(from, filling->conf->from, below, err));
	if (lstat(from, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot inspect %s", from);
	if (S_ISDIR(st.st_mode))
		return walk(filling, below, depth + 1, err);
	return S_ISREG(st.st_mode) ? bring(filling, below, st.st_size, err) : 0;
}

static int walk(struct filling *filling, const char *path, int depth, struct err *err)
{
	char from[CRATE_PATH_MAX], to[CRATE_PATH_MAX];
	int rc = 0;
	if (depth > DEPTH_MAX)
		return err_set(err, E_INVALID, "%s has folders deeper than %d: it is no object "
		               "store", filling->conf->from, DEPTH_MAX);
	TRY(join(from, filling->conf->from, path, err));
	TRY(join(to, filling->conf->to, path, err));
	DIR *folder = opendir(from);
	if (!folder)
		return errno == ENOENT && depth > 0
			? 0 : err_errno(err, errno, "cannot open the folder %s", from);
	rc = folder_make(to, err);
	for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
		rc = visit(filling, path, entry->d_name, depth, err);
	closedir(folder);
	return rc;
}

int crate_fill(const struct crate_conf *conf, struct crate_count *count, struct err *err)
{
	struct filling filling = { conf, count, malloc(PIECE) };
	if (!filling.piece)
		return err_set(err, E_NOMEM, "no memory for copying");
	int rc = walk(&filling, "", 0, err);
	free(filling.piece);
	return rc;
}
