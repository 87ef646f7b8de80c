/* Outlets: bytes of a pipe become one sealed object, or nothing. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/outlet.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

static struct worksite site;
static struct outlet outlet;
static int write_fd;
static struct err err;
static const uint8_t key[KEY_BYTES] = {3};
static const struct seal_label label = {"acme", "ds1", "acme/sales/1-1/x", 1};
static void setup(void)
{
	worksite_open(&site, 0, false);
	cr_assert_eq(outlet_open(&outlet, site.runner.objects, &label, key, &write_fd, &err), 0);
}
static void teardown(void)
{
	outlet_release(&outlet);
	close(write_fd);
	worksite_close(&site);
}
TestSuite(outlet, .init = setup, .fini = teardown);

static bool exists(void)
{
	int fd;
	uint64_t len;
	if (object_open(site.runner.objects, label.path, &fd, &len, &err) < 0)
		return false;
	close(fd);
	return true;
}

Test(outlet, seals_what_came_and_shows_it_only_when_committed)
{
	cr_assert_eq(outlet_sink(&outlet, "hello ", 6, &err), 0, "%s", err.text);
	cr_assert_eq(outlet_sink(&outlet, "there", 5, &err), 0);
	cr_expect_not(exists());
	cr_assert_eq(outlet_commit(&outlet, &err), 1, "%s", err.text);
	cr_expect(exists());
	cr_expect_eq(outlet.plain_bytes, 11);
	cr_expect_gt(outlet.sealed_bytes, 11);
}

Test(outlet, leaves_nothing_when_no_byte_came_or_it_was_not_committed)
{
	cr_expect_eq(outlet_commit(&outlet, &err), 0);
	cr_assert_eq(outlet_sink(&outlet, "x", 1, &err), 0);
	outlet_release(&outlet);
	cr_expect_not(exists());
}

Test(outlet, tells_that_the_disk_takes_no_more)
{
	struct rlimit little = {4096, 4096};
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
	static uint8_t bytes[1024 * 1024];
	int rc = outlet_sink(&outlet, bytes, sizeof bytes, &err);
	if (rc == 0)
		rc = outlet_commit(&outlet, &err);
	cr_expect_lt(rc, 0);
}
