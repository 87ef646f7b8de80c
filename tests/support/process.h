/* process.h - children of a test: started with a log, signalled, waited for; dead when it is. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include "common/arena.h"

#include <signal.h>
#include <sys/types.h>

enum { PROCESS_ARGS_MAX = 64 };

/* Output of both kinds is appended to log; input comes from the file `input` (NULL: nothing). */
pid_t process_start(const char *const *argv, const char *log, const char *input);
/* Waits; the exit code, or 256 + the signal it died of. -1: it still runs after ms. */
int process_wait(pid_t pid, int ms);
/* SIGKILL, and waits. 0 is nobody. */
void process_kill(pid_t pid);
/* Whether its first thread runs: false also of a zombie, whose other threads may still be dying. */
bool process_alive(pid_t pid);
/* Whether a thread of it or of its children and theirs runs, or waits for a core or a disk; the
 * caller's own does not count. */
bool process_busy(pid_t pid);
/* What all its threads took so far, as the kernel tells it: in ticks. 0: there is none such. */
int64_t process_cpu_ms(pid_t pid);
/* SIGSTOP to a child, to a process's children, or to a child and its children; returns when every
 * thread stands still: the signal alone lets a busy machine run them on for a while. */
void process_pause(pid_t pid);
void process_pause_children(pid_t pid);
void process_pause_tree(pid_t pid);
void process_resume_tree(pid_t pid);
/* Children of a process, at most cap; how many there are. */
size_t process_children(pid_t pid, pid_t *out, size_t cap);

/* A whole file as text; NULL when it cannot be read. */
const char *file_text(struct arena *arena, const char *path);
void file_write(const char *path, const char *text);  /* fails the test when it cannot */

/* Repeats until it is true or ms are over. */
typedef bool until_fn(void *context);
bool wait_until(until_fn *ready, void *context, int ms);

#endif
