/* fuzz_rowfilter.c - a filter out of a grant: what passes the check can be said in SQL and tried on
 * a row, and its opposite passes exactly the other rows. */
#include "common/defs.h"
#include "common/json.h"
#include "common/rowfilter.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] =
	"[{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"i\",\"type\":\"int64\"},"
	"{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"t\",\"type\":\"timestamp\"}]";

static const struct value *cell(void *context, const char *column)
{
	return value_get(context, column);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) *arena = NULL;
	struct value *filter = NULL, *schema = NULL, *row = NULL;
	static const char row_text[] = "{\"s\":\"EU\",\"i\":2,\"t\":2000000}";
	if (arena_new(64 * MIB, &arena, NULL) < 0 ||
	    json_parse(arena, schema_text, strlen(schema_text), &schema, NULL) < 0 ||
	    json_parse(arena, row_text, strlen(row_text), &row, NULL) < 0 ||
	    json_parse(arena, (const char *)data, size, &filter, NULL) < 0)
		return 0;
	if (rowfilter_check(filter, schema, NULL) < 0)
		return 0;
	AUTO_BUF sql;
	buf_init(&sql, 16 * MIB);
	REQUIRE(rowfilter_sql(filter, &sql, NULL) == 0);
	bool passes = rowfilter_test(filter, cell, row);
	const struct value *opposite = rowfilter_not(arena, filter);
	REQUIRE(opposite && rowfilter_test(opposite, cell, row) != passes);
	return 0;
}
