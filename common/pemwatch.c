/* pemwatch.c - see pemwatch.h. Files are told apart by what stat says of them, through links: a
 * folder that is exchanged under a link is seen. Invariant: texts are told only if certificate and
 * key belong together, so that a look between two renames changes nothing. */
#include "common/defs.h"
#include "common/pemwatch.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INTERVAL_MS = 2000, FILES = 3 };

struct mark { dev_t dev; ino_t ino; off_t size; struct timespec mtime; bool there; };

struct pemwatch {
	struct pemwatch_conf conf;
	char *paths[FILES];          /* ca, cert, key; NULL: none is needed */
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t changed;
	bool ending, again;
	int64_t until_ms;
};

/* --- reading --- */

static int read_text(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	uint8_t *room = buf_room(out, CERT_PEM_MAX);
	ssize_t n = room ? read(fd, room, CERT_PEM_MAX - 1) : 0;
	int why = errno;
	close(fd);
	if (!room)
		return err_set(err, E_NOMEM, "no memory for %s", path);
	if (n < 0)
		return err_errno(err, why, "cannot read %s", path);
	if (n == CERT_PEM_MAX - 1)
		return err_set(err, E_TOO_LARGE, "%s has %d bytes or more; give a PEM file", path,
		               CERT_PEM_MAX - 1);
	room[n] = 0;
	out->len = (size_t)n;
	return 0;
}

static int read_all(const struct pemwatch_conf *conf, struct pem_texts *texts,
                    struct cert_set *set, struct err *err)
{
	if (conf->ca_file)
		TRY(read_text(conf->ca_file, &texts->ca, err));
	TRY(read_text(conf->cert_file, &texts->cert, err));
	TRY(read_text(conf->key_file, &texts->key, err));
	*set = (struct cert_set){ conf->ca_file ? (char *)texts->ca.data : NULL,
	                          (char *)texts->cert.data, (char *)texts->key.data };
	return cert_set_check(set, err);
}

void pem_texts_release(struct pem_texts *texts)
{
	struct buf *all[] = { &texts->ca, &texts->cert, &texts->key };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i]->data)
			secret_wipe(all[i]->data, all[i]->cap);
		buf_release(all[i]);
	}
}

int pem_texts_read(const struct pemwatch_conf *conf, struct pem_texts *ret_texts,
                   struct cert_set *ret_set, struct err *err)
{
	struct pem_texts texts;
	buf_init(&texts.ca, CERT_PEM_MAX);
	buf_init(&texts.cert, CERT_PEM_MAX);
	buf_init(&texts.key, CERT_PEM_MAX);
	int rc = read_all(conf, &texts, ret_set, err);
	if (rc < 0)
		pem_texts_release(&texts);
	else
		*ret_texts = texts;
	return rc;
}

int pem_tls_read(const struct pemwatch_conf *conf, bool accepts, struct cert_tls **ret_tls,
                 struct err *err)
{
	struct pem_texts texts;
	struct cert_set set;
	TRY(pem_texts_read(conf, &texts, &set, err));
	int rc = cert_tls_new(&set, accepts, ret_tls, err);
	pem_texts_release(&texts);
	return rc;
}

/* --- watching --- */

static void look(const struct pemwatch *watch, struct mark marks[FILES])
{
	memset(marks, 0, FILES * sizeof *marks);
	for (int i = 0; i < FILES; i++) {
		struct stat st;
		if (!watch->paths[i] || stat(watch->paths[i], &st) < 0)
			continue;
		marks[i].dev = st.st_dev;
		marks[i].ino = st.st_ino;
		marks[i].size = st.st_size;
		marks[i].mtime.tv_sec = st.st_mtim.tv_sec;
		marks[i].mtime.tv_nsec = st.st_mtim.tv_nsec;
		marks[i].there = true;
	}
}

static void tell(struct pemwatch *watch)
{
	struct pem_texts texts;
	struct cert_set set;
	struct cert_facts facts;
	struct err err = { 0 };
	int rc = pem_texts_read(&watch->conf, &texts, &set, &err);
	if (rc == 0) {
		rc = cert_facts(set.cert, strlen(set.cert), &facts, &err);
		if (rc == 0) {
			pthread_mutex_lock(&watch->mutex);
			watch->until_ms = facts.until_ms;
			pthread_mutex_unlock(&watch->mutex);
			watch->conf.changed(watch->conf.context, &set, &facts, NULL);
		}
		pem_texts_release(&texts);
	}
	if (rc < 0)
		watch->conf.changed(watch->conf.context, NULL, NULL, &err);
}

/* True: it is to end. */
static bool pause_watch(struct pemwatch *watch, bool *ret_again)
{
	int interval_ms = watch->conf.interval_ms ? watch->conf.interval_ms : INTERVAL_MS;
	int64_t until = clock_mono_ms(clock_system()) + interval_ms;
	pthread_mutex_lock(&watch->mutex);
	while (!watch->ending && !watch->again &&
	       clock_wait(clock_system(), &watch->changed, &watch->mutex, until))
		;
	*ret_again = watch->again;
	watch->again = false;
	bool ending = watch->ending;
	pthread_mutex_unlock(&watch->mutex);
	return ending;
}

static void *run(void *context)
{
	struct pemwatch *watch = context;
	struct mark before[FILES], now[FILES];
	bool again = false;
	look(watch, before);
	tell(watch);
	while (!pause_watch(watch, &again)) {
		look(watch, now);
		if (!again && memcmp(before, now, sizeof now) == 0)
			continue;
		memcpy(before, now, sizeof now);
		tell(watch);
	}
	return NULL;
}

static int copy_paths(struct pemwatch *watch, const struct pemwatch_conf *conf, struct err *err)
{
	const char *const paths[FILES] = { conf->ca_file, conf->cert_file, conf->key_file };
	for (int i = 0; i < FILES; i++) {
		watch->paths[i] = paths[i] ? strdup(paths[i]) : NULL;
		if (paths[i] && !watch->paths[i])
			return err_set(err, E_NOMEM, "no memory to watch certificates");
	}
	watch->conf = *conf;
	watch->conf.ca_file = watch->paths[0];
	watch->conf.cert_file = watch->paths[1];
	watch->conf.key_file = watch->paths[2];
	return 0;
}

int pemwatch_new(const struct pemwatch_conf *conf, struct pemwatch **ret_watch, struct err *err)
{
	struct pemwatch *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory to watch certificates");
	pthread_mutex_init(&made->mutex, NULL);
	clock_cond_init(&made->changed);
	AUTO(pemwatch) *watch = made;
	TRY(copy_paths(watch, conf, err));
	int rc = pthread_create(&watch->thread, NULL, run, watch);
	if (rc)
		return err_errno(err, rc, "start a thread to watch certificates");
	watch->started = true;
	*ret_watch = MOVE(watch);
	return 0;
}

void pemwatch_again(struct pemwatch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	watch->again = true;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->mutex);
}

void pemwatch_log(const char *door, int code, const struct cert_facts *facts, const struct err *err)
{
	char until[TIME_TEXT_MAX];
	if (code < 0)
		log_warn(NULL, "certificate_not_taken", "door=%s code=%s reason=\"%s\"", door,
		         err_name(code), err->text);
	else
		log_info(NULL, "certificate_taken", "door=%s name=%s serial=%s until=%s", door,
		         facts->name, facts->serial, time_print_ms(facts->until_ms, until));
}

int64_t pemwatch_until_ms(struct pemwatch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	int64_t until_ms = watch->until_ms;
	pthread_mutex_unlock(&watch->mutex);
	return until_ms;
}

void pemwatch_free(struct pemwatch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->mutex);
	watch->ending = true;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->mutex);
	if (watch->started)
		pthread_join(watch->thread, NULL);
	for (int i = 0; i < FILES; i++)
		free(watch->paths[i]);
	pthread_cond_destroy(&watch->changed);
	pthread_mutex_destroy(&watch->mutex);
	free(watch);
}
