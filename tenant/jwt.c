/* jwt.c - see jwt.h. Every refusal is E_UNAUTHENTICATED with a sentence for logs and tests; callers
 * at the door get one sentence for all of them. */
#include "common/defs.h"
#include "tenant/jwt.h"

#include "common/json.h"
#include "common/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { KID_MAX = 256, ISSUER_MAX = 512 };

#define SECONDS_MOST 253402300799.0     /* the year 9999 */

static int refused(struct err *err, const char *why)
{
	return err_set(err, E_UNAUTHENTICATED, "the JWT %s", why);
}

static size_t part_len(const char *text)
{
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

bool jwt_is(const char *text)
{
	if (!text || strnlen(text, JWT_TEXT_MAX + 1) > JWT_TEXT_MAX)
		return false;
	for (int i = 0; i < 2; i++) {
		size_t len = part_len(text);
		if (!len || text[len] != '.')
			return false;
		text += len + 1;
	}
	size_t len = part_len(text);
	return len && !text[len];
}

/* --- taking apart --- */

static int decode(struct arena *arena, const char *text, size_t len, size_t most,
                  struct bytes *ret_bytes, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, most);
	if (base64url_parse(text, len, &out, NULL) < 0 || buf_check(&out, NULL) < 0)
		return refused(err, "holds a part that is no base64url, or too long");
	uint8_t *copy = arena_alloc(arena, out.len + 1);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for a JWT");
	memcpy(copy, out.data, out.len);
	copy[out.len] = 0;
	*ret_bytes = (struct bytes){ copy, out.len };
	return 0;
}

static int decode_json(struct arena *arena, const char *text, size_t len, size_t most,
                       struct value **ret_map, struct err *err)
{
	struct bytes bytes;
	TRY(decode(arena, text, len, most, &bytes, err));
	int code = json_parse(arena, (const char *)bytes.data, bytes.len, ret_map, NULL);
	if (code == E_NOMEM)
		return err_set(err, E_NOMEM, "no memory for a JWT");
	if (code < 0 || value_kind(*ret_map) != VALUE_MAP)
		return refused(err, "holds a part that is no JSON object, or has a member twice");
	return 0;
}

/* Absent, or a text: a claim or header of another kind is no reason to guess. */
static bool text_or_none(const struct value *map, const char *name, size_t most)
{
	const struct value *member = value_get(map, name);
	const char *text = value_as_str(member);
	return !member || (text && *text && strlen(text) <= most);
}

/* Other things that an issuer signs (logout and security events) are no logins. */
static bool type_fits(const struct value *header)
{
	static const char *const types[] = { "JWT", "at+jwt", "application/at+jwt" };
	const char *type = value_get_str(header, "typ");
	for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
		if (strcasecmp(type, types[i]) == 0)
			return true;
	return !value_get(header, "typ");
}

static int read_header(const struct value *header, struct jwt *jwt, struct err *err)
{
	if (!signature_by_name(value_get_str(header, "alg"), &jwt->kind))
		return refused(err, "is signed with an algorithm other than RS256, ES256, EdDSA");
	if (value_get(header, "crit"))
		return refused(err, "insists on extensions (crit)");
	if (value_get(header, "b64") || value_get(header, "zip") || value_get(header, "enc"))
		return refused(err, "is encoded, compressed or encrypted");
	if (!type_fits(header))
		return refused(err, "is another kind of token (typ)");
	jwt->kid = value_get_str(header, "kid");
	if (!jwt->kid || !text_or_none(header, "kid", KID_MAX))
		return refused(err, "names no key (kid)");
	return 0;
}

int jwt_read(struct arena *arena, const char *text, struct jwt *ret_jwt, struct err *err)
{
	struct jwt jwt = { .kid = NULL };
	struct value *header = NULL, *claims = NULL;
	if (!jwt_is(text))
		return refused(err, "has not the form HEADER.PAYLOAD.SIGNATURE, or is too long");
	size_t head = part_len(text), body = part_len(text + head + 1);
	const char *payload = text + head + 1, *signature = payload + body + 1;
	TRY(decode_json(arena, text, head, JWT_HEADER_MAX, &header, err));
	TRY(read_header(header, &jwt, err));
	TRY(decode_json(arena, payload, body, JWT_TEXT_MAX, &claims, err));
	TRY(decode(arena, signature, strlen(signature), JWT_TEXT_MAX, &jwt.signature, err));
	jwt.issuer = value_get_str(claims, "iss");
	if (!jwt.issuer || !text_or_none(claims, "iss", ISSUER_MAX))
		return refused(err, "names no issuer (iss)");
	jwt.claims = claims;
	jwt.signed_text = (struct bytes){ (const uint8_t *)text, head + 1 + body };
	*ret_jwt = jwt;
	return 0;
}

bool jwt_verify(const struct jwt *jwt, const struct signature_key *key)
{
	return signature_key_kind(key) == jwt->kind &&
		signature_verify(key, jwt->signed_text, jwt->signature);
}

/* --- checking --- */

static bool is_one_of(const char *text, const struct value *list)
{
	for (size_t i = 0; text && i < value_len(list); i++) {
		const char *item = value_as_str(value_at(list, i));
		if (item && strcmp(item, text) == 0)
			return true;
	}
	return false;
}

bool jwt_is_for(const struct jwt *jwt, const struct value *audiences)
{
	const struct value *aud = value_get(jwt->claims, "aud");
	if (value_kind(aud) == VALUE_STR)
		return is_one_of(value_as_str(aud), audiences);
	for (size_t i = 0; value_kind(aud) == VALUE_LIST && i < value_len(aud); i++)
		if (is_one_of(value_as_str(value_at(aud, i)), audiences))
			return true;
	return false;
}

/* NumericDate: seconds, maybe with a fraction. False: there, but no time. */
static bool time_of(const struct value *claims, const char *name, bool *ret_there,
                    int64_t *ret_ms)
{
	const struct value *member = value_get(claims, name);
	double seconds = value_as_real(member, -1);
	*ret_there = member != NULL;
	if (!member)
		return true;
	if ((value_kind(member) != VALUE_INT && value_kind(member) != VALUE_REAL) ||
	    !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MOST)
		return false;
	*ret_ms = (int64_t)(seconds * 1000);
	return true;
}

static int check_times(const struct jwt *jwt, const struct jwt_rules *rules,
                       int64_t *ret_expires_ms, struct err *err)
{
	int64_t expires = 0, begins = 0, issued = 0;
	bool ends = false, later = false, dated = false;
	if (!time_of(jwt->claims, "exp", &ends, &expires) ||
	    !time_of(jwt->claims, "nbf", &later, &begins) ||
	    !time_of(jwt->claims, "iat", &dated, &issued))
		return refused(err, "has a time that is none");
	if (!ends)
		return refused(err, "never expires (no exp)");
	if (rules->now_ms >= expires + rules->skew_ms)
		return refused(err, "has expired");
	if (later && rules->now_ms + rules->skew_ms < begins)
		return refused(err, "is not valid yet (nbf)");
	if (dated && rules->now_ms + rules->skew_ms < issued)
		return refused(err, "was issued in the future (iat)");
	*ret_expires_ms = expires + rules->skew_ms;
	return 0;
}

int jwt_check(const struct jwt *jwt, const struct jwt_rules *rules, int64_t *ret_expires_ms,
              struct err *err)
{
	const struct value *party = value_get(jwt->claims, "azp");
	if (strcmp(jwt->issuer, rules->issuer) != 0)
		return refused(err, "is another issuer's");
	if (!jwt_is_for(jwt, rules->audiences))
		return refused(err, "is for somebody else (aud)");
	if (party && !is_one_of(value_as_str(party), rules->audiences))
		return refused(err, "was made for another client (azp)");
	return check_times(jwt, rules, ret_expires_ms, err);
}
