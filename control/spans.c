/* spans.c - see spans.h. */
#include "common/defs.h"
#include "control/spans.h"

#include <stdlib.h>
#include <string.h>

void spans_release(struct spans *spans)
{
	free(spans->at);
	*spans = (struct spans){ 0 };
}

static int grow(struct spans *spans, size_t need, struct err *err)
{
	if (need <= spans->cap)
		return 0;
	size_t cap = need < 8 ? 8 : need * 2;
	struct span *at = realloc(spans->at, cap * sizeof *at);
	if (!at)
		return err_set(err, E_NOMEM, "no memory to remember the journal's keys");
	spans->at = at;
	spans->cap = cap;
	return 0;
}

int spans_add(struct spans *spans, const struct position *position, struct err *err)
{
	struct span *last = spans->count ? &spans->at[spans->count - 1] : NULL;
	if (last && last->epoch == position->epoch) {
		last->last = position->seq;
		return 0;
	}
	TRY(grow(spans, spans->count + 1, err));
	spans->at[spans->count++] = (struct span){
		position->epoch, position->seq, position->seq,
	};
	return 0;
}

void spans_trim(struct spans *spans, const struct position *upto)
{
	size_t gone = 0;
	while (gone < spans->count && (spans->at[gone].epoch < upto->epoch ||
	       (spans->at[gone].epoch == upto->epoch && spans->at[gone].last <= upto->seq)))
		gone++;
	spans->count -= gone;
	if (spans->count == 0)
		return;
	memmove(spans->at, spans->at + gone, spans->count * sizeof *spans->at);
	struct span *first = &spans->at[0];
	if (first->epoch == upto->epoch && first->first <= upto->seq)
		first->first = upto->seq + 1;
}

int spans_copy(const struct spans *spans, const struct position *upto, struct spans *ret_spans,
               struct err *err)
{
	struct spans copy = { 0 };
	TRY(grow(&copy, spans->count + 1, err));
	for (size_t i = 0; i < spans->count && spans->at[i].epoch <= upto->epoch; i++) {
		struct span span = spans->at[i];
		if (span.epoch == upto->epoch && span.last > upto->seq)
			span.last = upto->seq;
		copy.at[copy.count++] = span;
	}
	*ret_spans = copy;
	return 0;
}
