/* request.c - what handlers share: options, the change under construction, and replies. */
#include "common/defs.h"
#include "control/admit.h"

#include "common/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 256 };

const char *request_query(const struct request *request, const char *name)
{
	return request->ask->query ? request->ask->query(request->ask->source, name) : NULL;
}

const char *request_header(const struct request *request, const char *name)
{
	return request->ask->header ? request->ask->header(request->ask->source, name) : NULL;
}

int request_number(const struct request *request, const char *name, int64_t least, int64_t most,
                   int64_t fallback, int64_t *ret_number, struct err *err)
{
	const char *text = request_query(request, name);
	if (!text) {
		*ret_number = fallback;
		return 0;
	}
	size_t digits = strspn(text, "0123456789");
	int64_t number = digits && digits <= 18 && !text[digits] ? strtoll(text, NULL, 10) : -1;
	if (number < least || number > most)
		return err_set(err, E_INVALID, "%s is a whole number from %" PRId64 " to %" PRId64,
		               name, least, most);
	*ret_number = number;
	return 0;
}

int request_change(struct request *request, struct change **ret_change, struct err *err)
{
	if (!request->change)
		TRY(change_new(&request->change, err));
	*ret_change = request->change;
	return 0;
}

int request_reply(struct request *request, int status, const struct value *body, struct err *err)
{
	TRY(value_check(body, err));
	request->reply->status = status;
	request->reply->content_type = "application/json";
	json_print(body, &request->reply->body);
	return buf_check(&request->reply->body, err);
}

int request_reply_result(struct request *request, const char *result, struct err *err)
{
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", result);
	return request_reply(request, 200, body, err);
}

int request_reply_list(struct request *request, struct value *items, const char *resume,
                       struct err *err)
{
	struct value *body = value_map(request->arena);
	value_set(body, "items", items);
	value_set_str(body, "continue", resume);
	return request_reply(request, 200, body, err);
}

int request_after(struct request *request, const char *prefix, const char **ret_after,
                  struct err *err)
{
	const char *token = request_query(request, "continue");
	AUTO_BUF name;
	buf_init(&name, NAME_MAX_LEN);
	*ret_after = NULL;
	if (!token)
		return 0;
	if (strlen(token) > TOKEN_MAX || base64url_parse(token, strlen(token), &name, NULL) < 0 ||
	    buf_check(&name, NULL) < 0 || strlen((char *)name.data) != name.len ||
	    name_check("continue", (char *)name.data, NULL) < 0)
		return err_set(err, E_INVALID, "continue is not a token of this list; begin again "
		               "without it");
	*ret_after = arena_printf(request->arena, "%s%s", prefix, (char *)name.data);
	return *ret_after ? 0 : err_set(err, E_NOMEM, "no memory for a list");
}

int request_resume(struct request *request, const char *prefix, const char *last,
                   const char **ret_token, struct err *err)
{
	AUTO_BUF token;
	buf_init(&token, TOKEN_MAX);
	const char *name = last + strlen(prefix);
	base64url_print(name, strlen(name), &token);
	TRY(buf_check(&token, err));
	*ret_token = arena_strdup(request->arena, (char *)token.data);
	return *ret_token ? 0 : err_set(err, E_NOMEM, "no memory for a list");
}

int request_needs_lead(const struct request *request, struct err *err)
{
	return request->followed ? 0 : part_needs_lead(request->part, err);
}
