/* operation.h - the rows of routes.def, serving.def and operations.def, for the pages and the
 * document that are generated from them. */
#ifndef OPERATION_H
#define OPERATION_H

#include "api/kinds.h"

struct parameter {
	const char *id, *name, *in, *type, *doc;
};

struct operation {
	const char *handler, *tag;
	const char *parameters;      /* ids, space between */
	const char *request;         /* NULL: none */
	const char *status;          /* of success; space between */
	const char *answer;
};

struct answer {                  /* a schema of its own */
	const char *name;
	const struct field *fields;  /* NULL: a page of `item` */
	const char *item;
};

/* A route as the generated pages show it. */
struct route_row {
	const char *method, *path;
	const struct operation *operation;
	enum kind kind;
	const char *action;          /* DATASET_READ */
	const char *audit;           /* ALWAYS, ONCE, NEVER; DENIALS: see serving.def */
	bool serving;                /* at the worker's door */
	const char *summary;
};

extern const struct parameter parameters[];      /* each ends with a row of NULLs */
extern const struct answer answers[];
extern const struct route_row route_rows[];

/* Of a space-separated list of ids: the next one, advancing *list; NULL at its end. */
const struct parameter *parameter_next(const char **list);
/* "dataset:read", as policies and audit events name it; in arena. */
const char *route_action(struct arena *arena, const struct route_row *row);
/* "putDataset": its operation's id; in arena. NULL: no memory. */
const char *route_operation(struct arena *arena, const struct route_row *row);
bool route_public(const struct route_row *row);
/* The component that request, answer or NULL name for this row; in arena. NULL: none. */
const char *route_schema(struct arena *arena, const struct route_row *row, const char *name);

#endif
