/* control.h - the control plane's parts, built by main.c in this order and ended in reverse. */
#ifndef CONTROL_H
#define CONTROL_H

#include "api/grant.h"
#include "common/clock.h"
#include "common/store.h"
#include "control/catalog.h"
#include "control/journal.h"
#include "control/era.h"
#include "control/shard.h"
#include "tenant/keyring.h"

struct archive;
struct audit_older;
struct bindings;
struct policies;
struct backups;
struct dispatch;
struct schedules;
struct erasures;
struct events;
struct forward;
struct intents;
struct keyuse;
struct lead;
struct logins;
struct metrics;
struct root_conf;
struct refusals;
struct revoked;
struct tagging;
struct nodes;
struct tokens;

enum { PARTS_MAX = 64 };

/* One shard of the control plane: its leader, journal and memory are its own. Part N's keys are
 * "leader/N" and "journal/N/". */
struct part {
	struct control *control;
	int index;
	char leader_key[32], journal_prefix[32], checkpoint_prefix[32];
	struct shard *shard;
	struct journal *journal;
	struct dispatch *dispatch;   /* workers, held polls, what runs where */
	struct schedules *schedules; /* runs schedules and backfills while it leads */
	struct lead *lead;
	struct archive *archive;     /* ended tasks to their history; NULL: they stay */
	struct erasures *erasures;   /* drives the erasure of its tenants; NULL: nobody does */
	_Atomic int64_t led;         /* the epoch that is replayed and in force here; 0: none */
};

struct control {
	struct clock *clock;
	const char *replica;         /* this replica's name */
	struct keyring *keyring;
	const struct root_conf *root;        /* of the installation's key; NULL: not known */
	struct store *store;
	struct catalog *catalog;
	struct part *parts;
	int part_count;              /* 1 to PARTS_MAX; the same in every replica, for ever */
	struct grant_signer *signer;
	uint8_t signer_public[SIGN_PUBLIC_BYTES];
	struct bindings *bindings;   /* roles by subject; NULL: only principals' own */
	struct policies *policies;   /* NULL: roles alone decide */
	struct tagging *tagging;     /* what tags were found; NULL: they are found each time */
	struct secret *link_secret;  /* its X25519 key on the link: the signer's */
	struct nodes *nodes;         /* the workers that have joined; NULL: none is known */
	const char *worker_links;    /* what workers that join are told to dial; NULL: nothing */
	const char *link_ca_file;    /* of the link's own certificate; NULL: the platform's */
	_Atomic int64_t api_until_ms, link_until_ms; /* the doors' certificates'; 0: none */
	int worker_cert_s;           /* how long their certificates are valid; 0: a day */
	_Atomic int64_t join_due_ms; /* refused joins: when the next one would be in time (GCRA) */
	_Atomic int64_t late_due_ms; /* events for leaders elsewhere: likewise */
	struct refusals *refusals;   /* credentials that were refused, counted; NULL: nobody does */
	bool nameless;               /* workers that have not joined may poll too */
	struct era era;              /* tokens of an epoch up to its base are of an earlier one */
	struct backups *backups;
	struct intents *intents; /* what writes under way rest on, so that no reference dangles */
	struct revoked *revoked; /* what was revoked, for memory that follows */
	struct audit_older *audit_older;         /* events before memory; NULL: nowhere */
	struct logins *logins;   /* by tokens of identity providers */
	struct tokens *tokens;   /* short-lived ones, and the keys that sign them */
	struct keyuse *keyuse;   /* when API keys were last used */
	struct metrics *metrics;
	struct events *events;       /* streams of what happens to tasks; NULL: there are none */
	struct forward *forward;     /* to the replica that leads; NULL: there is no other */
	_Atomic int held;            /* requests that wait for a task now */
	int held_max;                /* more are answered at once */
	int audit_days;              /* stored audit events are kept so long; 0: for ever */
	int64_t erase_after_ms;      /* a deletion can be cancelled for that long, at least */
	int worker_silent_ms;        /* a silent worker is given up after that; 0: the default */
};

/* The part that everything of a tenant is in: the 64-bit FNV-1a hash of its name modulo the number
 * of parts. That is part of the stored format: another hash or number looks for tasks elsewhere. */
struct part *part_of(const struct control *control, const char *tenant);

/* Fills in all but the shard, journal, dispatch and lead. */
void part_init(struct part *part, struct control *control, int index);
/* This replica leads it, and its memory is in force. */
bool part_leads(const struct part *part);
/* E_NOT_LEADER unless it does: only the leader knows tasks, usage and audit. */
MUST_USE int part_needs_lead(const struct part *part, struct err *err);

#endif
