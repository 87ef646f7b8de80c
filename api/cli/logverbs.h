/* logverbs.h - freehold audit key, verify, prove, export --tiles. */
#ifndef LOGVERBS_H
#define LOGVERBS_H

#include "api/cli/cli.h"

/* False: the words name none of these. */
bool logverbs_asked(const struct cli *cli);
MUST_USE int logverbs_run(struct cli *cli, struct err *err);

#endif
