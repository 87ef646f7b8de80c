/* revoked.c - see revoked.h.
 * Invariants, under the mutex: at most one read is under way; a read serves a waiter only if it was
 * begun after the waiter came. */
#include "common/defs.h"
#include "control/revoked.h"

#include "common/store.h"

#include <pthread.h>
#include <stdlib.h>

static const char mark_key[] = "r/revoked/last";

struct revoked {
	struct store *store;
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t done;
	bool reading;
	uint64_t begun, ended;       /* reads, counted */
	int code;                    /* of the last one that ended */
	struct err err;
	int64_t revision;            /* of the mark; 0: there is none */
};

int revoked_new(struct store *store, struct revoked **ret_revoked, struct err *err)
{
	struct revoked *revoked = calloc(1, sizeof *revoked);
	if (!revoked)
		return err_set(err, E_NOMEM, "no memory to follow revocations");
	revoked->store = store;
	pthread_mutex_init(&revoked->mutex, NULL);
	pthread_cond_init(&revoked->done, NULL);
	*ret_revoked = revoked;
	return 0;
}

void revoked_free(struct revoked *revoked)
{
	if (!revoked)
		return;
	pthread_cond_destroy(&revoked->done);
	pthread_mutex_destroy(&revoked->mutex);
	free(revoked);
}

bool revoked_by(enum action action)
{
	switch (action) {
	case ACTION_TENANT_WRITE:
	case ACTION_TENANT_SUSPEND:
	case ACTION_TENANT_SEAL:
	case ACTION_TENANT_ERASE:
	case ACTION_DOMAIN_WRITE:        /* owners */
	case ACTION_PRINCIPAL_WRITE:
	case ACTION_GROUP_WRITE:
	case ACTION_ROLEBINDING_WRITE:
	case ACTION_IDENTITYPROVIDER_WRITE:
	case ACTION_POLICY_WRITE:
	case ACTION_OFFER_WRITE:
	case ACTION_ACCEPTANCE_WRITE:
	case ACTION_TOKENKEY_WRITE:
		return true;
	default:
		return false;
	}
}

int revoked_mark(struct change *change, int64_t now_ms, struct err *err)
{
	struct value *mark = value_map(change_arena(change));
	value_set_int(mark, "at", now_ms);
	TRY(value_check(mark, err));
	return change_put(change, mark_key, mark, -1, err);
}

static int note_revision(void *context, const struct store_item *item, struct err *err)
{
	int64_t *revision = context;
	(void)err;
	*revision = item->mod_revision;
	return 0;
}

/* The mutex is held, but not while the store is asked. */
static void read_mark(struct revoked *revoked)
{
	struct err err = { 0 };
	int64_t revision = 0;
	revoked->reading = true;
	uint64_t number = ++revoked->begun;
	pthread_mutex_unlock(&revoked->mutex);
	int code = store_get(revoked->store, mark_key, note_revision, &revision, &err);
	pthread_mutex_lock(&revoked->mutex);
	revoked->reading = false;
	revoked->ended = number;
	revoked->code = code;
	revoked->err = err;
	revoked->revision = revision;
	pthread_cond_broadcast(&revoked->done);
}

int revoked_check(struct revoked *revoked, int64_t followed, struct err *err)
{
	pthread_mutex_lock(&revoked->mutex);
	uint64_t wanted = revoked->begun + 1;
	while (revoked->ended < wanted) {
		if (revoked->reading)
			pthread_cond_wait(&revoked->done, &revoked->mutex);
		else
			read_mark(revoked);
	}
	int code = revoked->code;
	struct err failure = revoked->err;
	int64_t revision = revoked->revision;
	pthread_mutex_unlock(&revoked->mutex);
	if (code < 0)
		return err_set(err, E_UNAVAILABLE, "whether this credential was revoked cannot be "
		               "read from the store now (%.200s); ask again in a second",
		               failure.text);
	if (revision <= followed)
		return 0;
	return err_set(err, E_NOT_LEADER, "this replica has not heard yet of the newest change of "
	               "who may do what; ask again");
}
