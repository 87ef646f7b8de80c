/* erased.h - what the dispatcher knows of tenants that are sealed or erased: whose online data
 * workers are asked to delete, who has done so, and which attempts read what is another's. */
#ifndef ERASED_H
#define ERASED_H

#include "common/text.h"

enum { ERASES_MAX = 16, CONFIRMATIONS_MAX = 256 };

struct erase { char tenant[NAME_MAX_LEN + 1], uid[ID_LEN + 1]; };        /* asked of a worker */

struct confirmation {
	char uid[ID_LEN + 1], worker[128];
	int64_t rows;                /* that it has deleted */
};
struct confirmations {               /* until somebody asks for them; their owner guards them */
	struct confirmation items[CONFIRMATIONS_MAX];
	size_t count;
};

/* Of an attempt; count over LENDERS_MAX: more than are named. */
enum { LENDERS_MAX = 2 };
struct lenders {
	char names[LENDERS_MAX][NAME_MAX_LEN + 1];
	size_t count;
};

#endif
