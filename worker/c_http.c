/* c_http.c - what a URL gives, fetched by the agent (worker/egress.h) into memory before an
 * executor begins: executors have no network. */
#include "common/defs.h"
#include "worker/connector.h"
#include "worker/egress.h"
#include "worker/run.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int c_http_open(const struct connector_call *call, int *ret_fd, int64_t *ret_bytes, struct err *err)
{
	const struct egress_call get = {
		.hosts = value_get(call->work, "egress"),
		.url = value_get_str(call->work, "path"),
		.timeout_ms = call->timeout_ms,
		.stop = call->stop,
	};
	int64_t bytes = 0;
	if (!get.url || !call->runner->egress)
		return err_set(err, E_INPUT, "url: is missing, or this worker calls no hosts");
	int fd = memfd_create("source", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "the answer could not be kept");
	int rc = egress_get(call->runner->egress, &get, fd, &bytes, err);
	if (rc == 0 && bytes == 0)
		rc = err_set(err, E_INPUT, "url: the answer is empty");
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	*ret_bytes = bytes;
	return 0;
}
