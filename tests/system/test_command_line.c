/* The command line against a real system: what it prints, and how it exits. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "common/json.h"
#include "common/yaml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char two[] =
	"apiVersion: freehold.io/v1\nkind: Source\nmetadata: {name: orders, domain: sales}\n"
	"spec: {connector: file, path: a.csv, format: csv, dataset: orders}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: orders, domain: sales}\n"
	"spec: {description: %s}\n";

static const char *described(struct system *system, const char *description)
{
	char text[1024];
	snprintf(text, sizeof text, two, description);
	return arena_strdup(system_arena(system), text);
}

Test(command_line, applying_again_changes_nothing_a_change_is_shown_and_a_dry_run_writes_nothing)
{
	struct system *system = story_start(NULL);
	const char *path = system_path(system, "manifests/two.yaml");
	file_write(path, described(system, "first"));
	const char *out =
		system_cli_ok(system, "apply", "-f", path, "--dry-run", "--profile", "ada", NULL);
	cr_assert(strstr(out, "nothing was written"), "%s", out);
	const char *alone = system_path(system, "manifests/alone.yaml");
	file_write(alone, "apiVersion: freehold.io/v1\nkind: Source\n"
		   "metadata: {name: s, domain: sales}\n"
		   "spec: {connector: file, path: a, format: csv, dataset: elsewhere}\n");
	struct ran ran =
		system_cli(system, "apply", "-f", alone, "--dry-run", "--profile", "ada", NULL);
	cr_assert(ran.code == 1 && strstr(ran.out, "elsewhere"), "%d %s", ran.code, ran.out);
	cr_assert_eq(system_cli(system, "get", "dataset", "orders", "--profile", "ada", NULL).code,
		     3);
	out = system_cli_ok(system, "apply", "-f", path, "--profile", "ada", NULL);
	cr_assert(strstr(out, "2 created, 0 configured, 0 unchanged"), "%s", out);
	struct answer before = system_call(system, story_key(system, "ada"), "GET",
					   SALES "/datasets/orders", NULL);
	out = system_cli_ok(system, "apply", "-f", path, "--profile", "ada", NULL);
	cr_assert(strstr(out, "0 created, 0 configured, 2 unchanged"), "%s", out);
	struct answer after = system_call(system, story_key(system, "ada"), "GET",
					  SALES "/datasets/orders", NULL);
	cr_assert_str_eq(before.text, after.text);
	file_write(path, described(system, "second"));
	out = system_cli_ok(system, "apply", "-f", path, "--profile", "ada", "--dry-run", NULL);
	cr_assert(strstr(out, "- spec.description: \"first\"") &&
			  strstr(out, "+ spec.description: \"second\""),
		  "%s", out);
	struct answer still = system_call(system, story_key(system, "ada"), "GET",
					  SALES "/datasets/orders", NULL);
	cr_assert_str_eq(before.text, still.text);
	out = system_cli_ok(system, "apply", "-f", path, "--profile", "ada", NULL);
	cr_assert(strstr(out, "0 created, 1 configured, 1 unchanged"), "%s", out);
	system_stop(system);
}

struct exits {
	const char *args[8];
	int code;
};

Test(command_line, exit_codes_tell_scripts_what_kind_of_failure_it_was)
{
	static const struct exits all[] = {
		{{"version"}, 0},
		{{"help"}, 0},
		{{"help", "run"}, 0},
		{{"help", "nonsense"}, 2},
		{{"nonsense"}, 2},
		{{"keys", "nonsense", "--profile", "ada"}, 1},
		{{"certs", "/nowhere/at/all", "--addresses", "a name"}, 1},
		{{"get"}, 2},
		{{"get", "datasets", "--no-such-option"}, 2},
		{{"get", "datasets", "-o", "xml"}, 2},
		{{"get", "dataset", "nothing", "--profile", "ada"}, 3},
		{{"get", "quotas", "--tenant", "globex", "--profile", "ada"}, 3},
		{{"apply", "-f", "deploy/demo/platform", "--profile", "ada"}, 4},
		{{"run", "probe", "--profile", "eve"}, 4},
		{{"delete", "domain", "sales", "--profile", "abe"}, 5},
		{{"run", "probe", "--profile", "nobody"}, 4},
		{{"run", "ingst", "x", "--profile", "ada"}, 1},
		{{"run", "ingest", "gone", "--profile", "ada"}, 10},
		{{"run", "probe", "--profile", "ada"}, 0},
		{{"tasks", "01arz3ndektsv4rrffq69g5fav", "--profile", "ada"}, 3},
	};
	struct system *system = story_start(NULL);
	story_apply(
		system, "ada",
		"apiVersion: freehold.io/v1\nkind: Dataset\n"
		"metadata: {name: gone, domain: sales}\n---\n"
		"apiVersion: freehold.io/v1\nkind: Source\nmetadata: {name: gone, domain: sales}\n"
		"spec: {connector: file, path: gone.csv, format: csv, dataset: gone}\n");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *const *a = all[i].args;
		struct ran ran = system_cli(system, a[0], a[1], a[2], a[3], a[4], a[5], a[6], NULL);
		cr_assert_eq(ran.code, all[i].code, "%s %s %s: %d, not %d: %s", a[0], a[1], a[2],
			     ran.code, all[i].code, ran.out);
		cr_assert(ran.code == 0 || strstr(ran.out, "freehold: "), "%s", ran.out);
	}
	system_kill(system, PART_CONTROL);
	struct ran away = system_cli(system, "get", "datasets", "--profile", "ada", NULL);
	cr_assert_eq(away.code, 7, "%d %s", away.code, away.out);
	system_stop(system);
}

/* The output of a verb in a format, as a value. */
static struct value *output(struct system *system, const char *const *words, const char *format)
{
	const char *args[PROCESS_ARGS_MAX] = {"-"};
	struct value *value = NULL;
	struct err err = {0};
	size_t count = 0;
	while (words[count]) {
		args[count] = words[count];
		count++;
	}
	const char *const more[] = {"--profile", "ada", "-o", format, NULL};
	memcpy(args + count, more, sizeof more);
	struct ran ran = system_cli_args(system, args);
	cr_assert_eq(ran.code, 0, "%s", ran.out);
	if (strcmp(format, "json") == 0) {
		cr_assert_eq(
			json_parse(system_arena(system), ran.out, strlen(ran.out), &value, &err), 0,
			"%s: %s", err.text, ran.out);
		return value;
	}
	cr_assert_eq(yaml_parse(system_arena(system), ran.out, strlen(ran.out), &value, &err), 0,
		     "%s: %s", err.text, ran.out);
	cr_assert_eq(value_len(value), 1);
	return value_copy(system_arena(system), value_at(value, 0));
}

Test(command_line, json_and_yaml_say_the_same)
{
	static const char *const verbs[][4] = {
		{"get", "datasets"},
		{"get", "dataset", "orders"},
		{"describe", "source", "orders"},
		{"tasks"},
		{"usage"},
		{"get", "domains"},
		{"get", "tenants"},
	};
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", 10);
	story_orders(system, "orders.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		struct value *json = output(system, verbs[i], "json"),
			     *yaml = output(system, verbs[i], "yaml");
		cr_assert(value_len(json) > 0, "%s", verbs[i][0]);
		cr_assert(value_equal(json, yaml), "%s %s", verbs[i][0], verbs[i][1]);
	}
	system_stop(system);
}

Test(command_line, every_verb_has_help_with_its_options_and_an_example)
{
	static const char *const verbs[] = {
		"dev",   "login",    "apply", "get",  "describe",   "delete", "run", "tasks",
		"usage", "features", "audit", "keys", "completion", "version"};
	struct system *system = system_new();
	const char *overview = system_cli_ok(system, "help", NULL);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		char start[64];
		snprintf(start, sizeof start, "freehold %s", verbs[i]);
		const char *help = system_cli_ok(system, verbs[i], "--help", NULL);
		cr_assert_eq(strncmp(help, start, strlen(start)), 0, "%s", help);
		cr_assert(strstr(help, "--help") && strstr(help, "example"), "%s", help);
		cr_assert_not_null(strstr(overview, verbs[i]), "%s is not in the overview",
				   verbs[i]);
	}
	struct ran ran = system_cli(system, "aply", NULL);
	cr_assert_not_null(strstr(ran.out, "did you mean apply?"), "%s", ran.out);
	ran = system_cli(system, "apply", "--dryrun", NULL);
	cr_assert_not_null(strstr(ran.out, "did you mean --dry-run?"), "%s", ran.out);
	system_stop(system);
}

Test(command_line, the_completion_is_a_script_that_bash_can_read_and_use)
{
	struct system *system = system_new();
	const char *script = system_path(system, "out/completion.bash");
	const char *answer = system_path(system, "out/words");
	file_write(script, system_cli_ok(system, "completion", "bash", NULL));
	const char *const check[] = {"bash", "-n", script, NULL};
	cr_assert_eq(process_wait(process_start(check, answer, NULL), 60000), 0);
	const char *const use[] = {"bash", "-c",
				   arena_printf(system_arena(system),
						". %s; COMP_WORDS=(freehold ap); "
						"COMP_CWORD=1; fn=$(complete -p freehold | sed "
						"'s/.*-F \\([^ ]*\\).*/\\1/'); $fn freehold ap "
						"freehold; echo \"${COMPREPLY[@]}\"",
						script),
				   NULL};
	cr_assert_eq(process_wait(process_start(use, answer, NULL), 60000), 0);
	cr_assert_not_null(strstr(file_text(system_arena(system), answer), "apply"), "%s",
			   file_text(system_arena(system), answer));
	system_stop(system);
}

Test(command_line, a_task_can_be_followed_listed_and_cancelled)
{
	struct system *system = story_start(NULL);
	const char *out = system_cli_ok(system, "run", "probe", "--sleep", "60s", "--no-wait",
					"--profile", "ada", NULL);
	char id[64];
	snprintf(id, sizeof id, "%.*s", (int)strcspn(out, "\n"), out);
	story_await_running(system, id);
	out = system_cli_ok(system, "tasks", "--state", "running", "--profile", "ada", NULL);
	cr_assert_not_null(strstr(out, id), "%s", out);
	system_cli_ok(system, "tasks", id, "--cancel", "--profile", "ada", NULL);
	struct value *task = story_await(system, id, 60000);
	cr_assert_str_eq(value_get_str(task, "state"), "cancelled");
	struct ran watched = system_cli(system, "tasks", id, "--watch", "--profile", "ada", NULL);
	cr_assert_eq(watched.code, 10, "%d %s", watched.code, watched.out);
	out = system_cli_ok(system, "audit", "--tenant", "acme", "--profile", "operator", NULL);
	cr_assert_not_null(strstr(out, "acme/ada"), "%s", out);
	out = system_cli_ok(system, "usage", "--profile", "ada", NULL);
	cr_assert(strstr(out, "acme") && strstr(out, "sales") && strstr(out, "COST"), "%s", out);
	out = system_cli_ok(system, "usage", "--all", "--profile", "operator", NULL);
	cr_assert_not_null(strstr(out, "globex"), "%s", out);
	system_stop(system);
}
