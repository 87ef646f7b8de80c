/* overdue.h - sockets with a deadline. A client that sends or takes a byte now and then is never
 * idle; so each has a time by which it must have got somewhere, and is shut down after it: its
 * owner then sees its end. One thread looks now and then. */
#ifndef OVERDUE_H
#define OVERDUE_H

#include "common/err.h"

#include <stdatomic.h>

struct overdue;

struct overdue_entry {
	struct overdue_entry *next, *prev;   /* the list's */
	int fd;
	_Atomic int64_t deadline_mono_ms;    /* 0: none */
};

/* look_ms: between two looks. */
MUST_USE int overdue_new(int look_ms, struct overdue **ret_overdue, struct err *err);
void overdue_free(struct overdue *overdue);          /* after every entry has left */
DEFINE_AUTO(overdue)

/* fd stays the caller's and open until overdue_leave has returned. Any thread. */
void overdue_enter(struct overdue *overdue, struct overdue_entry *entry, int fd);
void overdue_leave(struct overdue *overdue, struct overdue_entry *entry);
/* From now on; 0: for ever. Takes no lock. */
void overdue_in(struct overdue_entry *entry, int64_t ms);
int64_t overdue_shut(struct overdue *overdue);       /* how many were, so far */

#endif
