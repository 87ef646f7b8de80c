/* wire.h - a TCP connection between two processes that can be cut: in one direction or both, what
 * is sent then goes nowhere, as when a network loses packets. Mending breaks the connections that
 * were cut, as both ends' patience would in the end. */
#ifndef TESTS_SUPPORT_WIRE_H
#define TESTS_SUPPORT_WIRE_H

#include "common/defs.h"

struct wire;

struct wire *wire_open(int server_port); /* on loopback, both sides */
int wire_port(const struct wire *wire);  /* that clients dial */
void wire_cut(struct wire *wire, bool to_server, bool to_client);
void wire_mend(struct wire *wire);
void wire_close(struct wire *wire);

#endif
