/* test_logverbs.c - freehold audit key, export --tiles, verify, prove, against a control plane in
 * this process, and freehold verify of what prove wrote. */
#include "common/defs.h"
#include "api/cli/file.h"
#include "api/cli/logverbs.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct verb verb_audit, verb_verify;

struct desk {
	struct plane *plane;
	char folder[64];
	const char *key_file;
};

static const char *below(struct desk *desk, const char *name)
{
	return arena_printf(desk->plane->arena, "%s/%s", desk->folder, name);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

/* freehold WORDS...; its exit code, as main.c makes it. */
static int run(struct desk *desk, const struct verb *verb, const char *const *words,
               struct err *err)
{
	char program[] = "freehold", *argv[16] = {program, (char *)(uintptr_t)verb->name};
	int argc = 2;
	struct cli cli = {.arena = desk->plane->arena};
	for (; words[argc - 2]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 2];
	*err = (struct err){0};
	if (cli_parse(&cli, argc, argv, err) < 0)
		return EXIT_USAGE;
	int rc = verb->run(&cli, err);
	fetch_free(cli.fetch);
	fflush(stdout);
	return rc < 0 ? cli.exit_code ? cli.exit_code : cli_exit_code(err) : cli.exit_code;
}

#define RUN(desk, verb, err, ...) run(desk, verb, (const char *const[]){__VA_ARGS__, NULL}, err)

static void desk_open(struct desk *desk)
{
	const struct plane_options options = {.replica = "control-1", .shards = 1};
	struct err err;
	memset(desk, 0, sizeof *desk);
	cr_redirect_stdout();
	snprintf(desk->folder, sizeof desk->folder, "/tmp/logverbs-XXXXXX");
	cr_assert_not_null(mkdtemp(desk->folder));
	desk->plane = plane_start_with(&options);
	const char *key = plane_tenant(desk->plane, "acme", "sales");
	const char *config = below(desk, "config.yaml");
	write_text(config, arena_printf(desk->plane->arena, "current: main\nprofiles:\n  main:\n"
	                                "    url: %s\n    key: %s\n    tenant: acme\n",
	                                desk->plane->url, key));
	cr_assert_eq(setenv("FREEHOLD_CONFIG", config, 1), 0);
	cr_assert_eq(RUN(desk, &verb_audit, &err, "key"), 0, "%s", err.text);
	struct answer log = plane_call(desk->plane, desk->plane->operator_key, "GET",
	                               "/v1/tenants/acme/audit/log", NULL);
	desk->key_file = below(desk, "acme.pub");
	write_text(desk->key_file, arena_printf(desk->plane->arena, "%s\n",
	                                        value_get_str(log.body, "key")));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static void desk_close(struct desk *desk)
{
	plane_stop(desk->plane);
	nftw(desk->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Something happens. */
static void act(struct desk *desk)
{
	plane_put(desk->plane, desk->plane->operator_key, "Domain",
	          "/v1/tenants/acme/domains/more", "{}");
}

Test(logverbs, a_copy_is_exported_again_and_again_and_verified_with_the_public_key_alone)
{
	struct desk desk;
	struct err err;
	desk_open(&desk);
	const char *copy = below(&desk, "copy"), *old = below(&desk, "old");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(RUN(&desk, &verb_audit, &err, "export", "--tiles", copy), 0, "%s",
		             err.text);
		act(&desk);
	}
	const char *url = arena_printf(desk.plane->arena, "%s/v1/tenants/acme/audit",
	                               desk.plane->url);
	AUTO_BUF note;
	cr_assert_eq(file_read(below(&desk, "copy/checkpoint"), KIB, &note, &err), 0);
	write_text(old, (char *)note.data);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", url, "--public-key", desk.key_file,
	                 "--since", old), 0, "%s", err.text);
	cr_assert_eq(setenv("FREEHOLD_CONFIG", "/nowhere", 1), 0);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", copy, "--public-key", desk.key_file),
	             0, "%s", err.text);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", copy), EXIT_FAILED, "without a key");
	note.data[note.len - 10] ^= 1;
	write_text(below(&desk, "copy/checkpoint"), (char *)note.data);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", copy, "--public-key", desk.key_file),
	             EXIT_FAILED);
	desk_close(&desk);
}

Test(logverbs, an_event_is_proven_by_a_file_that_anybody_can_check)
{
	struct desk desk;
	struct err err;
	desk_open(&desk);
	const char *proof = below(&desk, "1.tlog-proof");
	cr_assert_eq(RUN(&desk, &verb_audit, &err, "prove", "1", "--out", proof), 0, "%s",
	             err.text);
	cr_assert_eq(setenv("FREEHOLD_CONFIG", "/nowhere", 1), 0);
	cr_expect_eq(RUN(&desk, &verb_verify, &err, proof, "--public-key", desk.key_file), 0, "%s",
	             err.text);
	AUTO_BUF text;
	cr_assert_eq(file_read(proof, MIB, &text, &err), 0);
	text.data[40] = text.data[40] == 'A' ? 'B' : 'A';
	write_text(proof, (char *)text.data);
	cr_expect_eq(RUN(&desk, &verb_verify, &err, proof, "--public-key", desk.key_file),
	             EXIT_FAILED);
	desk_close(&desk);
}

Test(logverbs, what_is_asked_wrongly_is_told_how)
{
	struct desk desk;
	struct err err;
	desk_open(&desk);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "prove"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "prove", "first"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "prove", "99999"), EXIT_NOT_FOUND);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "nothing"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", "/nowhere", "--public-key",
	                 desk.key_file), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "verify", desk.folder, "--public-key",
	                 "/nowhere"), EXIT_NOT_FOUND);
	desk_close(&desk);
}

Test(logverbs, audit_is_searched_exported_and_reported_from_the_command_line)
{
	struct desk desk;
	struct err err;
	desk_open(&desk);
	act(&desk);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "--actor", "platform/operator", "--action",
	                 "domain:write", "--since", "1h"), 0, "%s", err.text);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "export", "--format", "cloudevents"), 0, "%s",
	             err.text);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "export", "--since", "2"), 0, "%s", err.text);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "export", "--since", "1h"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "report", "touched", "--principal",
	                 "acme/admin"), 0, "%s", err.text);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "report"), EXIT_FAILED);
	cr_expect_eq(RUN(&desk, &verb_audit, &err, "report", "nonsense"), EXIT_NOT_FOUND);
	desk_close(&desk);
}
