/* explain_interim.c - what can be said of waiting without the scheduler; its own answers take the
 * place of these. */
#include "common/defs.h"
#include "control/shard.h"

#define INTERIM __attribute__((weak))

INTERIM struct value *shard_explain(struct shard *shard, struct arena *arena, const char *tenant,
                                    const char *domain, const char *id)
{
	const struct value *task = shard_task(shard, arena, tenant, domain, id);
	struct value *map = value_map(arena), *reasons = value_list(arena);
	struct value *reason = value_map(arena);
	if (!task)
		return NULL;
	value_set_str(map, "state", value_get_str(task, "state"));
	value_set_str(reason, "rule", "queue");
	value_set_str(reason, "detail", value_get_str(task, "reason"));
	if (!value_get(task, "startedAt") && !value_get(task, "endedAt"))
		value_add(reasons, reason);
	value_set(map, "reasons", reasons);
	return map;
}

INTERIM struct value *shard_explain_request(struct shard *shard, struct arena *arena,
                                            const char *tenant, const char *domain,
                                            const struct task_request *request)
{
	struct value *map = value_map(arena);
	(void)shard;
	(void)tenant;
	(void)domain;
	(void)request;
	value_set_str(map, "state", "waiting");
	value_set(map, "reasons", value_list(arena));
	return map;
}

INTERIM struct value *shard_queue_table(struct shard *shard, struct arena *arena)
{
	(void)shard;
	return value_list(arena);
}

INTERIM struct value *shard_pools(struct shard *shard, struct arena *arena)
{
	(void)shard;
	return value_list(arena);
}
