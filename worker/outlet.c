/* outlet.c - see outlet.h. */
#include "common/defs.h"
#include "worker/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PIPE_BYTES = 1024 * 1024 };

void outlet_init(struct outlet *outlet)
{
	*outlet = (struct outlet){.read_fd = -1};
}

int outlet_open(struct outlet *outlet, struct object_store *objects, const struct seal_label *label,
                const uint8_t *key, int *ret_write_fd, struct err *err)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) != 0)
		return err_errno(err, errno, "a pipe for the executor's output");
	(void)fcntl(pair[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; the default works too */
	*outlet = (struct outlet){
		.objects = objects, .label = *label, .key = key, .read_fd = pair[0]};
	*ret_write_fd = pair[1];
	return 0;
}

static int write_object(void *context, const void *data, size_t len, struct err *err)
{
	struct outlet *outlet = context;
	TRY(object_write(outlet->writer, data, len, err));
	outlet->sealed_bytes += (int64_t)len;
	return 0;
}

int outlet_sink(void *context, const void *data, size_t len, struct err *err)
{
	struct outlet *outlet = context;
	if (!outlet->writer)
		TRY(object_writer_new(outlet->objects, outlet->label.path, &outlet->writer, err));
	if (!outlet->sealer)
		TRY(sealer_new(&outlet->label, outlet->key, write_object, outlet, &outlet->sealer,
		               err));
	TRY(sealer_write(outlet->sealer, data, len, err));
	outlet->plain_bytes += (int64_t)len;
	return 0;
}

int outlet_commit(struct outlet *outlet, struct err *err)
{
	if (!outlet->sealer)
		return 0;
	TRY(sealer_finish(outlet->sealer, err));
	TRY(object_commit(outlet->writer, err));
	return 1;
}

void outlet_release(struct outlet *outlet)
{
	if (outlet->read_fd >= 0)
		close(outlet->read_fd);
	sealer_free(outlet->sealer);
	object_writer_free(outlet->writer);
	outlet_init(outlet);
}
