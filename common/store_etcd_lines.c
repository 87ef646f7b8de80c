/* store_etcd_lines.c - decoding what etcd's JSON gateway says: answers, refusals, watch lines.
 *
 * Numbers come as decimal text; zero, false and empty fields are left out; keys and values are
 * base64. Nothing here trusts the sender: every field is checked, every buffer bounded. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_MAX = 160 };

/* gRPC status codes, as in the field `code`. */
enum grpc_code {
	GRPC_INVALID_ARGUMENT = 3, GRPC_NOT_FOUND = 5, GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8, GRPC_FAILED_PRECONDITION = 9, GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12, GRPC_UNAUTHENTICATED = 16
};

void etcd_item_init(struct etcd_item *item)
{
	*item = (struct etcd_item){ 0 };
	buf_init(&item->key, ETCD_FULL_KEY_MAX);
	buf_init(&item->value, 2 * STORE_VALUE_MAX);
}

void etcd_item_release(struct etcd_item *item)
{
	buf_release(&item->key);
	buf_release(&item->value);
}

int etcd_parse(struct arena *arena, const char *text, size_t len, const struct value **ret_root,
	       struct err *err)
{
	struct value *root = NULL;
	int rc = json_parse(arena, text, len, &root, err);
	if (rc == E_NOMEM)
		return rc;
	if (rc < 0 || value_kind(root) != VALUE_MAP)
		return err_set(err, E_CORRUPT,
			       "etcd's answer of %zu bytes is not a JSON object", len);
	*ret_root = root;
	return 0;
}

int etcd_int(const struct value *map, const char *name, int64_t *ret_int, struct err *err)
{
	const struct value *field = value_get(map, name);
	int64_t number = 0;
	if (value_kind(field) == VALUE_STR) {
		const char *text = value_as_str(field);
		char *end = NULL;
		errno = 0;
		number = strtoll(text, &end, 10);
		if (!*text || *end || errno || (*text != '-' && (*text < '0' || *text > '9')))
			return err_set(err, E_CORRUPT, "etcd's field %s is not a number", name);
	} else if (value_kind(field) == VALUE_INT) {
		number = value_as_int(field, 0);
	} else if (field && value_kind(field) != VALUE_NULL) {
		return err_set(err, E_CORRUPT, "etcd's field %s is not a number", name);
	}
	*ret_int = number;
	return 0;
}

static int decode_bytes(const struct value *map, const char *name, struct buf *out, struct err *err)
{
	buf_clear(out);
	const struct value *field = value_get(map, name);
	const char *text = value_as_str(field);
	if (field && !text)
		return err_set(err, E_CORRUPT, "etcd's field %s is not text", name);
	if (text && base64_parse(text, value_len(field), out, err) < 0)
		return err_set(err, E_CORRUPT,
			       "etcd's field %s is not base64 or is too long", name);
	return buf_check(out, err);
}

int etcd_item_decode(const struct value *kv, const char *prefix, struct etcd_item *ret_item,
		     struct err *err)
{
	struct store_item *item = &ret_item->item;
	size_t prefix_len = strlen(prefix);
	TRY(decode_bytes(kv, "key", &ret_item->key, err));
	TRY(decode_bytes(kv, "value", &ret_item->value, err));
	TRY(etcd_int(kv, "mod_revision", &item->mod_revision, err));
	TRY(etcd_int(kv, "create_revision", &item->create_revision, err));
	TRY(etcd_int(kv, "version", &ret_item->version, err));
	TRY(etcd_int(kv, "lease", &ret_item->lease, err));
	const char *key = (const char *)ret_item->key.data;
	if (memchr(key, 0, ret_item->key.len) || !store_has_prefix(key, prefix))
		return err_set(err, E_CORRUPT, "etcd names a key outside the store's prefix");
	if (item->mod_revision <= 0 || item->create_revision < 0)
		return err_set(err, E_CORRUPT, "etcd names a key without a revision");
	item->key = key + prefix_len;
	item->value = ret_item->value.data;
	item->value_len = ret_item->value.len;
	return 0;
}

int etcd_line_decode(struct arena *arena, const char *text, size_t len, struct etcd_line *ret_line,
		     struct err *err)
{
	const struct value *root = NULL;
	struct etcd_line line = { 0 };
	TRY(etcd_parse(arena, text, len, &root, err));
	const struct value *result = value_get(root, "result");
	TRY(etcd_int(result, "compact_revision", &line.compact_revision, err));
	line.canceled = !result || value_get_bool(result, "canceled", false) ||
		line.compact_revision != 0;
	line.events = value_get(result, "events");
	if (line.events && value_kind(line.events) != VALUE_LIST)
		return err_set(err, E_CORRUPT, "etcd's field events is not a list");
	*ret_line = line;
	return 0;
}

int etcd_event_decode(const struct value *event, const char *prefix, struct etcd_item *ret_item,
		      bool *ret_deleted, struct err *err)
{
	const struct value *type = value_get(event, "type");
	const char *name = type ? value_as_str(type) : "PUT";
	bool deleted = name && strcmp(name, "DELETE") == 0;
	if (!name || (!deleted && strcmp(name, "PUT") != 0))
		return err_set(err, E_CORRUPT, "etcd sent an event that is neither PUT nor DELETE");
	TRY(etcd_item_decode(value_get(event, "kv"), prefix, ret_item, err));
	if (deleted) {
		ret_item->item.value = NULL;
		ret_item->item.value_len = 0;
	}
	*ret_deleted = deleted;
	return 0;
}

/* etcd's own sentences are constants without data; still, only a bounded printable part is kept. */
static void reason_copy(const char *text, char out[REASON_MAX])
{
	size_t i = 0;
	for (; text[i] && i < REASON_MAX - 1; i++)
		out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	out[i] = 0;
}

static int refusal_invalid(const char *reason, struct err *err)
{
	if (strstr(reason, "auth token") || strstr(reason, "auth store is old") ||
	    strstr(reason, "user name is empty"))
		return err_set(err, E_UNAUTHENTICATED, "etcd wants another token: %s", reason);
	if (strstr(reason, "authentication failed"))
		return err_set(err, E_DENIED, "etcd refuses the user or its password");
	if (strstr(reason, "too large") || strstr(reason, "too many operations"))
		return err_set(err, E_TOO_LARGE, "etcd refuses the request's size: %s", reason);
	return err_set(err, E_INTERNAL, "etcd refuses the request: %s", reason);
}

static int refusal_exhausted(const char *reason, struct err *err)
{
	if (strstr(reason, "space exceeded"))
		return err_set(err, E_NO_SPACE,
			       "etcd is full: compact and defragment it, raise its "
			       "--quota-backend-bytes, then disarm the NOSPACE alarm");
	if (strstr(reason, "too many requests"))
		return err_set(err, E_UNAVAILABLE, "etcd is overloaded: %s", reason);
	return err_set(err, E_TOO_LARGE, "etcd refuses the request's size: %s", reason);
}

static int refusal_code(int64_t code, int status, const char *reason, struct err *err)
{
	switch (code) {
	case GRPC_INVALID_ARGUMENT:
		return refusal_invalid(reason, err);
	case GRPC_NOT_FOUND:
		return err_set(err, E_NOT_FOUND, "etcd: %s", reason);
	case GRPC_PERMISSION_DENIED:
		return err_set(err, E_DENIED, "etcd's user may not do this: %s", reason);
	case GRPC_RESOURCE_EXHAUSTED:
		return refusal_exhausted(reason, err);
	case GRPC_FAILED_PRECONDITION:
		return err_set(err, E_DENIED, "a user is set, but etcd says: %s", reason);
	case GRPC_OUT_OF_RANGE:
		return err_set(err, E_CONFLICT, "etcd: %s", reason);
	case GRPC_UNIMPLEMENTED:
		return err_set(err, E_INTERNAL, "this is no JSON gateway of etcd 3.4 or newer");
	case GRPC_UNAUTHENTICATED:
		return err_set(err, E_UNAUTHENTICATED, "etcd wants another token: %s", reason);
	default:
		return err_set(err, E_UNKNOWN_OUTCOME, "etcd answers HTTP %d, %s", status, reason);
	}
}

int etcd_refusal(int status, const char *text, size_t len, struct err *err)
{
	AUTO(arena) *arena = NULL;
	const struct value *root = NULL;
	struct err ignored = { 0 };
	TRY(arena_new(MIB, &arena, err));
	if (etcd_parse(arena, text, len, &root, &ignored) < 0) {
		if (status == 404 || status == 405)
			return err_set(err, E_INTERNAL,
				       "this is no JSON gateway of etcd 3.4 or newer "
				       "(HTTP %d)", status);
		return err_set(err, E_UNKNOWN_OUTCOME, "etcd answers HTTP %d", status);
	}
	const char *message = value_get_str(root, "message");
	if (!message)
		message = value_get_str(root, "error");
	char reason[REASON_MAX];
	reason_copy(message ? message : "without a reason", reason);
	int64_t code = 0;
	if (etcd_int(root, "code", &code, &ignored) < 0)
		code = 0;
	return refusal_code(code, status, reason, err);
}
