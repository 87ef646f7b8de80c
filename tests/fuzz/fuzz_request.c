/* fuzz_request.c - the small texts of a request and of a manifest: lines of a head, targets, URLs,
 * addresses, keys, ids, placeholders. First line: NAME: VALUE pairs of a head, one a line, until an
 * empty one; what follows is each of the others. What is accepted holds what its header promises.
 */
#include "common/defs.h"
#include "api/framing.h"
#include "api/hosts.h"
#include "api/percent.h"
#include "common/clock.h"
#include "common/text.h"
#include "control/placeholder.h"
#include "tenant/apikey.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *read_head(const char *at, const char *end)
{
	struct framing framing = {0};
	struct err err;
	while (at < end && *at != '\n') {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		const char *colon = memchr(at, ':', (size_t)(stop - at));
		colon = colon ? colon : stop;
		const char *value = colon < stop ? colon + 1 : stop;
		char copy[256] = "";
		size_t value_len = (size_t)(stop - value) < 255 ? (size_t)(stop - value) : 255;
		memcpy(copy, value, value_len);
		framing_add(&framing, at, (size_t)(colon - at), copy, value_len);
		at = stop + (stop < end);
	}
	int rc = framing_check(&framing, false, &err);
	REQUIRE(rc == 0 || (rc == E_INVALID && err.text[0]));
	REQUIRE(rc < 0 || (framing.hosts < 2 && framing.lengths + framing.codings < 2));
	REQUIRE(rc < 0 || framing.lines <= FRAMING_HEADERS_MAX);
	return at + (at < end);
}

static void read_url(const char *text)
{
	struct host_target target, again;
	struct netaddr address;
	struct net_range range;
	char shown[HOST_URL_MAX], printed[NETADDR_TEXT];
	if (host_target_parse(text, &target, NULL) == 0) {
		REQUIRE(target.host[0] && !strpbrk(target.host, "/@?# %\\"));
		REQUIRE(target.port > 0 && target.port < 65536);
		host_target_print(&target, shown);
		REQUIRE(host_target_parse(shown, &again, NULL) == 0);
		REQUIRE(strcmp(target.host, again.host) == 0 && target.port == again.port);
		REQUIRE(target.plain == again.plain && !strchr(shown, '?'));
	}
	if (netaddr_parse(text, &address)) {
		netaddr_print(&address, printed);
		(void)netaddr_scope(&address);
		REQUIRE(netaddr_parse(printed, &address));
	}
	if (net_range_parse(text, &range))
		REQUIRE(net_range_has(&range, &range.address) || range.address.bits == 128);
}

static void read_texts(struct arena *arena, const char *text, size_t len)
{
	char id[ID_LEN + 1];
	int64_t at_ms = 0;
	const char *path = percent_decode(arena, text);
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	REQUIRE(!path || utf8_valid(path, strlen(path)));
	(void)!framing_target(text, NULL);
	(void)!base64_parse(text, len, &out, NULL);
	(void)!base64url_parse(text, len, &out, NULL);
	if (time_parse(text, &at_ms, NULL) < 0 && duration_parse(text, &at_ms, NULL) < 0)
		at_ms = 0;
	if (apikey_id(text, id, NULL) == 0)
		REQUIRE(id_valid(id) && strncmp(text, "fh_", 3) == 0);
	if (placeholder_check(text, NULL) == 0) {
		const char *filled = NULL;
		int rc = placeholder_fill(arena, text, &at_ms, &at_ms, &filled, &err);
		REQUIRE(rc == 0 || err.text[0]);
		REQUIRE(rc < 0 || filled);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(4 * MIB, &arena, NULL) == 0);
	const char *text = (const char *)data, *end = text + len;
	const char *rest = read_head(text, end);
	const char *copy = arena_strndup(arena, rest, (size_t)(end - rest));
	REQUIRE(copy);
	read_url(copy);
	read_texts(arena, copy, strlen(copy));
	return 0;
}
