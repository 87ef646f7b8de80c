/* test_chaos.c - a whole installation under clients that never cease, while its processes are
 * killed and paused, its wires cut, its clocks stepped, its doors crowded. Then all is mended, and
 * the history must add up: no acknowledged task lost, no effect twice, no usage adrift, every task
 * ended. CHAOS_SECONDS says how long (`make chaos`: 900), CHAOS_SEED which faults. */
#include "common/defs.h"
#include "tests/support/crowd.h"

#include "tests/support/follow.h"
#include "tests/support/process.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SECONDS = 100,
	CROWD_OF_SOCKETS = 400,
	MENDED_MS = 240000,
	CALM_LEAST_MS = 500,
	CALM_MORE_MS = 2500,
	CLOCK_STEP_MS = 300000
};

struct chaos {
	struct cluster *cluster;
	struct crowd *crowd;
	uint64_t random;
	int64_t began_ms;
	int sockets[CROWD_OF_SOCKETS];
	int faults;
};

static int64_t draw(struct chaos *chaos, uint64_t below)
{
	uint64_t x = chaos->random += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (int64_t)((x ^ (x >> 31)) % below);
}

static void tell(const struct chaos *chaos, const char *what, int node, int64_t ms)
{
	fprintf(stderr, "  %6.1f s  %-28s %-10s %4.1f s\n",
	        (double)(mono_ms() - chaos->began_ms) / 1000, what, node < 0 ? "" : node_name(node),
	        (double)ms / 1000);
}

/* --- the faults: each begins, lasts, and is mended --- */

static void kill_for(struct chaos *chaos, int node, int64_t ms)
{
	if (node < 0)
		return;
	tell(chaos, "SIGKILL", node, ms);
	node_kill(chaos->cluster, node);
	wait_ms((int)ms);
	node_start(chaos->cluster, node);
}

static void pause_for(struct chaos *chaos, int node, int64_t ms)
{
	if (node < 0)
		return;
	tell(chaos, "SIGSTOP", node, ms);
	node_pause(chaos->cluster, node);
	wait_ms((int)ms);
	node_resume(chaos->cluster, node);
}

static int a_worker(struct chaos *chaos)
{
	return NODE_WORKER + (int)draw(chaos, CLUSTER_WORKERS);
}

static int a_follower(struct chaos *chaos)
{
	int leader = cluster_leader(chaos->cluster);
	return leader < 0 ? -1 : leader == NODE_CONTROL ? NODE_CONTROL + 1 : NODE_CONTROL;
}

static void kill_worker(struct chaos *chaos)
{
	kill_for(chaos, a_worker(chaos), draw(chaos, 3000));
}

static void pause_worker(struct chaos *chaos)
{
	pause_for(chaos, a_worker(chaos), 2000 + draw(chaos, 12000));
}

static void kill_leader(struct chaos *chaos)
{
	kill_for(chaos, cluster_leader(chaos->cluster), draw(chaos, 3000));
}

/* Longer than its lease: it wakes as one who was deposed. */
static void pause_leader(struct chaos *chaos)
{
	pause_for(chaos, cluster_leader(chaos->cluster), 7000 + draw(chaos, 3000));
}

static void kill_follower(struct chaos *chaos)
{
	kill_for(chaos, a_follower(chaos), draw(chaos, 2000));
}

static void kill_etcd_leader(struct chaos *chaos)
{
	kill_for(chaos, cluster_etcd_leader(chaos->cluster), draw(chaos, 3000));
}

static void kill_etcd_member(struct chaos *chaos)
{
	kill_for(chaos, (int)draw(chaos, CLUSTER_ETCDS), draw(chaos, 3000));
}

static void pause_etcd_member(struct chaos *chaos)
{
	pause_for(chaos, (int)draw(chaos, CLUSTER_ETCDS), 1000 + draw(chaos, 4000));
}

static void kill_all_etcds(struct chaos *chaos)
{
	tell(chaos, "SIGKILL of all three", NODE_ETCD, 1000);
	for (int node = 0; node < CLUSTER_ETCDS; node++)
		node_kill(chaos->cluster, node);
	wait_ms(1000);
	for (int node = 0; node < CLUSTER_ETCDS; node++)
		node_start(chaos->cluster, node);
}

static void cut(struct chaos *chaos, bool to_control, bool to_worker)
{
	int node = a_worker(chaos);
	int64_t ms = 2000 + draw(chaos, 12000);
	tell(chaos,
	     to_control && to_worker ? "link cut"
	     : to_control            ? "link cut to control"
	                             : "link cut from control",
	     node, ms);
	node_cut(chaos->cluster, node, to_control, to_worker);
	wait_ms((int)ms);
	node_mend(chaos->cluster, node);
}

static void cut_both(struct chaos *chaos)
{
	cut(chaos, true, true);
}

static void cut_to_control(struct chaos *chaos)
{
	cut(chaos, true, false);
}

static void cut_from_control(struct chaos *chaos)
{
	cut(chaos, false, true);
}

static void step_clock(struct chaos *chaos)
{
	int node = NODE_CONTROL + (int)draw(chaos, CLUSTER_NODES - NODE_CONTROL);
	int64_t ms = 2000 + draw(chaos, 4000);
	bool forward = draw(chaos, 2);
	tell(chaos, forward ? "clock 5 min ahead" : "clock 5 min behind", node, ms);
	node_clock(chaos->cluster, node, forward ? CLOCK_STEP_MS : -CLOCK_STEP_MS);
	wait_ms((int)ms);
	node_clock(chaos->cluster, node, 0);
}

/* Connections that say nothing. */
static void crowd_the_doors(struct chaos *chaos)
{
	int node = NODE_CONTROL + (int)draw(chaos, CLUSTER_CONTROLS);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)cluster_port(chaos->cluster, node)),
	};
	tell(chaos, "400 silent connections", node, 3000);
	for (int i = 0; i < CROWD_OF_SOCKETS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
			(void)fd; /* under way, or refused: both are the fault */
		chaos->sockets[i] = fd;
	}
	wait_ms(3000);
	for (int i = 0; i < CROWD_OF_SOCKETS; i++)
		if (chaos->sockets[i] >= 0)
			close(chaos->sockets[i]);
}

static void overload(struct chaos *chaos)
{
	tell(chaos, "clients that do not pause", -1, 4000);
	crowd_hurry(chaos->crowd, true);
	wait_ms(4000);
	crowd_hurry(chaos->crowd, false);
}

typedef void fault_fn(struct chaos *chaos);
static fault_fn *const faults[] = {
	kill_worker,       kill_leader,     pause_worker,     cut_both,         kill_etcd_leader,
	pause_leader,      cut_to_control,  kill_follower,    cut_from_control, step_clock,
	pause_etcd_member, crowd_the_doors, kill_etcd_member, kill_all_etcds,   overload,
};

/* --- the run --- */

/* Every kind once in an order of its own, then at random. */
static void make_trouble(struct chaos *chaos, int64_t seconds)
{
	size_t order[ARRAY_LEN(faults)];
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		order[i] = i;
	for (size_t i = ARRAY_LEN(faults) - 1; i > 0; i--) {
		size_t other = (size_t)draw(chaos, i + 1), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
	while (mono_ms() - chaos->began_ms < seconds * 1000) {
		size_t at = (size_t)chaos->faults++;
		at = at < ARRAY_LEN(faults) ? order[at] : (size_t)draw(chaos, ARRAY_LEN(faults));
		faults[at](chaos);
		wait_ms(CALM_LEAST_MS + (int)draw(chaos, CALM_MORE_MS));
	}
}

static bool is_over(void *context)
{
	return crowd_ended(context);
}

static int64_t number(const char *name, int64_t fallback)
{
	const char *text = getenv(name);
	return text ? strtoll(text, NULL, 10) : fallback;
}

Test(chaos, whatever_happens_nothing_is_lost_or_done_twice)
{
	char broken[DEEDS_TEXT_MAX] = "";
	struct chaos chaos = {.random = (uint64_t)number("CHAOS_SEED", 1)};
	chaos.cluster = cluster_start();
	struct crowd *crowd = chaos.crowd = crowd_start(chaos.cluster);
	chaos.began_ms = mono_ms();
	make_trouble(&chaos, number("CHAOS_SECONDS", SECONDS));
	int64_t mended_ms = mono_ms();
	bool answered = crowd_settle(crowd, MENDED_MS);
	cr_expect(answered, "a submission is not answered %d s after all was mended",
	          MENDED_MS / 1000);
	bool ended = wait_until(is_over, crowd, MENDED_MS);
	int64_t recovered_ms = mono_ms() - mended_ms;
	struct deeds *deeds = crowd_deeds(crowd);
	bool sound = deeds_check(deeds, broken);
	fprintf(stderr,
	        "chaos: %d faults, %zu tasks acknowledged, %zu found; longest time without "
	        "an acknowledgement %.1f s; all ended %.1f s after the last fault was mended\n",
	        chaos.faults, crowd_answered(crowd), deeds->found_count,
	        (double)crowd_longest_gap_ms(crowd) / 1000, (double)recovered_ms / 1000);
	cr_assert(ended && sound, "%s (its logs lie in %s)", sound ? "tasks do not end" : broken,
	          cluster_folder(chaos.cluster));
	crowd_stop(crowd);
	cluster_stop(chaos.cluster);
}
