/* cert.c - a certificate authority in a folder, by OpenSSL.
 * Invariants: a key file is written before its certificate and both replace atomically, so a
 * certificate that is there has its key; keys are 0600 from the moment they exist. */
#include "common/defs.h"
#include "common/cert.h"

#include "common/cert_x509.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NAME_LEN_MAX = 64,        /* RFC 5280: upper bound of a common name */
	SANS_LEN_MAX = 1024, DAYS_MAX = 36500, DAY_S = 86400
};

/* A certificate and its key, as files: dir/NAME.pem, dir/NAME.key. */
struct pair {
	X509 *cert;
	EVP_PKEY *key;
};

static void pair_cleanup(struct pair *pair)
{
	X509_free(pair->cert);
	EVP_PKEY_free(pair->key);
}
#define AUTO_PAIR __attribute__((cleanup(pair_cleanup))) struct pair

/* Arguments. */

static int check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len <= NAME_LEN_MAX && name[0] != '.';
	for (size_t i = 0; ok && i < len; i++)
		ok = isalnum((unsigned char)name[i]) || strchr("._-", name[i]);
	return ok ? 0
		  : err_set(err, E_INVALID,
			    "a certificate's name is 1 to %d of [a-zA-Z0-9._-], not "
			    "beginning with a dot",
			    NAME_LEN_MAX);
}

static int check_days(int days, struct err *err)
{
	return days >= 1 && days <= DAYS_MAX
		       ? 0
		       : err_set(err, E_INVALID, "a certificate is valid for 1 to %d days, not %d",
				 DAYS_MAX, days);
}

/* OpenSSL's own syntax can do more (include files, other kinds): only these two pass. */
static int check_sans(const char *sans, struct err *err)
{
	bool ok = strlen(sans) <= SANS_LEN_MAX && sans[0];
	for (const char *at = sans; ok && *at;) {
		at += strspn(at, " ");
		ok = strncmp(at, "DNS:", 4) == 0 || strncmp(at, "IP:", 3) == 0;
		size_t len = strcspn(at, ",");
		for (size_t i = 0; ok && i < len; i++)
			ok = isalnum((unsigned char)at[i]) || strchr(".:*-_ ", at[i]);
		at += len;
		if (*at == ',')
			ok = ok && *++at;
	}
	return ok ? 0
		  : err_set(err, E_INVALID,
			    "alternative names are \"DNS:name\" and \"IP:address\", "
			    "joined by commas, at most %d bytes",
			    SANS_LEN_MAX);
}

/* Files. */

static int path_of(const char *dir, const char *name, const char *ending, char out[4096],
		   struct err *err)
{
	int n = snprintf(out, 4096, "%s/%s.%s", dir, name, ending);
	return n > 0 && n < 4096 ? 0
				 : err_set(err, E_INVALID, "the path of a certificate is too long");
}

static int file_open(const char *path, FILE **ret_file, struct err *err)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return err_errno(err, errno, "cannot read %s", path);
	*ret_file = file;
	return 0;
}

static int unreadable(const char *path, const char *what, struct err *err)
{
	ERR_clear_error();
	return err_set(err, E_CORRUPT,
		       "%s holds no readable %s: restore it, or remove it to have a new "
		       "one made",
		       path, what);
}

/* E_NOT_FOUND when either file is missing. */
static int pair_read(const char *dir, const char *name, struct pair *pair, struct err *err)
{
	char path[4096];
	FILE *file = NULL;
	TRY(path_of(dir, name, "pem", path, err));
	TRY(file_open(path, &file, err));
	pair->cert = PEM_read_X509(file, NULL, cert_no_password, NULL);
	fclose(file);
	if (!pair->cert)
		return unreadable(path, "certificate", err);
	TRY(path_of(dir, name, "key", path, err));
	TRY(file_open(path, &file, err));
	pair->key = PEM_read_PrivateKey(file, NULL, cert_no_password, NULL);
	fclose(file);
	if (!pair->key)
		return unreadable(path, "private key", err);
	return 0;
}

static int temp_write(const char *path, mode_t mode, const struct pair *pair, bool key,
		      struct err *err)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		int why = errno;
		if (fd >= 0)
			close(fd);
		return err_errno(err, why, "cannot write %s", path);
	}
	int done = key ? PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL)
		       : PEM_write_X509(file, pair->cert);
	bool ok = done == 1 && fflush(file) == 0 && fsync(fd) == 0;
	int why = errno;
	if (fclose(file) != 0 || !ok) {
		unlink(path);
		return err_errno(err, ok ? errno : why, "cannot write %s", path);
	}
	return 0;
}

static int file_replace(const char *path, mode_t mode, const struct pair *pair, bool key,
			struct err *err)
{
	char temp[4096 + 8];
	snprintf(temp, sizeof temp, "%s.new", path);
	TRY(temp_write(temp, mode, pair, key, err));
	if (rename(temp, path) < 0) {
		int why = errno;
		unlink(temp);
		return err_errno(err, why, "cannot write %s", path);
	}
	return 0;
}

static int pair_write(const char *dir, const char *name, const struct pair *pair, struct err *err)
{
	char path[4096];
	TRY(path_of(dir, name, "key", path, err));
	TRY(file_replace(path, 0600, pair, true, err));
	TRY(path_of(dir, name, "pem", path, err));
	TRY(file_replace(path, 0644, pair, false, err));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	int why = errno;
	if (fd >= 0)
		close(fd);
	return rc < 0 ? err_errno(err, why, "cannot make the certificates in %s durable", dir) : 0;
}

/* Certificates. */

/* Key and an unsigned certificate without extensions. issuer NULL: its own. */
static int pair_begin(const char *name, int days, const X509 *issuer, struct pair *pair,
		      struct err *err)
{
	pair->key = EVP_EC_gen("P-256");
	pair->cert = X509_new();
	if (!pair->key || !pair->cert ||
	    !cert_begin(pair->cert, name, issuer, pair->key, (int64_t)days * DAY_S))
		return cert_failed(err, "make a certificate");
	return 0;
}

static int sign_leaf(struct pair *leaf, const struct pair *ca, const char *sans, struct err *err)
{
	X509 *cert = leaf->cert;
	if (!cert_extend(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") ||
	    !cert_extend(cert, ca->cert, NID_key_usage, "critical,digitalSignature") ||
	    !cert_extend(cert, ca->cert, NID_ext_key_usage, "serverAuth,clientAuth") ||
	    !cert_extend(cert, ca->cert, NID_subject_key_identifier, "hash") ||
	    !cert_extend(cert, ca->cert, NID_authority_key_identifier, "keyid:always"))
		return cert_failed(err, "make a certificate");
	if (sans && !cert_extend(cert, ca->cert, NID_subject_alt_name, sans)) {
		ERR_clear_error();
		return err_set(err, E_INVALID, "an alternative name is no DNS name or IP address");
	}
	if (X509_sign(cert, ca->key, EVP_sha256()) == 0)
		return cert_failed(err, "sign a certificate");
	return 0;
}

/* Is what is there still good? */

static bool in_time(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

static double seconds_between(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days = 0, seconds = 0;
	return ASN1_TIME_diff(&days, &seconds, from, to) == 1 ? (double)days * DAY_S + seconds : 0;
}

/* NULL as a time is now. */
static bool third_left(const X509 *cert)
{
	const ASN1_TIME *end = X509_get0_notAfter(cert);
	return in_time(cert) &&
	       seconds_between(NULL, end) * 3 >= seconds_between(X509_get0_notBefore(cert), end);
}

static bool sans_equal(X509 *cert, X509 *issuer, const char *sans)
{
	int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
	if (!sans || at < 0)
		return !sans && at < 0;
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *asked = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, sans);
	bool equal = asked &&
		     ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(asked),
					   X509_EXTENSION_get_data(X509_get_ext(cert, at))) == 0;
	X509_EXTENSION_free(asked);
	return equal;
}

static bool leaf_good(struct pair *leaf, struct pair *ca, const char *sans)
{
	bool good = third_left(leaf->cert) && X509_check_private_key(leaf->cert, leaf->key) == 1 &&
		    X509_verify(leaf->cert, X509_get0_pubkey(ca->cert)) == 1 &&
		    sans_equal(leaf->cert, ca->cert, sans);
	ERR_clear_error();
	return good;
}

/* What is there is left alone or named as broken; E_NOT_FOUND: make one. */
static int ca_present(const char *dir, struct pair *ca, struct err *err)
{
	TRY(pair_read(dir, "ca", ca, err));
	if (X509_check_private_key(ca->cert, ca->key) != 1) {
		ERR_clear_error();
		return err_set(err, E_CORRUPT,
			       "ca.key in %s is not the key of ca.pem: restore it, or remove "
			       "both to have new ones made",
			       dir);
	}
	return 0;
}

int cert_make_ca(const char *dir, const char *name, int days, struct err *err)
{
	TRY(check_name(name, err));
	TRY(check_days(days, err));
	AUTO_PAIR there = { 0 };
	int rc = ca_present(dir, &there, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (rc < 0 && there.cert)
		return err_set(err, E_CONFLICT,
			       "%s has ca.pem but not ca.key: restore the key, or remove "
			       "ca.pem to have both made anew",
			       dir);
	if (rc == 0 && in_time(there.cert))
		return 0;
	AUTO_PAIR ca = { 0 };
	TRY(pair_begin(name, days, NULL, &ca, err));
	if (!cert_sign_authority(ca.cert, ca.key))
		return cert_failed(err, "sign the authority's certificate");
	return pair_write(dir, "ca", &ca, err);
}

int cert_make(const char *dir, const char *name, const char *sans, int days, struct err *err)
{
	TRY(check_name(name, err));
	TRY(check_days(days, err));
	if (strcmp(name, "ca") == 0)
		return err_set(err, E_INVALID, "the name ca belongs to the authority itself");
	if (sans)
		TRY(check_sans(sans, err));
	AUTO_PAIR ca = { 0 }, there = { 0 }, leaf = { 0 };
	TRY(ca_present(dir, &ca, err));
	if (!in_time(ca.cert))
		return err_set(err, E_EXPIRED,
			       "the authority's certificate in %s has expired: make a new one",
			       dir);
	int rc = pair_read(dir, name, &there, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (rc == 0 && leaf_good(&there, &ca, sans))
		return 0;
	TRY(pair_begin(name, days, ca.cert, &leaf, err));
	TRY(sign_leaf(&leaf, &ca, sans, err));
	return pair_write(dir, name, &leaf, err);
}
