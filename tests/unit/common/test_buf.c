/* test_buf.c - bytes that grow. */
#include "common/defs.h"
#include "common/buf.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buf, appends_up_to_its_maximum_and_no_further)
{
	struct err err;
	AUTO_BUF buf;
	buf_init(&buf, 10);
	cr_expect_eq(buf_puts(&buf, "0123456"), 0);
	cr_expect_eq(buf_putc(&buf, '7'), 0);
	cr_expect_eq(buf_printf(&buf, "%d", 89), 0);
	cr_assert_eq(buf_check(&buf, &err), 0);
	cr_expect_str_eq((char *)buf.data, "0123456789");
	cr_expect_eq(buf_putc(&buf, 'x'), E_TOO_LARGE);
	cr_expect_eq(buf.len, 10);
	cr_expect_eq(buf_check(&buf, &err), E_TOO_LARGE);
}

Test(buf, keeps_failing_until_it_is_cleared)
{
	struct err err;
	AUTO_BUF buf;
	buf_init(&buf, 4);
	cr_expect_eq(buf_puts(&buf, "12345"), E_TOO_LARGE);
	cr_expect_eq(buf_puts(&buf, "12"), 0);
	cr_expect_lt(buf_check(&buf, &err), 0);
	buf_clear(&buf);
	cr_expect_eq(buf_check(&buf, &err), 0);
	cr_expect_eq(buf.len, 0);
	cr_expect_str_eq((char *)buf.data, "");
}

Test(buf, makes_room_that_the_caller_fills)
{
	struct err err;
	AUTO_BUF buf;
	buf_init(&buf, 5000);
	cr_assert_eq(buf_put(&buf, "ab", 2), 0);
	uint8_t *room = buf_room(&buf, 4000);
	cr_assert_not_null(room);
	cr_expect_eq(buf.len, 2);
	memset(room, 'c', 4000);
	buf.len += 4000;
	cr_expect_null(buf_room(&buf, 999));
	buf.failed = false;
	cr_expect_not_null(buf_room(&buf, 998));
	cr_expect_eq(buf_check(&buf, &err), 0);
	cr_expect_null(buf_room(&buf, SIZE_MAX));
}

Test(buf, takes_nothing_of_an_append_that_fails)
{
	bool fired = true;
	for (long n = 0; fired; n++) {
		AUTO_BUF buf;
		buf_init(&buf, MIB);
		alloc_fail_after(n);
		size_t whole = 0;
		for (int i = 0; i < 100; i++)
			if (buf_printf(&buf, "%s", "one hundred times this text") == 0)
				whole++;
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_expect_eq(buf.len, whole * strlen("one hundred times this text"));
		cr_expect_eq(buf.failed, fired);
		cr_expect_eq(buf_check(&buf, NULL) < 0, fired);
	}
}

Test(buf, says_no_memory_when_that_was_the_cause)
{
	struct err err;
	AUTO_BUF buf;
	buf_init(&buf, MIB);
	alloc_fail_after(0);
	cr_expect_eq(buf_puts(&buf, "text"), E_NOMEM);
	alloc_fail_after(-1);
	cr_expect_eq(buf_check(&buf, &err), E_NOMEM);
	cr_expect_eq(err.code, E_NOMEM);
}
