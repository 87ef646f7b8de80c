/* dispatch_erase.c - what workers are asked to delete of an erased tenant, and which of them has. A
 * worker that is not told of is asked again by who drives the erasure (control/erasure.h). */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

void dispatch_erase(struct dispatch *dispatch, const char *tenant, const char *uid)
{
	char name[NAME_MAX_LEN + ID_LEN + 2];
	snprintf(name, sizeof name, "%s/%s", tenant, uid);
	if (!note_send(dispatch, POST_ERASE, name, 0))
		log_warn(&(struct log_context){ .tenant = tenant }, "erasure_not_told",
		         "reason=\"out of memory; it is told again in a second\"");
}

void dispatch_erase_end(struct dispatch *dispatch, const char *uid)
{
	char name[NAME_MAX_LEN + ID_LEN + 2];
	snprintf(name, sizeof name, "/%s", uid);
	if (!note_send(dispatch, POST_ERASE, name, 0))
		log_warn(NULL, "erasure_end_not_told", "reason=\"out of memory\"");
}

/* Of the first that matches, and it is gone then. */
static bool take_one(struct dispatch *dispatch, const char *uid, struct confirmation *ret)
{
	struct confirmations *all = &dispatch->confirmations;
	for (size_t i = 0; i < all->count; i++) {
		if (strcmp(all->items[i].uid, uid) != 0)
			continue;
		*ret = all->items[i];
		all->items[i] = all->items[--all->count];
		return true;
	}
	return false;
}

int dispatch_erased(struct dispatch *dispatch, const char *uid, struct arena *arena,
                    struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena);
	struct confirmation one;
	pthread_mutex_lock(&dispatch->mutex);
	while (take_one(dispatch, uid, &one)) {
		struct value *map = value_map(arena);
		value_set_str(map, "worker", one.worker);
		value_set_int(map, "rows", one.rows);
		value_add(list, map);
	}
	pthread_mutex_unlock(&dispatch->mutex);
	*ret_list = list;
	return value_check(list, err);
}

/* --- in the dispatcher's thread --- */

void take_erase(struct dispatch *dispatch, const char *name)
{
	struct erase erase;
	const char *slash = strchr(name, '/');
	if (!slash)
		return;
	snprintf(erase.tenant, sizeof erase.tenant, "%.*s", (int)(slash - name), name);
	snprintf(erase.uid, sizeof erase.uid, "%s", slash + 1);
	for (struct worker *at = dispatch->workers.first; at; at = at->next) {
		if (!erase.tenant[0])
			worker_erased(at, erase.uid);
		else if (at->self.serve_url[0])
			worker_erase(at, &erase);
	}
}

static void confirm(struct dispatch *dispatch, const struct worker *worker,
                    const struct erased *erased)
{
	pthread_mutex_lock(&dispatch->mutex);
	struct confirmations *all = &dispatch->confirmations;
	if (all->count == CONFIRMATIONS_MAX)         /* nobody asks for those any more */
		all->count = 0;
	struct confirmation *at = &all->items[all->count++];
	snprintf(at->uid, sizeof at->uid, "%s", erased->uid);
	snprintf(at->worker, sizeof at->worker, "%s", worker->name);
	at->rows = erased->rows;
	pthread_mutex_unlock(&dispatch->mutex);
}

void take_erased(struct dispatch *dispatch, struct worker *worker, const struct poll *poll)
{
	for (size_t i = 0; i < poll->erased_count; i++)
		if (id_valid(poll->erased[i].uid)) {
			confirm(dispatch, worker, &poll->erased[i]);
			worker_erased(worker, poll->erased[i].uid);
		}
}
