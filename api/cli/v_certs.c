/* v_certs.c - freehold certs: certificates for control's doors, where nothing else makes them: an
 * authority of its own in a folder, and a certificate by it. Made again, it renews what is due. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/cert.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CA_DAYS = 3650, DAYS = 365, SANS_MAX = 900 };

/* A name of letters, digits, dots and hyphens, "*." before it at most. */
static bool is_dns(const char *text, size_t len)
{
	size_t star = len > 2 && memcmp(text, "*.", 2) == 0 ? 2 : 0;
	for (size_t i = star; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '.' && text[i] != '-')
			return false;
	return len > star;
}

/* "a,10.0.0.1" as certificates name them. */
static int print_sans(const char *addresses, char out[SANS_MAX], struct err *err)
{
	size_t used = 0;
	for (const char *at = addresses; *at;) {
		size_t len = strcspn(at, ",");
		bool number = strspn(at, "0123456789.") == len || memchr(at, ':', len);
		if (len > 0 && !number && !is_dns(at, len))
			return err_set(err, E_INVALID, "--addresses: \"%.*s\" is no DNS name and "
			               "no IP address; write them with commas between",
			               (int)len, at);
		int n = snprintf(out + used, SANS_MAX - used, "%s%s:%.*s", used ? "," : "",
		                 number ? "IP" : "DNS", (int)len, at);
		used += n > 0 ? (size_t)n : 0;
		if (len == 0 || used >= SANS_MAX)
			return err_set(err, E_INVALID, "--addresses: DNS names and IP addresses, "
			               "separated by commas, %d bytes at most", SANS_MAX - 1);
		at += len + (at[len] == ',');
	}
	return 0;
}

static int certs(struct cli *cli, struct err *err)
{
	const char *folder = cli_word(cli, 0), *name = cli_option(cli, "name");
	const char *addresses = cli_option(cli, "addresses");
	char sans[SANS_MAX] = "";
	name = name ? name : "control";
	if (!addresses)
		return err_set(err, E_INVALID, "--addresses is missing: the DNS names (and IP "
		               "addresses) under which others reach it");
	TRY(print_sans(addresses, sans, err));
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", folder);
	TRY(cert_make_ca(folder, "freehold-ca", CA_DAYS, err));
	TRY(cert_make(folder, name, sans, DAYS, err));
	return printf("%s/ca.pem, %s/%s.pem and %s/%s.key are there; keep %s/ca.key away from the "
	              "processes\n", folder, folder, name, folder, name, folder) < 0
	               ? err_set(err, E_IO, "standard output cannot be written")
	               : 0;
}

static const struct option_row options[] = {
	{"addresses", "LIST", "DNS names and IP addresses of it, with commas between"},
	{"name", "NAME", "of the files and the certificate; default control"},
	{NULL, NULL, NULL}};

const struct verb verb_certs = {
	.name = "certs",
	.words = "FOLDER",
	.words_min = 1,
	.words_max = 1,
	.summary = "Make or renew a certificate for control's doors, by an authority of its own",
	.options = options,
	.offline = true,
	.run = certs,
	.example = "freehold certs ./certs --addresses control.example.com,10.0.0.5",
};
