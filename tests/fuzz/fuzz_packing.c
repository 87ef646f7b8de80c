/* fuzz_packing.c - compressed files as tenants bring them: walked to their end, within bounds and
 * without going round in circles. */
#include "common/defs.h"
#include "worker/packing.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);
	if (fd < 0)
		return 0;
	if (write(fd, data, len) == (ssize_t)len) {
		(void)!packing_check(fd, (int64_t)len, "gzip", "f", NULL);
		(void)!packing_check(fd, (int64_t)len, "zstd", "f", NULL);
		REQUIRE(packing_check(fd, (int64_t)len, "none", "f", NULL) == 0);
	}
	close(fd);
	return 0;
}
