/* head.h - a dataset's current snapshot, as its head names it. */
#ifndef HEAD_H
#define HEAD_H

#include "api/table.h"
#include "control/control.h"

/* The member "status" of a resource: {snapshot: {...}} of a Dataset with data; NULL for all else. */
MUST_USE int head_status(struct control *control, struct arena *arena,
                         const struct value *resource, struct value **ret_status,
                         struct err *err);

#endif
