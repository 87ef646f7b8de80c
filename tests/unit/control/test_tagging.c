/* test_tagging.c - which tags are in force of what. */
#include "common/defs.h"
#include "control/tagging.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

static bool has(const struct value *list, const char *tag)
{
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_as_str(value_at(list, i)), tag) == 0)
			return true;
	return false;
}

static struct tags tags_in(struct plane *plane, const char *dataset)
{
	struct tags tags = { 0 };
	struct err err = { .text = "" };
	cr_assert_eq(tags_of(plane->control, plane->arena, "acme", "people", dataset, &tags, &err),
	             0, "%s", err.text);
	return tags;
}

Test(tagging, a_column_has_its_own_tags_and_its_datasets)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "people");
	plane_put(plane, admin, "Dataset", "/v1/tenants/acme/domains/people/datasets/salaries",
	          "{'tags':['secret'],'columnTags':[{'name':'ssn','tags':['pii']}],'schema':["
	          "{'name':'ssn','type':'string','tags':['national-id']},"
	          "{'name':'pay','type':'int64'}]}");
	struct tags tags = tags_in(plane, "salaries");
	cr_expect(has(tags.dataset, "secret"));
	cr_expect_not(has(tags.dataset, "pii"));
	const struct value *ssn = tags_of_column(&tags, "ssn");
	cr_expect(has(ssn, "secret") && has(ssn, "pii") && has(ssn, "national-id"));
	cr_expect_eq(value_len(tags_of_column(&tags, "pay")), 1);
	cr_expect_eq(value_len(tags_in(plane, "nothing").dataset), 0);
	plane_stop(plane);
}
