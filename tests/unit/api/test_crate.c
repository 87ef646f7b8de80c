/* Objects' files into another folder: what is there already stays, what changed comes anew. */
#include "common/defs.h"
#include "api/cli/crate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64];

static const char *at(const char *name)
{
	static char paths[8][256];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, 256, "%s/%s", base, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "we");
	cr_assert_not_null(file, "%s", name);
	fputs(text, file);
	fclose(file);
}

static bool holds(const char *name, const char *text)
{
	char got[64] = "";
	FILE *file = fopen(at(name), "re");
	size_t len = file ? fread(got, 1, sizeof got - 1, file) : 0;
	if (file)
		fclose(file);
	return file && len == strlen(text) && strcmp(got, text) == 0;
}

static ino_t inode(const char *name)
{
	struct stat st = { .st_ino = 0 };
	stat(at(name), &st);
	return st.st_ino;
}

static void begin(void)
{
	strcpy(base, "/tmp/freehold-crate-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	mkdir(at("from"), 0700);
	mkdir(at("from/acme"), 0700);
	mkdir(at("from/.tmp"), 0700);
	put("from/acme/1", "one");
	put("from/2", "two");
	put("from/.tmp/unfinished", "x");
}

static void end(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", base);
	cr_assert_eq(system(command), 0);
}

static struct crate_count fill(const char *to, const char *link_from)
{
	struct err err = { 0 };
	struct crate_count count = { .copied = 0 };
	const struct crate_conf conf = { at("from"), at(to), link_from ? at(link_from) : NULL };
	cr_assert_eq(crate_fill(&conf, &count, &err), 0, "%s", err.text);
	return count;
}

Test(crate, copies_what_is_an_object_once)
{
	begin();
	struct crate_count first = fill("to", NULL), second = fill("to", NULL);
	cr_expect_eq(first.copied, 2);
	cr_expect_eq(first.bytes, 6);
	cr_expect(holds("to/acme/1", "one") && holds("to/2", "two"));
	cr_expect_neq(access(at("to/.tmp"), F_OK), 0);
	cr_expect_eq(second.copied, 0);
	cr_expect_eq(second.kept, 2);
	end();
}

Test(crate, a_rewritten_header_comes_anew_and_the_earlier_copy_keeps_its_own)
{
	begin();
	fill("monday", NULL);
	put("from/acme/1", "ONE");
	struct crate_count count = fill("tuesday", "monday");
	cr_expect_eq(count.linked, 1);
	cr_expect_eq(count.copied, 1);
	cr_expect(holds("tuesday/acme/1", "ONE"));
	cr_expect(holds("monday/acme/1", "one"), "the older backup goes with its older keys");
	cr_expect_eq(inode("monday/2"), inode("tuesday/2"));
	end();
}

Test(crate, a_file_that_was_cut_short_comes_anew)
{
	begin();
	fill("to", NULL);
	put("to/2", "tw");
	cr_expect_eq(fill("to", NULL).copied, 1);
	cr_expect(holds("to/2", "two"));
	end();
}

Test(crate, a_folder_that_is_not_there_is_named)
{
	struct err err = { 0 };
	struct crate_count count = { .copied = 0 };
	begin();
	const struct crate_conf conf = { at("nowhere"), at("to"), NULL };
	cr_expect_lt(crate_fill(&conf, &count, &err), 0);
	cr_expect(strstr(err.text, "nowhere"), "%s", err.text);
	end();
}
