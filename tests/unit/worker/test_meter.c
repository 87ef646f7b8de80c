/* The meter: every read is told exactly once, whenever the process dies. */
#include "common/defs.h"
#include "worker/meter.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct meter *open_meter(const char *path)
{
	struct meter *meter = NULL;
	struct err err = { 0 };
	cr_assert_eq(meter_new(path, &meter, &err), 0, "%s", err.text);
	return meter;
}

static void make_path(char *path)
{
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void add(struct meter *meter, const char *tenant, const char *domain, int64_t n)
{
	size_t slot;
	cr_assert_eq(meter_slot(meter, tenant, domain, &slot, NULL), 0);
	meter_add(meter, slot, n);
}

/* The sum of a report; its number through seq. */
static int64_t report(struct meter *meter, int64_t *seq)
{
	AUTO(arena) *arena = NULL;
	const struct reads *reads = NULL;
	size_t count;
	int64_t sum = 0;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(meter_report(meter, 1000, arena, seq, &reads, &count, NULL), 0);
	for (size_t i = 0; i < count; i++)
		sum += reads[i].count;
	return sum;
}

Test(meter, a_report_stays_the_same_until_it_is_acknowledged)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	int64_t seq, again;
	make_path(path);
	struct meter *meter = open_meter(path);
	cr_expect_eq(report(meter, &seq), 0);
	cr_expect_eq(seq, 0);
	add(meter, "acme", "flights", 5);
	cr_expect_eq(report(meter, &seq), 5);
	cr_expect_geq(seq, 1000);
	add(meter, "acme", "flights", 2);
	cr_expect_eq(report(meter, &again), 5);
	cr_expect_eq(again, seq);
	meter_ack(meter, seq + 1);
	cr_expect_eq(report(meter, &again), 5, "an acknowledgement of another report changes "
	             "nothing");
	meter_ack(meter, seq);
	cr_expect_eq(report(meter, &again), 2);
	cr_expect_gt(again, seq);
	meter_ack(meter, again);
	cr_expect_eq(report(meter, &again), 0);
	cr_expect_eq(meter_total(meter), 7);
	meter_free(meter);
	unlink(path);
}

Test(meter, a_restart_tells_the_same_report_again_and_then_the_rest)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	int64_t seq, again;
	make_path(path);
	struct meter *meter = open_meter(path);
	add(meter, "acme", "flights", 5);
	add(meter, "globex", "trips", 1);
	cr_expect_eq(report(meter, &seq), 6);
	add(meter, "globex", "trips", 10);
	meter_free(meter);
	meter = open_meter(path);
	cr_expect_eq(report(meter, &again), 6);
	cr_expect_eq(again, seq);
	meter_ack(meter, seq);
	cr_expect_eq(report(meter, &again), 10);
	meter_free(meter);
	unlink(path);
}

Test(meter, two_processes_do_not_share_a_file)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	make_path(path);
	struct meter *meter = open_meter(path), *other = NULL;
	cr_expect_eq(meter_new(path, &other, NULL), E_CONFLICT);
	meter_free(meter);
	unlink(path);
}

Test(meter, a_damaged_file_is_refused)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	make_path(path);
	FILE *file = fopen(path, "w");
	fputs("this is something else", file);
	fclose(file);
	struct meter *meter = NULL;
	cr_expect_eq(meter_new(path, &meter, NULL), E_CORRUPT);
	unlink(path);
}

static void *count_many(void *arg)
{
	struct meter *meter = arg;
	size_t slot;
	if (meter_slot(meter, "acme", "flights", &slot, NULL) == 0)
		for (int i = 0; i < 20000; i++)
			meter_add(meter, slot, 1);
	return NULL;
}

Test(meter, counting_in_many_threads_while_reporting_loses_nothing)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	pthread_t threads[4];
	int64_t seq, sum = 0, n;
	make_path(path);
	struct meter *meter = open_meter(path);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, count_many, meter);
	for (int i = 0; i < 50; i++) {
		sum += report(meter, &seq);
		meter_ack(meter, seq);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	while ((n = report(meter, &seq)) > 0) {
		sum += n;
		meter_ack(meter, seq);
	}
	cr_expect_eq(sum, 80000);
	meter_free(meter);
	unlink(path);
}

/* A child that counts, tells and is killed at any moment: what it says it counted is in the
 * file. */
Test(meter, what_was_counted_survives_sigkill)
{
	char path[] = "/tmp/meter-test-XXXXXX";
	make_path(path);
	int pipe_fds[2];
	cr_assert_eq(pipe(pipe_fds), 0);
	pid_t child = fork();
	if (child == 0) {
		struct meter *meter = NULL;
		size_t slot = 0;
		int64_t n = 0;
		if (meter_new(path, &meter, NULL) < 0 ||
		    meter_slot(meter, "acme", "flights", &slot, NULL) < 0)
			_exit(1);
		for (;;) {
			meter_add(meter, slot, 1);
			n++;
			if (write(pipe_fds[1], &n, sizeof n) < 0)
				_exit(1);
		}
	}
	close(pipe_fds[1]);
	int64_t n = 0, told = 0, seq;
	while (told < 1000 && read(pipe_fds[0], &n, sizeof n) == sizeof n)
		told = n;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(pipe_fds[0], &n, sizeof n) == sizeof n)
		told = n;
	struct meter *meter = open_meter(path);
	int64_t counted = report(meter, &seq);
	cr_expect(counted == told || counted == told + 1, "%lld of %lld", (long long)counted,
	          (long long)told);
	meter_free(meter);
	close(pipe_fds[0]);
	unlink(path);
}
