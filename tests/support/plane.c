/* plane.c - see plane.h. */
#include "common/defs.h"
#include "tests/support/plane.h"

#include "api/http.h"
#include "common/json.h"
#include "common/store_mem.h"
#include "control/door.h"
#include "control/events.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Small, so that every test that writes some also lives through checkpoints. */
enum { LEAD_MS = 60000, STAND_MS = 300, CHECKPOINT_BYTES = 16 * 1024 };

/* The door is there before the control, which tells the others where it is. */
static void serve(void *context, struct http_request *http)
{
	struct plane *plane = context;
	door_serve(plane->control, http);
}

static void open_door(struct plane *plane)
{
	struct err err = { 0 };
	const struct http_conf conf = { .listen = "127.0.0.1:0", .threads = 8, .serve = serve,
	                                .context = plane };
	cr_assert_eq(http_server_new(&conf, &plane->door, &err), 0, "%s", err.text);
	snprintf(plane->url, sizeof plane->url, "http://127.0.0.1:%d",
	         http_server_port(plane->door));
}

static void begin(struct plane *plane)
{
	struct err err = { 0 };
	const struct start_conf conf = {
		.clock = plane->clock ? plane->clock : clock_system(), .store = plane->store,
		.keyring = plane->keyring, .shards = plane->shards,
		.replica = plane->replica ? plane->replica : "control-1", .held_max = 4,
		.issuer_loopback = true,
		.checkpoint_bytes = CHECKPOINT_BYTES, .nameless = true,
		.lead = { .ttl_s = 2, .bootstrap_key_file = plane->bootstrap_key,
		          .url = plane->url[0] ? plane->url : NULL },
	};
	cr_assert_eq(control_new(&conf, &plane->control, &err), 0, "%s", err.text);
	plane->part = &plane->control->parts[0];
}

static bool leads(const struct plane *plane)
{
	for (int i = 0; i < plane->control->part_count; i++)
		if (atomic_load(&plane->control->parts[i].led) == 0)
			return false;
	return true;
}

static void lead_up(struct plane *plane)
{
	begin(plane);
	for (int waited = 0; !leads(plane); waited++) {
		cr_assert_lt(waited, LEAD_MS, "the control plane does not lead");
		/* Time is for a try that failed: else it stands, and no thread wakes by it. */
		if (plane->clock && waited >= STAND_MS)
			clock_advance(plane->clock, 10);
		usleep(1000);
	}
}

static void read_operator_key(struct plane *plane)
{
	FILE *file = fopen(plane->bootstrap_key, "r");
	cr_assert_not_null(file, "no bootstrap key was written");
	cr_assert_not_null(fgets(plane->operator_key, sizeof plane->operator_key, file));
	plane->operator_key[strcspn(plane->operator_key, "\n")] = 0;
	fclose(file);
}

struct plane *plane_start(void)
{
	return plane_start_at(NULL);
}

static void make_store(struct plane *plane)
{
	struct err err = { 0 };
	struct clock *clock = plane->clock ? plane->clock : clock_system();
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	snprintf(plane->dir, sizeof plane->dir, "/tmp/plane-XXXXXX");
	cr_assert_not_null(mkdtemp(plane->dir));
	snprintf(plane->root_key, sizeof plane->root_key, "%s/root.key", plane->dir);
	snprintf(plane->bootstrap_key, sizeof plane->bootstrap_key, "%s/operator.key", plane->dir);
	cr_assert_eq(keyring_new(plane->root_key, true, &plane->keyring, &err), 0, "%s", err.text);
	cr_assert_eq(store_mem_new(clock, &plane->store, &err), 0, "%s", err.text);
}

static struct plane *plane_new(void)
{
	struct plane *plane = calloc(1, sizeof *plane);
	cr_assert_not_null(plane);
	cr_assert_eq(arena_new(512 * MIB, &plane->arena, NULL), 0);
	return plane;
}

struct plane *plane_start_at(struct clock *clock)
{
	struct plane *plane = plane_new();
	plane->clock = clock;
	make_store(plane);
	lead_up(plane);
	read_operator_key(plane);
	return plane;
}

struct plane *plane_start_with(const struct plane_options *options)
{
	struct plane *plane = plane_new(), *beside = options->beside;
	plane->replica = options->replica;
	plane->shards = options->shards;
	plane->beside = beside;
	open_door(plane);
	if (beside) {
		plane->store = beside->store;
		plane->keyring = beside->keyring;
		memcpy(plane->bootstrap_key, beside->bootstrap_key, sizeof plane->bootstrap_key);
		memcpy(plane->operator_key, beside->operator_key, sizeof plane->operator_key);
		begin(plane);
		return plane;
	}
	make_store(plane);
	lead_up(plane);
	read_operator_key(plane);
	return plane;
}

void plane_restart(struct plane *plane)
{
	control_free(plane->control);
	plane->control = NULL;
	plane->part = NULL;
	lead_up(plane);
}

void plane_stop(struct plane *plane)
{
	http_server_free(plane->door);
	control_free(plane->control);
	arena_free(plane->arena);
	if (!plane->beside) {
		store_free(plane->store);
		keyring_free(plane->keyring);
		unlink(plane->root_key);
		unlink(plane->bootstrap_key);
		rmdir(plane->dir);
	}
	free(plane);
}

/* --- the fake door --- */

struct door {
	const struct asked *asked;
	char path[1024];
	char query[1024];
	char authorization[16 * 1024];
	struct arena *arena;
};

static const char *door_query(const void *source, const char *name)
{
	const struct door *door = source;
	size_t len = strlen(name);
	for (const char *at = door->query; *at;) {
		size_t part = strcspn(at, "&");
		if (part > len && strncmp(at, name, len) == 0 && at[len] == '=')
			return arena_strndup(door->arena, at + len + 1, part - len - 1);
		at += part + (at[part] == '&');
	}
	return NULL;
}

static int door_queries(const void *source, ask_query_fn *visit, void *context, struct err *err)
{
	const struct door *door = source;
	(void)err;
	for (const char *at = door->query; *at;) {
		size_t part = strcspn(at, "&"), name = strcspn(at, "=&");
		visit(context, arena_strndup(door->arena, at, name),
		      at[name] == '=' ? arena_strndup(door->arena, at + name + 1, part - name - 1)
		                      : "");
		at += part + (at[part] == '&');
	}
	return 0;
}

static const char *door_header(const void *source, const char *name)
{
	const struct door *door = source;
	for (const struct header *header = door->asked->headers; header && header->name; header++)
		if (strcasecmp(header->name, name) == 0)
			return header->value;
	if (strcasecmp(name, "Authorization") == 0 && door->asked->key)
		return door->authorization;
	if (strcasecmp(name, "Content-Type") == 0 && door->asked->body)
		return strchr("{[", door->asked->body[0]) ? "application/json" : "application/yaml";
	return NULL;
}

static const char *keep(struct plane *plane, const char *text)
{
	return text ? arena_strdup(plane->arena, text) : NULL;
}

static void read_answer(struct plane *plane, const struct reply *reply, struct answer *answer)
{
	struct value *body = NULL;
	answer->status = reply->status;
	answer->content_type = keep(plane, reply->content_type);
	answer->etag = keep(plane, reply->etag);
	answer->location = keep(plane, reply->location);
	answer->allow = keep(plane, reply->allow);
	answer->revision = reply->revision;
	answer->retry_after_s = reply->retry_after_s;
	answer->request_id = keep(plane, reply->request_id);
	answer->text_len = reply->body.len;
	answer->text = arena_strndup(plane->arena, (char *)reply->body.data, reply->body.len);
	if (json_parse(plane->arena, answer->text, reply->body.len, &body, NULL) == 0)
		answer->body = body;
	answer->code = value_get_str(body, "code");
	answer->detail = value_get_str(body, "detail") ? value_get_str(body, "detail") : "";
}

struct answer plane_ask(struct plane *plane, const struct asked *asked)
{
	struct door door = { .asked = asked, .arena = plane->arena };
	struct err err = { 0 };
	size_t path = strcspn(asked->path, "?");
	snprintf(door.path, sizeof door.path, "%.*s", (int)path, asked->path);
	snprintf(door.query, sizeof door.query, "%s",
	         asked->path + path + (asked->path[path] == '?'));
	snprintf(door.authorization, sizeof door.authorization, "Bearer %s",
	         asked->key ? asked->key : "");
	const struct ask ask = {
		.method = asked->method, .path = door.path, .query = door_query,
		.queries = door_queries,
		.header = door_header, .source = &door, .address = asked->address,
		.body = (const uint8_t *)asked->body,
		.body_len = asked->body ? strlen(asked->body) : 0,
	};
	struct arena *arena = NULL;
	struct reply reply;
	struct answer answer = { 0 };
	alloc_spare();               /* apart from admit() all is the test's own */
	cr_assert_eq(arena_new(16 * MIB, &arena, &err), 0);
	alloc_unspare();
	admit(plane->control, arena, &ask, &reply);
	alloc_spare();
	read_answer(plane, &reply, &answer);
	if (asked->ret_feed)
		*asked->ret_feed = MOVE(reply.feed);
	feed_free(reply.feed);
	buf_release(&reply.body);
	arena_free(arena);
	alloc_unspare();
	return answer;
}

struct answer plane_call(struct plane *plane, const char *key, const char *method,
                         const char *path, const char *body)
{
	char *text = body ? arena_strdup(plane->arena, body) : NULL;
	for (char *at = text; at && *at; at++)
		if (*at == '\'')
			*at = '"';
	const struct asked asked = { .method = method, .path = path, .key = key, .body = text };
	return plane_ask(plane, &asked);
}

void plane_put(struct plane *plane, const char *key, const char *kind, const char *path,
               const char *spec)
{
	const char *body = arena_printf(plane->arena, "{'apiVersion':'freehold.io/v1','kind':'%s',"
	                                "'metadata':{'name':'%s'},'spec':%s}", kind,
	                                strrchr(path, '/') + 1, spec);
	struct answer answer = plane_call(plane, key, "PUT", path, body);
	cr_assert(answer.status == 200 || answer.status == 201, "PUT %s: %d %s", path,
	          answer.status, answer.text);
}

const char *plane_principal(struct plane *plane, const char *tenant, const char *name,
                            const char *roles, const char *domain)
{
	const char *path = arena_printf(plane->arena, "/v1/tenants/%s/principals/%s", tenant, name);
	const char *spec = arena_printf(plane->arena, "{'roles':[%s]%s%s%s}", roles,
	                                domain ? ",'domain':'" : "", domain ? domain : "",
	                                domain ? "'" : "");
	plane_put(plane, plane->operator_key, "Principal", path, spec);
	struct answer made = plane_call(plane, plane->operator_key, "POST",
	                                arena_printf(plane->arena, "%s/keys", path), NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	cr_assert_not_null(value_get_str(made.body, "key"));
	return value_get_str(made.body, "key");
}

const char *plane_tenant(struct plane *plane, const char *tenant, const char *domain)
{
	const char *path = arena_printf(plane->arena, "/v1/tenants/%s", tenant);
	plane_put(plane, plane->operator_key, "Tenant", path, "{}");
	plane_put(plane, plane->operator_key, "Domain",
	          arena_printf(plane->arena, "%s/domains/%s", path, domain), "{}");
	return plane_principal(plane, tenant, "admin", "'tenant-admin'", NULL);
}
