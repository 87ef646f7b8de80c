/* control.h - the control plane's parts, built by main.c in this order and ended in reverse. */
#ifndef CONTROL_H
#define CONTROL_H

#include "api/grant.h"
#include "common/clock.h"
#include "common/store.h"
#include "control/catalog.h"
#include "control/journal.h"
#include "control/shard.h"
#include "tenant/keyring.h"

struct dispatch;
struct intents;
struct metrics;

struct control {
	struct clock *clock;
	const char *replica;         /* this replica's name */
	struct keyring *keyring;
	struct store *store;
	struct catalog *catalog;
	struct shard *shard;
	struct journal *journal;
	struct grant_signer *signer;
	uint8_t signer_public[SIGN_PUBLIC_BYTES];
	struct dispatch *dispatch;   /* workers, held polls, what runs where */
	struct intents *intents; /* what writes under way rest on, so that no reference dangles */
	struct metrics *metrics;
	_Atomic int64_t led;         /* the epoch that is replayed and in force here; 0: none */
	_Atomic int held;            /* requests that wait for a task now */
	int held_max;                /* more are answered at once */
};

#endif
