/* c_file.c - files below FILES/TENANT. The kernel keeps the walk below that folder (openat2):
 * neither
 * ".." nor a link leads out of it. */
#include "common/defs.h"
#include "worker/connector.h"
#include "worker/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_beneath(int folder, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd;
	do
		fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN); /* a rename happened during the walk */
	return fd;
}

static int refused(const char *path, int why, struct err *err)
{
	if (why == ENOENT || why == ENOTDIR || why == ENAMETOOLONG)
		return err_set(err, E_INPUT,
		               "path \"%s\": there is no such file below the tenant's folder on "
		               "the worker",
		               path);
	if (why == EXDEV || why == ELOOP)
		return err_set(err, E_INPUT,
		               "path \"%s\": leads out of the tenant's folder; write it relative "
		               "to that folder, without \"..\" and a leading slash",
		               path);
	if (why == EACCES || why == EPERM)
		return err_set(err, E_INPUT, "path \"%s\": the worker may not read it", path);
	return err_errno(err, why, "path \"%s\"", path);
}

static int check_file(const char *path, int fd, int64_t *ret_bytes, struct err *err)
{
	struct stat stat;
	if (fstat(fd, &stat) != 0)
		return err_errno(err, errno, "path \"%s\"", path);
	if (S_ISDIR(stat.st_mode))
		return err_set(err, E_INPUT, "path \"%s\": is a directory; name a file in it",
		               path);
	if (!S_ISREG(stat.st_mode))
		return err_set(err, E_INPUT, "path \"%s\": is no regular file", path);
	if (stat.st_size == 0)
		return err_set(err, E_INPUT, "path \"%s\": the file is empty", path);
	*ret_bytes = stat.st_size;
	return 0;
}

static int open_folder(const struct runner *runner, const char *tenant, int *ret_fd,
                       struct err *err)
{
	if (!runner->files_root)
		return err_set(err, E_INPUT,
		               "this worker has no folder of files; start it with one, or use "
		               "another connector");
	int root = open(runner->files_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(err, errno, "the worker's folder of files");
	int fd = openat(root, tenant, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int why = errno;
	close(root);
	if (fd < 0)
		return why == ENOENT ? err_set(err, E_INPUT,
		                               "the worker's folder of files has no folder "
		                               "\"%s\" for the tenant",
		                               tenant)
		                     : err_errno(err, why, "the tenant's folder of files");
	*ret_fd = fd;
	return 0;
}

int c_file_open(const struct connector_call *call, int *ret_fd, int64_t *ret_bytes,
                struct err *err)
{
	const char *path = value_get_str(call->work, "path");
	if (!path || !*path)
		return err_set(err, E_INPUT,
		               "path: is missing; name a file below the tenant's folder");
	int folder = -1;
	TRY(open_folder(call->runner, call->tenant, &folder, err));
	int fd = open_beneath(folder, path), why = errno;
	close(folder);
	if (fd < 0)
		return refused(path, why, err);
	int rc = check_file(path, fd, ret_bytes, err);
	if (rc < 0)
		close(fd);
	else
		*ret_fd = fd;
	return rc;
}
