/* pemwatch.h - certificate files that are replaced while they are in use, as cert-manager and
 * Kubernetes do it: looked at now and then, read when they have changed, told when they are
 * good. */
#ifndef PEMWATCH_H
#define PEMWATCH_H

#include "common/cert_tls.h"

/* What is in use from now on; or why what was found is not (set NULL), and what was stays. Text is
 * borrowed for the call. Called in the watch's own thread. */
typedef void pemwatch_fn(void *context, const struct cert_set *set, const struct cert_facts *facts,
                         const struct err *why);

struct pemwatch;
struct pemwatch_conf {
	const char *ca_file;         /* NULL: none is needed */
	const char *cert_file, *key_file;    /* may be one file */
	int interval_ms;             /* 0: 2000 */
	pemwatch_fn *changed;
	void *context;
};
/* Paths are copied. The files need not be there yet, or good: that is told. */
MUST_USE int pemwatch_new(const struct pemwatch_conf *conf, struct pemwatch **ret_watch,
                          struct err *err);
/* Told once more, though the files have not changed. */
void pemwatch_again(struct pemwatch *watch);
void pemwatch_free(struct pemwatch *watch);            /* no call is under way when it returns */
DEFINE_AUTO(pemwatch)
/* One line of the log: what a door made of what it was told. code < 0: it did not take it, and err
 * says why. */
void pemwatch_log(const char *door, int code, const struct cert_facts *facts,
                  const struct err *err);
/* When the certificate that was found good last ends, unix ms; 0: there was none. Any thread. */
int64_t pemwatch_until_ms(struct pemwatch *watch);

/* The files now, checked; NUL-terminated texts in bufs that the caller wipes and releases. */
struct pem_texts { struct buf ca, cert, key; };
MUST_USE int pem_texts_read(const struct pemwatch_conf *conf, struct pem_texts *ret_texts,
                            struct cert_set *ret_set, struct err *err);
void pem_texts_release(struct pem_texts *texts);
/* As cert_tls_new, of the files now. */
MUST_USE int pem_tls_read(const struct pemwatch_conf *conf, bool accepts,
                          struct cert_tls **ret_tls, struct err *err);

#endif
