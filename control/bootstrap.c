/* bootstrap.c - see bootstrap.h. The file comes before the commit: a key that is in the store and
 * in no file could never be used, the other way round it is merely used by the next attempt. */
#include "common/defs.h"
#include "control/bootstrap.h"

#include "common/log.h"
#include "control/apikeys.h"
#include "control/audit.h"
#include "control/identity.h"
#include "control/keys.h"
#include "tenant/apikey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_MAX = 1024 * 1024 };

static int note_exists(void *context, const struct store_item *item, struct err *err)
{
	bool *exists = context;
	(void)err;
	*exists = item->mod_revision != 0;
	return 0;
}

/* --- the key's file --- */

static int read_file(const char *path, int fd, char text[APIKEY_SHOWN_MAX], struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot inspect the bootstrap key file %s", path);
	if (st.st_mode & 077)
		return err_set(err, E_INVALID,
		               "the bootstrap key file %s has mode %03o; run: chmod 600 %s", path,
		               (unsigned)st.st_mode & 0777, path);
	ssize_t len = read(fd, text, APIKEY_SHOWN_MAX - 1);
	if (len < 0)
		return err_errno(err, errno, "cannot read the bootstrap key file %s", path);
	text[len] = 0;
	text[strcspn(text, "\n")] = 0;
	char id[ID_LEN + 1];
	if (apikey_id(text, id, NULL) < 0)
		return err_set(err, E_INVALID,
		               "the bootstrap key file %s holds no API key; remove it, or "
		               "name another with --bootstrap-key-file",
		               path);
	return 0;
}

static int write_text(const char *path, int fd, const char *text, struct err *err)
{
	if (dprintf(fd, "%s\n", text) == (int)strlen(text) + 1 && fsync(fd) == 0)
		return 0;
	int code = err_errno(err, errno, "cannot write the bootstrap key file %s", path);
	unlink(path);
	return code;
}

static int make_file(struct control *control, const char *path, char text[APIKEY_SHOWN_MAX],
                     struct err *err)
{
	struct apikey key;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot make the bootstrap key file %s", path);
	apikey_make(keyring_credential_key(control->keyring), clock_unix_ms(control->clock), &key,
	            text);
	int code = write_text(path, fd, text, err);
	close(fd);
	return code;
}

static int key_text(struct control *control, const char *path, char text[APIKEY_SHOWN_MAX],
                    struct err *err)
{
	if (!path || !*path)
		return err_set(err, E_INVALID, "this installation has no operator yet: say with "
		               "--bootstrap-key-file where to write the first API key");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return make_file(control, path, text, err);
	if (fd < 0)
		return err_errno(err, errno, "cannot open the bootstrap key file %s", path);
	int code = read_file(path, fd, text, err);
	close(fd);
	return code;
}

/* --- the resources --- */

static int put_resource(struct arena *arena, struct change *change, enum kind kind,
                        const char *name, struct value *spec, int64_t now_ms, struct err *err)
{
	char key[STORE_KEY_MAX], id[ID_LEN + 1], now[TIME_TEXT_MAX];
	uint8_t random[10];
	bool platform = kind_info[kind].scope == SCOPE_PLATFORM;
	struct value *resource = value_map(arena), *metadata = value_map(arena);
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	time_print_ms(now_ms, now);
	value_set_str(metadata, "name", name);
	value_set_str(metadata, "tenant", platform ? NULL : "platform");
	value_set_str(metadata, "uid", id);
	value_set_str(metadata, "createdAt", now);
	value_set_str(metadata, "updatedAt", now);
	value_set_str(resource, "kind", kind_info[kind].kind);
	value_set(resource, "metadata", metadata);
	value_set(resource, "spec", spec);
	TRY(value_check(resource, err));
	return change_put(change, catalog_key(key, kind, "platform", NULL, name), resource, 0, err);
}

static int put_all(struct control *control, struct arena *arena, const char *text,
                   struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX], id[ID_LEN + 1], shown[APIKEY_SHOWN_MAX];
	int64_t now_ms = clock_unix_ms(control->clock);
	struct value *tenant_key = NULL, *spec = value_map(arena), *roles = value_list(arena);
	const struct apikey_made made = { .tenant = "platform", .principal = "operator",
	                                  .now_ms = now_ms, .text = text };
	value_add_str(roles, "operator");
	value_set(spec, "roles", roles);
	TRY(put_resource(arena, change, KIND_TENANT, "platform", value_map(arena), now_ms, err));
	TRY(put_resource(arena, change, KIND_PRINCIPAL, "operator", spec, now_ms, err));
	TRY(keys_make_tenant(control->keyring, arena, "platform", &tenant_key, err));
	TRY(change_put(change, keys_tenant_key(key, "platform"), tenant_key, 0, err));
	TRY(apikeys_add(control, &made, change, id, shown, err));
	secret_wipe(shown, sizeof shown);
	const struct audit_event event = { .tenant = "platform", .actor = "system",
		.action = "tenant:write", .resource = "/v1/tenants/platform", .result = "allowed",
		.rule = "bootstrap", .at_ms = now_ms };
	return audit_add(change, &event, err);
}

static int commit_all(struct control *control, const char *text, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(change) *change = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(change_new(&change, err));
	TRY(put_all(control, arena, text, change, err));
	return journal_commit(part_of(control, "platform")->journal, change, err);
}

int bootstrap(struct control *control, const char *key_file, struct err *err)
{
	bool exists = false;
	char text[APIKEY_SHOWN_MAX];
	TRY(store_get(control->store, "r/tenant/platform", note_exists, &exists, err));
	if (exists && catalog_has(control->catalog, "r/tenant/platform"))
		return 0;
	if (exists)
		return err_set(err, E_CORRUPT, "the stored state does not open with this root key: "
		               "--root-key-file names another than the one it was made with");
	int code = key_text(control, key_file, text, err);
	if (code == 0)
		code = commit_all(control, text, err);
	secret_wipe(text, sizeof text);
	if (code == 0)
		log_info(&(struct log_context){ .tenant = "platform" }, "bootstrapped",
		         "principal=operator");
	return code;
}
