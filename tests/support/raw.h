/* raw.h - a client that says bytes, over TCP or TLS: what no sound client would send. */
#ifndef TESTS_SUPPORT_RAW_H
#define TESTS_SUPPORT_RAW_H

#include "common/defs.h"

struct raw;
struct raw_to {
	int port;               /* on 127.0.0.1 */
	int from;               /* its own address is 127.0.0.FROM; 0: any */
	bool tls;               /* the server's certificate is not looked at */
	const char *cert, *key; /* PEM files shown to the server; NULL: none */
};

/* NULL: no connection, or no handshake. */
struct raw *raw_dial(const struct raw_to *to);
void raw_close(struct raw *raw);
/* False: it is closed. */
bool raw_say(struct raw *raw, const void *data, size_t len);
bool raw_says(struct raw *raw, const char *text);
/* What comes within ms, at most size - 1 bytes; ends with a NUL. True: the other side closed. */
bool raw_hear(struct raw *raw, char *out, size_t size, int ms);
/* A head and body: until the whole of one answer is there, or the end, or ms are over. */
const char *raw_answer(struct raw *raw, char *out, size_t size, int ms);

/* Of a process: resident bytes and open descriptors. */
int64_t raw_memory(int pid);
int raw_files(int pid);

#endif
