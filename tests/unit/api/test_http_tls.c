/* test_http_tls.c - the certificate that the HTTP door shows, exchanged while it serves. */
#include "common/defs.h"
#include "api/http.h"

#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void serve(void *context, struct http_request *request)
{
	struct buf body;
	(void)context;
	buf_init(&body, 64);
	buf_puts(&body, "served");
	http_answer(request, 200, "text/plain", &body);
}

/* The serial number of the certificate that is shown to who connects now. */
static void shown_serial(int port, char out[CERT_SERIAL_LEN + 1])
{
	char line[256], pem[8192] = "";
	struct cert_facts facts;
	snprintf(line, sizeof line, "openssl s_client -connect 127.0.0.1:%d </dev/null 2>&1 | "
	         "openssl x509 2>&1", port);
	FILE *pipe = popen(line, "r");
	cr_assert_not_null(pipe);
	size_t len = fread(pem, 1, sizeof pem - 1, pipe);
	pclose(pipe);
	cr_assert_eq(cert_facts(pem, len, &facts, NULL), 0);
	memcpy(out, facts.serial, sizeof facts.serial);
}

static void read_file(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	out[fread(out, 1, size - 1, file)] = 0;
	fclose(file);
}

Test(http_tls, the_certificate_is_exchanged_while_it_serves_and_a_bad_one_is_not_taken)
{
	char dir[] = "/tmp/test-http-XXXXXX";
	struct pem_paths files[2];
	char pem[2][4096], keys[2][4096], first[CERT_SERIAL_LEN + 1], now[CERT_SERIAL_LEN + 1];
	struct http_server *second = NULL, *plain = NULL;
	struct err err;
	struct http_conf wanted = { .listen = "127.0.0.1:0", .serve = serve };
	cr_assert_eq(http_server_new(&wanted, &plain, &err), 0, "%s", err.text);
	folder_make(dir);
	pems_authority(dir, "test");
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "two" : "one";
		pems_add(dir, name, "IP:127.0.0.1");
		files[i] = pems_paths(dir, name);
		read_file(files[i].cert, pem[i], sizeof pem[i]);
		read_file(files[i].key, keys[i], sizeof keys[i]);
	}
	wanted.cert_file = files[0].cert;
	wanted.key_file = files[0].key;
	cr_assert_eq(http_server_new(&wanted, &second, &err), 0, "%s", err.text);
	shown_serial(http_server_port(second), first);
	const struct cert_set mixed = { NULL, pem[1], keys[0] }, none = { NULL, "", keys[0] };
	cr_expect_eq(http_server_set_tls(second, &mixed, &err), E_INVALID);
	cr_expect_eq(http_server_set_tls(second, &none, &err), E_INVALID);
	shown_serial(http_server_port(second), now);
	cr_expect_str_eq(now, first);
	const struct cert_set good = { NULL, pem[1], keys[1] };
	cr_expect_eq(http_server_set_tls(second, &good, &err), 0, "%s",
	             err.text);
	shown_serial(http_server_port(second), now);
	cr_expect_str_neq(now, first);
	cr_expect_eq(http_server_set_tls(plain, &good, &err), E_INVALID);
	http_server_free(second);
	http_server_free(plain);
	folder_remove(dir);
}
