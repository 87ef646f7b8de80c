/* Frames between agent and executor: whole, bounded, with descriptors. */
#include "common/defs.h"
#include "worker/channel.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];
static struct arena *arena;
static struct err err;
static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(channel, .init = setup, .fini = teardown);

enum { MANY = CHANNEL_FDS + 5 };

static void *send_many(void *context)
{
	static int fds[MANY];
	for (size_t i = 0; i < MANY; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	struct value *message = context;
	cr_assert_eq(channel_send(pair[0], message, fds, MANY, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		close(fds[i]);
	return NULL;
}

Test(channel, carries_a_message_and_more_descriptors_than_one_frame_holds)
{
	struct value *message = value_map(arena), *got;
	value_set_str(message, "type", "probe");
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, send_many, message), 0);
	int fds[CHANNEL_FDS_MAX];
	size_t count = 0;
	cr_assert_eq(channel_receive(pair[1], arena, &got, fds, CHANNEL_FDS_MAX, &count, &err), 0,
	             "%s", err.text);
	pthread_join(thread, NULL);
	cr_expect_eq(count, MANY);
	cr_expect(value_equal(message, got));
	for (size_t i = 0; i < count; i++) {
		char byte;
		cr_expect_eq(read(fds[i], &byte, 1), 0);
		cr_expect_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
}

Test(channel, refuses_descriptors_it_did_not_ask_for)
{
	struct value *message = value_map(arena), *got;
	int fd = pair[0];
	cr_assert_eq(channel_send(pair[0], message, &fd, 1, &err), 0);
	cr_expect_eq(channel_receive(pair[1], arena, &got, NULL, 0, NULL, &err), E_INTERNAL);
}

Test(channel, refuses_a_length_beyond_its_bound_before_it_is_read)
{
	struct value *got;
	static const uint8_t head[8] = {0xff, 0xff, 0xff, 0x7f};
	cr_assert_eq(write(pair[0], head, sizeof head), 8);
	cr_expect_eq(channel_receive(pair[1], arena, &got, NULL, 0, NULL, &err), E_INTERNAL);
}

Test(channel, tells_that_the_other_end_is_gone)
{
	struct value *got;
	cr_assert_eq(write(pair[0], "\x05\0\0\0\0\0\0\0ab", 10), 10);
	close(pair[0]);
	cr_expect_eq(channel_receive(pair[1], arena, &got, NULL, 0, NULL, &err), E_UNAVAILABLE);
	close(pair[1]);
}

Test(channel, refuses_more_descriptors_than_it_may_carry)
{
	static int fds[CHANNEL_FDS_MAX + 1];
	cr_expect_eq(channel_send(pair[0], value_map(arena), fds, CHANNEL_FDS_MAX + 1, &err),
	             E_TOO_LARGE);
}
