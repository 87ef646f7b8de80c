/* test_overdue.c - sockets are shut down after their deadline, and only then. */
#include "common/defs.h"
#include "api/overdue.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair { struct overdue_entry entry; int fds[2]; };

static void open_pair(struct overdue *overdue, struct pair *pair, int64_t ms)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fds), 0);
	overdue_in(&pair->entry, ms);
	overdue_enter(overdue, &pair->entry, pair->fds[0]);
}

/* Whether the other end's end is seen within ms. */
static bool over(const struct pair *pair, int ms)
{
	struct pollfd poll_fd = { .fd = pair->fds[1], .events = POLLIN };
	char byte;
	return poll(&poll_fd, 1, ms) == 1 && recv(pair->fds[1], &byte, 1, 0) == 0;
}

Test(overdue, shuts_what_is_late_and_leaves_the_rest)
{
	struct overdue *overdue = NULL;
	struct pair pairs[4] = { 0 };
	static const int64_t deadlines[] = { 3600000, 1, 0, 20 };
	struct err err;
	cr_assert_eq(overdue_new(5, &overdue, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		open_pair(overdue, &pairs[i], deadlines[i]);
	cr_expect(over(&pairs[1], 20000));
	cr_expect(over(&pairs[3], 20000));
	cr_expect(!over(&pairs[0], 0) && !over(&pairs[2], 0));
	cr_expect_eq(overdue_shut(overdue), 2);
	overdue_in(&pairs[2].entry, 1);
	cr_expect(over(&pairs[2], 20000));
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		overdue_leave(overdue, &pairs[i].entry);
		close(pairs[i].fds[0]);
		close(pairs[i].fds[1]);
	}
	overdue_free(overdue);
}
