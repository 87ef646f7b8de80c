/* image.c - see image.h. What the child sends: for each record its length (32 bits) and its bytes;
 * 0 at the end; ERROR_MARK and a text when it failed. The child has one thread, whatever the
 * others held when it was forked: it allocates what it needs before the fork where it can, touches
 * no lock, logs nothing, and leaves with _exit. */
#include "common/defs.h"
#include "control/image.h"

#include "common/clock.h"
#include "common/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERROR_MARK UINT32_MAX
enum {
	RECORD_MAX = 4 * 1024 * 1024, RECORD_ROOM = 1024 * 1024, SEND_BYTES = 128 * 1024,
	PIPE_BYTES = 1024 * 1024, SILENCE_MS = 60000, POLL_MS = 100, NICE = 10
};

struct image {
	pid_t pid;
	int fd;
	struct buf in;               /* what came */
	size_t used;                 /* of it, by records given out */
};

/* --- the child --- */

struct sender {
	int fd;
	struct buf packed, out;
};

static int send_out(struct sender *sender, struct err *err)
{
	for (size_t sent = 0; sent < sender->out.len;) {
		ssize_t n = write(sender->fd, sender->out.data + sent, sender->out.len - sent);
		if (n < 0 && errno != EINTR)
			return err_errno(err, errno, "the image cannot be sent");
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_clear(&sender->out);
	return 0;
}

static int send_frame(struct sender *sender, uint32_t mark, const void *data, size_t len,
                      struct err *err)
{
	buf_put(&sender->out, &mark, sizeof mark);
	buf_put(&sender->out, data, len);
	TRY(buf_check(&sender->out, err));
	return sender->out.len >= SEND_BYTES ? send_out(sender, err) : 0;
}

static int send_record(void *context, const struct value *record, struct err *err)
{
	struct sender *sender = context;
	buf_clear(&sender->packed);
	TRY(value_check(record, err));
	TRY(pack_write(record, &sender->packed, err));
	return send_frame(sender, (uint32_t)sender->packed.len, sender->packed.data,
	                  sender->packed.len, err);
}

NORETURN static void child(const struct journal_ops *ops, struct sender *sender, pid_t parent)
{
	struct err err = { 0 };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* A connection that the parent closes is to be closed. */
	if (sender->fd > 0)
		close_range(0, (unsigned)sender->fd - 1, 0);
	close_range((unsigned)sender->fd + 1, ~0u, 0);
	setpriority(PRIO_PROCESS, 0, NICE);
	int rc = ops->emit(ops->context, send_record, sender, &err);
	if (rc == 0) {
		rc = send_frame(sender, 0, NULL, 0, &err);
	} else {
		uint32_t len = (uint32_t)strlen(err.text);
		buf_clear(&sender->out);
		buf_put(&sender->out, &(uint32_t){ ERROR_MARK }, sizeof len);
		buf_put(&sender->out, &len, sizeof len);
		buf_put(&sender->out, err.text, len);
	}
	_exit(send_out(sender, &err) < 0 || rc < 0);
}

/* --- the parent --- */

static int make_pipe(int fds[2], struct err *err)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, errno, "no pipe for a checkpoint");
	fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);         /* a smaller one does as well */
	return 0;
}

static int fork_child(const struct journal_ops *ops, struct sender *sender, int fds[2],
                      pid_t *ret_pid, int64_t *ret_us, struct err *err)
{
	int64_t start_us = clock_mono_us(clock_system());
	pid_t parent = getpid();
	TRY(ops->hold(ops->context, err));
	pid_t pid = fork();
	if (pid == 0)
		child(ops, sender, parent);
	int code = errno;
	ops->let_go(ops->context);
	*ret_us = clock_mono_us(clock_system()) - start_us;
	close(fds[1]);
	fds[1] = -1;
	if (pid < 0)
		return err_errno(err, code, "no process for a checkpoint");
	*ret_pid = pid;
	return 0;
}

static int take(const struct journal_ops *ops, struct image *image, struct sender *sender,
                int64_t *ret_us, struct err *err)
{
	int fds[2] = { -1, -1 };
	if (!buf_room(&sender->out, 2 * SEND_BYTES) || !buf_room(&sender->packed, RECORD_ROOM))
		return err_set(err, E_NOMEM, "no memory for a checkpoint");
	TRY(make_pipe(fds, err));
	image->fd = fds[0];
	sender->fd = fds[1];
	int rc = fork_child(ops, sender, fds, &image->pid, ret_us, err);
	if (rc < 0 && fds[1] >= 0)
		close(fds[1]);
	return rc;
}

int image_take(const struct journal_ops *ops, struct image **ret_image, int64_t *ret_us,
               struct err *err)
{
	AUTO(image) *image = calloc(1, sizeof *image);
	struct sender sender;
	if (!image)
		return err_set(err, E_NOMEM, "no memory for a checkpoint");
	image->fd = -1;
	buf_init(&image->in, 2 * RECORD_MAX);
	buf_init(&sender.packed, RECORD_MAX);
	buf_init(&sender.out, 2 * RECORD_MAX);
	int rc = take(ops, image, &sender, ret_us, err);
	buf_release(&sender.packed);
	buf_release(&sender.out);
	TRY(rc);
	*ret_image = MOVE(image);
	return 0;
}

static int await_bytes(struct image *image, const atomic_bool *cancel, struct err *err)
{
	struct pollfd wait = { .fd = image->fd, .events = POLLIN };
	for (int waited = 0; waited < SILENCE_MS; waited += POLL_MS) {
		if (atomic_load(cancel))
			return err_set(err, E_CANCELLED, "the checkpoint is no longer wanted");
		if (poll(&wait, 1, POLL_MS) > 0)
			return 0;
	}
	return err_set(err, E_TIMEOUT, "the process that writes a checkpoint has said nothing for "
	               "%d s", SILENCE_MS / 1000);
}

static int read_more(struct image *image, const atomic_bool *cancel, struct err *err)
{
	struct buf *in = &image->in;
	TRY(await_bytes(image, cancel, err));
	if (image->used > 0) {
		in->len -= image->used;
		memmove(in->data, in->data + image->used, in->len);
		image->used = 0;
	}
	uint8_t *room = buf_room(in, SEND_BYTES);
	TRY(buf_check(in, err));
	ssize_t n = read(image->fd, room, SEND_BYTES);
	if (n < 0 && errno != EINTR)
		return err_errno(err, errno, "a checkpoint's image cannot be read");
	if (n == 0)
		return err_set(err, E_UNAVAILABLE, "the process that writes a checkpoint has died");
	in->len += n > 0 ? (size_t)n : 0;
	return 0;
}

/* Until len more bytes are there. */
static int need(struct image *image, size_t len, const atomic_bool *cancel, struct err *err)
{
	if (len > RECORD_MAX)
		return err_set(err, E_TOO_LARGE, "a record of a checkpoint has %zu bytes; at most "
		               "%d are kept", len, RECORD_MAX);
	while (image->in.len - image->used < len)
		TRY(read_more(image, cancel, err));
	return 0;
}

static int read_number(struct image *image, const atomic_bool *cancel, uint32_t *ret_number,
                       struct err *err)
{
	TRY(need(image, sizeof *ret_number, cancel, err));
	memcpy(ret_number, image->in.data + image->used, sizeof *ret_number);
	image->used += sizeof *ret_number;
	return 0;
}

static int read_failure(struct image *image, const atomic_bool *cancel, struct err *err)
{
	uint32_t len = 0;
	TRY(read_number(image, cancel, &len, err));
	TRY(need(image, len, cancel, err));
	return err_set(err, E_UNAVAILABLE, "the state cannot be written as a checkpoint: %.*s",
	               (int)len, (const char *)image->in.data + image->used);
}

int image_next(struct image *image, const atomic_bool *cancel, const uint8_t **ret_packed,
               size_t *ret_len, struct err *err)
{
	uint32_t len = 0;
	TRY(read_number(image, cancel, &len, err));
	if (len == ERROR_MARK)
		return read_failure(image, cancel, err);
	TRY(need(image, len, cancel, err));
	*ret_packed = image->in.data + image->used;
	*ret_len = len;
	image->used += len;
	return 0;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	if (image->fd >= 0)
		close(image->fd);
	if (image->pid > 0) {
		kill(image->pid, SIGKILL);
		while (waitpid(image->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	buf_release(&image->in);
	free(image);
}
