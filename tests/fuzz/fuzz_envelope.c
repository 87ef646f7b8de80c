/* A message off the link: envelope, then each body it can carry. */
#include "common/defs.h"
#include "api/envelope.h"
#include "api/poll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct envelope envelope;
	struct poll poll;
	struct poll_answer answer;
	struct access_ask ask;
	struct access_answer access;
	struct err problem;
	if (arena_new(64 * MIB, &arena, NULL) < 0 ||
	    envelope_read(arena, data, len, &envelope, NULL) < 0)
		return 0;
	(void)!poll_read(arena, envelope.body, &poll, NULL);
	(void)!poll_answer_read(arena, envelope.body, &answer, NULL);
	(void)!access_ask_read(arena, envelope.body, &ask, NULL);
	(void)!access_answer_read(arena, envelope.body, &access, NULL);
	link_problem_read(envelope.body, &problem);
	return 0;
}
