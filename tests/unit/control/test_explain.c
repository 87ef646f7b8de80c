/* test_explain.c - what the scheduler says, in words; pools of several shards as one. */
#include "common/defs.h"
#include "control/explain.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;

static void begin(void)
{
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(explain, .init = begin, .fini = end);

/* JSON with ' for ". */
static struct value *json(const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(arena, text);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &value, NULL), 0);
	return value;
}

static const char *said(const char *text, bool asked)
{
	return explain_summary(arena, json(text), asked);
}

#define REASON(rule, detail) "{'rule':'" rule "','detail':'" detail "'}"

Test(explain, a_sentence_tells_the_first_reason_the_place_and_the_estimate)
{
	cr_expect_str_eq(said("{'state':'waiting','ahead':3,'estimateSeconds':40,'reasons':["
	                      REASON("capacity", "no room") "," REASON("rate", "too fast") "]}",
	                      false),
	                 "it waits: no room (and 1 more reason), and 3 tasks are before it; about "
	                 "40 s");
	cr_expect_str_eq(said("{'state':'parked','ahead':1,'estimateSeconds':null,'reasons':["
	                      REASON("quota", "used up") "]}", false),
	                 "it waits: used up, and 1 task is before it");
	cr_expect_str_eq(said("{'state':'running','reasons':[]}", false),
	                 "it does not wait: it is running");
	cr_expect_str_eq(said("{'state':'succeeded','reasons':[]}", false),
	                 "it does not wait: it has succeeded");
	cr_expect_str_eq(said("{'state':'parked','reasons':["
	                      REASON("depends-on", "waits for load") "]}", false),
	                 "it waits for load");
}

Test(explain, before_submission_it_says_what_would_be)
{
	cr_expect_str_eq(said("{'state':'waiting','ahead':0,'reasons':["
	                      REASON("turn", "its turn comes") "]}", true),
	                 "it would start at once");
	cr_expect_str_eq(said("{'state':'waiting','ahead':2,'reasons':["
	                      REASON("turn", "its turn comes") "]}", true),
	                 "it would be accepted and wait: its turn comes, and 2 tasks are before "
	                 "it");
}

Test(explain, what_can_never_start_says_so_whatever_else_keeps_it)
{
	const char *text = "{'state':'waiting','ahead':2,'reasons':[" REASON("rate", "too fast") ","
		REASON("never-fits", "pool gpu has 4 cores") "]}";
	cr_expect_str_eq(said(text, false),
	                 "it can never start as things are: pool gpu has 4 cores");
	cr_expect_str_eq(explain_never(json(text)), "pool gpu has 4 cores");
	cr_expect_null(explain_never(json("{'reasons':[" REASON("rate", "too fast") "]}")));
}

Test(explain, pools_of_shards_add_up_but_for_their_workers)
{
	const struct value *parts[] = {
		json("[{'pool':'default','workers':2,'total':{'cpuMillis':8000},"
		     "'used':{'cpuMillis':1000},'waiting':{'tasks':3,'cpuMillis':3000},"
		     "'neverFits':1,'oldestWaitMs':50}]"),
		json("[{'pool':'default','workers':2,'total':{'cpuMillis':8000},"
		     "'used':{'cpuMillis':500},'waiting':{'tasks':4,'cpuMillis':400},"
		     "'neverFits':0,'oldestWaitMs':70},"
		     "{'pool':'gpu','workers':0,'waiting':{'tasks':1}}]"),
	};
	struct value *pools = explain_pools(arena, parts, 2);
	cr_assert_eq(value_len(pools), 2);
	const struct value *all = json(
		"{'pool':'default','workers':2,'total':{'cpuMillis':8000},"
		"'used':{'cpuMillis':1500},'waiting':{'tasks':7,'cpuMillis':3400},'neverFits':1,"
		"'oldestWaitMs':70,'wanted':{'cpuMillis':4900,'memoryBytes':0}}");
	cr_expect(value_equal(value_at(pools, 0), all));
	cr_expect_eq(value_get_int(value_get(value_at(pools, 1), "waiting"), "tasks", 0), 1);
	cr_expect_eq(value_len(explain_pools(arena, NULL, 0)), 0);
}
