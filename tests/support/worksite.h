/* worksite.h - a worker without a link: a signer for grants, objects and files in a folder of their
 * own, and a pool whose executors are this test program (support/worksite.c turns it into one when
 * it is called as "executor"). */
#ifndef WORKSITE_H
#define WORKSITE_H

#include "common/crypto.h"
#include "worker/pool.h"
#include "worker/run.h"

struct worksite {
	char root[64];
	char files[96]; /* files_root; the tenant "acme" has its folder there */
	struct arena *arena;
	struct grant_signer *signer;
	struct secret *box_secret;
	struct runner runner;
	struct attempt attempt;
	int64_t counter; /* of the next grant's token */
};

/* ready: executors kept waiting; NULL online: none. Aborts on failure, as all here. */
void worksite_open(struct worksite *site, int ready, bool online);
void worksite_close(struct worksite *site);
/* Below acme's folder. */
void worksite_file(struct worksite *site, const char *name, const void *data, size_t len);

/* Columns as "name:type,name:type!" ("!": required). */
const struct value *worksite_schema(struct worksite *site, const char *columns);
/* A map out of JSON with ' for ". */
const struct value *worksite_map(struct worksite *site, const char *json);
/* Dataset acme/sales/NAME with the files that output (may be NULL) has. */
struct grant_table worksite_table(const char *name, const char *uid, const struct value *schema,
                                  const struct output *output, struct worksite *site);
/* A grant for the domain sales with default limits. */
struct grant worksite_grant(struct worksite *site, enum task_type type, const struct value *work);
struct report worksite_run(struct worksite *site, const struct grant *grant);
/* Rows of `sql` over the relation T, which is the sealed Parquet object at path, as JSON. */
const char *worksite_query(struct worksite *site, const char *uid, const char *path,
                           const char *sql);

#endif
