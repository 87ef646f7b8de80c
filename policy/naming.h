/* naming.h - what people call things, as what is asked about: "trips.rides", "dataset/trips/rides",
 * "tenant" or Dataset::"acme/trips/rides"; "alice", "trips/consumer". Pure; texts lie in the arena.
 * Errors name the text's part, and what was meant. */
#ifndef NAMING_H
#define NAMING_H

#include "policy/engine.h"
#include "policy/model.h"

/* "dataset:read", one that policies are asked about. E_INVALID names the nearest. */
MUST_USE int naming_action(const char *text, enum action *ret_action, struct err *err);
/* Of a tenant. Without a kind it is of the action's: "trips.rides" of dataset:read is a dataset, of
 * features:read a view, "trips" of task:run the domain. Also "platform", "tenant", "commons". */
MUST_USE int naming_resource(const struct model *model, struct arena *arena, const char *tenant,
                             enum action action, const char *text,
                             struct engine_resource *ret_resource, struct err *err);
/* Dataset::"acme/trips/rides"; NULL without memory. */
const char *naming_uid(struct arena *arena, const char *tenant,
                       const struct engine_resource *resource);
/* "alice", "acme/alice" or User::"acme/alice", of that tenant: "alice". */
MUST_USE int naming_principal(struct arena *arena, const char *tenant, const char *text,
                              const char **ret_name, struct err *err);
/* "consumer" or "trips/consumer", bound to the asker. */
MUST_USE int naming_role(struct arena *arena, const char *text, struct asker *asker,
                         struct err *err);

#endif
