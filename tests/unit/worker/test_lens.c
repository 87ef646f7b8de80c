/* The lens, through libc's own names: this program has them because lens.o is linked into it. */
#include "common/defs.h"
#include "common/crypto.h"
#include "worker/lens.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEN = 5 * SEAL_CHUNK + 77 };

static uint8_t *plain;
static int sealed_fd;
static const struct seal_label label = {"acme", "ds1", "a/b", 1};
static const uint8_t key[KEY_BYTES] = {9};

static int put(void *context, const void *data, size_t len, struct err *err)
{
	(void)err;
	cr_assert_eq(write(*(int *)context, data, len), (ssize_t)len);
	return 0;
}

static void take(size_t len, long flip)
{
	struct err err = {0};
	cr_assert_eq(crypto_start(&err), 0);
	plain = malloc(LEN);
	for (size_t i = 0; i < LEN; i++)
		plain[i] = (uint8_t)(i * 31 + i / 251);
	sealed_fd = memfd_create("sealed", MFD_CLOEXEC);
	AUTO(sealer) *sealer = NULL;
	cr_assert_eq(sealer_new(&label, key, put, &sealed_fd, &sealer, &err), 0);
	cr_assert_eq(sealer_write(sealer, plain, len, &err), 0);
	cr_assert_eq(sealer_finish(sealer, &err), 0);
	struct stat stat;
	cr_assert_eq(fstat(sealed_fd, &stat), 0);
	uint8_t *all = malloc((size_t)stat.st_size);
	cr_assert_eq(pread(sealed_fd, all, (size_t)stat.st_size, 0), (ssize_t)stat.st_size);
	struct seal_span tail;
	cr_assert_eq(seal_tail(all, (size_t)stat.st_size, (uint64_t)stat.st_size, &tail, &err), 0);
	struct opener *opener = NULL;
	cr_assert_eq(opener_new(&label, key, all, (size_t)stat.st_size, (uint64_t)stat.st_size,
	                        all + tail.offset, &opener, &err),
	             0, "%s", err.text);
	if (flip >= 0)
		cr_assert_eq(pwrite(sealed_fd, "?", 1,
		                    (off_t)opener_span(opener, (uint64_t)flip).offset),
		             1);
	free(all);
	cr_assert_eq(lens_take(sealed_fd, opener, &err), 0, "%s", err.text);
}

static int reopen(void)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", sealed_fd);
	return open(path, O_RDONLY);
}

Test(lens, reads_plaintext_at_any_place_and_length)
{
	take(LEN, -1);
	uint8_t *out = malloc(LEN + 10);
	static const size_t places[] = {
		0, 1, 255, SEAL_CHUNK - 1, SEAL_CHUNK, 3 * SEAL_CHUNK + 5, LEN - 1};
	static const size_t lengths[] = {1,       256, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK,
	                                 LEN + 10};
	for (size_t p = 0; p < ARRAY_LEN(places); p++)
		for (size_t l = 0; l < ARRAY_LEN(lengths); l++) {
			size_t rest = LEN - places[p], want = lengths[l] < rest ? lengths[l] : rest;
			cr_assert_eq(pread(sealed_fd, out, lengths[l], (off_t)places[p]),
			             (ssize_t)want);
			cr_assert_eq(memcmp(out, plain + places[p], want), 0, "%zu at %zu", want,
			             places[p]);
		}
	cr_expect_eq(pread(sealed_fd, out, 10, LEN), 0);
	cr_expect_eq(lens_failure(NULL), 0);
	free(out);
}

Test(lens, shows_the_plain_length_and_keeps_a_position)
{
	take(LEN, -1);
	int fd = reopen();
	cr_assert_geq(fd, 0);
	struct stat stat;
	cr_assert_eq(fstat(fd, &stat), 0);
	cr_expect_eq(stat.st_size, LEN);
	uint8_t out[100];
	cr_expect_eq(lseek(fd, -50, SEEK_END), LEN - 50);
	cr_expect_eq(read(fd, out, sizeof out), 50);
	cr_expect_eq(memcmp(out, plain + LEN - 50, 50), 0);
	cr_expect_eq(read(fd, out, sizeof out), 0);
	cr_expect_eq(lseek(fd, 10, SEEK_SET), 10);
	cr_expect_eq(read(fd, out, 5), 5);
	cr_expect_eq(memcmp(out, plain + 10, 5), 0);
	cr_expect_eq(close(fd), 0);
	cr_expect_eq(pread(fd, out, 1, 0), -1);
	cr_expect_eq(errno, EBADF);
}

Test(lens, opens_only_the_chunks_that_are_read)
{
	take(LEN, -1);
	uint8_t out[256];
	uint64_t before = lens_bytes();
	cr_assert_eq(pread(sealed_fd, out, sizeof out, 2 * SEAL_CHUNK + 9), (ssize_t)sizeof out);
	cr_expect_eq(lens_bytes() - before, SEAL_CHUNK_SEALED);
	cr_assert_eq(pread(sealed_fd, out, sizeof out, 2 * SEAL_CHUNK + 300), (ssize_t)sizeof out);
	cr_expect_eq(lens_bytes() - before, SEAL_CHUNK_SEALED, "the chunk is still there");
}

Test(lens, refuses_a_changed_chunk_and_says_so)
{
	take(LEN, 2);
	uint8_t out[10];
	cr_expect_eq(pread(sealed_fd, out, sizeof out, 0), (ssize_t)sizeof out);
	cr_expect_eq(pread(sealed_fd, out, sizeof out, 2 * SEAL_CHUNK), -1);
	cr_expect_eq(errno, EIO);
	struct err err = {0};
	cr_expect_eq(lens_failure(&err), E_CORRUPT);
	cr_expect(strstr(err.text, "chunk 2"), "%s", err.text);
}

Test(lens, refuses_to_open_for_writing)
{
	take(100, -1);
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", sealed_fd);
	cr_expect_eq(open(path, O_RDWR), -1);
	cr_expect_eq(errno, EACCES);
}

Test(lens, leaves_every_other_descriptor_alone)
{
	take(100, -1);
	int fd = open("/proc/self/stat", O_RDONLY);
	char out[4];
	cr_assert_geq(fd, 0);
	cr_expect_eq(read(fd, out, sizeof out), (ssize_t)sizeof out);
	cr_expect_eq(close(fd), 0);
	int other = memfd_create("other", MFD_CLOEXEC);
	cr_assert_eq(write(other, "hello", 5), 5);
	cr_expect_eq(pread(other, out, 4, 1), 4);
	cr_expect_eq(memcmp(out, "ello", 4), 0);
	close(other);
}

/* In a process of its own: what is shut stays shut. The number of what went wrong; 0: nothing. */
static int grant_and_shut(const char *path)
{
	struct stat stat_;
	char own[32], piped[32], text[8] = {0};
	int pair[2], file = open(path, O_RDWR | O_CREAT, 0600);
	if (file < 0 || write(file, "abcdef", 6) != 6 || pipe(pair) != 0)
		return 1;
	snprintf(own, sizeof own, "/proc/self/fd/%d", file);
	snprintf(piped, sizeof piped, "/proc/self/fd/%d", pair[1]);
	if (lens_grant(file, NULL) < 0 || lens_grant(pair[1], NULL) < 0 || lens_shut(NULL) < 0)
		return 2;
	if (open(path, O_RDONLY) != -1 || errno != EACCES || access(path, F_OK) == 0)
		return 3;
	int again = open(own, O_RDONLY), out = open(piped, O_WRONLY | O_CREAT, 0600);
	if (again < 0 || read(again, text, 3) != 3 || memcmp(text, "abc", 3) != 0)
		return 4;
	if (fstat(again, &stat_) != 0 || stat_.st_size != 6 || access(own, R_OK) != 0)
		return 5;
	if (open(own, O_RDWR) != -1 || errno != EACCES)
		return 6;
	if (out < 0 || write(out, "x", 1) != 1 || read(pair[0], text, 1) != 1)
		return 7;
	close(file);
	return open(own, O_RDONLY) == -1 ? 0 : 8;
}

Test(lens, once_shut_granted_descriptors_are_the_only_paths)
{
	int status;
	char path[] = "/tmp/lens-XXXXXX";
	close(mkstemp(path));
	pid_t pid = fork();
	if (pid == 0)
		_exit(grant_and_shut(path));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
	unlink(path);
}
