/* access_link.c - one exchange "access", with whichever replica decides. */
#include "common/defs.h"
#include "worker/access_link.h"

#include "api/access_grant.h"
#include "api/poll.h"

enum { ASK_TIMEOUT_MS = 5000 };

static int exchange(const struct access_link *link, const struct access_ask *ask,
                    struct arena *arena, struct access_answer *ret_answer, struct err *err)
{
	struct value *body;
	const struct value *said = NULL;
	TRY(access_ask_value(arena, ask, &body, err));
	TRY(peer_ask_leader(link->peer, "access", body, ASK_TIMEOUT_MS, arena, &said, err));
	return access_answer_read(arena, said, ret_answer, err);
}

int access_link_ask(void *context, const struct access_want *want, const char *const *views,
                    size_t count, struct arena *arena, struct access_grant **ret_grant,
                    struct err *err)
{
	const struct access_link *link = context;
	const struct access_ask ask = {
		.credential = want->credential, .purpose = want->purpose,
		.address = want->address,
		.views = views, .view_count = count, .box_public = link->opener->box_public,
	};
	struct access_answer answer;
	TRY(exchange(link, &ask, arena, &answer, err));
	return access_open(link->opener, clock_unix_ms(link->clock), arena, answer.grant,
	                   answer.grant_len, ret_grant, err);
}

int access_link_query(void *context, const struct access_ask *asked, struct arena *arena,
                      struct grant **ret_grant, struct err *err)
{
	const struct access_link *link = context;
	struct access_ask ask = *asked;
	struct access_answer answer;
	ask.box_public = link->opener->box_public;
	TRY(exchange(link, &ask, arena, &answer, err));
	return grant_open(link->opener, clock_unix_ms(link->clock), arena, answer.grant,
	                  answer.grant_len, ret_grant, err);
}
