/* h_token.c - short-lived tokens: made from the credential that asks, and the keys they are checked
 * with. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/field.h"
#include "control/tokens.h"

#include <string.h>

handler_fn h_token_create, h_token_keys, h_token_keys_rotate;

static const struct field token_fields[] = {
	{ FIELD_ENUMS, false, "audience", "control|serving", NULL, "the doors it is for" },
	{ FIELD_TEXTS, false, "scope", "64", NULL, "what it may at most" },
	{ FIELD_NAME, false, "domain", NULL, NULL, "the domain that it is confined to" },
	{ FIELD_DURATION, false, "lifetime", NULL, NULL, "how long it is valid" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL },
};
static const struct field rotate_fields[] = {
	{ FIELD_BOOL, false, "drop", NULL, NULL, "end all tokens at once" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL },
};

static int created(struct control *control, struct request *request, struct err *err)
{
	const struct token_made *made = request->state;
	char time[TIME_TEXT_MAX];
	struct value *body = value_map(request->arena);
	(void)control;
	value_set_str(body, "token", made->text);
	value_set_str(body, "expiresAt", time_print_s(made->expires_ms, time));
	value_set_str(body, "tenant", request->asker.tenant);
	value_set_str(body, "principal", request->asker.principal);
	value_set_str(body, "audience", made->audience);
	value_set_str(body, "domain", value_get_str(made->claims, "domain"));
	if (value_get(made->claims, "scope"))
		value_set(body, "scope", value_copy(request->arena,
		                                    value_get(made->claims, "scope")));
	return request_reply(request, 201, body, err);
}

static int read_ask(const struct request *request, struct token_ask *ask, struct err *err)
{
	TRY(fields_check(token_fields, request->body, "", err));
	const char *lifetime = value_get_str(request->body, "lifetime");
	*ask = (struct token_ask){
		.asker = &request->asker, .now_ms = request->now_ms,
		.audience = value_get(request->body, "audience"),
		.scope = value_get(request->body, "scope"),
		.domain = value_get_str(request->body, "domain"),
	};
	if (ask->domain && strcmp(request->asker.tenant, "platform") == 0)
		return err_set(err, E_INVALID, "domain: the tenant platform has none");
	return lifetime ? duration_parse(lifetime, &ask->lifetime_ms, err) : 0;
}

int h_token_create(struct control *control, struct request *request, struct err *err)
{
	struct token_ask ask;
	struct change *change = NULL;
	struct token_made *made = arena_alloc(request->arena, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for a token");
	TRY(request_needs_lead(request, err));
	TRY(read_ask(request, &ask, err));
	TRY(tokens_make(control->tokens, request->arena, &ask, made, err));
	request->state = made;
	request->finish = created;
	return request_change(request, &change, err);    /* holds the event */
}

int h_token_keys(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena), *keys = NULL;
	TRY(tokens_keys(control->tokens, request->arena, request->now_ms, &keys, err));
	value_set(body, "keys", keys);
	return request_reply(request, 200, body, err);
}

static int rotated(struct control *control, struct request *request, struct err *err)
{
	return h_token_keys(control, request, err);
}

int h_token_keys_rotate(struct control *control, struct request *request, struct err *err)
{
	struct change *change = NULL;
	TRY(request_needs_lead(request, err));
	TRY(fields_check(rotate_fields, request->body, "", err));
	request->finish = rotated;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return tokens_rotate(control->tokens, request->arena,
	                     value_get_bool(request->body, "drop", false), request->now_ms, change,
	                     err);
}
