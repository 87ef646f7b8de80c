/* v_policy.c - freehold policy: the schema, lint, test without a server; diff against the policies
 * in force. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/manifest.h"
#include "common/text.h"
#include "common/yaml.h"
#include "policy/examples.h"
#include "policy/lint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4 * MIB, POLICIES_MOST = 1000, TEXT_SCHEMA_MAX = MIB };

static const struct model_kind kinds[] = {
#define SUBTABLE(name, FIELDS)
#define KIND MODEL_KIND
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

/* --- files --- */

struct loaded {
	const char *name, *text, *tenant; /* tenant NULL: not said */
	const struct value *examples;
};

struct files {
	struct cli *cli;
	const struct model *model;
	struct loaded *items;
	size_t count;
};

static int read_file(struct cli *cli, const char *path, char **ret_text, size_t *ret_len,
                     struct err *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	char *text = arena_alloc(cli->arena, FILE_BYTES_MAX + 1);
	size_t len = 0;
	ssize_t n = text ? 1 : -1;
	while (n > 0 && len < FILE_BYTES_MAX) {
		n = read(fd, text + len, FILE_BYTES_MAX - len);
		len += n > 0 ? (size_t)n : 0;
	}
	int reason = errno;
	if (!standard)
		close(fd);
	if (n != 0)
		return n < 0 ? err_errno(err, text ? reason : ENOMEM, "%s", path)
		             : err_set(err, E_TOO_LARGE, "%s: %d bytes or more; split it", path,
		                       FILE_BYTES_MAX);
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int add(struct files *files, const struct loaded *loaded, struct err *err)
{
	if (files->count == POLICIES_MOST)
		return err_set(err, E_TOO_LARGE, "more than %d policies at one time",
		               POLICIES_MOST);
	files->items[files->count++] = *loaded;
	return 0;
}

/* salaries.cedar is the policy salaries. */
static int add_cedar(struct files *files, const char *path, const char *text, struct err *err)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	const char *name = arena_strndup(files->cli->arena, base, strcspn(base, "."));
	return add(files, &(struct loaded){.name = name ? name : base, .text = text}, err);
}

static int add_manifests(struct files *files, const char *path, const char *text, size_t len,
                         struct err *err)
{
	struct value *list = NULL;
	if (yaml_parse(files->cli->arena, text, len, &list, err) < 0)
		return err_prefix(err, "%s", path);
	for (size_t i = 0; i < value_len(list); i++) {
		struct manifest manifest;
		const char *kind = value_get_str(value_at(list, i), "kind");
		if (!kind || strcmp(kind, "Policy") != 0)
			continue;
		if (manifest_check(value_at(list, i), &manifest, err) < 0)
			return err_prefix(err, "%s, document %zu", path, i + 1);
		const struct loaded loaded = {manifest.name, value_get_str(manifest.spec, "text"),
		                              manifest.tenant,
		                              value_get(manifest.spec, "examples")};
		TRY(add(files, &loaded, err));
	}
	return 0;
}

static int load(struct files *files, const char *path, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	const char *dot = strrchr(path, '.');
	TRY(read_file(files->cli, path, &text, &len, err));
	if (strlen(text) != len)
		return err_set(err, E_INVALID, "%s: holds a NUL character", path);
	return dot && strcmp(dot, ".cedar") == 0 ? add_cedar(files, path, text, err)
	                                         : add_manifests(files, path, text, len, err);
}

static int files_new(struct cli *cli, struct files *ret_files, struct err *err)
{
	struct files files = {.cli = cli};
	files.items = arena_alloc(cli->arena, POLICIES_MOST * sizeof *files.items);
	if (!files.items)
		return err_set(err, E_NOMEM, "no memory for policies");
	TRY(model_new(cli->arena, kinds, ARRAY_LEN(kinds), &files.model, err));
	for (int i = 1; i < cli->word_count; i++)
		TRY(load(&files, cli_word(cli, i), err));
	for (int i = 0; i < cli->option_count; i++)
		if (strcmp(cli->options[i].name, "file") == 0)
			TRY(load(&files, cli->options[i].value, err));
	if (!files.count)
		return err_set(err, E_INVALID,
		               "no policy is given: name files of kind Policy, or "
		               "NAME.cedar");
	*ret_files = files;
	return 0;
}

/* --- schema, lint --- */

static int schema(struct cli *cli, struct err *err)
{
	AUTO_BUF out;
	(void)cli;
	buf_init(&out, TEXT_SCHEMA_MAX);
	TRY(model_print(kinds, ARRAY_LEN(kinds), &out, err));
	fwrite(out.data, 1, out.len, stdout);
	return 0;
}

static int lint(struct cli *cli, struct err *err)
{
	struct files files;
	struct value *findings = NULL;
	TRY(files_new(cli, &files, err));
	struct lint_text *texts = arena_alloc(cli->arena, files.count * sizeof *texts);
	if (!texts)
		return err_set(err, E_NOMEM, "no memory for policies");
	for (size_t i = 0; i < files.count; i++)
		texts[i] = (struct lint_text){files.items[i].name, files.items[i].text};
	TRY(lint_policies(files.model, cli->arena, texts, files.count, &findings, err));
	size_t errors = 0;
	for (size_t i = 0; i < value_len(findings); i++)
		errors += strcmp(value_get_str(value_at(findings, i), "severity"), "error") == 0;
	bool strict = cli_switch(cli, "strict") && value_len(findings);
	cli->exit_code = errors || strict ? EXIT_FAILED : EXIT_OK;
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, findings, err);
	for (size_t i = 0; i < value_len(findings); i++) {
		const struct value *finding = value_at(findings, i);
		printf("%s: policy %s: %s [%s]\n", value_get_str(finding, "severity"),
		       value_get_str(finding, "policy"), value_get_str(finding, "text"),
		       value_get_str(finding, "rule"));
	}
	printf("%zu %s, %zu errors, %zu warnings\n", files.count,
	       files.count == 1 ? "text" : "texts", errors, value_len(findings) - errors);
	return 0;
}

/* --- test --- */

static const char *tenant_of(const struct files *files)
{
	const char *tenant = cli_option(files->cli, "tenant");
	for (size_t i = 0; !tenant && i < files->count; i++)
		tenant = files->items[i].tenant;
	return tenant;
}

/* The roles and the policies of the files, and no others. */
static int engine_of(const struct files *files, const char *tenant, struct engine **ret_engine,
                     struct err *err)
{
	struct arena *arena = files->cli->arena;
	struct engine_policy *policies = arena_alloc(arena, files->count * sizeof *policies);
	struct value *domains = value_list(arena);
	for (size_t i = 0; policies && i < files->count; i++) {
		policies[i] = (struct engine_policy){files->items[i].name, files->items[i].text};
		examples_domains(files->model, arena, tenant, files->items[i].examples, domains);
	}
	const char **names = arena_alloc(arena, (value_len(domains) + 1) * sizeof *names);
	if (!policies || !names)
		return err_set(err, E_NOMEM, "no memory for policies");
	for (size_t i = 0; i < value_len(domains); i++)
		names[i] = value_as_str(value_at(domains, i));
	const struct engine_conf conf = {.tenant = tenant,
	                                 .domains = names,
	                                 .domain_count = value_len(domains),
	                                 .policies = policies,
	                                 .policy_count = files->count};
	return engine_new(&conf, ret_engine, err);
}

static int run_examples(const struct files *files, const struct engine *engine, const char *tenant,
                        const struct loaded *loaded, size_t counts[2], struct err *err)
{
	for (size_t i = 0; i < value_len(loaded->examples); i++) {
		struct example example;
		if (example_run(files->model, engine, files->cli->arena, tenant, loaded->examples,
		                i, &example, err) < 0)
			return err_prefix(err, "policy %s: spec.examples[%zu]", loaded->name, i);
		counts[example.holds]++;
		if (example.holds)
			printf("ok    policy %s: %s: %s\n", loaded->name, example.name,
			       example.got);
		else
			printf("FAIL  policy %s: %s: expected %s, got %s\n", loaded->name,
			       example.name, example.expected, example.got);
	}
	return 0;
}

static int test(struct cli *cli, struct err *err)
{
	AUTO(engine) *engine = NULL;
	struct files files;
	size_t counts[2] = {0, 0};
	TRY(files_new(cli, &files, err));
	const char *tenant = tenant_of(&files);
	if (!tenant)
		return err_set(err, E_INVALID,
		               "of which tenant are these policies? say --tenant, "
		               "or metadata.tenant");
	TRY(engine_of(&files, tenant, &engine, err));
	for (size_t i = 0; i < files.count; i++)
		TRY(run_examples(&files, engine, tenant, &files.items[i], counts, err));
	printf("%zu %s, %zu examples hold, %zu do not\n", files.count,
	       files.count == 1 ? "policy" : "policies", counts[1], counts[0]);
	cli->exit_code = counts[0] ? EXIT_FAILED : EXIT_OK;
	return 0;
}

/* --- diff --- */

static bool has_line(const char *text, const char *line, size_t len)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		if (n == len && memcmp(text, line, len) == 0)
			return true;
		text += n + (text[n] == '\n');
	}
	return false;
}

/* Lines of one that the other has not. */
static void print_lines(const char *text, const char *other, char sign)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");
		if (len && !has_line(other, text, len))
			printf("  %c %.*s\n", sign, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void print_changes(const struct value *changes)
{
	for (size_t i = 0; i < value_len(changes); i++) {
		const struct value *item = value_at(changes, i);
		const char *old = value_get_str(item, "old"), *made = value_get_str(item, "new");
		printf("policy %s: %s\n", value_get_str(item, "policy"),
		       value_get_str(item, "change"));
		print_lines(old, made, '-');
		print_lines(made, old, '+');
	}
}

static void print_list(const char *title, const struct value *list)
{
	for (size_t i = 0; i < value_len(list); i++)
		printf("%s: %s\n", title, value_as_str(value_at(list, i)));
}

static void print_decisions(struct cli *cli, const struct value *decisions)
{
	static const char *const titles[] = {"WHO", "ACTION", "RESOURCE", "WAS", "WOULD BE",
	                                     "BY",  "TIMES",  "LAST",     NULL};
	static const char *const members[] = {"actor", "action",  "resource",
	                                      "was",   "wouldBe", "by"};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(decisions); i++) {
		const struct value *item = value_at(decisions, i);
		for (size_t n = 0; n < ARRAY_LEN(members); n++)
			table_cell(table, value_get_str(item, members[n]));
		table_number(table, value_get_int(item, "count", 0));
		table_cell(table, value_get_str(item, "time"));
	}
	if (value_len(decisions) > 0)
		table_print(table);
}

static void print_diff(struct cli *cli, const struct value *answer)
{
	const struct value *left_out = value_get(answer, "leftOut");
	int64_t drifted = value_get_int(answer, "drifted", 0);
	print_changes(value_get(answer, "policies"));
	print_list("error", value_get(answer, "errors"));
	print_list("warning", value_get(answer, "warnings"));
	print_decisions(cli, value_get(answer, "decisions"));
	printf("%" PRId64 " audit events, %" PRId64 " replayed, %" PRId64 " would change\n",
	       value_get_int(answer, "events", 0), value_get_int(answer, "replayed", 0),
	       value_get_int(answer, "changed", 0));
	if (drifted)
		printf("%" PRId64 " are decided otherwise today already: roles, groups or policies "
		       "changed since\n",
		       drifted);
	for (size_t i = 0; i < value_len(left_out); i++)
		printf("%" PRId64 " not replayed: %s\n",
		       value_get_int(value_at(left_out, i), "count", 0),
		       value_get_str(value_at(left_out, i), "reason"));
}

static struct value *candidates_of(const struct files *files)
{
	struct arena *arena = files->cli->arena;
	struct value *list = value_list(arena);
	for (size_t i = 0; i < files->count; i++) {
		struct value *item = value_map(arena);
		value_set_str(item, "name", files->items[i].name);
		value_set_str(item, "text", files->items[i].text);
		value_add(list, item);
	}
	return list;
}

static bool anything_changes(const struct value *answer)
{
	const struct value *changes = value_get(answer, "policies");
	for (size_t i = 0; i < value_len(changes); i++)
		if (strcmp(value_get_str(value_at(changes, i), "change"), "unchanged") != 0)
			return true;
	return value_get_int(answer, "changed", 0) > 0;
}

static int diff(struct cli *cli, struct err *err)
{
	struct files files;
	struct value *body = value_map(cli->arena), *answer = NULL;
	const char *tenant = NULL, *last = cli_option(cli, "last");
	TRY(files_new(cli, &files, err));
	TRY(profile_load(cli, err));
	tenant = files.items[0].tenant;
	if (!tenant || cli_option(cli, "tenant"))
		TRY(cli_tenant(cli, &tenant, err));
	if (last && (strspn(last, "0123456789") != strlen(last) || strlen(last) > 9))
		return err_set(err, E_INVALID, "--last: must be a number of audit events, not %s",
		               last);
	value_set(body, "policies", candidates_of(&files));
	if (last)
		value_set_int(body, "last", strtol(last, NULL, 10));
	TRY(value_check(body, err));
	const struct call call = {.method = "POST",
	                          .body = body,
	                          .timeout_ms = 120000,
	                          .path = client_path(cli, "/v1/tenants/%s/policy-diff", tenant)};
	TRY(client_call(cli, &call, &answer, err));
	if (value_get(answer, "errors") ||
	    (cli_switch(cli, "fail-on-change") && anything_changes(answer)))
		cli->exit_code = EXIT_FAILED;
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	print_diff(cli, answer);
	return 0;
}

/* --- the verb --- */

static int policy(struct cli *cli, struct err *err)
{
	static const struct {
		const char *name;
		int (*run)(struct cli *cli, struct err *err);
	} actions[] = {{"schema", schema}, {"lint", lint}, {"test", test}, {"diff", diff}};
	const char *action = cli_word(cli, 0);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(action, actions[i].name) == 0)
			return actions[i].run(cli, err);
	return err_set(err, E_INVALID,
	               "%s: no such thing to do with policies; see `freehold policy "
	               "--help`",
	               action);
}

static const struct option_row options[] = {
	{"file", "FILE", "kind Policy in YAML or JSON, NAME.cedar, or - (-f); may be repeated"},
	{"strict", NULL, "lint: exit code 1 for warnings, too"},
	{"last", "N", "diff: how many audit events are replayed; default 10000"},
	{"fail-on-change", NULL, "diff: exit code 1 when a text or a decision would change"},
	{NULL, NULL, NULL}};

const struct verb verb_policy = {
	.name = "policy",
	.words = "schema | lint FILE... | test FILE... | diff -f FILE",
	.words_min = 1,
	.words_max = WORDS_MAX,
	.summary = "Policies: their schema, what is wrong in them, their examples, what they would "
                   "change",
	.options = options,
	.offline = true,
	.run = policy,
	.example = "freehold policy test policies/*.yaml --tenant acme",
};
