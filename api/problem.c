/* problem.c - RFC 9457 documents out of errors.def, and back. */
#include "common/defs.h"
#include "api/problem.h"

#include "common/json.h"

#include <string.h>

enum { PROBLEM_MAX = 64 * 1024 };

static void print_member(const char *name, const char *text, struct buf *out)
{
	buf_printf(out, ",\"%s\":", name);
	json_print_str(text, strlen(text), out);
}

int problem_print(const struct err *err, const char *request_id, struct buf *out)
{
	int status = err_http(err->code);
	buf_printf(out, "{\"type\":\"about:blank#%s\"", err_name(err->code));
	print_member("title", err_title(err->code), out);
	buf_printf(out, ",\"status\":%d", status);
	print_member("detail", err->text, out);
	print_member("code", err_name(err->code), out);
	if (request_id)
		print_member("instance", request_id, out);
	buf_putc(out, '}');
	return status;
}

static int not_a_problem(int status, struct err *err)
{
	return err_set(err, E_INTERNAL, "the server answered with status %d and no problem "
	               "document; is it Freehold that answers at this address?", status);
}

static int read_document(const char *text, size_t len, int status, struct arena *arena,
                         struct err *err)
{
	struct value *document = NULL;
	if (json_parse(arena, text, len, &document, NULL) < 0)
		return not_a_problem(status, err);
	const char *code = value_get_str(document, "code");
	const char *detail = value_get_str(document, "detail");
	if (!code || !detail)
		return not_a_problem(status, err);
	return err_set(err, err_by_name(code), "%s", detail);
}

void problem_read(const char *text, size_t len, int status, struct err *err)
{
	AUTO(arena) *arena = NULL;
	if (len > PROBLEM_MAX) {
		not_a_problem(status, err);
		return;
	}
	/* A failure to read is told in err, too. */
	if (arena_new(16 * (size_t)PROBLEM_MAX, &arena, err) == 0)
		(void)!read_document(text, len, status, arena, err);
}
