/* fuzz_sql_tree.c - a statement's tree as the engine wrote it: whatever it is, lineage is told, and
 * nothing is read beyond it. */
#include "common/defs.h"
#include "common/json.h"
#include "worker/sql_lineage.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tables_text[] =
	"[{\"domain\":\"hr\",\"name\":\"people\",\"schema\":[{\"name\":\"id\",\"type\":\"int64\"},"
	"{\"name\":\"ssn\",\"type\":\"string\"}]},{\"domain\":\"hr\",\"name\":\"pay\"}]";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) *arena = NULL;
	struct value *tables = NULL, *result = NULL, *lineage = NULL;
	static const char result_text[] = "[{\"name\":\"id\",\"type\":\"int64\"}]";
	if (arena_new(64 * MIB, &arena, NULL) < 0 ||
	    json_parse(arena, tables_text, strlen(tables_text), &tables, NULL) < 0 ||
	    json_parse(arena, result_text, strlen(result_text), &result, NULL) < 0)
		return 0;
	const char *tree = arena_strndup(arena, (const char *)data, size);
	if (tree && sql_lineage(arena, tree, "hr", tables, result, &lineage, NULL) == 0)
		REQUIRE(value_get(value_get(lineage, "columns"), "id"));
	return 0;
}
