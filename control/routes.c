/* routes.c - the route table out of api/routes.def, and the matcher. A {segment} of a row's path
 * takes one non-empty segment, {path} all that are left; everything else matches byte by byte. */
#include "common/defs.h"
#include "control/admit.h"

#include <stdio.h>
#include <string.h>

#define ROUTE(method, path, handler, kind, action, unit, audit, summary) handler_fn h_##handler;
#include "api/routes.def"
#undef ROUTE

const struct route routes[] = {
#define ROUTE(method, path, handler, kind, action, unit, audit, summary) \
	{ #method, path, h_##handler, KIND_##kind, ACTION_##action, UNIT_##unit, AUDIT_##audit, \
	  summary },
#include "api/routes.def"
#undef ROUTE
};
const size_t route_count = ARRAY_LEN(routes);

struct segment {
	const char *text;
	size_t len;
};

/* Takes the next "/segment" off *path. */
static bool next_segment(const char **path, struct segment *ret_segment)
{
	if (**path != '/')
		return false;
	const char *start = *path + 1;
	size_t len = strcspn(start, "/");
	*ret_segment = (struct segment){ start, len };
	*path = start + len;
	return true;
}

static bool is_capture(struct segment segment)
{
	return segment.len > 2 && segment.text[0] == '{';
}

static bool takes_rest(struct segment segment)
{
	static const char rest[] = "{path}";
	return segment.len == strlen(rest) && memcmp(segment.text, rest, segment.len) == 0;
}

static bool path_matches(const char *row, const char *path)
{
	struct segment want, got;
	while (next_segment(&row, &want)) {
		if (takes_rest(want))
			return path[0] == '/' && path[1] != 0;
		if (!next_segment(&path, &got))
			return false;
		bool same = got.len == want.len && memcmp(got.text, want.text, got.len) == 0;
		if (is_capture(want) ? got.len == 0 : !same)
			return false;
	}
	return *path == 0;
}

static const char **capture_at(struct request *request, struct segment name)
{
	const struct { const char *name; const char **at; } places[] = {
		{ "{tenant}", &request->tenant }, { "{domain}", &request->domain },
		{ "{name}", &request->name },     { "{task}", &request->task },
		{ "{key}", &request->key },       { "{run}", &request->run },
	};
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (strlen(places[i].name) == name.len &&
		    !memcmp(places[i].name, name.text, name.len))
			return places[i].at;
	return NULL;
}

static int capture(struct request *request, const char *row, const char *path, struct err *err)
{
	struct segment want, got;
	while (next_segment(&row, &want) && next_segment(&path, &got)) {
		if (!is_capture(want) || takes_rest(want))
			continue;            /* the handler reads the rest off the request */
		const char **at = capture_at(request, want);
		REQUIRE(at);
		*at = arena_strndup(request->arena, got.text, got.len);
		if (!*at)
			return err_set(err, E_NOMEM, "no memory for the path's names");
	}
	return 0;
}

static bool method_matches(const char *row, const char *method)
{
	return strcmp(row, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(row, "GET") == 0);
}

/* "GET, PUT": what the path has; empty when there is no such path. */
static int allowed_methods(struct request *request, char *out, size_t size, struct err *err)
{
	size_t used = 0;
	for (size_t i = 0; i < route_count; i++)
		if (path_matches(routes[i].path, request->ask->path) && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
			                         routes[i].method);
	if (!used)
		return err_set(err, E_NOT_FOUND,
		               "there is nothing here; /openapi.json lists the paths");
	return 0;
}

int route_find(struct request *request, struct err *err)
{
	for (size_t i = 0; i < route_count; i++)
		if (method_matches(routes[i].method, request->ask->method) &&
		    path_matches(routes[i].path, request->ask->path)) {
			request->route = &routes[i];
			return capture(request, routes[i].path, request->ask->path, err);
		}
	char allow[64] = "";
	TRY(allowed_methods(request, allow, sizeof allow, err));
	request->reply->allow = arena_strdup(request->arena, allow);
	return err_set(err, E_METHOD, "this path has no %.16s; it has %s", request->ask->method,
	               allow);
}
