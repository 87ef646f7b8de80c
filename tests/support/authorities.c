/* authorities.c - lets Criterion's test processes start without the machine's authorities.
 * Criterion starts libgit2 in each of them, and libgit2 parses the whole bundle, for which no test
 * asks: a quarter of such a process's time under AddressSanitizer. Nothing of ours asks mbedTLS. */
#include "common/defs.h"

int mbedtls_x509_crt_parse_file(void *chain, const char *path);

int mbedtls_x509_crt_parse_file(void *chain, const char *path)
{
	(void)chain;
	(void)path;
	return 0;
}
