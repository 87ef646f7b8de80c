/* rules.h - what a resource must agree with besides its own fields: what it refers to is there and
 * may be used, and what is deleted is not referred to. Each rule registers what the write rests on
 * (control/intents.h) before it looks. */
#ifndef RULES_H
#define RULES_H

#include "control/admit.h"

/* Of a resource about to be written; manifest is complete (tenant and domain from the path).
 * before: the stored resource; NULL: there is none. What a dry run refers to and is not there is no
 * failure: it may be made before, and is added to request->missing. */
MUST_USE int rules_put(struct control *control, struct request *request,
                       const struct manifest *manifest, const struct value *before,
                       struct err *err);
/* What is the platform's own in a tenant (control/home.h) is read by clients, and no more. */
MUST_USE int rules_home(const struct manifest *manifest, struct err *err);
/* Of a resource about to be deleted. E_CONFLICT names what still refers to it. */
MUST_USE int rules_delete(struct control *control, struct request *request,
                          const struct manifest *manifest, struct err *err);
/* Of a task's spec: what it names exists and the asker may run it there. */
MUST_USE int rules_task(struct control *control, struct request *request,
                        const struct field *fields, const struct value *spec, struct err *err);
/* The same of a run's tasks; of a pipeline about to be written only whether the asker may. */
MUST_USE int rules_graph(struct control *control, struct request *request,
                         const struct value *tasks, const char *path, bool exist,
                         struct err *err);
/* Only an operator touches a principal that is one: granting its role, or making its keys. */
MUST_USE int rules_operator(const struct request *request, const struct value *spec,
                            const char *field, struct err *err);

#endif
