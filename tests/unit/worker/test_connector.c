/* Connectors by name; the kernel keeps "file" inside the tenant's folder. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/connector.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct worksite site;
static struct err err;
static void setup(void)
{
	worksite_open(&site, 0, false);
}
static void teardown(void)
{
	worksite_close(&site);
}
TestSuite(connector, .init = setup, .fini = teardown);

static int open_path(const char *path, int64_t *ret_bytes)
{
	struct value *work = value_map(site.arena);
	value_set_str(work, "path", path);
	int fd = -1;
	int rc = connector_by_name("file")(&site.runner, "acme", work, &fd, ret_bytes, &err);
	if (rc == 0)
		close(fd);
	return rc;
}

Test(connector, is_found_by_its_name)
{
	cr_expect_not_null(connector_by_name("file"));
	cr_expect_null(connector_by_name("ftp"));
	cr_expect_null(connector_by_name(NULL));
}

Test(connector, opens_a_file_of_the_tenant)
{
	int64_t bytes = 0;
	worksite_file(&site, "a.csv", "abc", 3);
	cr_assert_eq(open_path("a.csv", &bytes), 0, "%s", err.text);
	cr_expect_eq(bytes, 3);
}

Test(connector, follows_no_link_out_of_the_folder)
{
	char link[200];
	int64_t bytes;
	snprintf(link, sizeof link, "%s/acme/link", site.files);
	cr_assert_eq(symlink("/etc/hostname", link), 0);
	cr_expect_eq(open_path("link", &bytes), E_INPUT);
	cr_expect(strstr(err.text, "leads out"), "%s", err.text);
	snprintf(link, sizeof link, "%s/acme/pipe", site.files);
	cr_assert_eq(mkfifo(link, 0600), 0);
	cr_expect_eq(open_path("pipe", &bytes), E_INPUT);
	cr_expect(strstr(err.text, "no regular file"), "%s", err.text);
}

Test(connector, needs_a_folder_of_the_tenant)
{
	struct value *work = value_map(site.arena);
	value_set_str(work, "path", "a.csv");
	int fd;
	int64_t bytes;
	cr_expect_eq(connector_by_name("file")(&site.runner, "globex", work, &fd, &bytes, &err),
	             E_INPUT);
	site.runner.files_root = NULL;
	cr_expect_eq(connector_by_name("file")(&site.runner, "acme", work, &fd, &bytes, &err),
	             E_INPUT);
}

/* Each is the caller's mistake: trying again does not help. */
Test(connector, refuses_paths_that_name_no_file_as_they_were_written)
{
	char folder[200], component[300], refusal[360];
	int64_t bytes = -1;
	snprintf(folder, sizeof folder, "%s/acme/folder", site.files);
	cr_assert_eq(mkdir(folder, 0700), 0);
	worksite_file(&site, "empty.csv", "", 0);
	worksite_file(&site, "a.csv", "abc", 3);
	memset(component, 'x', sizeof component - 1);
	component[sizeof component - 1] = 0;
	const char *const paths[] = {
		"", "none.csv", "folder", "empty.csv", "a.csv/b", "folder/../../acme/a.csv",
		"/etc/hostname", "..", component,
	};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		err = (struct err){0};
		cr_expect_eq(open_path(paths[i], &bytes), E_INPUT, "%s: %s", paths[i], err.text);
		snprintf(refusal, sizeof refusal, "path \"%s\"", paths[i]);
		cr_expect(!*paths[i] || strstr(err.text, refusal), "%s", err.text);
		cr_expect_eq(bytes, -1, "untouched by a failure");
	}
}

Test(connector, a_tenants_folder_is_no_link)
{
	struct value *work = value_map(site.arena);
	char target[200], link[200];
	int fd;
	int64_t bytes;
	worksite_file(&site, "a.csv", "abc", 3);
	snprintf(target, sizeof target, "%s/acme", site.files);
	snprintf(link, sizeof link, "%s/globex", site.files);
	cr_assert_eq(symlink(target, link), 0);
	value_set_str(work, "path", "a.csv");
	cr_expect_lt(connector_by_name("file")(&site.runner, "globex", work, &fd, &bytes, &err), 0);
}
