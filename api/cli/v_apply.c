/* v_apply.c - freehold apply: manifests in, what changed out. Parents go before children, whatever
 * the order of files; nothing is sent before every document has been read and checked. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/manifest.h"
#include "common/json.h"
#include "common/text.h"
#include "common/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1024 * 1024, FILES_MAX = 1000, DOCUMENTS_MAX = 10000 };

struct document {
	const char *file;
	int index; /* in the file, from 1 */
	struct value *value;
	struct manifest manifest;
};

struct batch {
	struct cli *cli;
	const char *files[FILES_MAX];
	size_t file_count;
	struct document *documents;
	size_t count;
	int created, configured, unchanged;
};

static bool manifest_name(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && name[0] != '.' &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_file(struct batch *batch, const char *path, struct err *err)
{
	if (batch->file_count == FILES_MAX)
		return err_set(err, E_TOO_LARGE, "more than %d files", FILES_MAX);
	batch->files[batch->file_count] = arena_strdup(batch->cli->arena, path);
	if (!batch->files[batch->file_count])
		return err_set(err, E_NOMEM, "no memory for a file name");
	batch->file_count++;
	return 0;
}

static int add_folder(struct batch *batch, const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	if (!dir)
		return err_errno(err, errno, "%s", path);
	size_t first = batch->file_count;
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
		const char *file = arena_printf(batch->cli->arena, "%s/%s", path, entry->d_name);
		if (file && manifest_name(entry->d_name))
			rc = add_file(batch, file, err);
	}
	closedir(dir);
	if (rc == 0 && batch->file_count == first)
		return err_set(err, E_INVALID, "%s: no .yaml, .yml or .json file in this folder",
		               path);
	qsort(batch->files + first, batch->file_count - first, sizeof batch->files[0], by_name);
	return rc;
}

static int read_text(struct batch *batch, const char *path, char **ret_text, size_t *ret_len,
                     struct err *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	char *text = arena_alloc(batch->cli->arena, FILE_BYTES_MAX + 1);
	size_t len = 0;
	ssize_t n = text ? 1 : -1;
	while (n > 0 && len <= FILE_BYTES_MAX) {
		n = read(fd, text + len, FILE_BYTES_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	int reason = errno;
	if (!standard)
		close(fd);
	if (n < 0)
		return err_errno(err, text ? reason : ENOMEM, "%s", path);
	if (len > FILE_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "%s: over %d bytes; split it", path,
		               FILE_BYTES_MAX);
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int add_document(struct batch *batch, const char *file, int index, struct value *value,
                        struct err *err)
{
	struct cli *cli = batch->cli;
	if (batch->count == DOCUMENTS_MAX)
		return err_set(err, E_TOO_LARGE, "more than %d documents", DOCUMENTS_MAX);
	struct document *document = &batch->documents[batch->count];
	*document = (struct document){.file = file, .index = index, .value = value};
	struct manifest *manifest = &document->manifest;
	if (manifest_check(value, manifest, err) < 0)
		return err_prefix(err, "%s, document %d", file, index);
	if (kind_info[manifest->kind].scope != SCOPE_PLATFORM && !manifest->tenant)
		TRY(cli_tenant(cli, &manifest->tenant, err));
	if (kind_info[manifest->kind].scope == SCOPE_DOMAIN && !manifest->domain)
		TRY(cli_domain(cli, &manifest->domain, err));
	batch->count++;
	return 0;
}

static int read_documents(struct batch *batch, const char *file, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	struct value *list = NULL;
	TRY(read_text(batch, file, &text, &len, err));
	if (yaml_parse(batch->cli->arena, text, len, &list, err) < 0)
		return err_prefix(err, "%s", file);
	if (value_len(list) == 0)
		return err_set(err, E_INVALID, "%s: no document in it", file);
	for (size_t i = 0; i < value_len(list); i++)
		TRY(add_document(batch, file, (int)i + 1,
		                 value_copy(batch->cli->arena, value_at(list, i)), err));
	return 0;
}

/* kinds.def lists parents before what refers to them. */
static int by_kind(const void *a, const void *b)
{
	const struct document *x = a, *y = b;
	if (x->manifest.kind != y->manifest.kind)
		return x->manifest.kind < y->manifest.kind ? -1 : 1;
	int file = strcmp(x->file, y->file);
	return file ? file : x->index - y->index;
}

static void print_change(const struct value *change, bool terminal)
{
	AUTO_BUF old;
	AUTO_BUF new;
	buf_init(&old, 4096);
	buf_init(&new, 4096);
	json_print(value_get(change, "old"), &old);
	json_print(value_get(change, "new"), &new);
	const char *path = value_get_str(change, "path");
	if (value_kind(value_get(change, "old")) != VALUE_NULL)
		printf("  %s- %s: %s%s\n", terminal ? "\033[31m" : "", path,
		       buf_check(&old, NULL) < 0 ? "..." : (const char *)old.data,
		       terminal ? "\033[0m" : "");
	if (value_kind(value_get(change, "new")) != VALUE_NULL)
		printf("  %s+ %s: %s%s\n", terminal ? "\033[32m" : "", path,
		       buf_check(&new, NULL) < 0 ? "..." : (const char *)new.data,
		       terminal ? "\033[0m" : "");
}

static void count_result(struct batch *batch, const char *result)
{
	batch->created += strcmp(result, "created") == 0;
	batch->configured += strcmp(result, "configured") == 0;
	batch->unchanged += strcmp(result, "unchanged") == 0;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool in_batch(const struct batch *batch, const struct value *missing)
{
	const char *kind = value_get_str(missing, "kind");
	for (size_t i = 0; i < batch->count; i++) {
		const struct manifest *manifest = &batch->documents[i].manifest;
		if (same(kind_info[manifest->kind].kind, kind) &&
		    same(manifest->name, value_get_str(missing, "name")) &&
		    same(manifest->tenant, value_get_str(missing, "tenant")) &&
		    same(manifest->domain, value_get_str(missing, "domain")))
			return true;
	}
	return false;
}

/* A dataset of what is no domain, but an offer that another document accepts under that name: what
 * the offer gives only the earnest tells. */
static bool is_accepted(const struct batch *batch, const struct document *document,
                        const struct value *missing)
{
	if (!same(value_get_str(missing, "kind"), kind_info[KIND_DATASET].kind))
		return false;
	for (size_t i = 0; i < batch->count; i++) {
		const struct manifest *manifest = &batch->documents[i].manifest;
		if (manifest->kind == KIND_ACCEPTANCE &&
		    same(manifest->name, value_get_str(missing, "domain")) &&
		    same(manifest->tenant, document->manifest.tenant) &&
		    same(manifest->domain, document->manifest.domain))
			return true;
	}
	return false;
}

/* What a dry run lacks is made by another document, or a failure as it would be in earnest. */
static int check_missing(const struct batch *batch, const struct document *document,
                         const struct value *missing, struct err *err)
{
	for (size_t i = 0; i < value_len(missing); i++) {
		const struct value *one = value_at(missing, i);
		if (!in_batch(batch, one) && !is_accepted(batch, document, one))
			return err_set(err, E_INVALID,
			               "%s, document %d: %s: there is no %s %s; apply "
			               "it first",
			               document->file, document->index, value_get_str(one, "path"),
			               value_get_str(one, "kind"), value_get_str(one, "name"));
	}
	return 0;
}

static int apply_document(struct batch *batch, const struct document *document, bool dry_run,
                          struct err *err)
{
	struct cli *cli = batch->cli;
	const struct manifest *manifest = &document->manifest;
	AUTO_BUF path;
	buf_init(&path, 1024);
	TRY(manifest_path(manifest, &path, err));
	TRY(buf_check(&path, err));
	struct call call = {
		.method = "PUT",
		.body = document->value,
		.path = client_path(cli, "%s%s", (const char *)path.data,
	                            dry_run ? "?dryRun=true" : ""),
	};
	struct value *answer = NULL;
	if (client_call(cli, &call, &answer, err) < 0)
		return err_prefix(err, "%s, document %d, %s %s", document->file, document->index,
		                  kind_info[manifest->kind].kind, manifest->name);
	const char *result = value_get_str(answer, "result");
	if (!result)
		return err_set(err, E_INTERNAL, "the server's answer names no result");
	TRY(check_missing(batch, document, value_get(answer, "missing"), err));
	count_result(batch, result);
	printf("%s/%s %s%s\n", kind_info[manifest->kind].name, manifest->name, result,
	       dry_run ? " (dry run)" : "");
	const struct value *diff = value_get(answer, "diff");
	for (size_t i = 0; strcmp(result, "configured") == 0 && i < value_len(diff); i++)
		print_change(value_at(diff, i), cli->terminal);
	const struct value *warnings = value_get(answer, "warnings");
	for (size_t i = 0; i < value_len(warnings); i++)
		fprintf(stderr, "warning: %s\n", value_as_str(value_at(warnings, i)));
	return 0;
}

static int collect(struct batch *batch, struct err *err)
{
	const struct cli *cli = batch->cli;
	for (int i = 0; i < cli->option_count; i++) {
		if (strcmp(cli->options[i].name, "file") != 0)
			continue;
		const char *path = cli->options[i].value;
		struct stat st;
		bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
		TRY(folder ? add_folder(batch, path, err) : add_file(batch, path, err));
	}
	if (batch->file_count == 0)
		return err_set(err, E_INVALID,
		               "what is to be applied? give -f FILE, -f FOLDER or -f -");
	for (size_t i = 0; i < batch->file_count; i++)
		TRY(read_documents(batch, batch->files[i], err));
	return 0;
}

static int apply(struct cli *cli, struct err *err)
{
	struct batch *batch = arena_alloc(cli->arena, sizeof *batch);
	struct document *documents = arena_alloc(cli->arena, DOCUMENTS_MAX * sizeof *documents);
	if (!batch || !documents)
		return err_set(err, E_NOMEM, "no memory for the documents");
	batch->cli = cli;
	batch->documents = documents;
	bool dry_run = cli_switch(cli, "dry-run");
	TRY(collect(batch, err));
	qsort(batch->documents, batch->count, sizeof *batch->documents, by_kind);
	for (size_t i = 0; i < batch->count; i++)
		TRY(apply_document(batch, &batch->documents[i], dry_run, err));
	printf("%d created, %d configured, %d unchanged%s\n", batch->created, batch->configured,
	       batch->unchanged, dry_run ? " (dry run: nothing was written)" : "");
	return 0;
}

static const struct option_row options[] = {
	{"file", "PATH", "a file, a folder of .yaml and .json, or - (-f); may be repeated"},
	{"dry-run", NULL, "say what would change, write nothing"},
	{NULL, NULL, NULL}};

const struct verb verb_apply = {
	.name = "apply",
	.words = "-f PATH",
	.words_max = 0,
	.summary = "Create or change what manifests describe, and show what changed",
	.example = "freehold apply -f manifests/ --dry-run",
	.options = options,
	.run = apply,
};
