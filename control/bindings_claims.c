/* bindings_claims.c - what a principal, group, RoleBinding or domain says about who has which role
 * where: its claims, each about one subject. */
#include "common/defs.h"
#include "control/bindings_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct arena *arena;
	const char *tenant;
	struct claims *claims;
	bool failed;
};

static void claim(struct reading *reading, enum claim_kind kind, const char *subject,
                  const char *name, const char *domain)
{
	struct claims *claims = reading->claims;
	if (reading->failed || !subject || !name || claims->count == claims->cap)
		return;
	struct claim *item = &claims->items[claims->count++];
	*item = (struct claim){
		.kind = kind,
		.subject = arena_printf(reading->arena, "%s/%s", reading->tenant, subject),
		.name = arena_strdup(reading->arena, name),
		.domain = domain ? arena_strdup(reading->arena, domain) : NULL,
	};
	if (!item->subject || !item->name || (domain && !item->domain))
		reading->failed = true;
}

/* The last claims, but the first `from`, are only for one resource. */
static void narrow_to(struct reading *reading, size_t from, const struct value *resource)
{
	const char *kind = value_get_str(resource, "kind"), *name = value_get_str(resource, "name");
	for (size_t i = from; resource && i < reading->claims->count; i++) {
		struct claim *item = &reading->claims->items[i];
		item->at_kind = arena_strdup(reading->arena, kind ? kind : "");
		item->at_name = arena_strdup(reading->arena, name ? name : "");
		if (!item->at_kind || !item->at_name)
			reading->failed = true;
	}
}

static void claim_all(struct reading *reading, const struct value *subjects, enum claim_kind kind,
                      const char *name, const char *domain)
{
	for (size_t i = 0; i < value_len(subjects); i++)
		claim(reading, kind, value_as_str(value_at(subjects, i)), name, domain);
}

static void read_principal(struct reading *reading, const char *name, const struct value *spec)
{
	const struct value *roles = value_get(spec, "roles");
	const char *domain = value_get_str(spec, "domain");
	for (size_t i = 0; i < value_len(roles); i++)
		claim(reading, CLAIM_ROLE, name, value_as_str(value_at(roles, i)), domain);
	for (size_t i = 0; i < reading->claims->count; i++)
		reading->claims->items[i].own = true;
	if (!value_get_bool(spec, "disabled", false))
		claim(reading, CLAIM_IS, name, name, NULL);
}

static void read_group(struct reading *reading, const char *name, const struct value *spec)
{
	char subject[SUBJECT_MAX];
	const struct value *roles = value_get(spec, "roles");
	snprintf(subject, sizeof subject, GROUP_SUBJECT "%s", name);
	claim_all(reading, value_get(spec, "members"), CLAIM_MEMBER, name, NULL);
	for (size_t i = 0; i < value_len(roles); i++)
		claim(reading, CLAIM_ROLE, subject, value_get_str(value_at(roles, i), "role"),
		      value_get_str(value_at(roles, i), "domain"));
}

bool source_split(const char *key, enum kind *ret_kind, char tenant[NAME_MAX_LEN + 1],
                  const char **ret_name)
{
	static const enum kind kinds[] = {KIND_PRINCIPAL, KIND_GROUP, KIND_ROLEBINDING,
	                                  KIND_DOMAIN};
	for (size_t i = 0; i < ARRAY_LEN(kinds) && strncmp(key, "r/", 2) == 0; i++) {
		const char *kind = kind_info[kinds[i]].name;
		size_t len = strlen(kind);
		if (strncmp(key + 2, kind, len) != 0 || key[2 + len] != '/')
			continue;
		const char *rest = key + 2 + len + 1;
		size_t tenant_len = strcspn(rest, "/");
		if (!rest[tenant_len] || tenant_len > NAME_MAX_LEN)
			return false;
		snprintf(tenant, NAME_MAX_LEN + 1, "%.*s", (int)tenant_len, rest);
		*ret_name = rest + tenant_len + 1;
		*ret_kind = kinds[i];
		return true;
	}
	return false;
}

static size_t claims_most(const struct value *spec)
{
	return value_len(value_get(spec, "roles")) + value_len(value_get(spec, "members")) +
	       value_len(value_get(spec, "subjects")) + value_len(value_get(spec, "owners")) + 1;
}

int claims_read(struct arena *arena, const char *key, const struct value *value,
                struct claims *ret_claims, struct err *err)
{
	char tenant[NAME_MAX_LEN + 1];
	enum kind kind = KIND_NONE;
	const char *name = NULL;
	const struct value *spec = value_get(value, "spec");
	struct claims claims = {.cap = claims_most(spec)};
	struct reading reading = {arena, tenant, &claims, false};
	claims.items = arena_alloc(arena, claims.cap * sizeof *claims.items);
	if (!claims.items)
		return err_set(err, E_NOMEM, "no memory for what a resource grants");
	if (value && source_split(key, &kind, tenant, &name)) {
		if (kind == KIND_PRINCIPAL)
			read_principal(&reading, name, spec);
		if (kind == KIND_GROUP)
			read_group(&reading, name, spec);
		if (kind == KIND_ROLEBINDING) {
			claim_all(&reading, value_get(spec, "subjects"), CLAIM_ROLE,
			          value_get_str(spec, "role"), value_get_str(spec, "domain"));
			narrow_to(&reading, 0, value_get(spec, "resource"));
		}
		if (kind == KIND_DOMAIN)
			claim_all(&reading, value_get(spec, "owners"), CLAIM_ROLE, "domain-owner",
			          name);
	}
	*ret_claims = claims;
	return reading.failed ? err_set(err, E_NOMEM, "no memory for what a resource grants") : 0;
}

/* --- to be kept --- */

static size_t text_len(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *text_move(char **at, const char *text)
{
	char *to = *at;
	if (!text)
		return NULL;
	memcpy(to, text, strlen(text) + 1);
	*at += strlen(text) + 1;
	return to;
}

bool claims_copy(const struct claims *from, struct claims *ret_claims)
{
	size_t len = from->count * sizeof *from->items;
	for (size_t i = 0; i < from->count; i++)
		len += text_len(from->items[i].subject) + text_len(from->items[i].name) +
		       text_len(from->items[i].domain) + text_len(from->items[i].at_kind) +
		       text_len(from->items[i].at_name);
	struct claim *items = malloc(len ? len : 1);
	if (!items)
		return false;
	char *at = (char *)(items + from->count);
	for (size_t i = 0; i < from->count; i++) {
		items[i] = from->items[i];
		items[i].subject = text_move(&at, from->items[i].subject);
		items[i].name = text_move(&at, from->items[i].name);
		items[i].domain = text_move(&at, from->items[i].domain);
		items[i].at_kind = text_move(&at, from->items[i].at_kind);
		items[i].at_name = text_move(&at, from->items[i].at_name);
	}
	*ret_claims = (struct claims){items, from->count, from->count};
	return true;
}
