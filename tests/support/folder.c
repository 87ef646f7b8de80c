/* folder.c - see folder.h. */
#include "common/defs.h"
#include "tests/support/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void folder_make(char *path)
{
	cr_assert_not_null(mkdtemp(path), "%s: %s", path, strerror(errno));
}

void folder_remove(const char *path)
{
	char command[512];
	cr_assert_lt((size_t)snprintf(command, sizeof command, "rm -rf '%s'", path),
	             sizeof command);
	cr_assert_eq(system(command), 0, "%s", command);
}
