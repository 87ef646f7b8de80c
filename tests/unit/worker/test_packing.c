/* Compressed files: whole ones pass, and not one byte may be missing at their end. */
#include "common/defs.h"
#include "common/buf.h"
#include "worker/packing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_MAX = 4 * 1024 * 1024 };

/* What a shell command prints. */
static void print_of(const char *command, struct buf *out)
{
	uint8_t bytes[4096];
	size_t n;
	buf_init(out, FILE_MAX);
	FILE *pipe = popen(command, "r");
	cr_assert_not_null(pipe, "%s", command);
	while ((n = fread(bytes, 1, sizeof bytes, pipe)) > 0)
		cr_assert_eq(buf_put(out, bytes, n), 0);
	cr_assert_eq(pclose(pipe), 0, "%s", command);
}

static int check(const uint8_t *data, size_t len, const char *compression, struct err *err)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	int rc = packing_check(fd, (int64_t)len, compression, "f.csv", err);
	close(fd);
	return rc;
}

static void expect_cut(const struct buf *file, size_t len, const char *compression)
{
	struct err err = { 0 };
	cr_assert_eq(check(file->data, len, compression, &err), E_INPUT, "%zu of %zu bytes of %s",
	             len, file->len, compression);
	char said[100];
	snprintf(said, sizeof said, "path \"f.csv\": the %s file ends early, after %zu bytes",
	         compression, len);
	cr_assert_eq(strncmp(err.text, said, strlen(said)), 0, "%s", err.text);
}

static void expect_whole(const struct buf *file, const char *compression)
{
	struct err err = { 0 };
	cr_assert_eq(check(file->data, file->len, compression, &err), 0, "%s", err.text);
}

static void expect_damaged(const struct buf *file, const char *compression)
{
	struct err err = { 0 };
	cr_assert_eq(check(file->data, file->len, compression, &err), E_INPUT);
	cr_assert_not_null(strstr(err.text, "is damaged or not compressed as"), "%s", err.text);
}

Test(packing, passes_whole_files_and_names_a_cut_at_any_byte)
{
	static const struct {
		const char *command, *compression;
	} rows[] = {
		{ "seq 1 200 | gzip -c", "gzip" },
		{ "seq 1 200 | gzip -1c", "gzip" },
		{ "seq 1 200 | zstd -qc", "zstd" },
		{ "seq 1 200 | zstd -qc --no-check", "zstd" },
		{ "seq 1 200 | zstd -qc --stream-size=692", "zstd" },
		{ "head -c 300000 /dev/zero | zstd -qc", "zstd" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF file;
		print_of(rows[i].command, &file);
		expect_whole(&file, rows[i].compression);
		for (size_t len = 1; len < file.len; len++)
			expect_cut(&file, len, rows[i].compression);
	}
}

Test(packing, goes_through_a_file_of_many_blocks)
{
	static const char *const commands[] = { "seq 1 200000 | gzip -c",
		                                "seq 1 200000 | zstd -qc" };
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		AUTO_BUF file;
		const char *compression = i == 0 ? "gzip" : "zstd";
		print_of(commands[i], &file);
		cr_assert_gt(file.len, 64 * 1024);
		expect_whole(&file, compression);
		expect_cut(&file, file.len - 1, compression);
		expect_cut(&file, file.len / 2, compression);
	}
}

Test(packing, takes_files_that_were_put_one_behind_the_other)
{
	AUTO_BUF two, zeros, skipped;
	print_of("{ seq 1 50 | gzip -c; seq 1 60 | gzip -c; }", &two);
	expect_whole(&two, "gzip");
	expect_cut(&two, two.len - 1, "gzip");
	print_of("{ seq 1 50 | gzip -c; head -c 40000 /dev/zero; }", &zeros);
	expect_whole(&zeros, "gzip");
	print_of("{ seq 1 50 | zstd -qc; printf '\\120\\052\\115\\030\\003\\000\\000\\000abc'; "
	         "seq 1 60 | zstd -qc; }", &skipped);
	expect_whole(&skipped, "zstd");
	expect_cut(&skipped, skipped.len - 1, "zstd");
}

Test(packing, refuses_what_is_packed_otherwise_or_changed)
{
	AUTO_BUF gzip, zstd, tail;
	print_of("seq 1 200 | gzip -c", &gzip);
	print_of("seq 1 200 | zstd -qc", &zstd);
	print_of("{ seq 1 50 | gzip -c; echo and more; }", &tail);
	expect_damaged(&gzip, "zstd");
	expect_damaged(&zstd, "gzip");
	expect_damaged(&tail, "gzip");
	gzip.data[gzip.len - 8] ^= 1;        /* of the checksum */
	expect_damaged(&gzip, "gzip");
	zstd.data[0] ^= 1;
	expect_damaged(&zstd, "zstd");
}

Test(packing, lets_what_is_not_compressed_pass)
{
	struct err err;
	cr_assert_eq(check((const uint8_t *)"a,b\n1", 5, "none", &err), 0);
}
