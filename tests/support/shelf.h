/* shelf.h - an online store with features on it, a meter, a cache of access grants, and control,
 * which a test plays by what it sets here. */
#ifndef SHELF_H
#define SHELF_H

#include "worker/access_cache.h"
#include "worker/meter.h"

/* 2001-02-01T00:00:00Z: when the shelf's clock begins. */
#define SHELF_MS INT64_C(980985600000)
enum { SHELF_GRANT_MS = 60000, SHELF_TTL_MS = 86400000 };

/* Every view is domain flights, join key airport, features departures int64, delay float64, name
 * string, late boolean; its uid is its name behind "uid-". */
struct shelf {
	char dir[40];
	struct clock *clock;         /* simulated */
	struct online *online;
	struct meter *meter;
	struct access_cache *cache;
	struct arena *arena;
	/* control */
	const char *tenant;          /* "acme" */
	atomic_int asked;
	int refuse;                  /* with this code; 0: grants */
	void (*during)(struct shelf *shelf);   /* while it decides; NULL: nothing */
	char seen[512];              /* "CREDENTIAL: VIEW VIEW" of the last question */
};
/* Aborts on failure, as all here. */
void shelf_open(struct shelf *shelf);
void shelf_close(struct shelf *shelf);
/* values: a JSON list with ' for ". */
void shelf_put(struct shelf *shelf, const char *view, const char *entity, int64_t event_us,
               const char *values);
/* A want with its key; features: JSON with ' for ". */
struct access_want shelf_want(struct shelf *shelf, const char *credential, const char *features,
                              bool full_names);
/* JSON with ' for ", in the shelf's arena. */
const char *shelf_json(struct shelf *shelf, const char *json);

#endif
