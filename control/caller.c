/* caller.c - see caller.h. */
#include "common/defs.h"
#include "control/caller.h"

#include "common/netaddr.h"
#include "common/text.h"
#include "tenant/keyring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROOF_TEXT = 2 * DIGEST_BYTES + 1, SAID_MAX = 256 };

/* Of the address, its time and the credential that it is said with. */
static void prove(struct control *control, const struct request *request, const char *address,
                  int64_t until_ms, char proof[PROOF_TEXT])
{
	uint8_t key[KEY_BYTES], hash[DIGEST_BYTES];
	const char *credential = request_header(request, "Authorization");
	const struct digest_piece pieces[] = {
		{ &until_ms, sizeof until_ms }, { address, strlen(address) + 1 },
		{ credential ? credential : "", credential ? strlen(credential) : 0 },
	};
	key_derive(keyring_credential_key(control->keyring), "freehold-caller-v1", key);
	digest_keyed_pieces(key, pieces, ARRAY_LEN(pieces), hash);
	hex_print(hash, sizeof hash, proof);
	secret_wipe(key, sizeof key);
}

/* NULL: there is none that proves itself. */
static const char *said_by_replica(struct control *control, const struct request *request)
{
	char address[NETADDR_TEXT], proof[PROOF_TEXT], expected[PROOF_TEXT];
	struct netaddr parsed;
	int64_t until_ms = 0;
	const char *said = request_header(request, CALLER_HEADER);
	if (!said || strlen(said) > SAID_MAX ||
	    sscanf(said, "%45s %" SCNd64 " %64s", address, &until_ms, proof) != 3)
		return NULL;
	prove(control, request, address, until_ms, expected);
	if (strlen(proof) != PROOF_TEXT - 1 || !bytes_equal(proof, expected, PROOF_TEXT - 1))
		return NULL;
	if (until_ms < request->now_ms || until_ms > request->now_ms + 2 * (int64_t)CALLER_MS ||
	    !netaddr_parse(address, &parsed))
		return NULL;
	return arena_strdup(request->arena, address);
}

const char *caller_address(struct control *control, const struct request *request)
{
	const char *said = control->keyring ? said_by_replica(control, request) : NULL;
	return said ? said : request->ask->address;
}

int caller_print(struct control *control, const struct request *request, const char **ret_text,
                 struct err *err)
{
	char proof[PROOF_TEXT];
	const char *address = request->asker.address ? request->asker.address
	                                             : request->ask->address;
	int64_t until_ms = request->now_ms + CALLER_MS;
	*ret_text = NULL;
	if (!address || !control->keyring)
		return 0;
	prove(control, request, address, until_ms, proof);
	*ret_text = arena_printf(request->arena, "%s %" PRId64 " %s", address, until_ms, proof);
	return *ret_text ? 0 : err_set(err, E_NOMEM, "no memory to pass a request on");
}
