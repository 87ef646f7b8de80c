/* pems.c - see pems.h. */
#include "common/defs.h"
#include "tests/support/pems.h"

#include "common/cert.h"
#include "common/pemwatch.h"
#include "tests/support/folder.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { DAYS = 30 };

void pems_authority(const char *dir, const char *name)
{
	struct err err = {0};
	cr_assert_eq(cert_make_ca(dir, name, DAYS, &err), 0, "%s", err.text);
}

void pems_add(const char *dir, const char *name, const char *sans)
{
	struct err err = {0};
	cr_assert_eq(cert_make(dir, name, sans, DAYS, &err), 0, "%s", err.text);
}

void pems_both_sides(char *dir, const char *control_sans)
{
	folder_make(dir);
	pems_authority(dir, "test");
	pems_add(dir, "control", control_sans);
	pems_add(dir, "worker", NULL);
}

struct pem_paths pems_paths(const char *dir, const char *name)
{
	struct pem_paths paths;
	snprintf(paths.ca, sizeof paths.ca, "%s/ca.pem", dir);
	snprintf(paths.cert, sizeof paths.cert, "%s/%s.pem", dir, name);
	snprintf(paths.key, sizeof paths.key, "%s/%s.key", dir, name);
	return paths;
}

int pems_load(const struct pem_paths *paths, bool accepts, struct cert_tls **ret_tls,
              struct err *err)
{
	const struct pemwatch_conf files = {
		.ca_file = paths->ca, .cert_file = paths->cert, .key_file = paths->key,
	};
	return pem_tls_read(&files, accepts, ret_tls, err);
}
