/* test_certs.c - the link's certificates: the platform's authority is trusted beside the files'
 * own, and what is replaced is taken up. */
#include "common/defs.h"
#include "control/certs.h"

#include "control/authority.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 6000 };

static void echo(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	(void)context;
	link_answer(call, data, len);
}

static void write_file(const char *path, const char *text, const char *more)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_geq(fprintf(file, "%s%s", text, more), 0);
	cr_assert_eq(fclose(file), 0);
}

/* A certificate of the platform's authority in `path`, with its key. */
static void make_worker(struct plane *plane, const char *path)
{
	struct secret *key = NULL;
	AUTO_BUF request, pem;
	struct err err;
	buf_init(&request, CERT_REQUEST_MAX);
	buf_init(&pem, CERT_PEM_MAX);
	cr_assert_eq(cert_request("w1", &key, &request, &err), 0, "%s", err.text);
	buf_putc(&request, 0);
	const struct authority_order order = { .name = "w1", .lifetime_s = 3600,
		                               .request = (char *)request.data };
	cr_assert_eq(authority_sign(plane->control, &order, &pem, &err), 0, "%s", err.text);
	write_file(path, (char *)pem.data, (const char *)secret_bytes(key));
	secret_free(key);
}

static bool heard(struct link_client *client)
{
	AUTO_BUF answer;
	struct err err;
	bool yes = false;
	buf_init(&answer, 64);
	for (int tries = 0; !yes && tries < PATIENCE; tries++) {
		yes = link_client_call(client, 0, "hello", 5, 1000, &answer, &err) == 0;
		if (!yes)
			usleep(10 * 1000);
	}
	return yes;
}

Test(certs, a_worker_with_a_certificate_of_the_platforms_authority_is_heard)
{
	struct plane *plane = plane_start();
	char dir[] = "/tmp/certs-XXXXXX";
	struct link_server *server = NULL;
	struct link_client *client = NULL;
	struct certs *certs = NULL;
	struct err err;
	char worker[96], url[64];
	folder_make(dir);
	pems_authority(dir, "test");
	pems_add(dir, "control", "DNS:localhost");
	const struct pem_paths files = pems_paths(dir, "control");
	snprintf(worker, sizeof worker, "%s/worker.pem", dir);
	make_worker(plane, worker);
	const struct link_server_conf served = {
		.url = "tls+tcp://127.0.0.1:0", .tls = { files.ca, files.cert, files.key },
		.contexts = 4, .call = echo,
	};
	cr_assert_eq(link_server_new(&served, &server, &err), 0, "%s", err.text);
	const struct certs_conf conf = {
		.control = plane->control, .link = server, .link_ca_file = files.ca,
		.link_cert_file = files.cert, .link_key_file = files.key, .interval_ms = 5,
	};
	cr_assert_eq(certs_new(&conf, &certs, &err), 0, "%s", err.text);
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
	const char *const urls[] = { url, NULL };
	const struct link_client_conf dialed = {
		.urls = urls, .tls = { files.ca, worker, worker }, .reconnect_min_ms = 5,
		.reconnect_max_ms = 50,
	};
	cr_assert_eq(link_client_new(&dialed, &client, &err), 0, "%s", err.text);
	cr_expect(heard(client));
	for (int ms = 0; atomic_load(&plane->control->link_until_ms) == 0; ms++) {
		cr_assert_lt(ms, PATIENCE * 10, "it is not told until when");
		usleep(1000);
	}
	link_client_free(client);
	certs_free(certs);
	link_server_free(server);
	plane_stop(plane);
	folder_remove(dir);
}
