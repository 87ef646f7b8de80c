/* defs.h - compiler vocabulary; the first include of every .c file. */
#ifndef DEFS_H
#define DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN __attribute__((noreturn))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* TRY: return a failure to the caller; the only macro that hides a return. */
#define TRY(call) do { int rc_ = (call); if (rc_ < 0) return rc_; } while (0)

/* AUTO(quota) *q = NULL;  frees q with quota_free() when it leaves scope. */
#define AUTO(type) __attribute__((cleanup(type##_cleanup))) struct type
#define DEFINE_AUTO(type) \
	static inline void type##_cleanup(struct type **p) { type##_free(*p); }

/* MOVE(p) hands ownership on and leaves p NULL. */
#define MOVE(p) __extension__({ __typeof__(p) moved_ = (p); (p) = NULL; moved_; })

/* REQUIRE catches our own bugs: always compiled in, aborts. Bad input is an error, never this. */
#define REQUIRE(x) ((x) ? (void)0 : require_failed(#x, __FILE__, __LINE__))
NORETURN void require_failed(const char *what, const char *file, int line);

#endif
