/* A certificate request, and a certificate, from somebody who has nothing but a token. */
#include "common/defs.h"
#include "common/cert_pem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(secret) *key = NULL;
	AUTO_BUF ca, out;
	struct cert_facts facts;
	buf_init(&ca, CERT_PEM_MAX);
	buf_init(&out, CERT_PEM_MAX);
	(void)!cert_facts((const char *)data, len, &facts, NULL);
	if (crypto_start(NULL) < 0 || cert_authority("fuzz", 1, &key, &ca, NULL) < 0 ||
	    buf_putc(&ca, 0) < 0)
		return 0;
	const struct cert_order order = { .ca_pem = (char *)ca.data, .ca_key = key, .name = "w",
		                          .sans = "URI:freehold:worker/w", .lifetime_s = 60 };
	(void)!cert_issue(&order, (const char *)data, len, &out, NULL);
	return 0;
}
