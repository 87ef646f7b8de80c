/* fuzz_channel.c - what an executor may say to its agent: frames with lengths, counts of
 * descriptors and bodies that lie. */
#include "common/defs.h"
#include "worker/channel.h"

#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 8, WRITTEN_MAX = 64 * 1024, MESSAGES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	int pair[2], fds[FDS];
	size_t count = 0;
	struct value *message = NULL;
	struct err err = {0};
	REQUIRE(arena_new(64 * MIB, &arena, NULL) == 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	size_t most = len < WRITTEN_MAX ? len : WRITTEN_MAX;
	if (most)
		REQUIRE(send(pair[1], data, most, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
	shutdown(pair[1], SHUT_WR);
	for (int i = 0, rc = 0; i < MESSAGES && rc == 0; i++) {
		rc = channel_receive(pair[0], arena, &message, i % 2 ? fds : NULL, FDS, &count,
		                     &err);
		REQUIRE(rc < 0 ? err.text[0] != 0 : message != NULL);
		REQUIRE(rc < 0 || count == 0);
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}
