/* egress.c - see egress.h. One call at a time has a client of its own (common/fetch.h), so that no
 * connection, name or cookie outlives it. */
#include "common/defs.h"
#include "worker/egress.h"

#include "common/clock.h"
#include "common/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024, IDLE_MS = 30000, BEGIN_MS = 30000 };

struct egress {
	struct net_ranges deny, allow;
	char *ca_file;
	int64_t bytes_max;
	int idle_ms;
	egress_resolve_fn *resolve;
	void *context;
};

/* One hop: where it goes, and what may be connected to for it. */
struct hop {
	const struct egress *egress;
	const struct egress_call *call;
	struct host_target target;
	struct netaddr addresses[EGRESS_ADDRESSES_MAX];
	int address_count;
	int64_t deadline_mono_ms;
	int fd;
	int64_t bytes;
	struct buf head;
	int status;  /* of head; 0: not yet */
	int failure; /* of ours */
	int reason;  /* errno, of E_IO */
};

/* --- settings --- */

static int read_ranges(const char *what, const char *text, struct net_ranges *ranges,
                       struct err *err)
{
	if (net_ranges_parse(text, ranges))
		return 0;
	return err_set(err, E_INVALID,
	               "%s: is at most %d ranges like 10.0.0.0/8, without bits beyond their "
	               "length, with commas between",
	               what, NET_RANGES_MAX);
}

static int resolve_by_system(void *context, const char *host,
                             struct netaddr out[EGRESS_ADDRESSES_MAX], struct err *err)
{
	(void)context;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(host, NULL, &hints, &found), count = 0;
	if (rc != 0)
		return err_set(err, rc == EAI_NONAME ? E_INPUT : E_UNAVAILABLE,
		               "%s has no address: %s", host, gai_strerror(rc));
	for (struct addrinfo *at = found; at && count < EGRESS_ADDRESSES_MAX; at = at->ai_next)
		count += netaddr_of(at->ai_addr, &out[count]);
	freeaddrinfo(found);
	return count;
}

int egress_new(const struct egress_conf *conf, struct egress **ret_egress, struct err *err)
{
	AUTO(egress) *egress = calloc(1, sizeof *egress);
	if (!egress)
		return err_set(err, E_NOMEM, "no memory for calls to other hosts");
	TRY(read_ranges("--egress-deny", conf->deny, &egress->deny, err));
	TRY(read_ranges("--egress-allow-private", conf->allow, &egress->allow, err));
	egress->bytes_max = conf->bytes_max;
	egress->idle_ms = conf->idle_ms ? conf->idle_ms : IDLE_MS;
	egress->resolve = conf->resolve ? conf->resolve : resolve_by_system;
	egress->context = conf->context;
	if (conf->ca_file && !(egress->ca_file = strdup(conf->ca_file)))
		return err_set(err, E_NOMEM, "no memory for calls to other hosts");
	*ret_egress = MOVE(egress);
	return 0;
}

void egress_free(struct egress *egress)
{
	if (!egress)
		return;
	free(egress->ca_file);
	free(egress);
}

/* --- where it may go --- */

static int check_host(const struct hop *hop, const struct value **ret_entry, struct err *err)
{
	const struct host_target *target = &hop->target;
	*ret_entry = hosts_find(hop->call->hosts, target);
	if (*ret_entry)
		return 0;
	return err_set(err, E_DENIED,
	               "the host %s (%s, port %d) is not among those that the "
	               "tenant's tasks may call; an operator can add it to spec.egress of the "
	               "tenant",
	               target->host, target->plain ? "http" : "https", target->port);
}

static bool network_has(const struct value *entry, const struct netaddr *address)
{
	const char *network = value_get_str(entry, "network");
	struct net_range range;
	return network && net_range_parse(network, &range) && net_range_has(&range, address);
}

static int check_address(const struct hop *hop, const struct value *entry,
                         const struct netaddr *address, struct err *err)
{
	const struct egress *egress = hop->egress;
	enum net_scope scope = netaddr_scope(address);
	const char *host = hop->target.host;
	if (scope == NET_FORBIDDEN || net_ranges_have(&egress->deny, address))
		return err_set(err, E_DENIED,
		               "the host %s leads to a%s address that no task may "
		               "call",
		               host,
		               scope == NET_FORBIDDEN ? " link-local, multicast or "
		                                        "reserved"
		                                      : "n");
	if (scope == NET_PUBLIC)
		return 0;
	if (!net_ranges_have(&egress->allow, address))
		return err_set(err, E_DENIED,
		               "the host %s leads to a %s address; a worker calls "
		               "those within its --egress-allow-private only",
		               host, net_scope_name(scope));
	if (network_has(entry, address))
		return 0;
	return err_set(err, E_DENIED,
	               "the host %s leads to a %s address; an operator can allow it "
	               "as network of that host in spec.egress of the tenant",
	               host, net_scope_name(scope));
}

/* One address that may not be called spoils the name: who answers so is not to be trusted. */
static int resolve(struct hop *hop, struct err *err)
{
	const struct value *entry = NULL;
	TRY(check_host(hop, &entry, err));
	if (netaddr_parse(hop->target.host, &hop->addresses[0]))
		hop->address_count = 1;
	else
		hop->address_count = hop->egress->resolve(hop->egress->context, hop->target.host,
		                                          hop->addresses, err);
	TRY(hop->address_count);
	if (hop->address_count == 0)
		return err_set(err, E_UNAVAILABLE, "the host %s has no address", hop->target.host);
	for (int i = 0; i < hop->address_count; i++)
		TRY(check_address(hop, entry, &hop->addresses[i], err));
	return 0;
}

static bool may_connect(void *context, const struct sockaddr *socket)
{
	const struct hop *hop = context;
	struct netaddr address;
	if (!netaddr_of(socket, &address))
		return false;
	for (int i = 0; i < hop->address_count; i++)
		if (address.bits == hop->addresses[i].bits &&
		    memcmp(address.bytes, hop->addresses[i].bytes, sizeof address.bytes) == 0)
			return true;
	return false;
}

/* --- one hop --- */

/* Of the last status line: others may go before it (103). */
static int status_of(struct buf *head)
{
	int status = 0;
	if (buf_check(head, NULL) < 0) /* ends it with a NUL, too */
		return 0;
	for (size_t at = 0; at + 12 < head->len; at++) {
		const char *line = (const char *)head->data + at;
		if ((at == 0 || line[-1] == '\n') && memcmp(line, "HTTP/", 5) == 0)
			status = atoi(line + strcspn(line, " "));
	}
	return status;
}

static bool write_all(struct hop *hop, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(hop->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			hop->reason = errno;
			return false;
		}
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool on_data(void *context, const char *data, size_t len)
{
	struct hop *hop = context;
	if (!hop->status)
		hop->status = status_of(&hop->head);
	if (hop->status != 200)
		return false; /* the body of a redirect or a refusal is nobody's */
	hop->bytes += (int64_t)len;
	if (hop->bytes > hop->egress->bytes_max)
		hop->failure = E_RESOURCES;
	else if (clock_mono_ms(clock_system()) > hop->deadline_mono_ms)
		hop->failure = E_TIMEOUT;
	else if (!write_all(hop, data, len))
		hop->failure = E_IO;
	return hop->failure == 0;
}

static int failed(const struct hop *hop, struct err *err)
{
	const char *host = hop->target.host;
	if (hop->failure == E_RESOURCES)
		return err_set(err, E_RESOURCES,
		               "the answer of %s is over %" PRId64 " bytes, the "
		               "worker's --egress-max-mib; get it in parts",
		               host, hop->egress->bytes_max);
	if (hop->failure == E_TIMEOUT)
		return err_set(err, E_TIMEOUT,
		               "the answer of %s took longer than the task may; "
		               "raise limits.deadline of the task",
		               host);
	return err_errno(err, hop->reason, "the answer of %s could not be kept", host);
}

/* "host:port:address,address", which a second look-up never replaces. */
static void put_pin(const struct hop *hop, char *out, size_t size)
{
	char text[NETADDR_TEXT];
	int n = snprintf(out, size, "%s:%d:", hop->target.host, hop->target.port);
	for (int i = 0; i < hop->address_count && n > 0 && (size_t)n < size; i++) {
		netaddr_print(&hop->addresses[i], text);
		n += snprintf(out + n, size - (size_t)n, "%s%s", i ? "," : "", text);
	}
}

/* The URL again out of what was checked, so that nobody reads another host in it. */
static int put_url(const struct host_target *target, struct buf *out, struct err *err)
{
	bool six = strchr(target->host, ':') != NULL;
	buf_printf(out, "%s://%s%s%s:%d%s%s", target->plain ? "http" : "https", six ? "[" : "",
	           target->host, six ? "]" : "", target->port, target->path[0] == '/' ? "" : "/",
	           target->path);
	return buf_check(out, err);
}

static int ask(struct hop *hop, const char *url, const char *pin, struct err *err)
{
	const struct fetch_conf conf = {
		.ca_file = hop->egress->ca_file, .connections_max = 1, .connect_timeout_ms = 10000};
	const struct fetch_call call = {
		.url = url,
		.timeout_ms = BEGIN_MS,
		.head = &hop->head,
		.pin = pin,
		.may_connect = may_connect,
		.context = hop,
	};
	struct fetch *fetch = NULL;
	TRY(fetch_new(&conf, &fetch, err));
	int rc = fetch_stream(fetch, &call, on_data, hop, hop->egress->idle_ms, hop->call->stop,
	                      &hop->status, err);
	fetch_free(fetch);
	if (!hop->status)
		hop->status = status_of(&hop->head);
	if (hop->failure)
		return failed(hop, err);
	if (rc != E_UNKNOWN_OUTCOME)
		return rc;
	return err_set(err, E_UNAVAILABLE, "the answer of %s broke off", hop->target.host);
}

static int fetch_hop(struct hop *hop, struct err *err)
{
	char pin[HOST_MAX + 16 + EGRESS_ADDRESSES_MAX * NETADDR_TEXT];
	AUTO_BUF url;
	buf_init(&url, 2 * HOST_URL_MAX);
	struct netaddr literal;
	bool named = !netaddr_parse(hop->target.host, &literal);
	TRY(resolve(hop, err));
	put_pin(hop, pin, sizeof pin);
	TRY(put_url(&hop->target, &url, err));
	TRY(ask(hop, (const char *)url.data, named ? pin : NULL, err));
	if (hop->call->stop && __atomic_load_n(hop->call->stop, __ATOMIC_ACQUIRE))
		return err_set(err, E_CANCELLED, "the task was cancelled");
	return 0;
}

/* --- redirects --- */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool find_location(const struct buf *head, char out[HOST_URL_MAX])
{
	static const char name[] = "\nlocation:";
	for (size_t at = 0; at + sizeof name < head->len; at++) {
		const char *line = (const char *)head->data + at;
		if (strncasecmp(line, name, sizeof name - 1) != 0)
			continue;
		line += sizeof name - 1;
		line += strspn(line, " \t");
		size_t len = strcspn(line, "\r\n");
		if (len >= HOST_URL_MAX)
			return false;
		snprintf(out, HOST_URL_MAX, "%.*s", (int)len, line);
		return len > 0;
	}
	return false;
}

static int follow(struct hop *hop, char url[HOST_URL_MAX], struct err *err)
{
	char location[HOST_URL_MAX];
	AUTO_BUF next;
	buf_init(&next, HOST_URL_MAX);
	if (buf_check(&hop->head, err) < 0 || !find_location(&hop->head, location))
		return err_set(err, E_INPUT, "%s answers %d without saying where to",
		               hop->target.host, hop->status);
	if (fetch_join(url, location, &next, err) < 0)
		return err_set(err, E_INPUT,
		               "%s answers %d and names no address that can be "
		               "followed",
		               hop->target.host, hop->status);
	snprintf(url, HOST_URL_MAX, "%s", (const char *)next.data);
	return 0;
}

static int judge(const struct hop *hop, struct err *err)
{
	int status = hop->status;
	if (status == 200)
		return 0;
	if (status == 408 || status == 429 || status >= 500 || status < 100)
		return err_set(err, E_UNAVAILABLE, "%s answers %d", hop->target.host, status);
	return err_set(err, E_INPUT, "%s answers %d, not 200", hop->target.host, status);
}

static int parse(struct hop *hop, const char *url, struct err *err)
{
	struct err why = {0};
	if (host_target_parse(url, &hop->target, &why) < 0)
		return err_set(err, E_INPUT, "url: %s", why.text);
	return 0;
}

int egress_get(struct egress *egress, const struct egress_call *call, int fd, int64_t *ret_bytes,
               struct err *err)
{
	char url[HOST_URL_MAX];
	int64_t deadline = clock_mono_ms(clock_system()) + call->timeout_ms;
	if (strlen(call->url) >= sizeof url)
		return err_set(err, E_INPUT, "url: has %zu bytes; it may have %d",
		               strlen(call->url), HOST_URL_MAX - 1);
	strcpy(url, call->url);
	for (int hops = 0; hops <= EGRESS_REDIRECTS_MAX; hops++) {
		struct hop hop = {
			.egress = egress, .call = call, .deadline_mono_ms = deadline, .fd = fd};
		buf_init(&hop.head, HEAD_MAX);
		int rc = parse(&hop, url, err);
		if (rc == 0)
			rc = fetch_hop(&hop, err);
		bool again = rc == 0 && is_redirect(hop.status);
		if (again)
			rc = follow(&hop, url, err);
		else if (rc == 0)
			rc = judge(&hop, err);
		buf_release(&hop.head);
		*ret_bytes = rc == 0 ? hop.bytes : *ret_bytes;
		if (rc < 0 || !again)
			return rc;
	}
	return err_set(err, E_INPUT, "url: leads through over %d redirects", EGRESS_REDIRECTS_MAX);
}
