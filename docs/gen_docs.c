/* gen_docs.c - writes the reference pages into a folder: gen-docs FOLDER. */
#include "common/defs.h"
#include "api/openapi.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 8 * 1024 * 1024 };

static const struct {
	const char *name;
	void (*print)(struct buf *out);
} pages[] = {
	{ "api.md", reference_routes },
	{ "kinds.md", reference_kinds },
	{ "tasks.md", reference_tasks },
	{ "errors.md", reference_errors },
	{ "openapi.json", openapi_print_pretty },
};

static int write_page(const char *folder, size_t i, struct err *err)
{
	char path[512];
	AUTO_BUF out;
	buf_init(&out, PAGE_MAX);
	pages[i].print(&out);
	TRY(buf_check(&out, err));
	snprintf(path, sizeof path, "%s/%s", folder, pages[i].name);
	FILE *file = fopen(path, "w");
	if (!file)
		return err_set(err, E_IO, "cannot write %s", path);
	bool whole = fwrite(out.data, 1, out.len, file) == out.len;
	whole = fclose(file) == 0 && whole;
	return whole ? 0 : err_set(err, E_IO, "cannot write all of %s", path);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: gen-docs FOLDER\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct err err;
		if (write_page(argv[1], i, &err) < 0) {
			fprintf(stderr, "gen-docs: %s: %s\n", pages[i].name, err.text);
			return 1;
		}
	}
	return 0;
}
