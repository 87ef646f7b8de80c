/* test_pemwatch.c - certificate files that are replaced while they are in use. */
#include "common/defs.h"
#include "common/pemwatch.h"

#include "common/clock.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

struct seen {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int good, bad;
	char name[CERT_NAME_LEN + 1], why[480];
};

static void on_change(void *context, const struct cert_set *set, const struct cert_facts *facts,
                      const struct err *why)
{
	struct seen *seen = context;
	pthread_mutex_lock(&seen->mutex);
	seen->good += set != NULL;
	seen->bad += set == NULL;
	if (facts)
		memcpy(seen->name, facts->name, sizeof seen->name);
	if (why)
		snprintf(seen->why, sizeof seen->why, "%s", why->text);
	pthread_cond_signal(&seen->changed);
	pthread_mutex_unlock(&seen->mutex);
}

static void await(struct seen *seen, const int *count, int least)
{
	int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
	pthread_mutex_lock(&seen->mutex);
	while (*count < least)
		if (!clock_wait(clock_system(), &seen->changed, &seen->mutex, until))
			break;
	int now = *count;
	pthread_mutex_unlock(&seen->mutex);
	cr_assert_geq(now, least);
}

static void run(const char *fmt, const char *a, const char *b)
{
	char line[512];
	snprintf(line, sizeof line, fmt, a, b);
	cr_assert_eq(system(line), 0, "%s", line);
}

/* As Kubernetes mounts a secret: files are links through ..data, which is exchanged at once. */
Test(pemwatch, a_folder_that_is_exchanged_under_a_link_is_seen_and_a_wrong_pair_is_not_taken)
{
	char dir[] = "/tmp/pemwatch-XXXXXX", cert[96], key[96];
	struct seen seen = { .good = 0 };
	struct err err;
	struct pemwatch *watch = NULL;
	folder_make(dir);
	cr_assert_eq(crypto_start(&err), 0);
	pthread_mutex_init(&seen.mutex, NULL);
	clock_cond_init(&seen.changed);
	pems_authority(dir, "test");
	pems_add(dir, "one", NULL);
	pems_add(dir, "two", NULL);
	run("cd %s && mkdir v1 v2 v3 && cp one.pem v1/tls.crt && cp one.key v1/tls.key%s", dir, "");
	run("cd %s && cp two.pem v2/tls.crt && cp one.key v2/tls.key && cp two.pem v3/tls.crt &&"
	    " cp two.key v3/tls.key && ln -s v1 ..data && ln -s ..data/tls.crt tls.crt &&"
	    " ln -s ..data/tls.key tls.key%s", dir, "");
	snprintf(cert, sizeof cert, "%s/tls.crt", dir);
	snprintf(key, sizeof key, "%s/tls.key", dir);
	const struct pemwatch_conf conf = { .cert_file = cert, .key_file = key, .interval_ms = 5,
	                                    .changed = on_change, .context = &seen };
	cr_assert_eq(pemwatch_new(&conf, &watch, &err), 0, "%s", err.text);
	await(&seen, &seen.good, 1);
	cr_expect_str_eq(seen.name, "one");
	int64_t until_ms = pemwatch_until_ms(watch);
	cr_expect_gt(until_ms, 0);
	run("cd %s && ln -s v2 ..next && mv -T ..next ..data%s", dir, "");
	await(&seen, &seen.bad, 1);
	cr_expect_not_null(strstr(seen.why, "not the certificate's"), "%s", seen.why);
	cr_expect_eq(pemwatch_until_ms(watch), until_ms, "the old one is in use");
	run("cd %s && ln -s v3 ..next && mv -T ..next ..data%s", dir, "");
	await(&seen, &seen.good, 2);
	cr_expect_str_eq(seen.name, "two");
	int before = seen.good;
	pemwatch_again(watch);
	await(&seen, &seen.good, before + 1);
	pemwatch_free(watch);
	folder_remove(dir);
}
