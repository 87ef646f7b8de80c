/* gen_docs.c - writes the reference pages into a folder: gen-docs FOLDER. */
#include "common/defs.h"
#include "api/openapi.h"
#include "control/ocsf.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 8 * 1024 * 1024 };

/* Which OCSF class and activity an action's event is of, where it does not say what was done. */
static void reference_audit(struct buf *out)
{
	struct ocsf_row row;
	buf_puts(out, "# Audit events in OCSF\n\nGenerated from `policy/ocsf.def`. The activity is "
	              "that of an event which does not say what was done: one that created, "
	              "changed, deleted or listed has that activity of its class. Where data was "
	              "read, queried or written the class is 6005. 99 is \"other\", with "
	              "`activity_name`.\n\n| action | class | `class_uid` | `activity_id` | |\n"
	              "|---|---|---|---|---|\n");
	for (size_t i = 0; ocsf_row(i, &row); i++)
		buf_printf(out, "| `%s` | %s | %d | %d | %s |\n", row.action, row.class_name,
		           row.type.class_uid, row.type.activity_id,
		           row.meaning ? row.meaning : "");
}

static const struct {
	const char *name;
	void (*print)(struct buf *out);
} pages[] = {
	{ "api.md", reference_routes },
	{ "kinds.md", reference_kinds },
	{ "tasks.md", reference_tasks },
	{ "errors.md", reference_errors },
	{ "audit.md", reference_audit },
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
