/* Connectors by name; the kernel keeps "file" inside the tenant's folder. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/connector.h"

#include "api/http.h"
#include "worker/egress.h"

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

static int open_as(const char *tenant, const struct value *work, int *ret_fd, int64_t *ret_bytes)
{
	const struct connector_call call = { &site.runner, tenant, work, 1000, NULL };
	return connector_by_name("file")(&call, ret_fd, ret_bytes, &err);
}

static int open_path(const char *path, int64_t *ret_bytes)
{
	struct value *work = value_map(site.arena);
	value_set_str(work, "path", path);
	int fd = -1;
	int rc = open_as("acme", work, &fd, ret_bytes);
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
	cr_expect_eq(open_as("globex", work, &fd, &bytes),
	             E_INPUT);
	site.runner.files_root = NULL;
	cr_expect_eq(open_as("acme", work, &fd, &bytes),
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
	cr_expect_lt(open_as("globex", work, &fd, &bytes), 0);
}

/* --- http --- */

static void serve(void *context, struct http_request *request)
{
	struct buf body;
	(void)context;
	buf_init(&body, 4096);
	buf_puts(&body, strcmp(http_path(request), "/empty.csv") == 0 ? "" : "id,name\n1,a\n2,b\n");
	http_answer(request, 200, "text/csv", &body);
}

static struct report load(int port, const char *path, const char *hosts)
{
	char work[512];
	snprintf(work, sizeof work, "{'connector':'http','path':'http://127.0.0.1:%d%s','mode':"
	         "'append','format':'csv'%s}", port, path, hosts);
	struct grant_table table = worksite_table("t", "ds1", NULL, NULL, &site);
	struct grant grant = worksite_grant(&site, TASK_INGEST, worksite_map(&site, work));
	grant.outputs = &table;
	grant.output_count = 1;
	return worksite_run(&site, &grant);
}

Test(connector, http_loads_what_a_host_of_the_tenants_list_gives_and_nothing_else)
{
	const struct http_conf http = { .listen = "127.0.0.1:0", .threads = 1, .serve = serve };
	const struct egress_conf egress = { .allow = "127.0.0.0/8", .bytes_max = 4096 };
	struct http_server *server = NULL;
	char hosts[200];
	cr_assert_eq(http_server_new(&http, &server, &err), 0, "%s", err.text);
	cr_assert_eq(egress_new(&egress, &site.runner.egress, &err), 0, "%s", err.text);
	int port = http_server_port(server);
	struct report report = load(port, "/a.csv?key=hidden", "");
	cr_expect_eq(report.code, E_DENIED, "%d", report.code);
	cr_expect(strstr(report.text, "spec.egress"), "%s", report.text);
	snprintf(hosts, sizeof hosts, ",'egress':[{'host':'127.0.0.1','scheme':'http','port':%d,"
	         "'network':'127.0.0.0/8'}]", port);
	report = load(port, "/a.csv?key=hidden", hosts);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(worksite_query(&site, "ds1", report.outputs[0].files[0].path,
	                                "SELECT max(id), count(*) FROM t"), "[[2,2]]");
	report = load(port, "/a.csv.gz?key=hidden", hosts);
	cr_expect_eq(report.code, E_INPUT);
	cr_expect(strstr(report.text, "/a.csv.gz"), "%s", report.text);
	cr_expect_null(strstr(report.text, "hidden"), "%s", report.text);
	cr_expect_eq(load(port, "/empty.csv", hosts).code, E_INPUT);
	egress_free(site.runner.egress);
	http_server_free(server);
}

Test(connector, http_needs_a_worker_that_may_call_hosts)
{
	cr_expect_not_null(connector_by_name("http"));
	cr_expect_eq(load(80, "/a.csv", ",'egress':[{'host':'127.0.0.1'}]").code, E_INPUT);
}
