/* tile.c - see tile.h. A node of tree level k lies in the tile of level k / 8, as the root of 2^(k
 * mod 8) of its hashes. Invariant of a writer: of each level it has the hashes of the last tile. */
#include "common/defs.h"
#include "common/tile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- names --- */

void tile_path(const struct tile *tile, char out[TILE_PATH_MAX])
{
	char groups[32] = "";
	size_t len = 0;
	uint64_t scale = 1;
	while (tile->index / scale >= 1000)
		scale *= 1000;
	for (; scale; scale /= 1000)
		len += (size_t)snprintf(groups + len, sizeof groups - len, "/%s%03d",
		                        scale > 1 ? "x" : "", (int)(tile->index / scale % 1000));
	size_t at = tile->level == TILE_ENTRIES
		? (size_t)snprintf(out, TILE_PATH_MAX, "tile/entries%s", groups)
		: (size_t)snprintf(out, TILE_PATH_MAX, "tile/%d%s", tile->level, groups);
	if (tile->width < TILE_WIDTH)
		snprintf(out + at, TILE_PATH_MAX - at, ".p/%d", tile->width);
}

/* Digits of at most `most`, which is what comes of them; false: there are none, or more. */
static bool read_digits(const char **at, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t count = strspn(*at, "0123456789");
	if (count == 0 || count > 3)
		return false;
	for (size_t i = 0; i < count; i++)
		number = number * 10 + (uint64_t)((*at)[i] - '0');
	*at += count;
	*ret_number = number;
	return number <= most;
}

/* "x001/x234/067". */
static bool read_groups(const char **at, uint64_t *ret_index)
{
	uint64_t index = 0, group = 0;
	for (bool more = true; more;) {
		more = **at == 'x';
		*at += more;
		if (index > UINT64_MAX / 1000 - 1 || !read_digits(at, 999, &group))
			return false;
		index = index * 1000 + group;
		if (more && *(*at)++ != '/')
			return false;
	}
	*ret_index = index;
	return true;
}

static bool read_path(const char *path, struct tile *ret_tile)
{
	static const char entries[] = "tile/entries/", folder[] = "tile/", partial[] = ".p/";
	uint64_t level = 0, index = 0, width = TILE_WIDTH;
	const char *at = path;
	bool bundle = strncmp(at, entries, strlen(entries)) == 0;
	at += bundle ? strlen(entries) : strncmp(at, folder, strlen(folder)) == 0 ? strlen(folder)
	                                                                         : 0;
	if (at == path ||
	    (!bundle && (!read_digits(&at, TILE_LEVELS - 1, &level) || *at++ != '/')))
		return false;
	if (!read_groups(&at, &index))
		return false;
	if (strncmp(at, partial, strlen(partial)) == 0) {
		at += strlen(partial);
		if (!read_digits(&at, TILE_WIDTH - 1, &width) || width == 0)
			return false;
	}
	*ret_tile = (struct tile){ bundle ? TILE_ENTRIES : (int)level, index, (int)width };
	return *at == 0;
}

int tile_path_read(const char *path, struct tile *ret_tile, struct err *err)
{
	char made[TILE_PATH_MAX] = "";
	struct tile tile;
	bool read = read_path(path, &tile) && tile.index >> MERKLE_DEPTH_MAX == 0;
	if (read)
		tile_path(&tile, made);
	if (!read || strcmp(made, path) != 0)
		return err_set(err, E_INVALID, "this is no path of a log's tile; they are as in "
		               "tile/0/x001/234, tile/1/000.p/17 and tile/entries/000");
	*ret_tile = tile;
	return 0;
}

static uint64_t nodes_of(int level, uint64_t size)
{
	return size >> (TILE_HEIGHT * level);
}

struct tile tile_of(int level, uint64_t node, uint64_t size)
{
	uint64_t nodes = nodes_of(level == TILE_ENTRIES ? 0 : level, size);
	uint64_t first = node / TILE_WIDTH * TILE_WIDTH;
	uint64_t width = first < nodes ? nodes - first : 0;
	return (struct tile){ level, node / TILE_WIDTH,
		              node >= nodes ? 0 : width < TILE_WIDTH ? (int)width : TILE_WIDTH };
}

void tile_fold(const uint8_t (*hashes)[MERKLE_BYTES], int height, uint8_t out[MERKLE_BYTES])
{
	uint8_t work[TILE_WIDTH][MERKLE_BYTES];
	memcpy(work, hashes, ((size_t)1 << height) * MERKLE_BYTES);
	for (; height > 0; height--)
		for (size_t i = 0; i < (size_t)1 << (height - 1); i++)
			merkle_node(work[2 * i], work[2 * i + 1], work[i]);
	memcpy(out, work[0], MERKLE_BYTES);
}

/* --- reading --- */

void tile_reader_init(struct tile_reader *reader, uint64_t size, tile_read_fn *read, void *context)
{
	memset(reader, 0, sizeof *reader);
	reader->size = size;
	reader->read = read;
	reader->context = context;
}

static int load(struct tile_reader *reader, const struct tile *tile, struct err *err)
{
	struct tile *kept = &reader->kept[tile->level];
	if (kept->width == tile->width && kept->index == tile->index)
		return 0;
	kept->width = 0;
	TRY(reader->read(reader->context, tile, reader->hashes[tile->level][0], err));
	*kept = *tile;
	return 0;
}

static int read_node(void *context, int level, uint64_t index, uint8_t out[MERKLE_BYTES],
                     struct err *err)
{
	struct tile_reader *reader = context;
	int height = level % TILE_HEIGHT, tiles = level / TILE_HEIGHT;
	uint64_t first = index << height, last = first + (UINT64_C(1) << height) - 1;
	if (tiles >= TILE_LEVELS || last >= nodes_of(tiles, reader->size))
		return err_set(err, E_INVALID, "a log of %" PRIu64 " entries has no node %" PRIu64
		               " of level %d", reader->size, index, level);
	struct tile tile = tile_of(tiles, first, reader->size);
	TRY(load(reader, &tile, err));
	tile_fold((const uint8_t(*)[MERKLE_BYTES])reader->hashes[tiles] + first % TILE_WIDTH,
	          height, out);
	return 0;
}

struct merkle_source tile_source(struct tile_reader *reader)
{
	return (struct merkle_source){ .node = read_node, .context = reader };
}

int tile_range(struct tile_reader *reader, struct merkle_range *ret_range, struct err *err)
{
	struct merkle_range range = { .size = reader->size };
	uint64_t from = 0;
	size_t edge = 0;
	if (range.size >> MERKLE_DEPTH_MAX)
		return err_set(err, E_INVALID, "no log has %" PRIu64 " entries", range.size);
	for (int level = MERKLE_DEPTH_MAX - 1; level >= 0; level--) {
		if (!(range.size >> level & 1))
			continue;
		TRY(read_node(reader, level, from >> level, range.edge[edge++], err));
		from += UINT64_C(1) << level;
	}
	*ret_range = range;
	return 0;
}

/* --- writing --- */

static int last_width(const struct tile_writer *writer, int level)
{
	return (int)(nodes_of(level, writer->size) % TILE_WIDTH);
}

int tile_writer_init(struct tile_writer *writer, uint64_t size, tile_read_fn *read,
                     tile_write_fn *write, void *context, struct err *err)
{
	memset(writer, 0, sizeof *writer);
	writer->size = size;
	writer->write = write;
	writer->context = context;
	for (int level = 0; level < TILE_LEVELS; level++) {
		int width = last_width(writer, level);
		const struct tile tile = { level, nodes_of(level, size) / TILE_WIDTH, width };
		if (width > 0)
			TRY(read(context, &tile, writer->hashes[level][0], err));
	}
	return 0;
}

int tile_append(struct tile_writer *writer, const uint8_t leaf[MERKLE_BYTES], struct err *err)
{
	uint8_t hash[MERKLE_BYTES];
	uint64_t node = writer->size;
	if ((writer->size + 1) >> MERKLE_DEPTH_MAX)
		return err_set(err, E_TOO_LARGE, "a log holds at most 2^%d entries",
		               MERKLE_DEPTH_MAX);
	memcpy(hash, leaf, MERKLE_BYTES);
	for (int level = 0; level < TILE_LEVELS; level++, node /= TILE_WIDTH) {
		memcpy(writer->hashes[level][node % TILE_WIDTH], hash, MERKLE_BYTES);
		if (node % TILE_WIDTH != TILE_WIDTH - 1)
			break;
		const struct tile tile = { level, node / TILE_WIDTH, TILE_WIDTH };
		TRY(writer->write(writer->context, &tile, writer->hashes[level][0], err));
		tile_fold((const uint8_t(*)[MERKLE_BYTES])writer->hashes[level], TILE_HEIGHT, hash);
	}
	writer->size++;
	return 0;
}

int tile_flush(struct tile_writer *writer, struct err *err)
{
	for (int level = 0; level < TILE_LEVELS; level++) {
		int width = last_width(writer, level);
		const struct tile tile = { level, nodes_of(level, writer->size) / TILE_WIDTH,
			                   width };
		if (width > 0)
			TRY(writer->write(writer->context, &tile, writer->hashes[level][0], err));
	}
	return 0;
}

/* --- entries --- */

int tile_entry_put(struct buf *bundle, const void *data, size_t len, struct err *err)
{
	if (len > TILE_ENTRY_MAX)
		return err_set(err, E_TOO_LARGE, "an entry of a log has %d bytes at most, not %zu",
		               TILE_ENTRY_MAX, len);
	const uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };
	buf_put(bundle, head, sizeof head);
	buf_put(bundle, data, len);
	return buf_check(bundle, err);
}

bool tile_entry_next(const uint8_t *bundle, size_t len, size_t *at, const uint8_t **ret_data,
                     size_t *ret_len)
{
	if (len - *at < 2)
		return false;
	size_t entry = (size_t)bundle[*at] << 8 | bundle[*at + 1];
	if (len - *at - 2 < entry)
		return false;
	*ret_data = bundle + *at + 2;
	*ret_len = entry;
	*at += 2 + entry;
	return true;
}
