/* envelope.c - the version is read before anything else, so that a peer of another version is told
 * so and not that some member is missing. */
#include "common/defs.h"
#include "api/envelope.h"

#include "api/link.h"
#include "api/wire.h"
#include "common/compress.h"
#include "common/pack.h"

#include <inttypes.h>

static const struct wire_member members[] = {
	W_INT32(struct envelope, version, "v", 0, INT32_MAX),
	W_TEXT(struct envelope, kind, "kind", 1, 32),
	W_TEXT(struct envelope, worker, "worker", 1, 128),
	W_INT(struct envelope, incarnation, "incarnation", 0, INT64_MAX),
	W_INT(struct envelope, seq, "seq", 0, INT64_MAX),
	W_VALUE(struct envelope, body, "body", WIRE_ANY, 0, 0),
	W_END
};
static const struct wire wire = { "message", sizeof(struct envelope), false, members };

int envelope_write(const struct envelope *envelope, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *map;
	AUTO_BUF packed;
	buf_init(&packed, LINK_MESSAGE_MAX);
	/* The body is copied once; a tree is larger than its packed form. */
	TRY(arena_new((size_t)LINK_MESSAGE_MAX * 16, &arena, err));
	TRY(wire_value(arena, &wire, envelope, &map, err));
	TRY(pack_write(map, &packed, err));
	return compress_write(packed.data, packed.len, out, err);
}

static int check_version(const struct value *map, struct err *err)
{
	int64_t version = value_get_int(map, "v", -1);
	if (version >= ENVELOPE_VERSION_MIN && version <= ENVELOPE_VERSION_MAX)
		return 0;
	return err_set(err, E_INVALID, "message: version %" PRId64 " is not spoken here, only %d "
	               "to %d; upgrade the older side", version, ENVELOPE_VERSION_MIN,
	               ENVELOPE_VERSION_MAX);
}

int envelope_read(struct arena *arena, const void *data, size_t len, struct envelope *ret_envelope,
                  struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, LINK_MESSAGE_MAX);
	struct value *map;
	TRY(compress_read(data, len, &packed, err));
	TRY(pack_read(arena, packed.data, packed.len, &map, err));
	TRY(check_version(map, err));
	return wire_read(arena, &wire, map, ret_envelope, err);
}
