/* lead.c - becoming the leader, in one order: the catalog is made current, the journal's rest
 * replayed into the shard that has followed it (or all of it into an emptied one), its queue made
 * ready, the installation bootstrapped; only then is part->led set and are requests let in. Any
 * failure is tried again; so is a journal that stopped leading by itself, or a shard that could not
 * hold what was committed. */
#include "common/defs.h"
#include "control/lead.h"

#include "common/log.h"
#include "control/auditlog.h"
#include "control/authority.h"
#include "control/bootstrap.h"
#include "control/dispatch.h"
#include "control/follow.h"
#include "control/schedule.h"
#include "control/forward.h"
#include "control/late.h"
#include "control/refusals.h"
#include "control/shard_tenant.h"
#include "control/shard_work.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOK_MS = 500, RETRY_MOST_MS = 16000, TTL_DEFAULT_S = 5 };

struct lead {
	struct part *part;
	struct lead_conf conf;
	struct store_lead *campaign;
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t moved;
	struct follow *follow;       /* while another leads; changed by the thread only */
	int64_t epoch;               /* what the store says: ours now, 0 for none */
	bool ending;
	bool hurry;                  /* something was lost: look now */
};

/* In the store's thread. */
static void on_change(void *context, int64_t create_revision)
{
	struct lead *lead = context;
	if (create_revision == 0)
		atomic_store(&lead->part->led, 0);
	pthread_mutex_lock(&lead->mutex);
	lead->epoch = create_revision;
	pthread_cond_broadcast(&lead->moved);
	pthread_mutex_unlock(&lead->mutex);
}

static int note_create(void *context, const struct store_item *item, struct err *err)
{
	int64_t *create = context;
	(void)err;
	*create = item->create_revision;
	return 0;
}

/* The key may have gone to another since the campaign looked: then nothing is replayed for it. */
static int check_key(const struct part *part, int64_t epoch, struct err *err)
{
	int64_t create = 0;
	TRY(store_get(part->control->store, part->leader_key, note_create, &create, err));
	if (create == epoch)
		return 0;
	return err_set(err, E_NOT_LEADER, "the leader key is another's now");
}

/* --- while another leads --- */

static void on_clear(void *context)
{
	struct part *part = context;
	shard_clear(part->shard);
}

static void on_record(void *context, const struct value *record)
{
	struct part *part = context;
	shard_record(part->shard, record);
}

static void set_follow(struct lead *lead, struct follow *follow)
{
	pthread_mutex_lock(&lead->mutex);
	struct follow *before = lead->follow;
	lead->follow = follow;
	pthread_mutex_unlock(&lead->mutex);
	follow_free(before);
}

/* What memory was missing for is followed from the beginning. */
static void keep_following(struct lead *lead)
{
	struct part *part = lead->part;
	struct follow *follow = NULL;
	struct err err;
	const struct follow_conf conf = {
		.store = part->control->store, .clock = part->control->clock,
		.state_key = keyring_state_key(part->control->keyring),
		.prefix = part->journal_prefix, .checkpoint_prefix = part->checkpoint_prefix,
		.ops = { .clear = on_clear, .record = on_record, .context = part },
	};
	if (lead->follow && shard_sound(part->shard))
		return;
	set_follow(lead, NULL);
	if (follow_new(&conf, &follow, &err) < 0)
		log_warn(NULL, "shard_not_followed", "shard=%d reason=\"%s\"", part->index,
		         err.text);
	set_follow(lead, follow);
}

int64_t lead_followed(struct lead *lead, uint64_t *ret_replays)
{
	pthread_mutex_lock(&lead->mutex);
	*ret_replays = shard_replays(lead->part->shard);
	int64_t revision = lead->follow ? follow_revision(lead->follow) : 0;
	pthread_mutex_unlock(&lead->mutex);
	return shard_sound(lead->part->shard) ? revision : 0;
}

/* --- changes --- */

/* What was followed is kept where it is whole. */
static int replay(struct lead *lead, int64_t epoch, struct err *err)
{
	struct part *part = lead->part;
	struct position position;
	bool whole = lead->follow && follow_stop(lead->follow, &position) &&
		shard_sound(part->shard);
	set_follow(lead, NULL);
	int rc = whole ? journal_lead_from(part->journal, epoch, &position, err) : E_CONFLICT;
	if (rc != E_CONFLICT)
		return rc;
	shard_clear(part->shard);
	return journal_lead(part->journal, epoch, err);
}

static int take_over(struct lead *lead, int64_t epoch, struct err *err)
{
	struct part *part = lead->part;
	struct control *control = part->control;
	TRY(journal_lead(part->journal, 0, err));
	TRY(check_key(part, epoch, err));
	TRY(catalog_refresh(control->catalog, control->store, err));
	TRY(replay(lead, epoch, err));
	shard_ready(part->shard);
	auditlog_report(part);
	if (part != part_of(control, "platform"))
		return 0;
	TRY(bootstrap(control, lead->conf.bootstrap_key_file, err));
	return authority_ensure(control, err);
}

static void step_down(struct lead *lead)
{
	struct err err = { 0 };
	atomic_store(&lead->part->led, 0);
	if (journal_lead(lead->part->journal, 0, &err) < 0)
		log_error(NULL, "lead_not_given_up", "reason=\"%s\"", err.text);
	dispatch_wake(lead->part->dispatch); /* workers whose polls it holds look for another now */
	log_info(NULL, "lead_lost", "replica=%s shard=%d", lead->part->control->replica,
	         lead->part->index);
}

static bool step_up(struct lead *lead, int64_t epoch)
{
	struct err err = { 0 };
	atomic_store(&lead->part->led, 0);
	int code = take_over(lead, epoch, &err);
	if (code == E_NOT_LEADER)
		return true;                 /* the campaign will say so */
	if (code < 0) {
		log_error(NULL, "lead_not_taken", "code=%s reason=\"%s\"", err_name(err.code),
		          err.text);
		return false;
	}
	atomic_store(&lead->part->led, epoch);
	/* Who led before ended with an erasure and not yet with the checkpoint after it. */
	if (shard_tenant_forgot(lead->part->shard))
		journal_checkpoint(lead->part->journal);
	dispatch_wake(lead->part->dispatch);
	schedules_wake(lead->part->schedules);
	log_info(NULL, "lead_taken", "replica=%s shard=%d epoch=%" PRId64,
	         lead->part->control->replica, lead->part->index, epoch);
	return true;
}

/* One look: brings what we do in line with what the store says. False: it could not. */
static bool look(struct lead *lead, int64_t epoch)
{
	struct part *part = lead->part;
	int64_t led = atomic_load(&part->led);
	bool in_force = led == epoch && journal_epoch(part->journal) == epoch &&
	                shard_sound(part->shard) && catalog_whole(part->control->catalog);
	if (epoch && !in_force)
		return step_up(lead, epoch);
	if (!epoch && journal_epoch(part->journal))
		step_down(lead);
	if (!epoch)
		keep_following(lead);
	if (part->index == 0)
		refusals_flush(part->control);
	if (in_force)
		late_collect(part);
	return true;
}

static void *run(void *context)
{
	struct lead *lead = context;
	struct clock *clock = lead->part->control->clock;
	int64_t wait_ms = LOOK_MS;
	pthread_mutex_lock(&lead->mutex);
	while (!lead->ending) {
		int64_t epoch = lead->epoch;
		pthread_mutex_unlock(&lead->mutex);
		bool done = look(lead, epoch);
		wait_ms = done ? LOOK_MS : wait_ms < RETRY_MOST_MS ? wait_ms * 2 : RETRY_MOST_MS;
		pthread_mutex_lock(&lead->mutex);
		int64_t until_ms = clock_mono_ms(clock) + wait_ms;
		while (!lead->ending && !lead->hurry && lead->epoch == epoch &&
		       clock_wait(clock, &lead->moved, &lead->mutex, until_ms))
			;
		lead->hurry = false;
	}
	pthread_mutex_unlock(&lead->mutex);
	return NULL;
}

int lead_new(struct part *part, const struct lead_conf *conf, struct lead **ret_lead,
             struct err *err)
{
	AUTO(lead) *lead = calloc(1, sizeof *lead);
	if (!lead)
		return err_set(err, E_NOMEM, "no memory to campaign for the lead");
	lead->part = part;
	lead->conf = *conf;
	pthread_mutex_init(&lead->mutex, NULL);
	clock_cond_init(&lead->moved);
	*ret_lead = MOVE(lead);
	return 0;
}

int lead_start(struct lead *lead, struct err *err)
{
	AUTO_BUF id;
	const struct part *part = lead->part;
	buf_init(&id, STORE_KEY_MAX);
	TRY(leader_print(part->control->replica, lead->conf.url, &id, err));
	int code = pthread_create(&lead->thread, NULL, run, lead);
	if (code)
		return err_errno(err, code, "cannot start the lead's thread");
	lead->started = true;
	return store_lead_new(part->control->store, part->leader_key, (char *)id.data,
	                      lead->conf.ttl_s ? lead->conf.ttl_s : TTL_DEFAULT_S, on_change, lead,
	                      &lead->campaign, err);
}

void lead_look(struct lead *lead)
{
	pthread_mutex_lock(&lead->mutex);
	lead->hurry = true;
	pthread_cond_broadcast(&lead->moved);
	pthread_mutex_unlock(&lead->mutex);
}

void lead_stop(struct lead *lead)
{
	store_lead_free(MOVE(lead->campaign));
	pthread_mutex_lock(&lead->mutex);
	lead->ending = true;
	pthread_cond_broadcast(&lead->moved);
	pthread_mutex_unlock(&lead->mutex);
	if (lead->started)
		pthread_join(lead->thread, NULL);
	lead->started = false;
	set_follow(lead, NULL);
}

void lead_free(struct lead *lead)
{
	if (!lead)
		return;
	lead_stop(lead);
	pthread_mutex_destroy(&lead->mutex);
	pthread_cond_destroy(&lead->moved);
	free(lead);
}
