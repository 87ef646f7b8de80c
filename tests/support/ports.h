/* ports.h - blocks of loopback ports below the kernel's own range, so that no connection's near
 * end takes the port of a process that is being started again. A lock on a file holds a block for
 * as long as the test's process lives or until it is given back: tests at the same time do not
 * meet. */
#ifndef TESTS_SUPPORT_PORTS_H
#define TESTS_SUPPORT_PORTS_H

enum { PORTS_EACH = 16 };

struct ports {
	int base;                    /* base .. base + PORTS_EACH - 1 are the holder's */
	int lock_fd;
};

struct ports ports_take(void);               /* fails the test when no block is free */
void ports_give(struct ports *ports);

#endif
