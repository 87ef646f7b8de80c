/* The key hunt: what a core of each process would hold, were the filter of cores undone, has no
 * bytes of any key, while a task runs on sealed data, a client reads online, and API keys and a
 * token have been used. The test knows the root key, so it knows most; the others (of the link, of
 * one life of a process) it takes from locked memory: what lies there is to lie nowhere else. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "common/clock.h"
#include "common/seal_header.h"
#include "common/store_etcd.h"
#include "control/journal.h"
#include "tenant/keyring.h"
#include "tests/support/core.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TASK_MS = 60000, EXECUTORS_MAX = 16, TRIES = 5, TOKEN_VERSION = 1 };

struct hunt {
	struct system *system;
	struct arena *arena;
	struct store *store;
	struct keyring *keyring;
	uint8_t wrap[KEY_BYTES], dataset[KEY_BYTES];
	struct needles needles;      /* keys that this test works out */
	struct needles known;        /* public halves, which lie beside secret ones */
	struct needles all;          /* and what lies in locked memory, at one moment */
	pid_t pids[2 + EXECUTORS_MAX];
	size_t count;
};

/* --- every key there is --- */

struct opening { struct hunt *hunt; struct value *value; };

static int open_value(void *context, const struct store_item *item, struct err *err)
{
	struct opening *opening = context;
	cr_assert_neq(item->mod_revision, 0, "%s is not there", item->key);
	return journal_open_value(keyring_state_key(opening->hunt->keyring), item->key,
	                          item->value, item->value_len, opening->hunt->arena,
	                          &opening->value, err);
}

static const struct value *stored(struct hunt *hunt, const char *key)
{
	struct err err = { 0 };
	struct opening opening = { hunt, NULL };
	cr_assert_eq(store_get(hunt->store, key, open_value, &opening, &err), 0, "%s: %s", key,
	             err.text);
	return opening.value;
}

static const uint8_t *box_of(const struct value *map)
{
	size_t len = 0;
	const void *box = value_get_bin(map, "box", &len);
	cr_assert_eq(len, WRAPPED_KEY_BYTES);
	return box;
}

static void add_root(struct hunt *hunt)
{
	struct err err = { 0 };
	uint8_t root[KEY_BYTES];
	const char *path = system_path(hunt->system, "keys/root.key");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, root, KEY_BYTES), KEY_BYTES);
	close(fd);
	cr_assert_eq(keyring_new(path, false, &hunt->keyring, &err), 0, "%s", err.text);
	key_derive(root, "freehold wrap tenant keys v1", hunt->wrap);
	needle_key(&hunt->needles, "root key", root, KEY_BYTES);
	needle_key(&hunt->needles, "wrapping key", hunt->wrap, KEY_BYTES);
	needle_key(&hunt->needles, "state key", keyring_state_key(hunt->keyring), KEY_BYTES);
	needle_key(&hunt->needles, "credential key", keyring_credential_key(hunt->keyring),
	           KEY_BYTES);
}

/* Of a pair the seed is secret, and what X25519 makes of it. */
static void add_pair(struct hunt *hunt, const char *name, const uint8_t *public_key,
                     const uint8_t *secret_key)
{
	uint8_t box[BOX_SECRET_BYTES];
	sign_to_box_secret(secret_key, box);
	needle_key(&hunt->needles, name, secret_key, KEY_BYTES);
	needle_key(&hunt->needles, arena_printf(hunt->arena, "%s, of the link", name), box,
	           sizeof box);
	needle_key(&hunt->known, name, public_key, SIGN_PUBLIC_BYTES);
}

static void add_pairs(struct hunt *hunt)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	keyring_signing_pair(hunt->keyring, public_key, secret_key);
	add_pair(hunt, "key that signs grants", public_key, secret_key);
	keyring_token_pair(hunt->keyring, TOKEN_VERSION, public_key, secret_key);
	add_pair(hunt, "key that signs tokens", public_key, secret_key);
}

static void add_tenant(struct hunt *hunt, const char *tenant)
{
	char place[128];
	uint8_t key[KEY_BYTES];
	struct err err = { 0 };
	const struct value *value = stored(hunt, arena_printf(hunt->arena, "r/key/%s", tenant));
	int len = snprintf(place, sizeof place, "freehold-tenant-key-v1/%s/%" PRId64, tenant,
	                   value_get_int(value, "version", 0));
	cr_assert_eq(lockbox_open(hunt->wrap, place, (size_t)len, box_of(value), WRAPPED_KEY_BYTES,
	                          key, &err), 0, "%s", err.text);
	needle_key(&hunt->needles, arena_printf(hunt->arena, "key of tenant %s", tenant), key,
	           KEY_BYTES);
}

static const char *add_resource(struct hunt *hunt, const char *kind, const char *name)
{
	struct err err = { 0 };
	const struct value *tenant = stored(hunt, "r/key/acme");
	const struct value *value = stored(hunt, arena_printf(hunt->arena, "r/%s/acme/sales/%s",
	                                                      kind, name));
	const struct value *key = value_get(value, "key");
	const char *uid = value_get_str(value_get(value, "metadata"), "uid");
	cr_assert_eq(keyring_open_dataset(hunt->keyring, "acme",
	                                  (uint32_t)value_get_int(key, "tenantVersion", 0),
	                                  box_of(tenant), uid,
	                                  (uint32_t)value_get_int(key, "version", 0), box_of(key),
	                                  hunt->dataset, &err), 0, "%s", err.text);
	needle_key(&hunt->needles, arena_printf(hunt->arena, "key of %s %s", kind, name),
	           hunt->dataset, KEY_BYTES);
	return uid;
}

/* The data key of an object, and the key that its chunks are sealed with. */
static void add_object(struct hunt *hunt, const char *path, const char *uid)
{
	uint8_t head[SEAL_HEADER_MAX + CHUNKED_HEAD], commitment[CHUNKED_COMMITMENT];
	struct err err = { 0 };
	struct seal_header header;
	AUTO(secret) *key = NULL;
	AUTO_CHUNKED chunked = { .aead = NULL };
	AUTO_BUF context;
	int fd = open(system_path(hunt->system, "objects/%s", path), O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, head, sizeof head);
	close(fd);
	cr_assert_gt(len, CHUNKED_HEAD);
	cr_assert_eq(seal_header_read(hunt->arena, head, (size_t)len, &header, &err), 0, "%s",
	             err.text);
	cr_assert_eq(seal_header_unwrap(&header, hunt->dataset, &key, &err), 0, "%s", err.text);
	buf_init(&context, SEAL_CONTEXT_MAX);
	const struct seal_label label = { "acme", uid, path, header.version };
	cr_assert_eq(seal_context(&label, &context, &err), 0);
	cr_assert_eq(chunked_derive(header.kind, secret_bytes(key), head + header.len,
	                            context.data, context.len, &chunked, commitment, &err), 0);
	needle_key(&hunt->needles, "data key of an input object", secret_bytes(key), KEY_BYTES);
	needle_key(&hunt->needles, "chunk key of an input object", aead_key(chunked.aead),
	           KEY_BYTES);
}

/* A file of the dataset, by the folder it lies in. */
static const char *some_object(struct hunt *hunt)
{
	const char *folder = system_path(hunt->system, "objects");
	const char *command = arena_printf(hunt->arena, "cd %s && find acme -type f -size +2k "
	                                   "| sort | head -1", folder);
	char line[512] = "";
	FILE *out = popen(command, "r");
	cr_assert(out && fgets(line, sizeof line, out));
	pclose(out);
	line[strcspn(line, "\n")] = 0;
	return arena_strdup(hunt->arena, line);
}

static void add_all(struct hunt *hunt, const char *object)
{
	static const char *const files[] = { "keys/control.key", "keys/worker-1.key" };
	add_root(hunt);
	add_pairs(hunt);
	add_tenant(hunt, "acme");
	add_tenant(hunt, "globex");
	add_resource(hunt, "featureview", "spending");
	const char *uid = add_resource(hunt, "dataset", "orders");
	add_object(hunt, object, uid);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const char *text = file_text(hunt->arena, system_path(hunt->system, "%s",
		                                                      files[i]));
		const char *line = strchr(text, '\n') + 1;
		needle_text(&hunt->needles, arena_printf(hunt->arena, "text of %s", files[i]),
		            arena_strndup(hunt->arena, line + 20, 40));
	}
}

/* --- the processes at work --- */

static void work(struct system *system)
{
	data_csv(system, "orders.csv", 20000);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_apply(system, "ada",
	            "apiVersion: freehold.io/v1\nkind: Dataset\n"
	            "metadata: {name: pairs, domain: sales}\n---\n"
	            "apiVersion: freehold.io/v1\nkind: Transformation\n"
	            "metadata: {name: pairs, domain: sales}\nspec:\n  inputs: [orders]\n"
	            "  output: pairs\n  sql: SELECT count(*) AS n FROM orders a, orders b, orders c"
	            " WHERE a.amount + b.amount < c.amount\n");
	story_run(system, "ingest", "{\"source\":\"orders\"}");

}

static void read_online(struct system *system)
{
	struct answer answer = story_features(system, "eve",
	                                      "{\"features\":[\"spending:note\"],\"entities\":{"
	                                      "\"customer\":[\"customer-of-marker-1\"]}}");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
}

/* Control signs with it now, and works it out anew each time. */
static void use_token(struct system *system)
{
	struct value *made = system_ask(system, story_key(system, "eve"), "POST", "/v1/token",
	                                "{}");
	const char *token = value_get_str(made, "token");
	cr_assert_not_null(token);
	system_ask(system, token, "GET", "/v1/whoami", NULL);
}

static const char *name_of(size_t place)
{
	static const char *const parts[] = { "control", "worker" };
	return place < ARRAY_LEN(parts) ? parts[place] : "executor";
}

static void stop_all(struct hunt *hunt)
{
	pid_t agent = system_pid(hunt->system, PART_WORKER);
	system_pause(hunt->system, PART_CONTROL);
	system_pause(hunt->system, PART_WORKER);
	size_t executors = process_children(agent, hunt->pids + 2, EXECUTORS_MAX);
	cr_assert_geq(executors, 1);
	hunt->pids[0] = system_pid(hunt->system, PART_CONTROL);
	hunt->pids[1] = agent;
	hunt->count = 2 + executors;
}

/* Each process's own keys, of which only it knows some, are looked for in all of them. */
static void take_locked(struct hunt *hunt)
{
	hunt->all = hunt->needles;
	for (size_t i = 0; i < hunt->count; i++)
		(void)core_locked(hunt->pids[i], name_of(i), &hunt->known, &hunt->all);
}

static void hunt_in(const struct hunt *hunt, pid_t pid, const char *what, struct core_found *found)
{
	size_t left_out = found->left_out;
	if (!core_hunt(pid, what, &hunt->all, found)) {
		fprintf(stderr, "SKIP: this user may not read the memory of %s\n", what);
		return;
	}
	if (strcmp(what, "executor") != 0)   /* one that waits for work has no key yet */
		cr_assert_gt(found->left_out, left_out, "%s leaves nothing out", what);
}

static void hunt_once(struct hunt *hunt, struct core_found *found)
{
	stop_all(hunt);
	take_locked(hunt);
	for (size_t i = 0; i < hunt->count; i++)
		hunt_in(hunt, hunt->pids[i], name_of(i), found);
	system_resume(hunt->system, PART_CONTROL);
	system_resume(hunt->system, PART_WORKER);
}

/* A key that a cipher works with in that very microsecond is on its stack: what stays is looked
 * for. */
static void hunt_everywhere(struct hunt *hunt, struct core_found *found)
{
	for (int i = 0; i < TRIES; i++) {
		*found = (struct core_found){ .hits = 0 };
		hunt_once(hunt, found);
		if (found->hits == 0)
			return;
		wait_ms(200);
	}
}

/* The search finds what is there: this very process knows the keys. */
static void check_the_search(const struct hunt *hunt)
{
	struct core_found found = { .hits = 0 };
	pid_t own = getpid();
	if (core_hunt(own, "test", &hunt->needles, &found))
		cr_assert_geq(found.hits, hunt->needles.count, "%zu of %zu", found.hits,
		              hunt->needles.count);
}

Test(cores, of_no_process_hold_key_bytes_while_it_works)
{
	struct err err = { 0 };
	struct core_found found = { .hits = 0 };
	struct hunt *hunt = calloc(1, sizeof *hunt);
	cr_assert_not_null(hunt);
	hunt->system = story_start(NULL);
	hunt->arena = system_arena(hunt->system);
	work(hunt->system);
	const char *object = some_object(hunt);
	story_run(hunt->system, "transform", "{\"transformation\":\"spending\"}");
	story_run(hunt->system, "materialize", "{\"featureView\":\"spending\"}");
	read_online(hunt->system);
	use_token(hunt->system);
	const struct store_etcd_conf conf = {
		.endpoints = system_url(hunt->system, PORT_ETCD), .prefix = "/freehold/",
	};
	cr_assert_eq(store_etcd_new(&conf, clock_system(), &hunt->store, &err), 0, "%s", err.text);
	const char *id = story_submit(hunt->system, "transform", "{\"transformation\":\"pairs\"}");
	story_await_running(hunt->system, id);
	wait_ms(1500);                       /* it has opened its input, however busy the machine */
	add_all(hunt, object);
	check_the_search(hunt);
	hunt_everywhere(hunt, &found);
	cr_assert_eq(found.hits, 0, "%zu hits in %zu MiB:\n%s", found.hits, found.bytes >> 20,
	             found.text);
	store_free(hunt->store);
	keyring_free(hunt->keyring);
	system_stop(hunt->system);
	free(hunt);
}
