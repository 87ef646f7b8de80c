/* v_ca.c - freehold ca: the certificate of the platform's own authority, which workers that join
 * have theirs from. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>

static int ca(struct cli *cli, struct err *err)
{
	struct value *answer = NULL;
	struct call call = {.method = "GET", .path = "/v1/ca"};
	if (strcmp(cli_word(cli, 0), "show") != 0)
		return err_set(err, E_INVALID, "usage: freehold ca show");
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	const char *pem = value_get_str(answer, "certificate");
	return printf("%s", pem ? pem : "") < 0
	               ? err_set(err, E_IO, "standard output cannot be written")
	               : 0;
}

const struct verb verb_ca = {
	.name = "ca",
	.words = "show",
	.words_min = 1,
	.words_max = 1,
	.summary = "The certificate of the platform's own authority, in PEM",
	.run = ca,
	.example = "freehold ca show >platform-ca.pem",
};
