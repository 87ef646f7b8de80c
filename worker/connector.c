/* connector.c - the table behind connector.h. */
#include "common/defs.h"
#include "worker/connector.h"

#include <string.h>

connector_open_fn *connector_by_name(const char *name)
{
	static const struct {
		const char *name;
		connector_open_fn *open;
	} connectors[] = {
#define CONNECTOR(name, doc) {#name, c_##name##_open},
#include "worker/connectors.def"
#undef CONNECTOR
	};
	for (size_t i = 0; name && i < ARRAY_LEN(connectors); i++)
		if (strcmp(connectors[i].name, name) == 0)
			return connectors[i].open;
	return NULL;
}
