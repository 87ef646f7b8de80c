/* A login by a browser elsewhere: what is asked of the provider, and what it may answer. */
#include "common/defs.h"
#include "api/cli/device.h"

#include "tests/support/idp.h"

#include <criterion/criterion.h>
#include <string.h>

struct desk { struct idp *idp; struct cli cli; };

static struct desk start(void)
{
	struct desk desk = { .idp = idp_start() };
	cr_assert_eq(arena_new(4 * MIB, &desk.cli.arena, NULL), 0);
	return desk;
}

static void stop(struct desk *desk)
{
	arena_free(desk->cli.arena);
	idp_stop(desk->idp);
}

static int login(struct desk *desk, const char *client, char text[CREDENTIAL_TEXT_MAX],
                 struct err *err)
{
	const struct device_ask ask = { idp_url(desk->idp), client, NULL };
	return device_login(&desk->cli, &ask, text, err);
}

Test(device, waits_until_the_login_is_confirmed_and_takes_the_id_token)
{
	struct desk desk = start();
	char text[CREDENTIAL_TEXT_MAX];
	struct err err = { 0 };
	idp_confirm(desk.idp, 1, "a.b.c");
	cr_assert_eq(login(&desk, "cli", text, &err), 0, "%s", err.text);
	cr_expect_str_eq(text, "a.b.c");
	stop(&desk);
}

Test(device, a_refusal_and_an_unknown_client_end_it)
{
	struct desk desk = start();
	char text[CREDENTIAL_TEXT_MAX];
	struct err err = { 0 };
	idp_confirm(desk.idp, 0, NULL);
	cr_expect_eq(login(&desk, "cli", text, &err), E_DENIED, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "access_denied"));
	stop(&desk);
}

Test(device, an_issuer_that_calls_itself_otherwise_or_is_not_safe_is_refused)
{
	struct desk desk = start();
	char text[CREDENTIAL_TEXT_MAX];
	struct err err = { 0 };
	const char *other = arena_printf(desk.cli.arena, "%s/other", idp_url(desk.idp));
	const struct device_ask asks[] = {
		{ other, "cli", NULL }, { "http://id.example.com", "cli", NULL },
		{ "http://127.0.0.1.example.com", "cli", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		cr_expect_eq(device_login(&desk.cli, &asks[i], text, &err), E_INVALID, "%s",
		             err.text);
	idp_break(desk.idp, 500);
	cr_expect_eq(login(&desk, "cli", text, &err), E_UNAVAILABLE, "%s", err.text);
	stop(&desk);
}
