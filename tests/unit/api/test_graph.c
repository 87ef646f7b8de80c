/* test_graph.c - a run's graph: what is read, and what is refused by name. */
#include "common/defs.h"
#include "api/graph.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct page {
	struct arena *arena;
	struct graph graph;
	struct err err;
};

static int read_text(struct page *page, const char *text)
{
	struct value *list = NULL;
	if (!page->arena)
		cr_assert_eq(arena_new(64 * MIB, &page->arena, &page->err), 0);
	char *copy = arena_strdup(page->arena, text);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	cr_assert_eq(json_parse(page->arena, copy, strlen(copy), &list, &page->err), 0, "%s",
	             page->err.text);
	return graph_read(page->arena, list, "tasks", &page->graph, &page->err);
}

static void refuses(const char *text, const char *sentence)
{
	struct page page = { 0 };
	cr_assert_eq(read_text(&page, text), E_INVALID, "%s", text);
	cr_assert(strstr(page.err.text, sentence), "%s", page.err.text);
	arena_free(page.arena);
}

#define PROBE(name, deps) "{'name':'" name "','type':'probe','dependsOn':[" deps "]}"

Test(graph, is_read_with_what_each_task_waits_for)
{
	struct page page = { 0 };
	cr_assert_eq(read_text(&page, "[" PROBE("clean", "{'task':'load'}") ","
	                       "{'name':'load','type':'probe','limits':{'attempts':7},"
	                       "'placement':{'priority':'high'}},"
	                       PROBE("alarm", "{'task':'load','on':'failure'},"
	                             "{'task':'clean','on':'always'}") "]"), 0, "%s",
	             page.err.text);
	cr_assert_eq(page.graph.count, 3);
	cr_assert_eq(page.graph.tasks[0].deps[0].task, 1);
	cr_assert_eq(page.graph.tasks[0].deps[0].on, ON_SUCCESS);
	cr_assert_eq(page.graph.tasks[1].dep_count, 0);
	cr_assert_eq(page.graph.tasks[1].request.limits.attempts_max, 7);
	cr_assert_eq(page.graph.tasks[1].request.placement.priority, PRIORITY_HIGH);
	cr_assert_eq(page.graph.tasks[2].deps[0].on, ON_FAILURE);
	cr_assert_eq(page.graph.tasks[2].deps[1].on, ON_ALWAYS);
	arena_free(page.arena);
}

Test(graph, a_cycle_is_refused_with_its_path)
{
	refuses("[" PROBE("start", "") "," PROBE("a", "{'task':'start'},{'task':'c'}") ","
	        PROBE("b", "{'task':'a'}") "," PROBE("c", "{'task':'b'}") ","
	        PROBE("after", "{'task':'c'}") "]",
	        "is a cycle, in which each waits for the next; take one of these dependencies "
	        "away");
	struct page page = { 0 };
	cr_assert_eq(read_text(&page, "[" PROBE("after", "{'task':'b'}") ","
	                       PROBE("a", "{'task':'b'}") "," PROBE("b", "{'task':'a'}") "]"),
	             E_INVALID);
	cr_assert(strstr(page.err.text, "a -> b -> a") || strstr(page.err.text, "b -> a -> b"),
	          "%s", page.err.text);
	arena_free(page.arena);
	refuses("[" PROBE("a", "{'task':'a'}") "]", "tasks: a -> a is a cycle");
}

Test(graph, an_unknown_dependency_is_refused_with_the_nearest_name)
{
	refuses("[" PROBE("extract", "") "," PROBE("load", "{'task':'extrat'}") "]",
	        "tasks[1].dependsOn[0].task: the run has no task extrat; did you mean extract?");
	refuses("[" PROBE("load", "{'task':'unheard-of'}") "]",
	        "the run has no task unheard-of");
}

Test(graph, names_and_conditions_are_given_once)
{
	refuses("[" PROBE("a", "") "," PROBE("b", "") "," PROBE("a", "") "]",
	        "tasks[2].name: a is the name of tasks[0] too");
	refuses("[" PROBE("a", "") "," PROBE("b", "{'task':'a'},{'task':'a','on':'failure'}") "]",
	        "tasks[1].dependsOn[1].task: a is named twice");
}

Test(graph, what_is_wrong_with_a_task_is_said_with_its_place)
{
	refuses("[]", "tasks: names 0 tasks; a run has 1 to 1000");
	refuses("[{'name':'a','type':'prob'}]", "tasks[0]: type: unknown task type; did you mean "
	        "\"probe\"?");
	refuses("[{'name':'a','type':'ingest'}]", "tasks[0]: spec.source");
	refuses("[{'type':'probe'}]", "tasks[0].name");
	refuses("[{'name':'a','type':'probe','dependOn':[]}]", "dependsOn");
	refuses("[{'name':'a','type':'probe','dependsOn':[{'task':'b','on':'sucess'}]}]", "on");
	refuses("[{'name':'a','type':'archive','spec':{'tasks':'x'}}]", "only the platform");
	refuses("['a']", "tasks[0]");
}

Test(graph, a_thousand_tasks_in_a_chain_are_read_and_one_more_is_not)
{
	for (size_t count = GRAPH_TASKS_MAX; count <= GRAPH_TASKS_MAX + 1; count++) {
		struct buf text;
		buf_init(&text, MIB);
		for (size_t i = 0; i < count; i++) {
			buf_printf(&text, "%c{'name':'t%zu','type':'probe'", i ? ',' : '[', i);
			if (i + 1 < count)
				buf_printf(&text, ",'dependsOn':[{'task':'t%zu'}]", i + 1);
			buf_puts(&text, "}");
		}
		buf_puts(&text, "]");
		struct page page = { 0 };
		cr_assert_eq(buf_check(&text, &page.err), 0);
		int rc = read_text(&page, (char *)text.data);
		cr_assert_eq(rc, count > GRAPH_TASKS_MAX ? E_INVALID : 0, "%s", page.err.text);
		arena_free(page.arena);
		buf_release(&text);
	}
}

Test(graph, conditions_have_names)
{
	for (int on = ON_SUCCESS; on <= ON_ALWAYS; on++)
		cr_assert_eq(graph_on_by_name(graph_on_name((enum graph_on)on)), on);
	cr_assert_eq(graph_on_by_name(NULL), ON_SUCCESS);
	cr_assert_eq(graph_on_by_name("never"), -1);
}
