/* meter.c - invariants of the file, at every instant: acked <= marked <= total per row; the rows
 * below `used` are whole; seq is 0, or the number of the report that covers (acked, marked] of
 * all rows. Each step is one store, ordered so that a kill between two of them leaves the
 * invariants: marks are set before seq, acks before seq is cleared, and both may be done again. */
#include "common/defs.h"
#include "worker/meter.h"

#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROWS_MAX = 4096, NAME_ROOM = 64, LOCK_TRIES = 100, LOCK_WAIT_MS = 20 };
#define MAGIC UINT64_C(0x315245544d534846)   /* "FHSMTER1" */

struct row {
	char tenant[NAME_ROOM], domain[NAME_ROOM];
	_Atomic int64_t total, marked, acked;
	int64_t what;                /* enum meter_what */
};

struct file {
	uint64_t magic;
	_Atomic int64_t seq;         /* of the report under way; 0: none */
	_Atomic int64_t last_seq;
	_Atomic uint64_t used;       /* rows */
	struct row rows[ROWS_MAX];
};

struct meter {
	int fd;
	struct file *file;
	pthread_mutex_t mutex;       /* guards all but the totals */
};

/* A child of a worker that has just died may hold its lock until it has become another program. */
static bool lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK)
			return false;
		poll(NULL, 0, LOCK_WAIT_MS);
	}
	return false;
}

static int map_file(struct meter *meter, const char *path, struct err *err)
{
	meter->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (meter->fd < 0)
		return err_errno(err, errno, "meter: open %s", path);
	if (!lock(meter->fd))
		return err_set(err, E_CONFLICT, "meter: another worker uses %s; give each a folder "
		               "of its own", path);
	/* Allocated, so that a full disk is an error here and not a SIGBUS later. */
	int why = posix_fallocate(meter->fd, 0, sizeof *meter->file);
	if (why)
		return err_errno(err, why, "meter: make %s of %zu bytes", path,
		                 sizeof *meter->file);
	void *map = mmap(NULL, sizeof *meter->file, PROT_READ | PROT_WRITE, MAP_SHARED, meter->fd,
	                 0);
	if (map == MAP_FAILED)
		return err_errno(err, errno, "meter: map %s", path);
	meter->file = map;
	return 0;
}

static bool row_right(const struct row *row)
{
	return row->acked <= row->marked && row->marked <= row->total && row->acked >= 0 &&
		!row->tenant[NAME_ROOM - 1] && !row->domain[NAME_ROOM - 1] &&
		row->what >= 0 && row->what < METER_COUNT_;
}

static int check_file(struct file *file, const char *path, struct err *err)
{
	if (file->magic == 0 && file->used == 0)
		file->magic = MAGIC;
	bool right = file->magic == MAGIC && file->used <= ROWS_MAX;
	for (size_t i = 0; right && i < file->used; i++)
		right = row_right(&file->rows[i]);
	return right ? 0 : err_set(err, E_CORRUPT, "meter: %s is damaged; move it away, and its "
	                           "unreported reads are lost", path);
}

int meter_new(const char *path, struct meter **ret_meter, struct err *err)
{
	AUTO(meter) *meter = calloc(1, sizeof *meter);
	if (!meter)
		return err_set(err, E_NOMEM, "meter: no memory");
	meter->fd = -1;
	pthread_mutex_init(&meter->mutex, NULL);
	TRY(map_file(meter, path, err));
	TRY(check_file(meter->file, path, err));
	*ret_meter = MOVE(meter);
	return 0;
}

void meter_free(struct meter *meter)
{
	if (!meter)
		return;
	if (meter->file) {
		msync(meter->file, sizeof *meter->file, MS_SYNC);
		munmap(meter->file, sizeof *meter->file);
	}
	if (meter->fd >= 0) {
		flock(meter->fd, LOCK_UN);   /* a child that is being made has it open still */
		close(meter->fd);
	}
	pthread_mutex_destroy(&meter->mutex);
	free(meter);
}

/* mutex held */
static int row_find(struct file *file, enum meter_what what, const char *tenant,
                    const char *domain, size_t *ret_slot, struct err *err)
{
	size_t used = file->used;
	for (size_t i = 0; i < used; i++) {
		const struct row *row = &file->rows[i];
		if (row->what == what && strcmp(row->tenant, tenant) == 0 &&
		    strcmp(row->domain, domain) == 0) {
			*ret_slot = i;
			return 0;
		}
	}
	if (used == ROWS_MAX)
		return err_set(err, E_RESOURCES, "meter: it has rows for %d amounts, which is the "
		               "most; move the file away once all is reported", ROWS_MAX);
	memset(&file->rows[used], 0, sizeof file->rows[used]);
	memcpy(file->rows[used].tenant, tenant, strlen(tenant));
	memcpy(file->rows[used].domain, domain, strlen(domain));
	file->rows[used].what = what;
	file->used = used + 1;
	*ret_slot = used;
	return 0;
}

int meter_slot(struct meter *meter, const char *tenant, const char *domain, size_t *ret_slot,
               struct err *err)
{
	return meter_slot_of(meter, METER_ONLINE_READS, tenant, domain, ret_slot, err);
}

int meter_slot_of(struct meter *meter, enum meter_what what, const char *tenant,
                  const char *domain, size_t *ret_slot, struct err *err)
{
	TRY(name_check("tenant", tenant, err));
	TRY(name_check("domain", domain, err));
	pthread_mutex_lock(&meter->mutex);
	int rc = row_find(meter->file, what, tenant, domain, ret_slot, err);
	pthread_mutex_unlock(&meter->mutex);
	return rc;
}

void meter_add(struct meter *meter, size_t slot, int64_t amount)
{
	atomic_fetch_add_explicit(&meter->file->rows[slot].total, amount, memory_order_relaxed);
}

/* mutex held. Sets the marks, then the number, if anything was read. */
static void begin_report(struct file *file, int64_t now_ms)
{
	bool any = false;
	for (size_t i = 0; i < file->used; i++) {
		struct row *row = &file->rows[i];
		row->marked = row->total;
		any = any || row->marked > row->acked;
	}
	if (!any)
		return;
	int64_t seq = file->last_seq + 1;
	file->last_seq = seq > now_ms ? seq : now_ms;
	file->seq = file->last_seq;
}

static int list_report(struct file *file, struct arena *arena, const struct reads **ret_reads,
                       size_t *ret_count, struct err *err)
{
	static const char *const dimensions[METER_COUNT_] = {
		[METER_QUERIES] = "queries", [METER_CPU_MS] = "cpuMs",
		[METER_BYTES_READ] = "bytesRead",
	};
	struct reads *reads = arena_alloc(arena, file->used * sizeof *reads + 1);
	size_t count = 0;
	if (!reads)
		return err_set(err, E_NOMEM, "meter: no memory for a report");
	for (size_t i = 0; i < file->used; i++) {
		struct row *row = &file->rows[i];
		if (row->marked > row->acked)
			reads[count++] = (struct reads) { row->tenant, row->domain,
				row->marked - row->acked, dimensions[row->what] };
	}
	*ret_reads = reads;
	*ret_count = count;
	return 0;
}

int meter_report(struct meter *meter, int64_t now_ms, struct arena *arena, int64_t *ret_seq,
                 const struct reads **ret_reads, size_t *ret_count, struct err *err)
{
	struct file *file = meter->file;
	pthread_mutex_lock(&meter->mutex);
	if (file->seq == 0)
		begin_report(file, now_ms);
	int64_t seq = file->seq;
	*ret_count = 0;
	int rc = seq ? list_report(file, arena, ret_reads, ret_count, err) : 0;
	pthread_mutex_unlock(&meter->mutex);
	if (rc == 0)
		*ret_seq = seq;
	return rc;
}

void meter_ack(struct meter *meter, int64_t seq)
{
	struct file *file = meter->file;
	pthread_mutex_lock(&meter->mutex);
	if (seq != 0 && file->seq == seq) {
		for (size_t i = 0; i < file->used; i++)
			file->rows[i].acked = file->rows[i].marked;
		file->seq = 0;
	}
	pthread_mutex_unlock(&meter->mutex);
}

int64_t meter_total(struct meter *meter)
{
	int64_t total = 0;
	for (size_t i = 0; i < meter->file->used; i++)
		if (meter->file->rows[i].what == METER_ONLINE_READS)
			total += meter->file->rows[i].total;
	return total;
}
