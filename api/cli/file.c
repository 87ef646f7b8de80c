/* file.c - see file.h. */
#include "common/defs.h"
#include "api/cli/file.h"

#include "api/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PROBLEM_MAX = 64 * 1024, TIMEOUT_MS = 30000 };

int file_read(const char *path, size_t most, struct buf *out, struct err *err)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	uint8_t part[4096];
	ssize_t n;
	buf_init(out, most);
	while ((n = read(fd, part, sizeof part)) > 0 && out->len + (size_t)n <= most)
		buf_put(out, part, (size_t)n);
	int why = errno;
	close(fd);
	if (n < 0)
		return err_errno(err, why, "cannot read %s", path);
	if (n > 0)
		return err_set(err, E_TOO_LARGE, "%s has over %zu bytes", path, most);
	return buf_check(out, err);
}

static bool is_own(const struct cli *cli, const char *url)
{
	size_t len = cli->url ? strlen(cli->url) : 0;
	return len && strncmp(url, cli->url, len) == 0 && url[len] == '/';
}

int url_read(struct cli *cli, const char *url, size_t most, struct buf *out, struct err *err)
{
	const char *headers[] = {is_own(cli, url) ? cli->authorization : NULL, NULL};
	const struct fetch_call fetch = {.url = url, .headers = headers, .timeout_ms = TIMEOUT_MS};
	int status = 0;
	AUTO_BUF answer;
	buf_init(&answer, most > PROBLEM_MAX ? most : PROBLEM_MAX);
	TRY(fetch_call(cli->fetch, &fetch, &status, &answer, NULL, err));
	TRY(buf_check(&answer, err));
	if (status >= 400) {
		struct err problem = {0};
		problem_read((const char *)answer.data, answer.len, status, &problem);
		return err_set(err, problem.code, "%s", problem.text);
	}
	if (answer.len > most)
		return err_set(err, E_TOO_LARGE, "%s: over %zu bytes", url, most);
	buf_put(out, answer.data, answer.len);
	return buf_check(out, err);
}
