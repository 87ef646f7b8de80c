/* v_version.c - freehold version and freehold completion. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/kinds.h"
#include "api/tasks.h"

#include <stdio.h>
#include <string.h>

static int version(struct cli *cli, struct err *err)
{
	(void)cli;
	(void)err;
	printf("freehold %s\n", FREEHOLD_VERSION);
	return 0;
}

static void print_options(const struct option_row *row)
{
	for (; row && row->name; row++)
		printf(" --%s", row->name);
}

/* One case a verb: its options, and for some what its first word may be. */
static void print_case(const struct verb *verb)
{
	printf("\t%s) words=\"", verb->name);
	if (strcmp(verb->words, "TYPE [NAME]") == 0)
		for (int i = 0; i < TASK_COUNT_; i++)
			if (!task_info[i].platform)
				printf("%s ", task_info[i].name);
	if (strncmp(verb->words, "KIND", 4) == 0)
		for (int i = 0; i < KIND_COUNT_; i++)
			printf("%s ", kind_info[i].plural);
	print_options(verb->options);
	print_options(common_options);
	printf("\" ;;\n");
}

static int completion(struct cli *cli, struct err *err)
{
	const char *shell = cli_word(cli, 0);
	if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0)
		return err_set(err, E_INVALID, "%s: must be bash or zsh", shell);
	if (strcmp(shell, "zsh") == 0)
		printf("autoload -U +X bashcompinit && bashcompinit\n");
	printf("_freehold() {\n\tlocal words\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		printf("%s ", (*verb)->name);
	printf("help\"\n\telse case \"${COMP_WORDS[1]}\" in\n");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		print_case(*verb);
	printf("\tesac; fi\n\tCOMPREPLY=($(compgen -W \"$words\" -- "
	       "\"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
	       "complete -o default -F _freehold freehold\n");
	return 0;
}

const struct verb verb_version = {
	.name = "version",
	.words = "",
	.summary = "Print the version",
	.example = "freehold version",
	.offline = true,
	.run = version,
};

const struct verb verb_completion = {
	.name = "completion",
	.words = "bash|zsh",
	.words_min = 1,
	.words_max = 1,
	.summary = "Print a shell completion script",
	.offline = true,
	.run = completion,
	.example = "source <(freehold completion bash)",
};
