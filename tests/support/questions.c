/* questions.c - see questions.h. */
#include "common/defs.h"
#include "tests/support/questions.h"

#include "api/operation.h"

#include <string.h>

void questions(question_fn *visit, void *context)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		const char *ids = row->operation->parameters;
		const struct parameter *parameter;
		if (strcmp(row->method, "GET") != 0 || row->serving)
			continue;
		while ((parameter = parameter_next(&ids)))
			if (strcmp(parameter->in, "query") == 0 &&
			    strcmp(parameter->type, "string") == 0)
				visit(context, row->path, parameter->name);
	}
}
