/* tables.c - datasets on the agent's side: inputs opened for an executor, outputs sealed and
 * described. Invariant: an executor gets keys of single objects, never a dataset's. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/veil.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_BYTES = SEAL_HEADER_MAX + 128, HEAD_TRIES = 3 };

int run_add_fd(struct run *run, const char *member, int fd, struct err *err)
{
	if (run->fd_count == POOL_FDS_MAX) {
		close(fd);
		return err_set(err, E_TOO_LARGE,
		               "a task can read at most %d files; this one's datasets have "
		               "more: rewrite them with a transformation first",
		               POOL_FDS_MAX);
	}
	int index = (int)run->fd_count++;
	run->fds[index] = fd;
	if (member)
		value_set_int(run->job, member, index);
	return index;
}

static int read_at(int fd, uint8_t *out, size_t len, uint64_t offset, size_t *ret_len,
                   struct err *err)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(fd, out + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "a dataset's file could not be read");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return 0;
}

/* Which of the table's keys the object is under now. */
static int pick_key(const struct grant_table *table, const uint8_t *head, size_t head_len,
                    struct seal_label *label, const uint8_t **ret_key, struct err *err)
{
	size_t body = 0;
	TRY(seal_peek(head, head_len, &label->version, &body, err));
	*ret_key = label->version == table->key_version ? table->key : table->old_key;
	if (label->version == table->key_version || label->version == table->old_version)
		return 0;
	if (label->version > table->key_version)
		return err_set(err, E_PRECONDITION, "its key was rotated meanwhile; the next "
		               "attempt is given the new one");
	label->version = table->key_version;   /* the opener says what is wrong */
	*ret_key = table->key;
	return 0;
}

/* Checks head and tail and makes the ticket. */
static int make_ticket(struct run *run, const struct grant_table *table, int fd, uint64_t len,
                       struct seal_label *label, uint8_t ticket[OPENER_TICKET_BYTES],
                       struct err *err)
{
	uint8_t head[HEAD_BYTES], tail[SEAL_CHUNK_SEALED];
	const uint8_t *key = NULL;
	size_t head_len = 0, tail_len = 0;
	TRY(object_head(run->runner->objects, label->path, fd, head, sizeof head, &head_len, err));
	TRY(pick_key(table, head, head_len, label, &key, err));
	struct seal_span span;
	TRY(seal_tail(head, head_len, len, &span, err));
	if (span.len > sizeof tail)
		return err_set(err, E_INTERNAL, "a sealed file's last chunk has %zu bytes",
		               span.len);
	TRY(read_at(fd, tail, span.len, span.offset, &tail_len, err));
	if (tail_len != span.len)
		return err_set(err, E_CORRUPT, "a sealed file is shorter than it says");
	AUTO(opener) *opener = NULL;
	TRY(opener_new(label, key, head, head_len, len, tail, &opener, err));
	opener_ticket(opener, ticket);
	return 0;
}

/* While an object gets a new head it may once read as neither. */
static int open_ticket(struct run *run, const struct grant_table *table, int fd, uint64_t len,
                       struct seal_label *label, uint8_t ticket[OPENER_TICKET_BYTES],
                       struct err *err)
{
	int rc = E_CORRUPT;
	for (int i = 0; i < HEAD_TRIES && rc == E_CORRUPT; i++)
		rc = make_ticket(run, table, fd, len, label, ticket, err);
	return rc;
}

static int add_file(struct run *run, const struct grant_table *table, size_t i, struct value *files,
                    struct value *sealed, struct err *err)
{
	const char *tenant = table->tenant ? table->tenant : run->grant->tenant;
	struct seal_label label = {tenant, table->uid, table->files[i].path, table->key_version};
	int fd = -1;
	uint64_t len = 0;
	TRY(object_open(run->runner->objects, label.path, &fd, &len, err));
	int index = run_add_fd(run, NULL, fd, err);
	TRY(index);
	uint8_t ticket[OPENER_TICKET_BYTES];
	int rc = open_ticket(run, table, fd, len, &label, ticket, err);
	if (rc < 0)
		return err_prefix(err, "dataset %s.%s, file %zu of %zu", table->domain, table->name,
		                  i + 1, table->file_count);
	struct value *file = value_map(run->arena);
	value_set_int(file, "fd", index);
	value_set_bin(file, "ticket", ticket, sizeof ticket);
	secret_wipe(ticket, sizeof ticket);
	value_add(sealed, file);
	value_add(files, value_int(run->arena, index));
	return 0;
}

int run_add_tables(struct run *run, struct err *err)
{
	struct value *tables = value_list(run->arena), *sealed = value_list(run->arena);
	for (size_t i = 0; i < run->grant->input_count; i++) {
		const struct grant_table *from = &run->grant->inputs[i];
		struct value *table = value_map(run->arena), *files = value_list(run->arena);
		value_set_str(table, "domain", from->domain);
		value_set_str(table, "name", from->name);
		for (size_t f = 0; f < from->file_count; f++)
			TRY(add_file(run, from, f, files, sealed, err));
		value_set(table, "files", files);
		if (from->schema)
			value_set(table, "schema", value_copy(run->arena, from->schema));
		veil_pack(run->arena, &from->restriction, table);
		value_add(tables, table);
	}
	value_set(run->job, "tables", tables);
	value_set(run->job, "sealed", sealed);
	return value_check(run->job, err);
}

int run_add_outlet(struct run *run, struct outlet *outlet, const char *member, const char *file,
                   struct err *err)
{
	const struct grant_table *table = &run->grant->outputs[0];
	size_t len = strlen(run->grant->output_prefix);
	bool slash = len > 0 && run->grant->output_prefix[len - 1] == '/';
	const char *path = arena_printf(run->arena, "%s%s%s", run->grant->output_prefix,
	                                slash ? "" : "/", file);
	if (!path)
		return err_set(err, E_NOMEM, "no memory for an output's path");
	struct seal_label label = {run->grant->tenant, table->uid, path, table->key_version};
	int fd = -1;
	TRY(outlet_open(outlet, run->runner->objects, &label, table->key, &fd, err));
	int index = run_add_fd(run, member, fd, err);
	return index < 0 ? index : 0;
}

/* Bounds of columns are data: they go to control sealed under the dataset's key. */
static struct value *seal_bound(struct run *run, const struct grant_table *table, const char *text)
{
	uint8_t key[KEY_BYTES], box[128 + LOCKBOX_OVERHEAD];
	size_t len = strlen(text);
	if (len > 128)
		return NULL;
	key_derive(table->key, "column-bounds", key);
	lockbox_seal(key, table->uid, strlen(table->uid), text, len, box);
	secret_wipe(key, sizeof key);
	return value_bin(run->arena, box, len + LOCKBOX_OVERHEAD);
}

static const struct value *seal_stats(struct run *run, const struct value *stats)
{
	struct value *sealed = value_map(run->arena);
	for (size_t i = 0; i < value_len(stats); i++) {
		const char *name;
		const struct value *from = value_member(stats, i, &name);
		struct value *to = value_map(run->arena);
		value_set_str(to, "nulls", value_get_str(from, "nulls"));
		static const char *const bounds[] = {"min", "max"};
		for (size_t b = 0; b < ARRAY_LEN(bounds); b++) {
			const char *text = value_get_str(from, bounds[b]);
			struct value *box =
				text ? seal_bound(run, &run->grant->outputs[0], text) : NULL;
			if (box)
				value_set(to, bounds[b], box);
		}
		value_set(sealed, name, to);
	}
	return sealed;
}

/* What a snapshot says of its columns: name and type, and nothing of what else was declared. */
static const struct value *bare_schema(struct run *run, const struct value *schema)
{
	struct value *bare = value_list(run->arena);
	for (size_t i = 0; i < value_len(schema); i++) {
		struct value *column = value_map(run->arena);
		value_set_str(column, "name", value_get_str(value_at(schema, i), "name"));
		value_set_str(column, "type", value_get_str(value_at(schema, i), "type"));
		value_add(bare, column);
	}
	return bare;
}

static int add_output(struct run *run, bool replace, bool rejects, struct err *err)
{
	const struct grant_table *table = &run->grant->outputs[0];
	const struct value *written = value_get(run->result, "written");
	struct table_file *file = arena_alloc(run->arena, sizeof *file);
	const struct value *stats = seal_stats(run, value_get(written, "stats"));
	TRY(value_check(stats, err));
	const struct value *schema = bare_schema(run, value_get(run->result, "schema"));
	TRY(value_check(schema, err));
	if (!file)
		return err_set(err, E_NOMEM, "no memory for the report");
	*file = (struct table_file){
		.path = run->data.label.path,
		.rows = value_get_int(written, "rows", 0),
		.bytes = run->data.sealed_bytes,
		.plain_bytes = run->data.plain_bytes,
		.stats = stats,
	};
	run->output = (struct output){
		.uid = table->uid,
		.replace = replace,
		.base_snapshot = table->snapshot,
		.files = file,
		.file_count = 1,
		.schema = schema,
		.rejected_rows = value_get_int(run->result, "rejected", 0),
		.rejects_path = rejects ? run->rejects.label.path : NULL,
	};
	run->produced = true;
	run->usage.rows = file->rows;
	run->usage.bytes_written = run->data.sealed_bytes + run->rejects.sealed_bytes;
	return 0;
}

int run_seal_output(struct run *run, bool replace, struct err *err)
{
	int data = outlet_commit(&run->data, err);
	TRY(data);
	if (data == 0)
		return err_set(err, E_INTERNAL, "the executor wrote nothing");
	int rejects = outlet_commit(&run->rejects, err);
	TRY(rejects);
	return add_output(run, replace, rejects == 1, err);
}
