/* policy_digest.c - see policy_digest.h. */
#include "common/defs.h"
#include "policy/policy_digest.h"

#include "common/crypto.h"
#include "common/text.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

enum { BOOK_MAX = 64 * 1024, LINES_MAX = 64 * MIB };

void role_book(struct buf *out)
{
	static const char *const places[] = { [REACH_PLATFORM] = "platform",
		                              [REACH_TENANT] = "tenant",
		                              [REACH_DOMAIN] = "domain" };
	for (size_t i = 0; i < role_count(); i++) {
		enum role_reach reach;
		const char *role = role_at(i, &reach);
		buf_printf(out, "%s %s", role, places[reach]);
		for (int action = 0; action < ACTION_COUNT_; action++)
			if (role_has_action(role, (enum action)action))
				buf_printf(out, " %s", action_name((enum action)action));
		buf_putc(out, '\n');
	}
}

static void hex_of(const void *text, size_t len, char hex[POLICY_DIGEST_TEXT])
{
	uint8_t hash[32];
	sha256(text, len, hash);
	hex_print(hash, sizeof hash, hex);
}

static void put_line(struct buf *lines, const char *name, const void *text, size_t len)
{
	char hex[POLICY_DIGEST_TEXT];
	hex_of(text, len, hex);
	buf_put(lines, hex, sizeof hex - 1);
	buf_put(lines, "  ", 2);
	buf_puts(lines, name);
	buf_putc(lines, '\n');
}

static int by_name(const void *a, const void *b)
{
	const struct engine_policy *left = *(const struct engine_policy *const *)a;
	const struct engine_policy *right = *(const struct engine_policy *const *)b;
	return strcmp(left->name, right->name);
}

int policy_digest(const struct engine_policy *policies, size_t count,
                  char ret_hex[POLICY_DIGEST_TEXT], struct err *err)
{
	AUTO_BUF book, lines;
	buf_init(&book, BOOK_MAX);
	buf_init(&lines, LINES_MAX);
	role_book(&book);
	TRY(buf_check(&book, err));
	put_line(&lines, "roles", book.data, book.len);
	const struct engine_policy **sorted = calloc(count + 1, sizeof *sorted);
	if (!sorted)
		return err_set(err, E_NOMEM, "no memory for the digest of %zu policies", count);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &policies[i];
	qsort(sorted, count, sizeof *sorted, by_name);
	for (size_t i = 0; i < count; i++)
		put_line(&lines, sorted[i]->name, sorted[i]->text, strlen(sorted[i]->text));
	free(sorted);
	TRY(buf_check(&lines, err));
	hex_of(lines.data, lines.len, ret_hex);
	return 0;
}
