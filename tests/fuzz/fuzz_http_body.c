/* fuzz_http_body.c - a request's body as a handler takes it: JSON or YAML (first byte's lowest
 * bit), then as a manifest and as a task. What passes has a path and differs from itself in
 * nothing. */
#include "common/defs.h"
#include "api/graph.h"
#include "api/manifest.h"
#include "api/tasks.h"
#include "common/json.h"
#include "common/yaml.h"

#include <string.h>

static void check_run(struct arena *arena, const struct value *body)
{
	struct graph graph;
	struct err err;
	const struct value *tasks = value_get(body, "tasks");
	if (fields_check(run_request_fields, body, "", &err) < 0 || !tasks)
		return;
	if (graph_read(arena, tasks, "tasks", &graph, &err) < 0) {
		REQUIRE((err.code == E_INVALID || err.code == E_NOMEM) && err.text[0]);
		return;
	}
	REQUIRE(graph.count > 0 && graph.count <= GRAPH_TASKS_MAX);
	for (size_t i = 0; i < graph.count; i++)
		for (size_t j = 0; j < graph.tasks[i].dep_count; j++)
			REQUIRE(graph.tasks[i].deps[j].task < graph.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_manifest(struct arena *arena, const struct value *document)
{
	struct manifest manifest;
	struct value *diff = NULL;
	struct err err;
	AUTO_BUF path;
	buf_init(&path, 4096);
	if (manifest_check(document, &manifest, &err) < 0) {
		REQUIRE(err.code == E_INVALID && err.text[0] && strlen(err.text) < sizeof err.text);
		return;
	}
	REQUIRE(manifest_path(&manifest, &path, &err) == 0 || err.code == E_INVALID);
	REQUIRE(manifest_diff(arena, document, document, &diff, &err) == 0);
	REQUIRE(value_len(diff) == 0);
	REQUIRE(manifest_diff(arena, NULL, document, &diff, &err) == 0);
}

static void check_task(const struct value *body)
{
	struct task_request request;
	struct err err;
	if (task_request_read(body, &request, &err) < 0) {
		REQUIRE(err.code == E_INVALID && err.text[0]);
		return;
	}
	REQUIRE(request.type >= 0 && request.type < TASK_COUNT_);
	REQUIRE(request.limits.threads > 0 && request.limits.deadline_ms > 0);
	REQUIRE(request.limits.memory_bytes > 0 && request.limits.attempts_max > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct value *value = NULL;
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (len == 0)
		return 0;
	const char *text = (const char *)data + 1;
	bool yaml = data[0] & 1;
	int rc = yaml ? yaml_parse(arena, text, len - 1, &value, &err)
	              : json_parse(arena, text, len - 1, &value, &err);
	if (rc < 0)
		return 0;
	const struct value *body = yaml ? value_at(value, 0) : value;
	check_manifest(arena, body);
	check_task(body);
	check_run(arena, body);
	return 0;
}
