/* tunnel.c - connections in pairs, one plain and one under TLS: what comes in at the one goes out
 * at the other. Invariants: a lane's connections are its own thread's, by_port excepted; a
 * connection is freed after the events that may name it; what was read and could not be written yet
 * (left) is written before more is read. */
#include "common/defs.h"
#include "api/tunnel_impl.h"

#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LANES_MAX = 2, EVENTS_MAX = 128, ACCEPTS_MAX = 64, SCRATCH_BYTES = 64 * 1024,
	ROUNDS_MAX = 32,             /* of one connection in a turn */
	BEGIN_MS = 10000,            /* to connect and shake hands */
	LEAVE_MS = 2000,             /* for nng, to see that a connection ends */
	SWEEP_MS = 1000, PAUSE_MS = 50, PORTS = 65536
};

enum phase {
	PHASE_CALLING, PHASE_SHAKING, PHASE_JOINING, PHASE_RELAYING, PHASE_LEAVING, PHASE_OVER
};

struct side {
	int fd;                      /* -1: not yet */
	bool listed;                 /* epoll knows it, */
	unsigned asked;              /* and tells of this */
};

struct left { uint8_t *data; size_t from, len; };

struct conn {
	struct conn *next, **prev;
	struct lane *lane;
	enum phase phase;
	struct side outer, plain;
	struct tls_session *tls;
	struct left to_tls, to_plain;
	unsigned tls_wants;          /* EPOLLIN, EPOLLOUT of outer */
	bool again;                  /* it had more to do in its turn */
	int64_t until_mono_ms;       /* it is to relay by then */
	int port;                    /* of this side of plain, where it is in by_port; else 0 */
	char peer[TUNNEL_PEER_LEN];
};

struct lane {
	struct tunnel *tunnel;
	pthread_t thread;
	bool started;
	int epoll;
	int64_t swept_ms;
	struct conn *conns, *over;
	uint8_t scratch[SCRATCH_BYTES];
};

struct tunnel {
	struct tunnel_conf conf;
	char *host, *name;
	int listener, ending;        /* ending: an eventfd */
	struct lane *lanes[LANES_MAX];
	unsigned turn;               /* of calls; its only lane's */
	atomic_int count;
	pthread_mutex_t mutex;       /* guards what follows */
	struct cert_tls *tls;
	struct conn **by_port;       /* PORTS places, where it accepts */
	char why[TUNNEL_WHY_LEN];    /* where it goes out; "": it stands */
};

/* --- connections --- */

static void set_port(struct conn *conn, int port)
{
	struct tunnel *tunnel = conn->lane->tunnel;
	pthread_mutex_lock(&tunnel->mutex);
	if (conn->port)
		tunnel->by_port[conn->port] = NULL;
	conn->port = port;
	if (port)
		tunnel->by_port[port] = conn;
	pthread_mutex_unlock(&tunnel->mutex);
}

static void set_why(struct tunnel *tunnel, const char *why)
{
	pthread_mutex_lock(&tunnel->mutex);
	snprintf(tunnel->why, sizeof tunnel->why, "%s", why);
	pthread_mutex_unlock(&tunnel->mutex);
}

/* A child that is just being made may have it open still: closing alone would not silence it. */
static void side_close(const struct lane *lane, struct side *side)
{
	if (side->fd < 0)
		return;
	if (side->listed)
		(void)epoll_ctl(lane->epoll, EPOLL_CTL_DEL, side->fd, NULL);
	close(side->fd);
	*side = (struct side){ .fd = -1 };
}

static void outer_end(struct conn *conn)
{
	if (conn->phase == PHASE_RELAYING)
		tls_session_bye(conn->tls);
	tls_session_free(MOVE(conn->tls));
	side_close(conn->lane, &conn->outer);
}

/* Its memory stays for events of the same turn. */
static void conn_end(struct conn *conn)
{
	if (conn->phase == PHASE_OVER)
		return;
	if (conn->port)
		set_port(conn, 0);
	outer_end(conn);
	side_close(conn->lane, &conn->plain);
	*conn->prev = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	conn->phase = PHASE_OVER;
	conn->next = conn->lane->over;
	conn->lane->over = conn;
	atomic_fetch_sub(&conn->lane->tunnel->count, 1);
}

static void free_over(struct lane *lane)
{
	for (struct conn *conn; (conn = lane->over);) {
		lane->over = conn->next;
		free(conn->to_tls.data);
		free(conn->to_plain.data);
		free(conn);
	}
}

static bool side_ask(struct conn *conn, struct side *side, unsigned wanted)
{
	struct epoll_event event = { .events = wanted, .data.ptr = conn };
	if (side->fd < 0 || (side->listed && side->asked == wanted))
		return true;
	int op = side->listed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	side->listed = true;
	side->asked = wanted;
	return epoll_ctl(conn->lane->epoll, op, side->fd, &event) == 0;
}

/* A connection that has not begun to relay waits for outer, and where it joins, for plain. */
static bool ask(struct conn *conn)
{
	unsigned outer = conn->tls_wants, plain = 0;
	if (conn->phase == PHASE_CALLING)
		outer = EPOLLOUT;
	if (conn->to_plain.len > 0)          /* nothing is read before that is gone */
		outer &= ~(unsigned)EPOLLIN;
	if (conn->phase == PHASE_JOINING || conn->to_plain.len > 0 || conn->again)
		plain |= EPOLLOUT;
	if (conn->phase == PHASE_RELAYING && conn->to_tls.len == 0)
		plain |= EPOLLIN;
	if (conn->phase == PHASE_LEAVING)
		plain = EPOLLIN;
	return side_ask(conn, &conn->outer, outer) && side_ask(conn, &conn->plain, plain);
}

/* --- relaying --- */

enum flow { FLOW_MOVED, FLOW_STUCK, FLOW_ENDED };

static bool keep(struct left *left, const uint8_t *data, size_t len)
{
	left->data = malloc(len);
	if (!left->data)
		return false;
	memcpy(left->data, data, len);
	left->from = 0;
	left->len = len;
	return true;
}

static void take(struct left *left, size_t len)
{
	left->from += len;
	left->len -= len;
	if (left->len > 0)
		return;
	free(left->data);
	left->data = NULL;
}

static enum flow wanted(struct conn *conn, enum tls_state state)
{
	if (state == TLS_WANTS_READ)
		conn->tls_wants |= EPOLLIN;
	if (state == TLS_WANTS_WRITE)
		conn->tls_wants |= EPOLLOUT;
	return state == TLS_ENDED ? FLOW_ENDED : FLOW_STUCK;
}

/* All that plain takes at once. */
static enum flow send_plain(struct conn *conn, const uint8_t *data, size_t len, size_t *ret_sent)
{
	ssize_t n = 1;
	*ret_sent = 0;
	while (*ret_sent < len && n > 0) {
		n = send(conn->plain.fd, data + *ret_sent, len - *ret_sent, MSG_NOSIGNAL);
		*ret_sent += n > 0 ? (size_t)n : 0;
	}
	if (*ret_sent == len)
		return FLOW_MOVED;
	return errno == EAGAIN || errno == EINTR ? FLOW_STUCK : FLOW_ENDED;
}

static enum flow send_tls(struct conn *conn, const uint8_t *data, size_t len, size_t *ret_sent)
{
	*ret_sent = 0;
	while (*ret_sent < len) {
		size_t n = 0;
		enum tls_state state = tls_session_write(conn->tls, data + *ret_sent,
		                                         len - *ret_sent, &n);
		if (state != TLS_DONE)
			return wanted(conn, state);
		*ret_sent += n;
	}
	return FLOW_MOVED;
}

typedef enum flow send_fn(struct conn *conn, const uint8_t *data, size_t len, size_t *ret_sent);

static enum flow send_left(struct conn *conn, struct left *left, send_fn *send_on)
{
	size_t sent = 0;
	enum flow flow = send_on(conn, left->data + left->from, left->len, &sent);
	take(left, sent);
	return flow;
}

static enum flow send_new(struct conn *conn, struct left *left, send_fn *send_on, size_t len)
{
	size_t sent = 0;
	const uint8_t *data = conn->lane->scratch;
	enum flow flow = send_on(conn, data, len, &sent);
	if (flow == FLOW_STUCK && !keep(left, data + sent, len - sent))
		return FLOW_ENDED;
	return flow;
}

static enum flow flow_in(struct conn *conn)
{
	size_t len = 0;
	if (conn->to_plain.len > 0)
		return send_left(conn, &conn->to_plain, send_plain);
	enum tls_state state = tls_session_read(conn->tls, conn->lane->scratch, SCRATCH_BYTES,
	                                        &len);
	if (state != TLS_DONE)
		return wanted(conn, state);
	return send_new(conn, &conn->to_plain, send_plain, len);
}

static enum flow flow_out(struct conn *conn)
{
	if (conn->to_tls.len > 0)
		return send_left(conn, &conn->to_tls, send_tls);
	ssize_t n = recv(conn->plain.fd, conn->lane->scratch, SCRATCH_BYTES, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return FLOW_STUCK;
	if (n <= 0)
		return FLOW_ENDED;
	return send_new(conn, &conn->to_tls, send_tls, (size_t)n);
}

/* False: it is over. */
static bool relay(struct conn *conn)
{
	enum flow in = FLOW_MOVED, out = FLOW_MOVED;
	conn->tls_wants = 0;
	for (int i = 0; i < ROUNDS_MAX && (in == FLOW_MOVED || out == FLOW_MOVED); i++) {
		in = flow_in(conn);
		out = in == FLOW_ENDED ? FLOW_ENDED : flow_out(conn);
		if (in == FLOW_ENDED || out == FLOW_ENDED)
			return false;
	}
	conn->again = in == FLOW_MOVED || out == FLOW_MOVED;
	return true;
}

/* --- leaving --- */

/* What nng still says goes nowhere. False: it has ended its side. */
static bool drain(struct conn *conn)
{
	ssize_t n = 1;
	for (int i = 0; i < ROUNDS_MAX && n > 0; i++)
		n = recv(conn->plain.fd, conn->lane->scratch, SCRATCH_BYTES, 0);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* nng is left to end its side by itself: when nng_close does it in the middle of a message, it
 * waits for ever, and before the connection is counted as one, it loses its memory. False: over. */
static bool leave(struct conn *conn)
{
	outer_end(conn);
	conn->phase = PHASE_LEAVING;
	return conn->plain.fd >= 0 && shutdown(conn->plain.fd, SHUT_WR) == 0 && ask(conn);
}

/* --- beginning --- */

static bool begin_tls(struct conn *conn)
{
	struct tunnel *tunnel = conn->lane->tunnel;
	struct err err;
	pthread_mutex_lock(&tunnel->mutex);
	struct cert_tls *tls = cert_tls_ref(tunnel->tls);
	pthread_mutex_unlock(&tunnel->mutex);
	int rc = tls_session_new(tls, conn->outer.fd, tunnel->name, &conn->tls, &err);
	cert_tls_free(tls);
	conn->phase = PHASE_SHAKING;
	return rc == 0;
}

/* Only who has shaken hands comes as far as nng. */
static bool join(struct conn *conn)
{
	conn->phase = PHASE_JOINING;
	conn->plain.fd = end_call("127.0.0.1", conn->lane->tunnel->conf.plain_port, 0);
	if (conn->plain.fd < 0)
		return false;
	set_port(conn, end_port(conn->plain.fd));
	return conn->port != 0;
}

static bool shake(struct conn *conn)
{
	enum tls_state state = tls_session_shake(conn->tls);
	conn->tls_wants = 0;
	if (state == TLS_ENDED)
		set_why(conn->lane->tunnel, tls_session_why(conn->tls));
	if (state != TLS_DONE)
		return wanted(conn, state) != FLOW_ENDED;
	if (conn->lane->tunnel->conf.accepts)
		return join(conn);
	set_why(conn->lane->tunnel, "");
	conn->phase = PHASE_RELAYING;
	return true;
}

/* The next step, if it can be made now. False: it is over. */
static bool advance(struct conn *conn)
{
	switch (conn->phase) {
	case PHASE_CALLING: {
		enum end_state state = end_connected(conn->outer.fd);
		if (state == END_FAILED)
			set_why(conn->lane->tunnel, "nobody listens there");
		return state == END_STANDS ? begin_tls(conn) : state == END_BEGUN;
	}
	case PHASE_SHAKING:
		return shake(conn);
	case PHASE_JOINING: {
		enum end_state state = end_connected(conn->plain.fd);
		if (state == END_STANDS)
			conn->phase = PHASE_RELAYING;
		return state != END_FAILED;
	}
	case PHASE_RELAYING:
		return relay(conn);
	case PHASE_LEAVING:
		return drain(conn);
	default:
		return false;
	}
}

/* As far as it can now; false: it is over. */
static bool proceed(struct conn *conn)
{
	enum phase before;
	do {
		before = conn->phase;
		if (!advance(conn))
			return false;
	} while (conn->phase != before);
	return ask(conn);
}

static struct conn *conn_new(struct lane *lane)
{
	struct conn *conn = calloc(1, sizeof *conn);
	if (!conn)
		return NULL;
	conn->lane = lane;
	conn->outer.fd = conn->plain.fd = -1;
	conn->until_mono_ms = clock_mono_ms(clock_system()) + BEGIN_MS;
	conn->next = lane->conns;
	conn->prev = &lane->conns;
	if (conn->next)
		conn->next->prev = &conn->next;
	lane->conns = conn;
	atomic_fetch_add(&lane->tunnel->count, 1);
	return conn;
}

/* Where it goes out, only this process's own nng may come in. */
static bool conn_begin(struct conn *conn, int fd)
{
	struct tunnel *tunnel = conn->lane->tunnel;
	if (tunnel->conf.accepts) {
		conn->outer.fd = fd;
		end_print_peer(fd, conn->peer);
		return begin_tls(conn) && proceed(conn);
	}
	conn->plain.fd = fd;
	if (!end_is_own(fd))
		return false;
	conn->outer.fd = end_call(tunnel->host, tunnel->conf.port, tunnel->turn++);
	if (conn->outer.fd < 0)
		set_why(tunnel, "its name is not known, or it cannot be reached");
	return conn->outer.fd >= 0 && proceed(conn);
}

static void accept_all(struct lane *lane)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = end_accept(lane->tunnel->listener);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			poll(NULL, 0, PAUSE_MS);     /* until others have closed some */
		if (fd < 0)
			return;
		bool full = atomic_load(&lane->tunnel->count) >= TUNNEL_CONNECTIONS_MAX;
		struct conn *conn = full ? NULL : conn_new(lane);
		if (!conn)
			close(fd);
		else if (!conn_begin(conn, fd))
			conn_end(conn);
	}
}

/* --- lanes --- */

static void sweep(struct lane *lane)
{
	int64_t now_ms = clock_mono_ms(clock_system());
	if (now_ms < lane->swept_ms + SWEEP_MS)
		return;
	lane->swept_ms = now_ms;
	for (struct conn *conn = lane->conns, *next = NULL; conn; conn = next) {
		next = conn->next;
		if (conn->phase < PHASE_RELAYING && now_ms >= conn->until_mono_ms)
			conn_end(conn);
	}
}

static void on_event(struct lane *lane, const struct epoll_event *event)
{
	if (event->data.ptr == lane->tunnel) {
		accept_all(lane);
		return;
	}
	struct conn *conn = event->data.ptr;
	if (conn->phase == PHASE_OVER)
		return;
	/* What came before the end is still handed on. */
	if (!proceed(conn) || (event->events & (EPOLLERR | EPOLLHUP)))
		conn_end(conn);
}

/* What has come by then; true: the tunnel ends. */
static bool turn(struct lane *lane, int wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	bool ending = false;
	int count = epoll_wait(lane->epoll, events, EVENTS_MAX, wait_ms);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			on_event(lane, &events[i]);
		else
			ending = true;
	}
	return ending;
}

static void leave_all(struct lane *lane)
{
	(void)epoll_ctl(lane->epoll, EPOLL_CTL_DEL, lane->tunnel->listener, NULL);
	(void)epoll_ctl(lane->epoll, EPOLL_CTL_DEL, lane->tunnel->ending, NULL);
	for (struct conn *conn = lane->conns, *next = NULL; conn; conn = next) {
		next = conn->next;
		if (!leave(conn))
			conn_end(conn);
	}
	int64_t until_ms = clock_mono_ms(clock_system()) + LEAVE_MS;
	while (lane->conns && clock_mono_ms(clock_system()) < until_ms) {
		turn(lane, PAUSE_MS);
		free_over(lane);
	}
}

static void *lane_run(void *context)
{
	struct lane *lane = context;
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	while (!turn(lane, SWEEP_MS)) {
		sweep(lane);
		free_over(lane);
	}
	leave_all(lane);
	return NULL;
}

static void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	if (lane->started)
		pthread_join(lane->thread, NULL);
	while (lane->conns)
		conn_end(lane->conns);
	free_over(lane);
	if (lane->epoll >= 0)
		close(lane->epoll);
	free(lane);
}

static int lane_start(struct lane *lane, struct err *err)
{
	struct tunnel *tunnel = lane->tunnel;
	struct epoll_event listen = { EPOLLIN | EPOLLEXCLUSIVE, { .ptr = tunnel } };
	struct epoll_event ending = { EPOLLIN, { .ptr = NULL } };
	if (lane->epoll < 0 ||
	    epoll_ctl(lane->epoll, EPOLL_CTL_ADD, tunnel->listener, &listen) < 0 ||
	    epoll_ctl(lane->epoll, EPOLL_CTL_ADD, tunnel->ending, &ending) < 0)
		return err_errno(err, errno, "link: no descriptor to wait for connections");
	int code = pthread_create(&lane->thread, NULL, lane_run, lane);
	lane->started = code == 0;
	return code ? err_errno(err, code, "link: no thread for connections") : 0;
}

static int lane_new(struct tunnel *tunnel, struct lane **ret_lane, struct err *err)
{
	struct lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return err_set(err, E_NOMEM, "link: no memory for connections");
	lane->tunnel = tunnel;
	lane->epoll = epoll_create1(EPOLL_CLOEXEC);
	*ret_lane = lane;
	return lane_start(lane, err);
}

/* --- the whole --- */

static int fill(struct tunnel *tunnel, const struct tunnel_conf *conf, struct err *err)
{
	tunnel->host = strdup(conf->host);
	tunnel->name = conf->name ? strdup(conf->name) : NULL;
	tunnel->by_port = conf->accepts ? calloc(PORTS, sizeof(struct conn *)) : NULL;
	if (!tunnel->host || (conf->name && !tunnel->name) || (conf->accepts && !tunnel->by_port))
		return err_set(err, E_NOMEM, "link: no memory for connections");
	tunnel->ending = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tunnel->ending < 0)
		return err_errno(err, errno, "link: no descriptor to end connections");
	return end_listen(conf->accepts ? conf->host : "127.0.0.1", conf->accepts ? conf->port : 0,
	                  &tunnel->listener, err);
}

int tunnel_new(const struct tunnel_conf *conf, struct cert_tls *tls, struct tunnel **ret_tunnel,
               struct err *err)
{
	struct tunnel *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "link: no memory for connections");
	made->conf = *conf;
	made->listener = made->ending = -1;
	made->tls = cert_tls_ref(tls);
	pthread_mutex_init(&made->mutex, NULL);
	AUTO(tunnel) *tunnel = made;
	TRY(fill(tunnel, conf, err));
	int lanes = conf->accepts ? LANES_MAX : 1;
	for (int i = 0; i < lanes; i++)
		TRY(lane_new(tunnel, &tunnel->lanes[i], err));
	*ret_tunnel = MOVE(tunnel);
	return 0;
}

void tunnel_stop(struct tunnel *tunnel)
{
	if (!tunnel)
		return;
	if (tunnel->listener >= 0)           /* who comes now is refused */
		(void)shutdown(tunnel->listener, SHUT_RDWR);
	if (tunnel->ending >= 0)
		(void)eventfd_write(tunnel->ending, 1);
	for (int i = 0; i < LANES_MAX; i++)
		lane_free(MOVE(tunnel->lanes[i]));
}

void tunnel_free(struct tunnel *tunnel)
{
	if (!tunnel)
		return;
	tunnel_stop(tunnel);
	if (tunnel->listener >= 0)
		close(tunnel->listener);
	if (tunnel->ending >= 0)
		close(tunnel->ending);
	cert_tls_free(tunnel->tls);
	pthread_mutex_destroy(&tunnel->mutex);
	free(tunnel->by_port);
	free(tunnel->host);
	free(tunnel->name);
	free(tunnel);
}

int tunnel_port(const struct tunnel *tunnel)
{
	return end_port(tunnel->listener);
}

void tunnel_set_tls(struct tunnel *tunnel, struct cert_tls *tls)
{
	pthread_mutex_lock(&tunnel->mutex);
	struct cert_tls *old = tunnel->tls;
	tunnel->tls = cert_tls_ref(tls);
	pthread_mutex_unlock(&tunnel->mutex);
	cert_tls_free(old);
}

bool tunnel_peer(struct tunnel *tunnel, int port, char out[TUNNEL_PEER_LEN])
{
	*out = '\0';
	if (port <= 0 || port >= PORTS || !tunnel->by_port)
		return false;
	pthread_mutex_lock(&tunnel->mutex);
	const struct conn *conn = tunnel->by_port[port];
	if (conn)
		snprintf(out, TUNNEL_PEER_LEN, "%s", conn->peer);
	pthread_mutex_unlock(&tunnel->mutex);
	return conn != NULL;
}

void tunnel_why(struct tunnel *tunnel, char out[TUNNEL_WHY_LEN])
{
	pthread_mutex_lock(&tunnel->mutex);
	memcpy(out, tunnel->why, TUNNEL_WHY_LEN);
	pthread_mutex_unlock(&tunnel->mutex);
}
