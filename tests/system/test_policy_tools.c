/* The tools by which people write and question policies, as commands: what is wrong is found before
 * it is written, what would change is told, and who may do what and why. */
#include "common/defs.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <string.h>

#define HEAD                                                                                       \
	"apiVersion: freehold.io/v1\nkind: Policy\nmetadata: {name: rule, tenant: acme}\nspec:\n"
#define NO_ORDERS                                                                                  \
	HEAD "  text: |\n"                                                                         \
	     "    forbid(principal, action == Action::\"dataset:%s\", resource == "                \
	     "Dataset::\"acme/sales/orders\")\n"                                                   \
	     "    unless { principal in Group::\"acme/finance\" };\n"                              \
	     "  examples:\n"                                                                       \
	     "    - {name: consumers, principal: x, roles: [sales/consumer], action: "             \
	     "\"dataset:read\", "                                                                  \
	     "resource: sales.orders, expect: %s}\n"

static struct ran says(struct ran ran, int code, const char *said)
{
	cr_expect_eq(ran.code, code, "%d, not %d: %s", ran.code, code, ran.out);
	cr_expect_not_null(strstr(ran.out, said), "%s, not %s", ran.out, said);
	return ran;
}

static const char *manifest(struct system *system, const char *name, const char *action,
                            const char *expect)
{
	const char *path = system_path(system, "manifests/%s.yaml", name);
	file_write(path, arena_printf(system_arena(system), NO_ORDERS, action, expect));
	return path;
}

Test(policy_tools, from_a_mistake_in_a_file_to_who_may_read_and_why)
{
	struct system *system = story_start(NULL);
	const char *bad = manifest(system, "bad", "raed", "deny");
	const char *wrong = manifest(system, "wrong", "read", "allow");
	const char *good = manifest(system, "good", "read", "deny");
	story_orders(system, "orders.csv", "csv", "");
	says(system_cli(system, "policy", "lint", bad, NULL), 1, "did you mean `dataset:read`?");
	says(system_cli(system, "policy", "lint", good, NULL), 0, "0 errors, 0 warnings");
	says(system_cli(system, "policy", "test", wrong, NULL), 1,
	     "expected allow, got deny by rule.0");
	says(system_cli(system, "policy", "test", good, NULL), 0, "1 examples hold");
	says(system_cli(system, "policy", "schema", NULL), 0, "action \"dataset:read\"");
	says(system_cli(system, "apply", "-f", wrong, "--profile", "abe", NULL), 1,
	     "the example consumers does not hold");
	says(system_cli(system, "can-i", "dataset:read", "sales.orders", "--profile", "eve", NULL),
	     0, "yes: acme/eve may dataset:read");
	system_cli_ok(system, "get", "dataset", "orders", "--domain", "sales", "--profile", "ada",
	              NULL);
	says(system_cli(system, "policy", "diff", "-f", good, "--fail-on-change", "--profile",
	                "abe", NULL),
	     1, "policy rule: added");
	says(system_cli(system, "apply", "-f", good, "--profile", "abe", NULL), 0,
	     "Group::\"acme/finance\" is not there now");
	says(system_cli(system, "policy", "diff", "-f", good, "--fail-on-change", "--profile",
	                "abe", NULL),
	     0, "policy rule: unchanged");
	says(system_cli(system, "can-i", "dataset:read", "sales.orders", "--profile", "eve", NULL),
	     4, "because: rule.0");
	says(system_cli(system, "can-i", "dataset:write", "sales.orders", "--as", "ada",
	                "--profile", "abe", NULL),
	     0, "domain-owner");
	struct ran who = says(system_cli(system, "who-can", "dataset:write", "sales.orders",
	                                 "--profile", "abe", NULL),
	                      0, "acme/ada");
	cr_expect_null(strstr(who.out, "acme/eve"), "%s", who.out);
	says(system_cli(system, "who-can", "dataset:write", "sales.orders", "--profile", "eve",
	                NULL),
	     4, "access:read");
	says(system_cli(system, "access", "sales.orders", "--profile", "abe", NULL), 0,
	     "key:destroy");
	system_stop(system);
}
