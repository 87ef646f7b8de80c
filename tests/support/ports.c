/* ports.c - see ports.h. */
#include "common/defs.h"
#include "tests/support/ports.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCKS = 600, BLOCK_FIRST = 21000 };

static bool port_free(int port)
{
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return is_free;
}

static bool block_free(int base)
{
	for (int i = 0; i < PORTS_EACH; i++)
		if (!port_free(base + i))
			return false;
	return true;
}

struct ports ports_take(void)
{
	char path[64];
	int first = getpid() % BLOCKS;
	for (int i = 0; i < BLOCKS; i++) {
		int block = (first + i) % BLOCKS, base = BLOCK_FIRST + block * PORTS_EACH;
		snprintf(path, sizeof path, "/tmp/freehold-test-block-%d", block);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && block_free(base))
			return (struct ports){ .base = base, .lock_fd = fd };
		if (fd >= 0)
			close(fd);
	}
	cr_assert_fail("no free block of ports");
	return (struct ports){ 0 };
}

void ports_give(struct ports *ports)
{
	close(ports->lock_fd);
	*ports = (struct ports){ .lock_fd = -1 };
}
