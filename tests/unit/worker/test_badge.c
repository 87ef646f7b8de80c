/* test_badge.c - a worker's identity: made once, joined once, kept from others. */
#include "common/defs.h"
#include "worker/badge.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char dir[64], folder[96], token[96];
};

static void place_make(struct place *place)
{
	snprintf(place->dir, sizeof place->dir, "/tmp/badge-XXXXXX");
	cr_assert_not_null(mkdtemp(place->dir));
	snprintf(place->folder, sizeof place->folder, "%s/identity", place->dir);
	snprintf(place->token, sizeof place->token, "%s/token", place->dir);
	cr_assert_eq(crypto_start(NULL), 0);
}

static void place_remove(const struct place *place)
{
	char line[128];
	snprintf(line, sizeof line, "rm -r %s", place->dir);
	cr_assert_eq(system(line), 0);
}

static void write_token(const struct place *place, const char *text, mode_t mode)
{
	FILE *file = fopen(place->token, "w");
	cr_assert_not_null(file);
	fprintf(file, "%s\n", text);
	fclose(file);
	cr_assert_eq(chmod(place->token, mode), 0);
}

static void read_public(const struct place *place, char out[80])
{
	char path[128];
	snprintf(path, sizeof path, "%s/node.pub", place->folder);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	cr_assert_not_null(fgets(out, 80, file));
	fclose(file);
}

Test(badge, the_key_is_made_once_and_stays)
{
	struct place place;
	struct badge *badge = NULL;
	struct err err;
	char first[80], second[80];
	place_make(&place);
	const struct badge_conf conf = { .folder = place.folder, .name = "w1" };
	cr_assert_eq(badge_open(&conf, &badge, &err), 0, "%s", err.text);
	cr_expect_not(badge_joined(badge));
	cr_expect_null(badge_ca_file(badge));
	badge_free(badge);
	read_public(&place, first);
	cr_assert_eq(badge_open(&conf, &badge, &err), 0, "%s", err.text);
	badge_free(badge);
	read_public(&place, second);
	cr_expect_str_eq(first, second);
	place_remove(&place);
}

Test(badge, a_key_or_a_folder_that_others_can_touch_is_refused)
{
	struct place place;
	struct badge *badge = NULL;
	struct err err;
	char path[128];
	place_make(&place);
	const struct badge_conf conf = { .folder = place.folder, .name = "w1" };
	cr_assert_eq(badge_open(&conf, &badge, &err), 0, "%s", err.text);
	badge_free(badge);
	snprintf(path, sizeof path, "%s/node.key", place.folder);
	cr_assert_eq(chmod(path, 0640), 0);
	cr_expect_eq(badge_open(&conf, &badge, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "chmod 600"), "%s", err.text);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_assert_eq(chmod(place.folder, 0777), 0);
	cr_expect_eq(badge_open(&conf, &badge, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "chmod 700"), "%s", err.text);
	place_remove(&place);
}

Test(badge, it_joins_once_and_remembers_and_a_stolen_token_is_worth_nothing_then)
{
	const struct plane_options options = { .replica = "control-1", .shards = 1 };
	struct plane *plane = plane_start_with(&options);
	struct place place, thief;
	struct badge *badge = NULL;
	struct node_key *key = NULL;
	struct err err;
	place_make(&place);
	place_make(&thief);
	struct answer made = plane_call(plane, plane->operator_key, "POST", "/v1/workers/tokens",
	                                NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *token = value_get_str(made.body, "token");
	write_token(&place, token, 0640);
	struct badge_conf conf = { .folder = place.folder, .name = "w1", .api = plane->url,
		                   .token_file = place.token };
	cr_expect_eq(badge_open(&conf, &badge, &err), E_INVALID, "others can read the token");
	write_token(&place, token, 0600);
	conf.api = "http://control.example.com:7070";
	cr_expect_eq(badge_open(&conf, &badge, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "loopback"), "%s", err.text);
	conf.api = plane->url;
	cr_assert_eq(badge_open(&conf, &badge, &err), 0, "%s", err.text);
	cr_expect(badge_joined(badge));
	cr_expect(bytes_equal(badge_signing_key(badge), plane->control->signer_public, 32));
	cr_assert_eq(badge_agree(badge, badge_signing_key(badge), &key, &err), 0, "%s", err.text);
	cr_expect_eq(access(badge_link_file(badge), R_OK), 0);
	cr_expect_eq(access(badge_ca_file(badge), R_OK), 0);
	node_key_free(key);
	badge_free(badge);
	/* It is known from then on; the token is not looked at again. */
	unlink(place.token);
	cr_assert_eq(badge_open(&conf, &badge, &err), 0, "%s", err.text);
	cr_expect(badge_joined(badge));
	badge_free(badge);
	write_token(&thief, token, 0600);
	struct badge_conf stolen = conf;
	stolen.folder = thief.folder;
	stolen.token_file = thief.token;
	stolen.name = "w2";
	cr_expect_eq(badge_open(&stolen, &badge, &err), E_UNAUTHENTICATED);
	cr_expect_null(strstr(err.text, token));
	plane_stop(plane);
	place_remove(&place);
	place_remove(&thief);
}
