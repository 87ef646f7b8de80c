/* channel.c - see channel.h. Both ends are ours, but one of them runs other people's SQL: every
 * length is checked before it is believed. */
#include "common/defs.h"
#include "worker/channel.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/pack.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A frame that large has pages of its own: growing it leaves no copy behind. */
enum { HEAD_BYTES = 8, FRAME_ROOM = 256 * 1024 };

static int gone(struct err *err)
{
	return err_set(err, E_UNAVAILABLE, "the other end of an executor's channel is gone");
}

static int send_all(int socket, const uint8_t *data, size_t len, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(socket, data + done, len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return gone(err);
		done += (size_t)n;
	}
	return 0;
}

static int send_fds(int socket, const int *fds, size_t count, struct err *err)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	ssize_t n;
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : gone(err);
}

static void put_u32(uint8_t *out, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
	return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

/* They are sent once, and opened once. */
void channel_wipe(const struct value *message)
{
	const struct value *sealed = value_get(message, "sealed");
	for (size_t i = 0; i < value_len(sealed); i++) {
		size_t len = 0;
		const void *ticket = value_get_bin(value_at(sealed, i), "ticket", &len);
		if (ticket)
			secret_wipe((void *)(uintptr_t)ticket, len);
	}
	secret_wipe_stack();
}

int channel_send(int socket, const struct value *message, const int *fds, size_t fd_count,
                 struct err *err)
{
	if (fd_count > CHANNEL_FDS_MAX)
		return err_set(err, E_TOO_LARGE,
		               "an executor takes at most %d files, the task has %zu; "
		               "compact its inputs",
		               CHANNEL_FDS_MAX, fd_count);
	AUTO_BUF frame;
	buf_init(&frame, HEAD_BYTES + CHANNEL_BODY_MAX);
	uint8_t head[HEAD_BYTES] = {0};
	(void)buf_room(&frame, FRAME_ROOM);
	(void)buf_put(&frame, head, sizeof head);
	TRY(pack_write(message, &frame, err));
	TRY(buf_check(&frame, err));
	put_u32(frame.data, (uint32_t)(frame.len - HEAD_BYTES));
	put_u32(frame.data + 4, (uint32_t)fd_count);
	int rc = send_all(socket, frame.data, frame.len, err);
	secret_wipe(frame.data, frame.len); /* a job holds keys of objects */
	TRY(rc);
	for (size_t at = 0; at < fd_count; at += CHANNEL_FDS) {
		size_t count = fd_count - at < CHANNEL_FDS ? fd_count - at : CHANNEL_FDS;
		TRY(send_fds(socket, fds + at, count, err));
	}
	return 0;
}

static int receive_all(int socket, uint8_t *out, size_t len, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(socket, out + done, len - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return gone(err);
		done += (size_t)n;
	}
	return 0;
}

/* Descriptors that came with one byte; all are closed again when they are not as many as announced.
 */
static int receive_fds(int socket, int *fds, size_t count, struct err *err)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	} control = {0};
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof control.bytes};
	ssize_t n;
	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *header = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0))
		return gone(err);
	size_t got = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int given[CHANNEL_FDS];
	memcpy(given, CMSG_DATA(header), got * sizeof(int));
	if (got == count) {
		memcpy(fds, given, got * sizeof(int));
		return 0;
	}
	for (size_t i = 0; i < got; i++)
		close(given[i]);
	return err_set(err, E_INTERNAL,
	               "%zu descriptors came where %zu were announced (is the limit of "
	               "open files reached?)",
	               got, count);
}

static int receive_body(int socket, struct arena *arena, size_t len, struct value **ret_message,
                        struct err *err)
{
	AUTO_BUF body;
	buf_init(&body, CHANNEL_BODY_MAX);
	uint8_t *room = buf_room(&body, len);
	if (!room)
		return err_set(err, E_NOMEM, "no memory for a message of %zu bytes", len);
	int rc = receive_all(socket, room, len, err);
	if (rc == 0)
		rc = pack_read(arena, room, len, ret_message, err);
	secret_wipe(room, len);
	return rc;
}

int channel_receive(int socket, struct arena *arena, struct value **ret_message, int *fds,
                    size_t fd_max, size_t *ret_fds, struct err *err)
{
	uint8_t head[HEAD_BYTES];
	TRY(receive_all(socket, head, sizeof head, err));
	size_t len = get_u32(head), fd_count = get_u32(head + 4);
	if (len == 0 || len > CHANNEL_BODY_MAX || fd_count > (fds ? fd_max : 0))
		return err_set(err, E_INTERNAL,
		               "an executor's message has %zu bytes and %zu descriptors; at "
		               "most %d and %zu are taken",
		               len, fd_count, CHANNEL_BODY_MAX, fd_max);
	struct value *message = NULL;
	TRY(receive_body(socket, arena, len, &message, err));
	for (size_t at = 0; at < fd_count; at += CHANNEL_FDS) {
		size_t count = fd_count - at < CHANNEL_FDS ? fd_count - at : CHANNEL_FDS;
		int rc = receive_fds(socket, fds + at, count, err);
		for (size_t i = 0; rc < 0 && i < at; i++)
			close(fds[i]);
		TRY(rc);
	}
	if (ret_fds)
		*ret_fds = fd_count;
	*ret_message = message;
	return 0;
}
