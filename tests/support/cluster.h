/* cluster.h - a whole installation for chaos: three etcd members, two replicas of control and three
 * workers as real processes, a wire between every worker and every replica. Each process can be
 * killed, started, stopped and continued alone. Functions fail the test when they cannot do what
 * they say. All children are the calling thread's: use one thread. */
#ifndef TESTS_SUPPORT_CLUSTER_H
#define TESTS_SUPPORT_CLUSTER_H

#include "common/arena.h"

#include <sys/types.h>

enum { CLUSTER_ETCDS = 3, CLUSTER_CONTROLS = 2, CLUSTER_WORKERS = 3 };
enum { CLUSTER_NODES = CLUSTER_ETCDS + CLUSTER_CONTROLS + CLUSTER_WORKERS };
/* Nodes by number: etcds, then controls, then workers. */
enum {
	NODE_ETCD = 0,
	NODE_CONTROL = CLUSTER_ETCDS,
	NODE_WORKER = CLUSTER_ETCDS + CLUSTER_CONTROLS
};

struct cluster;
struct cluster *cluster_start(void);        /* all up, and one control leads */
void cluster_stop(struct cluster *cluster); /* its folder stays when the test failed */
const char *cluster_folder(const struct cluster *cluster);
const char *cluster_api(const struct cluster *cluster, int control); /* its URL */
const char *cluster_operator(struct cluster *cluster);     /* "Authorization: Bearer ..." */
int cluster_port(const struct cluster *cluster, int node); /* a client's */

const char *node_name(int node);
void node_start(struct cluster *cluster, int node);
void node_kill(struct cluster *cluster, int node);  /* SIGKILL */
void node_pause(struct cluster *cluster, int node); /* SIGSTOP, its children too */
void node_resume(struct cluster *cluster, int node);
/* A step of the wall clock that a node's processes see from now on. */
void node_clock(struct cluster *cluster, int node, int64_t step_ms);
/* A worker's wires to all controls. */
void node_cut(struct cluster *cluster, int node, bool to_control, bool to_worker);
void node_mend(struct cluster *cluster, int node);
int cluster_leader(struct cluster *cluster);      /* the control that says it leads; -1: none now */
int cluster_etcd_leader(struct cluster *cluster); /* the member; -1: none now */

#endif
