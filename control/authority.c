/* authority.c - see authority.h. Invariant: the key is open in secret memory only while something
 * is signed. */
#include "common/defs.h"
#include "control/authority.h"

#include "common/log.h"
#include "control/audit.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DAYS = 3650, ARENA_MAX = 1024 * 1024, SANS_MAX = 8192 };

static const char at[] = "r/authority/platform";

/* --- the key at rest --- */

static void box_key(const struct control *control, uint8_t key[KEY_BYTES])
{
	key_derive(keyring_state_key(control->keyring), "freehold-authority-v1", key);
}

static void seal_key(const struct control *control, const struct secret *plain, uint8_t *out)
{
	uint8_t key[KEY_BYTES];
	box_key(control, key);
	lockbox_seal(key, at, sizeof at, secret_bytes(plain), secret_len(plain), out);
	secret_wipe(key, sizeof key);
}

static int open_key(const struct control *control, const struct value *stored,
                    struct secret **ret_key, struct err *err)
{
	uint8_t key[KEY_BYTES];
	size_t len = 0;
	AUTO(secret) *plain = NULL;
	const uint8_t *box = value_get_bin(stored, "key", &len);
	if (!box || len <= LOCKBOX_OVERHEAD)
		return err_set(err, E_CORRUPT, "the platform's certificate authority has no key");
	TRY(secret_new(len - LOCKBOX_OVERHEAD, &plain, err));
	box_key(control, key);
	int rc = lockbox_open(key, at, sizeof at, box, len, secret_data(plain), err);
	secret_wipe(key, sizeof key);
	TRY(rc);
	*ret_key = MOVE(plain);
	return 0;
}

/* --- making --- */

static int put(struct control *control, const struct secret *key, struct buf *pem,
               struct change *change, struct err *err)
{
	int64_t now_ms = clock_unix_ms(control->clock);
	struct value *value = value_map(change_arena(change));
	size_t len = secret_len(key) + LOCKBOX_OVERHEAD;
	uint8_t *box = arena_alloc(change_arena(change), len);
	if (!box || buf_putc(pem, 0) < 0)
		return err_set(err, E_NOMEM, "no memory for a certificate authority");
	seal_key(control, key, box);
	value_set_str(value, "certificate", (const char *)pem->data);
	value_set_bin(value, "key", box, len);
	value_set_int(value, "createdAt", now_ms);
	TRY(value_check(value, err));
	TRY(change_put(change, at, value, 0, err));
	const struct audit_event event = {
		.tenant = "platform", .actor = "system", .action = "worker:write",
		.resource = "/v1/ca", .result = "allowed", .rule = "authority", .at_ms = now_ms,
	};
	return audit_add(change, &event, err);
}

int authority_ensure(struct control *control, struct err *err)
{
	AUTO(secret) *key = NULL;
	AUTO(change) *change = NULL;
	AUTO_BUF pem;
	buf_init(&pem, CERT_PEM_MAX);
	if (catalog_has(control->catalog, at))
		return 0;
	TRY(cert_authority("freehold-platform", DAYS, &key, &pem, err));
	TRY(change_new(&change, err));
	TRY(put(control, key, &pem, change, err));
	TRY(journal_commit(part_of(control, "platform")->journal, change, err));
	log_info(&(struct log_context){ .tenant = "platform" }, "authority_made", "days=%d", DAYS);
	return 0;
}

/* --- using --- */

static int stored(struct control *control, struct arena *arena, struct value **ret_value,
                  struct err *err)
{
	int rc = catalog_get(control->catalog, arena, at, ret_value, NULL, err);
	return rc == E_NOT_FOUND ? err_set(err, E_UNAVAILABLE, "the platform's certificate "
	                                   "authority is not made yet; ask again in a second")
	                         : rc;
}

int authority_certificate(struct control *control, struct arena *arena, const char **ret_pem,
                          struct err *err)
{
	struct value *value = NULL;
	TRY(stored(control, arena, &value, err));
	*ret_pem = value_get_str(value, "certificate");
	return *ret_pem ? 0 : err_set(err, E_CORRUPT, "the platform's certificate authority has no "
	                              "certificate");
}

static bool is_ip(const char *text)
{
	unsigned char any[16];
	return inet_pton(AF_INET, text, any) == 1 || inet_pton(AF_INET6, text, any) == 1;
}

static bool is_address(const char *text)
{
	size_t len = strlen(text);
	bool ok = len >= 1 && len <= ADDRESS_LEN_MAX;
	if (is_ip(text))
		return true;
	for (size_t i = 0; ok && i < len; i++)
		ok = isalnum((unsigned char)text[i]) ||
			(i > 0 && i + 1 < len && strchr("-.", text[i]));
	return ok;
}

/* Prints each as an alternative name; out NULL: it is only checked. */
static int each_address(const char *text, struct buf *out, struct err *err)
{
	int count = 0;
	for (const char *from = text; *from; count++) {
		char one[ADDRESS_LEN_MAX + 1];
		size_t len = strcspn(from, ",");
		snprintf(one, sizeof one, "%.*s", (int)len, from);
		if (len >= sizeof one || !is_address(one) || count == ADDRESSES_MAX)
			return err_set(err, E_INVALID, "addresses: at most %d DNS names or IP "
			               "addresses, separated by commas", ADDRESSES_MAX);
		if (out)
			buf_printf(out, ",%s:%s", is_ip(one) ? "IP" : "DNS", one);
		from += len + (from[len] == ',');
	}
	return 0;
}

int authority_addresses_check(const char *text, struct err *err)
{
	return each_address(text, NULL, err);
}

/* A name that is no DNS name keeps a client from falling back to the common name. */
static int print_sans(const struct authority_order *order, struct buf *out, struct err *err)
{
	buf_printf(out, "URI:freehold:worker/%s", order->name);
	if (order->addresses)
		TRY(each_address(order->addresses, out, err));
	buf_putc(out, 0);
	return buf_check(out, err);
}

int authority_sign(struct control *control, const struct authority_order *order, struct buf *out,
                   struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(secret) *key = NULL;
	AUTO_BUF sans;
	struct value *value = NULL;
	buf_init(&sans, SANS_MAX);
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(stored(control, arena, &value, err));
	TRY(print_sans(order, &sans, err));
	TRY(open_key(control, value, &key, err));
	const struct cert_order signing = {
		.ca_pem = value_get_str(value, "certificate"), .ca_key = key, .name = order->name,
		.sans = (const char *)sans.data, .serves = order->addresses && order->addresses[0],
		.lifetime_s = order->lifetime_s,
	};
	if (!signing.ca_pem)
		return err_set(err, E_CORRUPT, "the platform's certificate authority has no "
		               "certificate");
	TRY(cert_issue(&signing, order->request, strlen(order->request), out, err));
	buf_putc(out, 0);
	return buf_check(out, err);
}
