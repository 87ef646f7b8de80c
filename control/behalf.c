/* behalf.c - see behalf.h. */
#include "common/defs.h"
#include "control/behalf.h"

#include "control/identity.h"
#include "control/may.h"

#include <string.h>

static const char *const strengths[] = { [AUTH_NONE] = "none", [AUTH_KEY] = "key",
	                                 [AUTH_TOKEN] = "token", [AUTH_OIDC] = "oidc" };

/* --- kept --- */

static int read_purpose(const struct request *request, const char **ret_purpose, struct err *err)
{
	const char *purpose = request_header(request, PURPOSE_HEADER);
	if (purpose && (!*purpose || strlen(purpose) > PURPOSE_TEXT_MAX))
		return err_set(err, E_INVALID, "the header %s has %zu characters; it may have 1 to "
		               "%d", PURPOSE_HEADER, strlen(purpose), PURPOSE_TEXT_MAX);
	*ret_purpose = purpose;
	return 0;
}

int behalf_of(const struct request *request, bool with_principal, struct behalf *ret_behalf,
              struct err *err)
{
	const struct asker *asker = &request->asker;
	const struct value *groups = value_get(asker->proof, "groups");
	struct value *reader = value_map(request->arena);
	struct behalf behalf = { .reader = NULL };
	TRY(read_purpose(request, &behalf.purpose, err));
	if (with_principal)
		value_set_str(reader, "principal",
		              arena_printf(request->arena, "%s/%s", asker->tenant,
		                           asker->principal));
	if (asker->auth != AUTH_KEY)
		value_set_str(reader, "strength", strengths[asker->auth]);
	if (value_len(groups))
		value_set(reader, "groups", value_copy(request->arena, groups));
	TRY(value_check(reader, err));
	if (value_len(reader))
		behalf.reader = reader;
	*ret_behalf = behalf;
	return 0;
}

struct behalf behalf_read(const struct value *kept)
{
	return (struct behalf){ value_get(kept, "reader"), value_get_str(kept, "purpose") };
}

void behalf_set(struct arena *arena, struct value *record, const struct behalf *behalf)
{
	if (behalf->reader)
		value_set(record, "reader", value_copy(arena, behalf->reader));
	value_set_str(record, "purpose", behalf->purpose);
}

/* --- looked up again --- */

static enum auth auth_of(const struct value *reader)
{
	const char *strength = value_get_str(reader, "strength");
	for (size_t i = 0; strength && i < ARRAY_LEN(strengths); i++)
		if (strcmp(strengths[i], strength) == 0)
			return (enum auth)i;
	return strength ? AUTH_NONE : AUTH_KEY;
}

int behalf_asker(struct control *control, struct arena *arena, const struct work *work,
                 struct asker *ret_asker, struct err *err)
{
	const struct value *reader = work->reader;
	const char *named = value_get_str(reader, "principal");
	const char *principal = named ? named : work->principal, *name = strchr(principal, '/');
	struct asker asker = { .auth = auth_of(reader) };
	if (!name || strncmp(principal, "system/", 7) == 0)
		return err_set(err, E_DENIED, "nobody is known for whom %s reads; apply the "
		               "schedule again, and it reads for you", principal);
	const struct identity_name who = {
		.tenant = arena_strndup(arena, principal, (size_t)(name - principal)),
		.principal = name + 1, .groups = value_get(reader, "groups"),
	};
	if (!who.tenant)
		return err_set(err, E_NOMEM, "no memory to look up %s", principal);
	int rc = identity_named(control, arena, &who, &asker, err);
	if (rc == E_UNAUTHENTICATED || rc == E_NOT_FOUND)
		return err_set(err, E_DENIED, "%s, for whom the task reads, is gone or disabled; "
		               "run it as somebody else", principal);
	TRY(rc);
	*ret_asker = asker;
	return 0;
}
