/* access_link.c - one exchange "access", with whichever replica decides. */
#include "common/defs.h"
#include "worker/access_link.h"

#include "api/access_grant.h"
#include "api/poll.h"

enum { ASK_TIMEOUT_MS = 5000 };

int access_link_ask(void *context, const char *credential, const char *const *views, size_t count,
                    struct arena *arena, struct access_grant **ret_grant, struct err *err)
{
	const struct access_link *link = context;
	struct access_ask ask = { credential, views, count, link->opener->box_public };
	struct access_answer answer;
	struct value *body;
	const struct value *said = NULL;
	TRY(access_ask_value(arena, &ask, &body, err));
	TRY(peer_ask_leader(link->peer, "access", body, ASK_TIMEOUT_MS, arena, &said, err));
	TRY(access_answer_read(arena, said, &answer, err));
	return access_open(link->opener, clock_unix_ms(link->clock), arena, answer.grant,
	                   answer.grant_len, ret_grant, err);
}
