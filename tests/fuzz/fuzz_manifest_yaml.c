/* fuzz_manifest_yaml.c - a file of manifests, as `freehold apply` reads it: every document is
 * checked, and what passes passes again after it was printed as YAML. */
#include "common/defs.h"
#include "api/manifest.h"
#include "common/yaml.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(struct arena *arena, const struct value *document)
{
	struct manifest manifest, again;
	struct value *list = NULL, *diff = NULL;
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 16 * MIB);
	if (manifest_check(document, &manifest, &err) < 0)
		return;
	REQUIRE(yaml_print(document, &out, &err) == 0);
	REQUIRE(yaml_parse(arena, (const char *)out.data, out.len, &list, &err) == 0);
	REQUIRE(manifest_check(value_at(list, 0), &again, &err) == 0);
	REQUIRE(again.kind == manifest.kind && strcmp(again.name, manifest.name) == 0);
	REQUIRE(manifest_diff(arena, document, value_at(list, 0), &diff, &err) == 0);
	REQUIRE(value_len(diff) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct value *list = NULL;
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (yaml_parse(arena, (const char *)data, len, &list, &err) < 0)
		return 0;
	for (size_t i = 0; i < value_len(list); i++)
		check(arena, value_at(list, i));
	return 0;
}
