/* tunnel_impl.h - what tunnel.c and tunnel_end.c share, and nobody else. */
#ifndef TUNNEL_IMPL_H
#define TUNNEL_IMPL_H

#include "api/tunnel.h"

#include <sys/types.h>

/* --- tunnel_end.c: sockets; all of them close on exec and do not block --- */

/* Listening at any address of host; E_CONFLICT, E_INVALID. */
MUST_USE int end_listen(const char *host, int port, int *ret_fd, struct err *err);
int end_port(int fd);
/* -1: none came, or there is no descriptor for it. */
int end_accept(int listener);
/* Begun; writable when it stands or has failed. turn: which of the host's addresses, if it has
 * several. -1: it could not be begun. */
int end_call(const char *host, int port, unsigned turn);
enum end_state { END_BEGUN, END_STANDS, END_FAILED };
enum end_state end_connected(int fd);
/* The other end of a connection of this machine is a socket of this process too. */
bool end_is_own(int fd);
void end_print_peer(int fd, char out[TUNNEL_PEER_LEN]);

#endif
