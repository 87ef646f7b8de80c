/* paseto.c - see paseto.h. Both ways sign or check the same bytes, made by encode(). */
#include "common/defs.h"
#include "tenant/paseto.h"

#include "common/arena.h"
#include "common/text.h"

#include <string.h>

enum { PIECES = 4 };

static const char header[] = "v4.public.";

struct piece { const void *data; size_t len; };

static void put_count(struct buf *out, uint64_t count)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(count >> 8 * i);
	bytes[7] &= 0x7f;
	buf_put(out, bytes, sizeof bytes);
}

/* PAE: how many pieces, then each with its length before it, all as 64 bits, low byte first. */
static int encode(const struct piece pieces[PIECES], struct buf *out, struct err *err)
{
	buf_init(out, 4 * PASETO_TEXT_MAX);
	put_count(out, PIECES);
	for (size_t i = 0; i < PIECES; i++) {
		put_count(out, pieces[i].len);
		buf_put(out, pieces[i].data, pieces[i].len);
	}
	return buf_check(out, err);
}

bool paseto_is(const char *text)
{
	return text && strncmp(text, header, strlen(header)) == 0;
}

static int malformed(struct err *err)
{
	return err_set(err, E_UNAUTHENTICATED, "the credential has not the form of a token, "
	               "v4.public.PAYLOAD.FOOTER");
}

static int decode(struct arena *arena, const char *text, size_t len, size_t most,
                  const uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, most);
	if (base64url_parse(text, len, &out, NULL) < 0)
		return malformed(err);
	TRY(buf_check(&out, err));
	uint8_t *copy = arena_alloc(arena, out.len + 1);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for a token");
	memcpy(copy, out.data, out.len);
	copy[out.len] = 0;
	*ret_data = copy;
	*ret_len = out.len;
	return 0;
}

int paseto_read(struct arena *arena, const char *text, struct paseto *ret_token, struct err *err)
{
	struct paseto token = { .footer = (const uint8_t *)"" };
	if (!paseto_is(text) || strnlen(text, PASETO_TEXT_MAX + 1) > PASETO_TEXT_MAX)
		return malformed(err);
	const char *body = text + strlen(header);
	size_t body_len = strcspn(body, ".");
	const uint8_t *bytes = NULL;
	size_t len = 0;
	TRY(decode(arena, body, body_len, PASETO_TEXT_MAX, &bytes, &len, err));
	if (len < SIGNATURE_BYTES)
		return malformed(err);
	token.message = bytes;
	token.message_len = len - SIGNATURE_BYTES;
	token.signature = bytes + token.message_len;
	if (body[body_len] == '.') {
		const char *footer = body + body_len + 1;
		if (!*footer)
			return malformed(err);
		TRY(decode(arena, footer, strlen(footer), PASETO_FOOTER_MAX, &token.footer,
		           &token.footer_len, err));
	}
	*ret_token = token;
	return 0;
}

bool paseto_verify(const struct paseto *token, const char *implicit,
                   const uint8_t public_key[SIGN_PUBLIC_BYTES])
{
	AUTO_BUF signed_bytes;
	const struct piece pieces[PIECES] = {
		{ header, strlen(header) }, { token->message, token->message_len },
		{ token->footer, token->footer_len }, { implicit, strlen(implicit) },
	};
	return encode(pieces, &signed_bytes, NULL) == 0 &&
		sign_verify(public_key, signed_bytes.data, signed_bytes.len, token->signature);
}

int paseto_write(const uint8_t secret_key[SIGN_SECRET_BYTES], const void *message, size_t len,
                 const char *footer, const char *implicit, struct buf *out, struct err *err)
{
	AUTO_BUF signed_bytes, body;
	uint8_t signature[SIGNATURE_BYTES];
	const struct piece pieces[PIECES] = {
		{ header, strlen(header) }, { message, len }, { footer, strlen(footer) },
		{ implicit, strlen(implicit) },
	};
	buf_init(&body, PASETO_TEXT_MAX);
	TRY(encode(pieces, &signed_bytes, err));
	sign_make(secret_key, signed_bytes.data, signed_bytes.len, signature);
	buf_put(&body, message, len);
	buf_put(&body, signature, sizeof signature);
	TRY(buf_check(&body, err));
	buf_puts(out, header);
	base64url_print(body.data, body.len, out);
	if (*footer) {
		buf_putc(out, '.');
		base64url_print(footer, strlen(footer), out);
	}
	return buf_check(out, err);
}
