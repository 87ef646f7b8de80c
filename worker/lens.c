/* lens.c - libc's file calls for sealed descriptors.
 * Invariants: an entry is set before its descriptor is known to anybody else and cleared when it is
 * closed; a lens_file lives until the process ends, so a reader never sees it freed. Plaintext is
 * cached a chunk a thread: the engine reads 256 bytes of a page's head, then the page. These are
 * libc's own symbols: state has nowhere else to be than in the process. */
#undef _FORTIFY_SOURCE
#include "common/defs.h"
#include "worker/lens.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCH = 16, SLOTS = 64, PATH_PREFIX = 14 };

struct lens_file {
	struct opener *opener; /* NULL: a file that is read as it is */
	int fd;                /* a duplicate of our own */
	uint64_t len;          /* plain bytes */
};

struct lens_entry {
	_Atomic(struct lens_file *) file;
	_Atomic uint64_t position; /* for read and lseek */
	_Atomic bool pipe;         /* granted, and the kernel's to read and write */
};

/* One thread's scratch; which slot is whose is settled by the flag. */
struct lens_slot {
	atomic_flag busy;
	const struct lens_file *file; /* whose chunk is in plain; NULL: nobody's */
	uint64_t chunk;
	size_t len;
	uint8_t plain[SEAL_CHUNK];
	uint8_t sealed[BATCH * SEAL_CHUNK_SEALED];
};

struct lens {
	struct lens_entry entries[LENS_FDS_MAX];
	struct lens_slot slots[SLOTS];
	_Atomic uint64_t bytes;
	_Atomic bool shut; /* no path is known but those of granted descriptors */
	atomic_flag failing;
	_Atomic int failed; /* code of the first failure, set after failure */
	struct err failure;
};

static _Atomic(struct lens *) lens_state;

/* Sanitizers intercept the same calls, and need to see them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
ssize_t __interceptor_read(int fd, void *out, size_t len);
ssize_t __interceptor_pread(int fd, void *out, size_t len, off_t offset);
#define real_read __interceptor_read
#define real_pread __interceptor_pread
#else
static ssize_t real_read(int fd, void *out, size_t len)
{
	return syscall(SYS_read, fd, out, len);
}

static ssize_t real_pread(int fd, void *out, size_t len, off_t offset)
{
	return syscall(SYS_pread64, fd, out, len, offset);
}
#endif

#ifdef __SANITIZE_THREAD__
int __interceptor_close(int fd);
#define real_close __interceptor_close
#else
static int real_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}
#endif

static struct lens_entry *entry_of(int fd)
{
	struct lens *lens = atomic_load_explicit(&lens_state, memory_order_acquire);
	if (!lens || fd < 0 || fd >= LENS_FDS_MAX)
		return NULL;
	struct lens_entry *entry = &lens->entries[fd];
	return atomic_load_explicit(&entry->file, memory_order_acquire) ? entry : NULL;
}

static struct lens *lens_get(struct err *err)
{
	struct lens *lens = atomic_load(&lens_state);
	if (lens)
		return lens;
	struct lens *made = calloc(1, sizeof *made), *none = NULL;
	if (!made) {
		(void)err_set(err, E_NOMEM, "no memory for reading sealed files");
		return NULL;
	}
	if (atomic_compare_exchange_strong(&lens_state, &none, made))
		return made;
	free(made);
	return none;
}

static int take(int fd, struct opener *opener, uint64_t len, struct err *err)
{
	struct lens *lens = lens_get(err);
	struct lens_file *file = lens ? calloc(1, sizeof *file) : NULL;
	if (!file) {
		opener_free(opener);
		return err_set(err, E_NOMEM, "no memory for reading sealed files");
	}
	*file = (struct lens_file){opener, fcntl(fd, F_DUPFD_CLOEXEC, 3), len};
	if (file->fd < 0 || fd < 0 || fd >= LENS_FDS_MAX) {
		int code =
			err_errno(err, file->fd < 0 ? errno : EMFILE, "a sealed file's descriptor");
		if (file->fd >= 0)
			real_close(file->fd);
		opener_free(opener);
		free(file);
		return code;
	}
	atomic_store(&lens->entries[fd].position, 0);
	atomic_store(&lens->entries[fd].file, file);
	return 0;
}

int lens_take(int fd, struct opener *opener, struct err *err)
{
	return take(fd, opener, opener_len(opener), err);
}

int lens_grant(int fd, struct err *err)
{
	struct stat stat;
	struct lens *lens = lens_get(err);
	if (!lens)
		return E_NOMEM;
	if (fd < 0 || fd >= LENS_FDS_MAX || syscall(SYS_fstat, fd, &stat) != 0)
		return err_errno(err, fd < LENS_FDS_MAX ? errno : EMFILE, "a file's descriptor");
	if (entry_of(fd))
		return 0;
	if (S_ISREG(stat.st_mode))
		return take(fd, NULL, (uint64_t)stat.st_size, err);
	atomic_store(&lens->entries[fd].pipe, true);
	return 0;
}

int lens_shut(struct err *err)
{
	struct lens *lens = lens_get(err);
	if (!lens)
		return E_NOMEM;
	atomic_store(&lens->shut, true);
	return 0;
}

uint64_t lens_bytes(void)
{
	struct lens *lens = atomic_load(&lens_state);
	return lens ? atomic_load(&lens->bytes) : 0;
}

int lens_failure(struct err *err)
{
	struct lens *lens = atomic_load(&lens_state);
	if (!lens || atomic_load(&lens->failed) == 0)
		return 0;
	if (err)
		*err = lens->failure;
	return lens->failure.code;
}

static ssize_t fail(struct lens *lens, const struct err *failure)
{
	if (!atomic_flag_test_and_set(&lens->failing)) {
		lens->failure = *failure;
		atomic_store(&lens->failed, failure->code);
	}
	errno = EIO;
	return -1;
}

/* Each thread begins its search at a place of its own, and so mostly finds what it left there. */
static struct lens_slot *slot_take(struct lens *lens)
{
	size_t at = (size_t)(((uintptr_t)pthread_self() >> 12) * 0x9E3779B97F4A7C15ull >> 58);
	for (size_t i = 0;; i++) {
		struct lens_slot *slot = &lens->slots[(at + i) % SLOTS];
		if (!atomic_flag_test_and_set_explicit(&slot->busy, memory_order_acquire))
			return slot;
		if (i % SLOTS == SLOTS - 1)
			sched_yield();
	}
}

static int fetch_sealed(struct lens *lens, const struct lens_file *file, uint64_t chunk,
                        size_t count, struct lens_slot *slot, struct err *err)
{
	struct seal_span first = opener_span(file->opener, chunk);
	struct seal_span last = opener_span(file->opener, chunk + count - 1);
	size_t want = (size_t)(last.offset - first.offset) + last.len, got = 0;
	while (got < want) {
		ssize_t n = real_pread(file->fd, slot->sealed + got, want - got,
		                       (off_t)(first.offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "a sealed file could not be read");
		if (n == 0)
			return err_set(err, E_CORRUPT,
			               "a sealed file became shorter while it was read");
		got += (size_t)n;
	}
	atomic_fetch_add_explicit(&lens->bytes, want, memory_order_relaxed);
	return 0;
}

/* count whole chunks, straight to where they are wanted. */
static int open_whole(struct lens *lens, const struct lens_file *file, uint64_t chunk, size_t count,
                      struct lens_slot *slot, uint8_t *out, struct err *err)
{
	TRY(fetch_sealed(lens, file, chunk, count, slot, err));
	for (size_t i = 0; i < count; i++) {
		size_t len = 0;
		TRY(opener_chunk(file->opener, chunk + i, slot->sealed + i * SEAL_CHUNK_SEALED,
		                 SEAL_CHUNK_SEALED, out + i * SEAL_CHUNK, &len, err));
	}
	return 0;
}

static int open_cached(struct lens *lens, const struct lens_file *file, uint64_t chunk,
                       struct lens_slot *slot, struct err *err)
{
	if (slot->file == file && slot->chunk == chunk)
		return 0;
	slot->file = NULL;
	TRY(fetch_sealed(lens, file, chunk, 1, slot, err));
	TRY(opener_chunk(file->opener, chunk, slot->sealed, opener_span(file->opener, chunk).len,
	                 slot->plain, &slot->len, err));
	slot->file = file;
	slot->chunk = chunk;
	return 0;
}

/* One step of a read; ret_len: how far it got. */
static int read_step(struct lens *lens, const struct lens_file *file, struct lens_slot *slot,
                     uint8_t *out, size_t len, uint64_t offset, size_t *ret_len, struct err *err)
{
	uint64_t chunk = offset / SEAL_CHUNK;
	size_t within = (size_t)(offset % SEAL_CHUNK), whole = len / SEAL_CHUNK;
	bool cached = slot->file == file && slot->chunk == chunk;
	if (within == 0 && whole > 0 && !cached) {
		size_t count = whole < BATCH ? whole : BATCH;
		TRY(open_whole(lens, file, chunk, count, slot, out, err));
		*ret_len = count * SEAL_CHUNK;
		return 0;
	}
	TRY(open_cached(lens, file, chunk, slot, err));
	size_t part = slot->len - within;
	*ret_len = part < len ? part : len;
	memcpy(out, slot->plain + within, *ret_len);
	return 0;
}

static ssize_t lens_read(const struct lens_file *file, uint8_t *out, size_t len, uint64_t offset)
{
	if (!file->opener)
		return real_pread(file->fd, out, len, (off_t)offset);
	if (offset >= file->len)
		return 0;
	if (len > file->len - offset)
		len = (size_t)(file->len - offset);
	struct lens *lens = atomic_load_explicit(&lens_state, memory_order_acquire);
	struct lens_slot *slot = slot_take(lens);
	struct err err = {0};
	size_t done = 0, step = 0;
	int rc = 0;
	while (done < len && rc == 0) {
		rc = read_step(lens, file, slot, out + done, len - done, offset + done, &step,
		               &err);
		done += rc == 0 ? step : 0;
	}
	atomic_flag_clear_explicit(&slot->busy, memory_order_release);
	return rc < 0 ? fail(lens, &err) : (ssize_t)done;
}

/* The descriptor that was granted and that a path names, or -1. */
static int granted(const char *path)
{
	struct lens *lens = atomic_load_explicit(&lens_state, memory_order_acquire);
	if (!lens || !path || strncmp(path, "/proc/self/fd/", PATH_PREFIX) != 0 ||
	    path[PATH_PREFIX] < '0' || path[PATH_PREFIX] > '9')
		return -1;
	char *end = NULL;
	long fd = strtol(path + PATH_PREFIX, &end, 10);
	if (*end != 0 || fd >= LENS_FDS_MAX)
		return -1;
	return entry_of((int)fd) || atomic_load(&lens->entries[fd].pipe) ? (int)fd : -1;
}

/* True: this path is nobody's, and the kernel is not asked about it. */
static bool shut(int why)
{
	struct lens *lens = atomic_load_explicit(&lens_state, memory_order_acquire);
	if (!lens || !atomic_load_explicit(&lens->shut, memory_order_relaxed))
		return false;
	errno = why;
	return true;
}

static int open_granted(int fd, int flags)
{
	struct lens *lens = atomic_load(&lens_state);
	struct lens_entry *entry = entry_of(fd);
	if (entry && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))) {
		errno = EACCES;
		return -1;
	}
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || !entry)
		return copy;
	if (copy >= LENS_FDS_MAX) {
		real_close(copy);
		errno = EMFILE;
		return -1;
	}
	atomic_store(&lens->entries[copy].position, 0);
	atomic_store(&lens->entries[copy].file, atomic_load(&entry->file));
	return copy;
}

/* From here on: libc's names. */

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	int fd = granted(path);
	if (fd >= 0)
		return open_granted(fd, flags);
	return shut(EACCES) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
	struct lens_entry *entry = entry_of(fd);
	if (!entry)
		return real_pread(fd, out, len, offset);
	if (offset < 0) {
		errno = EINVAL;
		return -1;
	}
	return lens_read(atomic_load(&entry->file), out, len, (uint64_t)offset);
}

ssize_t pread64(int fd, void *out, size_t len, off64_t offset) __attribute__((alias("pread")));

ssize_t read(int fd, void *out, size_t len)
{
	struct lens_entry *entry = entry_of(fd);
	if (!entry)
		return real_read(fd, out, len);
	ssize_t got = lens_read(atomic_load(&entry->file), out, len, atomic_load(&entry->position));
	if (got > 0)
		atomic_fetch_add(&entry->position, (uint64_t)got);
	return got;
}

/* What calls become where the compiler knows the buffer's size (_FORTIFY_SOURCE). */
NORETURN void __chk_fail(void);
ssize_t __pread_chk(int fd, void *out, size_t len, off_t offset, size_t room);
ssize_t __read_chk(int fd, void *out, size_t len, size_t room);

ssize_t __pread_chk(int fd, void *out, size_t len, off_t offset, size_t room)
{
	if (len > room)
		__chk_fail();
	return pread(fd, out, len, offset);
}

ssize_t __pread64_chk(int fd, void *out, size_t len, off64_t offset, size_t room)
	__attribute__((alias("__pread_chk")));

ssize_t __read_chk(int fd, void *out, size_t len, size_t room)
{
	if (len > room)
		__chk_fail();
	return read(fd, out, len);
}

off_t lseek(int fd, off_t offset, int whence)
{
	struct lens_entry *entry = entry_of(fd);
	if (!entry)
		return syscall(SYS_lseek, fd, offset, whence);
	const struct lens_file *file = atomic_load(&entry->file);
	int64_t base = whence == SEEK_SET   ? 0
	               : whence == SEEK_CUR ? (int64_t)atomic_load(&entry->position)
	               : whence == SEEK_END ? (int64_t)file->len
	                                    : -1;
	if (base < 0 || base + offset < 0) {
		errno = EINVAL;
		return -1;
	}
	atomic_store(&entry->position, (uint64_t)(base + offset));
	return base + offset;
}

off64_t lseek64(int fd, off64_t offset, int whence) __attribute__((alias("lseek")));

int fstat(int fd, struct stat *ret_stat)
{
	struct lens_entry *entry = entry_of(fd);
	if (syscall(SYS_fstat, fd, ret_stat) != 0)
		return -1;
	if (entry)
		ret_stat->st_size = (off_t)((struct lens_file *)atomic_load(&entry->file))->len;
	return 0;
}

/* libduckdb was built against a libc that had these under other names; the version says which
 * struct stat, of which there is one. */
int __fxstat(int version, int fd, struct stat *ret_stat);
int __xstat(int version, const char *path, struct stat *ret_stat);
int __lxstat(int version, const char *path, struct stat *ret_stat);

int __fxstat(int version, int fd, struct stat *ret_stat)
{
	(void)version;
	return fstat(fd, ret_stat);
}

int __xstat(int version, const char *path, struct stat *ret_stat)
{
	(void)version;
	int fd = granted(path);
	if (fd >= 0)
		return fstat(fd, ret_stat);
	return shut(ENOENT) ? -1 : fstatat(AT_FDCWD, path, ret_stat, 0);
}

int __lxstat(int version, const char *path, struct stat *ret_stat)
{
	(void)version;
	int fd = granted(path);
	if (fd >= 0)
		return fstat(fd, ret_stat);
	return shut(ENOENT) ? -1 : fstatat(AT_FDCWD, path, ret_stat, AT_SYMLINK_NOFOLLOW);
}

/* Of a granted descriptor there is nothing to resolve: its path is its only name. */
char *realpath(const char *path, char *out)
{
	bool ours = granted(path) >= 0;
	if (!ours && shut(ENOENT))
		return NULL;
	char *found = ours ? strdup(path) : canonicalize_file_name(path);
	if (!found || !out)
		return found;
	strcpy(out, found);     /* both have at most PATH_MAX bytes */
	free(found);
	return out;
}

int access(const char *path, int mode)
{
	if (granted(path) >= 0)
		return 0;
	return shut(ENOENT) ? -1 : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

int close(int fd)
{
	struct lens *lens = atomic_load_explicit(&lens_state, memory_order_acquire);
	if (lens && fd >= 0 && fd < LENS_FDS_MAX) {
		atomic_store(&lens->entries[fd].file, NULL);
		atomic_store(&lens->entries[fd].pipe, false);
	}
	return real_close(fd);
}
