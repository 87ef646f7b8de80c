/* cedar_cases.c - paths inside a case are relative to some folder above it, which is looked for. */
#include "common/defs.h"
#include "tests/support/cedar_cases.h"

#include "common/json.h"
#include "policy/cedar_json.h"
#include "policy/cedar_set.h"
#include "policy/cedar_validate.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CASE_BYTES_MAX = 256 << 20, FOLDER_DEPTH_MAX = 16 };

struct run {
	struct cedar_tally *tally;
	struct arena *arena;
	const char *path;
	struct cedar_set *set;
	struct cedar_entities *entities;
	const struct cedar_schema *schema;
	struct err err;
};

const char *cedar_check_name(enum cedar_check check)
{
	static const char *const names[] = { "decisions", "reasons", "errors", "validation" };
	return names[check];
}

static size_t sum(const size_t *counts)
{
	size_t all = 0;
	for (size_t i = 0; i < CHECK_COUNT_; i++)
		all += counts[i];
	return all;
}

size_t cedar_tally_passed(const struct cedar_tally *tally)
{
	return sum(tally->passed);
}

size_t cedar_tally_failed(const struct cedar_tally *tally)
{
	return sum(tally->failed) + tally->unreadable;
}

static char *slurp(struct arena *arena, const char *path, size_t *ret_len)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	if (!file)
		return NULL;
	char *text = fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) ?
		arena_alloc(arena, (size_t)st.st_size + 1) : NULL;
	if (text && fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		text = NULL;
	fclose(file);
	if (text)
		*ret_len = (size_t)st.st_size;
	return text;
}

/* The file that a case names, from the nearest folder above the case that has it. */
static char *slurp_named(struct run *run, const struct value *root, const char *member,
			 size_t *ret_len)
{
	char base[PATH_MAX], path[2 * PATH_MAX];
	const char *name = value_get_str(root, member);
	snprintf(base, sizeof base, "%s", run->path);
	while (name) {
		char *slash = strrchr(base, '/');
		if (slash)
			*slash = 0;
		snprintf(path, sizeof path, "%s/%s", slash ? base : ".", name);
		char *text = slurp(run->arena, path, ret_len);
		if (text || !slash)
			return text;
	}
	return NULL;
}

static void check(struct run *run, enum cedar_check kind, bool good)
{
	if (good)
		run->tally->passed[kind]++;
	else
		run->tally->failed[kind]++;
}

static void report(struct run *run, const char *where, const char *what, const char *expected,
		   const char *found)
{
	if (run->tally->report)
		fprintf(run->tally->report, "%s, %s: %s: expected %s, found %s\n", run->path, where,
		        what, expected, found);
}

static int load(struct run *run, const struct value *root)
{
	struct value *list = NULL;
	size_t len = 0;
	char *text = slurp_named(run, root, "schema", &len);
	if (!text)
		return err_set(&run->err, E_NOT_FOUND, "the schema is not there");
	bool json = strstr(value_get_str(root, "schema"), ".json") != NULL;
	TRY(json ? cedar_schema_parse_json(run->arena, text, len, &run->schema, &run->err)
	         : cedar_schema_parse(run->arena, text, len, &run->schema, &run->err));
	text = slurp_named(run, root, "entities", &len);
	if (!text)
		return err_set(&run->err, E_NOT_FOUND, "the entities are not there");
	TRY(cedar_json_read(run->arena, text, len, &list, &run->err));
	TRY(cedar_entities_new(run->arena, &run->entities, &run->err));
	TRY(cedar_json_entities(run->entities, run->arena, list, run->schema, &run->err));
	TRY(cedar_entities_close(run->entities, &run->err));
	text = slurp_named(run, root, "policies", &len);
	if (!text)
		return err_set(&run->err, E_NOT_FOUND, "the policies are not there");
	TRY(cedar_set_new(CASE_BYTES_MAX, &run->set, &run->err));
	TRY(cedar_set_add(run->set, text, len, "policy", &run->err));
	return cedar_set_close(run->set, &run->err);
}

static const char *list_of(struct run *run, const struct value *list)
{
	const char *text = "[";
	for (size_t i = 0; i < value_len(list); i++)
		text = arena_printf(run->arena, "%s%s%s", text, i ? ", " : "",
		                    value_as_str(value_at(list, i)));
	return arena_printf(run->arena, "%s]", text);
}

static bool has_id(const struct value *list, struct cedar_str id)
{
	for (size_t i = 0; i < value_len(list); i++)
		if (cedar_str_is(id, value_as_str(value_at(list, i))))
			return true;
	return false;
}

static void check_reasons(struct run *run, const char *where, const struct value *request,
			  const struct cedar_answer *answer)
{
	const struct value *expected = value_get(request, "reason");
	const char *found = "[";
	bool same = answer->reason_count == value_len(expected);
	for (size_t i = 0; i < answer->reason_count; i++) {
		struct cedar_str id = answer->reasons[i]->id;
		same = same && has_id(expected, id);
		found = arena_printf(run->arena, "%s%s%.*s", found, i ? ", " : "", (int)id.len,
		                     id.text);
	}
	check(run, CHECK_REASONS, same);
	if (!same)
		report(run, where, "reasons", list_of(run, expected),
		       arena_printf(run->arena, "%s]", found));
}

static void check_errors(struct run *run, const char *where, const struct value *request,
			 const struct cedar_answer *answer)
{
	const struct value *expected = value_get(request, "errors");
	const char *found = "[";
	bool same = answer->error_count == value_len(expected);
	for (size_t i = 0; i < answer->error_count; i++) {
		struct cedar_str id = answer->errors[i].policy->id;
		same = same && has_id(expected, id);
		found = arena_printf(run->arena, "%s%s%.*s (%s)", found, i ? ", " : "",
		                     (int)id.len, id.text, answer->errors[i].reason);
	}
	check(run, CHECK_ERRORS, same);
	if (!same)
		report(run, where, "errors", list_of(run, expected),
		       arena_printf(run->arena, "%s]", found));
}

static void check_request(struct run *run, size_t number, const struct value *item)
{
	struct cedar_request request;
	struct cedar_answer answer = { 0 };
	const char *where = arena_printf(run->arena, "request %zu", number);
	const char *expected = value_get_str(item, "decision");
	bool made = cedar_json_request(run->arena, item, run->schema, &request, &run->err) == 0 &&
		cedar_set_decide(run->set, run->arena, &request, run->entities, &answer,
		                 &run->err) == 0;
	const char *found = !made ? run->err.text : answer.allowed ? "allow" : "deny";
	bool same = expected && strcasecmp(expected, found) == 0;
	check(run, CHECK_DECISION, same);
	if (!same)
		report(run, where, "decision", expected ? expected : "none", found);
	check_reasons(run, where, item, &answer);
	check_errors(run, where, item, &answer);
}

static void check_validation(struct run *run, const struct value *root)
{
	const struct cedar_finding *findings = NULL;
	size_t count = 0;
	const struct value *wanted = value_get(root, "shouldValidate");
	if (!wanted)
		return;
	bool expected = value_as_bool(wanted, false);
	int rc = cedar_validate(run->arena, run->schema, cedar_set_at(run->set, 0),
	                        cedar_set_count(run->set), &findings, &count, &run->err);
	bool same = rc == 0 && expected == (count == 0);
	check(run, CHECK_VALIDATION, same);
	if (!same)
		report(run, "policies", "validation", expected ? "valid" : "refused",
		       rc < 0 ? run->err.text : count ? findings[0].text : "valid");
}

static void run_case(struct cedar_tally *tally, struct arena *arena, const char *path)
{
	struct run run = { .tally = tally, .arena = arena, .path = path };
	struct value *root = NULL;
	size_t len = 0;
	arena_reset(arena);
	char *text = slurp(arena, path, &len);
	if (!text || cedar_json_read(arena, text, len, &root, &run.err) < 0 ||
	    !value_get(root, "requests") || !value_get(root, "policies"))
		return;
	tally->cases++;
	if (load(&run, root) < 0) {
		tally->unreadable++;
		report(&run, "case", "files", "a case that can be read", run.err.text);
		cedar_set_free(run.set);
		return;
	}
	const struct value *requests = value_get(root, "requests");
	for (size_t i = 0; i < value_len(requests); i++)
		check_request(&run, i, value_at(requests, i));
	check_validation(&run, root);
	cedar_set_free(run.set);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool run_folder(const char *folder, int depth, struct cedar_tally *tally,
		       struct arena *arena)
{
	struct dirent **names = NULL;
	int count = depth < FOLDER_DEPTH_MAX ? scandir(folder, &names, NULL, alphasort) : -1;
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
		bool there = names[i]->d_name[0] != '.' && stat(path, &st) == 0;
		if (there && S_ISDIR(st.st_mode))
			run_folder(path, depth + 1, tally, arena);
		else if (there && ends_with(path, ".json") && !ends_with(path, "entities.json"))
			run_case(tally, arena, path);
		free(names[i]);
	}
	free(names);
	return count >= 0;
}

bool cedar_cases_run(const char *folder, struct cedar_tally *tally)
{
	struct err err;
	AUTO(arena) *arena = NULL;
	return arena_new(CASE_BYTES_MAX, &arena, &err) == 0 && run_folder(folder, 0, tally, arena);
}
