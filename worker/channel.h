/* channel.h - messages between the agent and an executor: msgpack values and descriptors over a
 * connected stream socket. Frame: length as u32 (little-endian), count of descriptors as u32, the
 * body; then one byte with SCM_RIGHTS for every CHANNEL_FDS descriptors or part of it. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "common/value.h"

enum { CHANNEL_BODY_MAX = 16 * 1024 * 1024, CHANNEL_FDS = 128, CHANNEL_FDS_MAX = 2048 };

/* The other end is gone: E_UNAVAILABLE. One sender at a time. */
MUST_USE int channel_send(int socket, const struct value *message, const int *fds, size_t fd_count,
                          struct err *err);
/* Waits for one whole message. fds: room for fd_max; the caller closes what it is given; NULL: a
 * message with descriptors is refused. */
MUST_USE int channel_receive(int socket, struct arena *arena, struct value **ret_message, int *fds,
                             size_t fd_max, size_t *ret_fds, struct err *err);
/* The keys of objects in a job that was sent, or opened, are needed no more. */
void channel_wipe(const struct value *message);

#endif
