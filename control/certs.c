/* certs.c - see certs.h. Invariant: a door keeps what it has until something better was checked. */
#include "common/defs.h"
#include "control/certs.h"

#include "common/pemwatch.h"
#include "control/authority.h"
#include "control/nodes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 1024 * 1024 };

struct certs {
	struct certs_conf conf;
	struct pemwatch *api, *link; /* NULL: that door is plain */
};

static void on_api(void *context, const struct cert_set *set, const struct cert_facts *facts,
                   const struct err *why)
{
	struct certs *certs = context;
	struct err err;
	if (!set) {
		pemwatch_log("api", why->code, NULL, why);
		return;
	}
	int rc = http_server_set_tls(certs->conf.http, set, &err);
	pemwatch_log("api", rc, facts, &err);
	if (rc == 0)
		atomic_store(&certs->conf.control->api_until_ms, facts->until_ms);
}

/* Workers that have joined show certificates of the platform's authority; the others, the CA's. */
static int set_link(struct certs *certs, const struct cert_set *set, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF trust;
	const char *platform = NULL;
	buf_init(&trust, 4 * CERT_PEM_MAX);
	TRY(arena_new(ARENA_MAX, &arena, err));
	buf_printf(&trust, "%s\n", set->ca);
	if (authority_certificate(certs->conf.control, arena, &platform, NULL) == 0)
		buf_puts(&trust, platform);
	TRY(buf_check(&trust, err));
	const struct cert_set with = { (const char *)trust.data, set->cert, set->key };
	return link_server_set_tls(certs->conf.link, &with, err);
}

static void on_link(void *context, const struct cert_set *set, const struct cert_facts *facts,
                    const struct err *why)
{
	struct certs *certs = context;
	struct err err;
	if (!set) {
		pemwatch_log("link", why->code, NULL, why);
		return;
	}
	int rc = set_link(certs, set, &err);
	pemwatch_log("link", rc, facts, &err);
	if (rc == 0)
		atomic_store(&certs->conf.control->link_until_ms, facts->until_ms);
}

static void on_authority(void *context)
{
	pemwatch_again(context);
}

static int watch_link(struct certs *certs, struct err *err)
{
	const struct certs_conf *conf = &certs->conf;
	const struct pemwatch_conf watch = {
		.ca_file = conf->link_ca_file, .cert_file = conf->link_cert_file,
		.key_file = conf->link_key_file, .interval_ms = conf->interval_ms,
		.changed = on_link, .context = certs,
	};
	TRY(pemwatch_new(&watch, &certs->link, err));
	nodes_on_authority(conf->control->nodes, on_authority, certs->link);
	return 0;
}

int certs_new(const struct certs_conf *conf, struct certs **ret_certs, struct err *err)
{
	AUTO(certs) *certs = calloc(1, sizeof *certs);
	if (!certs)
		return err_set(err, E_NOMEM, "no memory for the doors' certificates");
	certs->conf = *conf;
	const struct pemwatch_conf api = {
		.cert_file = conf->cert_file, .key_file = conf->key_file,
		.interval_ms = conf->interval_ms, .changed = on_api, .context = certs,
	};
	if (conf->cert_file)
		TRY(pemwatch_new(&api, &certs->api, err));
	if (conf->link_cert_file && conf->link_ca_file)
		TRY(watch_link(certs, err));
	*ret_certs = MOVE(certs);
	return 0;
}

void certs_free(struct certs *certs)
{
	if (!certs)
		return;
	if (certs->link)
		nodes_on_authority(certs->conf.control->nodes, NULL, NULL);
	pemwatch_free(certs->link);
	pemwatch_free(certs->api);
	free(certs);
}
