/* access_grant.h - what one caller may read online, decided once and signed for a minute: by the
 * rules of api/grant.h, whose signature label is another one. */
#ifndef ACCESS_GRANT_H
#define ACCESS_GRANT_H

#include "api/grant.h"

struct access_feature {
	const char *name;
	const char *type;
	enum mask mask;              /* MASK_NONE: as it is */
	bool hidden;                 /* to the reader it does not exist; to the filter it does */
};
struct access_view {
	const char *tenant;          /* whose, if another tenant shares it; NULL: the grant's */
	const char *account;         /* domain that pays for reading it; NULL: its own */
	const char *domain, *name, *uid;
	const char *join_key;        /* entity column */
	const char *key_type;        /* "string" or "int64" */
	int64_t ttl_ms;              /* 0: none */
	uint32_t key_version;
	uint8_t key[KEY_BYTES];
	const struct access_feature *features;
	size_t feature_count;
	const struct value *filter;  /* over join key and features, originals; NULL: every row */
};
struct access_grant {
	const char *id;
	const char *worker;
	const char *tenant;
	const char *principal;
	const struct access_view *views;
	size_t view_count;
	int64_t expires_ms;
};
MUST_USE int access_sign(const struct grant_signer *signer, const struct access_grant *grant,
                         const uint8_t worker_box[BOX_PUBLIC_BYTES], struct buf *out,
                         struct err *err);
MUST_USE int access_open(const struct grant_opener *opener, int64_t now_ms, struct arena *arena,
                         const void *data, size_t len, struct access_grant **ret_grant,
                         struct err *err);
void access_wipe(struct access_grant *grant);

#endif
