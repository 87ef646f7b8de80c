/* test_sse.c - event streams as the HTML Standard has them, in pieces of any size. */
#include "common/defs.h"
#include "api/sse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct heard { char text[2048]; size_t len; };

static void hear(void *context, const struct sse_event *event)
{
	struct heard *heard = context;
	int n = snprintf(heard->text + heard->len, sizeof heard->text - heard->len, "[%s|%s|%s]",
	                 event->id, event->name, event->data);
	heard->len += (size_t)n;
}

/* Reads the whole text in pieces of that size; what was heard. */
static const char *read_in(const char *text, size_t size, struct heard *heard)
{
	struct err err = { 0 };
	AUTO_SSE_READER reader;
	*heard = (struct heard){ .len = 0 };
	sse_reader_init(&reader, hear, heard);
	for (size_t at = 0, len = strlen(text); at < len; at += size)
		cr_assert_eq(sse_read(&reader, text + at, size < len - at ? size : len - at, &err),
		             0, "%s", err.text);
	return heard->text;
}

Test(sse, events_are_read_alike_in_pieces_of_any_size)
{
	static const char text[] = "\xef\xbb\xbf: hello\n\nid: 1.2\nevent: task\n"
		"data: {\"a\": 1}\n\n"
		"data: one\r\ndata:two\r\rid\ndata\n\nretry: 5\n\ndata: unfinished";
	struct heard heard;
	for (size_t size = 1; size < sizeof text; size++)
		cr_expect_str_eq(read_in(text, size, &heard),
		                 "[1.2|task|{\"a\": 1}][1.2|message|one\ntwo][|message|]");
}

Test(sse, what_is_printed_is_read_back)
{
	struct heard heard;
	AUTO_BUF out;
	buf_init(&out, 1000);
	sse_comment("still here", &out);
	sse_print("7.1", "task", "{\"state\":\"queued\"}", &out);
	sse_print(NULL, NULL, "a\n\nb", &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_str_eq(read_in((char *)out.data, 3, &heard),
	                 "[7.1|task|{\"state\":\"queued\"}][7.1|message|a\n\nb]");
}

static int read_error(const char *text, size_t len)
{
	struct heard heard = { .len = 0 };
	struct err err = { 0 };
	AUTO_SSE_READER reader;
	sse_reader_init(&reader, hear, &heard);
	int rc = sse_read(&reader, text, len, &err);
	cr_expect(rc == 0 || strlen(err.text) > 10);
	return rc;
}

Test(sse, what_would_grow_without_bound_ends_the_reading)
{
	static char text[2 * SSE_DATA_MAX];
	memset(text, 'x', sizeof text);
	cr_expect_eq(read_error(text, sizeof text), E_TOO_LARGE);
	memcpy(text, "id:", 3);
	text[3 + SSE_ID_MAX + 1] = '\n';
	cr_expect_eq(read_error(text, 100), E_TOO_LARGE);
	for (size_t at = 0; at + 1024 <= sizeof text; at += 1024) {
		memcpy(text + at, "data:", 5);
		text[at + 1023] = '\n';
	}
	cr_expect_eq(read_error(text, sizeof text), E_TOO_LARGE, "many lines of one event");
	cr_expect_eq(read_error("data: a\0b\n", 10), E_INVALID);
}
