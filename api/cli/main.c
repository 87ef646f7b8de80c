/* main.c - freehold: one verb, one exit code. Errors go to standard error, one sentence. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int run_verb(struct cli *cli, struct err *err)
{
	if (!cli->verb->offline)
		TRY(profile_load(cli, err));
	return cli->verb->run(cli, err);
}

static int fail(const struct err *err, int code)
{
	fflush(stdout);
	fprintf(stderr, "freehold: %s\n", err->text);
	return code;
}

static bool asks_for_help(int argc, char **argv)
{
	return argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	       strcmp(argv[1], "-h") == 0;
}

int main(int argc, char **argv)
{
	char help[] = "--help";
	char *of_verb[] = {argv[0], argc > 2 ? argv[2] : NULL, help, NULL};
	if (argc > 2 && strcmp(argv[1], "help") == 0) { /* help VERB is VERB --help */
		argc = 3;
		argv = of_verb;
	}
	if (asks_for_help(argc, argv)) {
		cli_help(NULL);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	struct err err = {0};
	AUTO(arena) *arena = NULL;
	if (arena_new(256 * MIB, &arena, &err) < 0)
		return fail(&err, EXIT_FAILED);
	struct cli cli = {.arena = arena, .terminal = isatty(STDOUT_FILENO)};
	if (cli_parse(&cli, argc, argv, &err) < 0)
		return fail(&err, EXIT_USAGE);
	if (cli_switch(&cli, "help")) {
		cli_help(cli.verb);
		return EXIT_OK;
	}
	int rc = run_verb(&cli, &err);
	fetch_free(cli.fetch);
	if (rc < 0)
		return fail(&err, cli.exit_code ? cli.exit_code : cli_exit_code(&err));
	return cli.exit_code;
}
