/* pems.h - an authority of a test's own, and certificates of it with their keys, as files. */
#ifndef TESTS_SUPPORT_PEMS_H
#define TESTS_SUPPORT_PEMS_H

#include "common/cert_tls.h"

/* In a folder that is there: ca.pem and ca.key, then NAME.pem and NAME.key. */
void pems_authority(const char *dir, const char *name);
void pems_add(const char *dir, const char *name, const char *sans);
/* A folder of their own (folder.h), with an authority, control's and a worker's. */
void pems_both_sides(char *dir, const char *control_sans);

struct pem_paths { char ca[128], cert[128], key[128]; };
struct pem_paths pems_paths(const char *dir, const char *name);
/* As pem_tls_read of pemwatch.h. */
int pems_load(const struct pem_paths *paths, bool accepts, struct cert_tls **ret_tls,
              struct err *err);

#endif
