/* access_query.c - see access_query.h.
 * Invariants: no grant leaves before its audit event is durable; opened keys are wiped whatever
 * happens; a refusal says the same for what is hidden and for what does not exist. */
#include "common/defs.h"
#include "control/access_query.h"

#include "common/log.h"
#include "common/text.h"
#include "control/access.h"
#include "control/admit.h"
#include "control/audit.h"
#include "control/home.h"
#include "control/identity.h"
#include "control/may.h"
#include "control/plan.h"
#include "control/sharing.h"
#include "control/tenancy.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
	DOMAINS_MOST = 500, NAMES_MAX = 16 * 1024, DEADLINE_MS = 600 * 1000, CPU_MS = 600 * 1000,
	RESOURCE_MAX = 1024
};

/* A dataset that the SQL names. */
struct named {
	const char *ref;             /* as it does */
	const char *reader;          /* the domain where the name holds */
	char domain[64], name[64];
	bool sure;                   /* it may be known that it exists */
	bool offered;                /* by its domain, to the caller's own */
};

struct query {
	struct control *control;
	struct part *part;           /* the asker's */
	struct arena *arena;
	const struct access_ask *ask;
	const struct access_query *wanted;
	struct asker asker;
	int64_t now_ms;
	const char *own;             /* where bare names are looked up; NULL: nowhere */
	const char *account;         /* the domain that pays */
	struct decision decision;    /* that allowed the first dataset's rows to be asked for */
	struct named named[GRANT_TABLES_MAX];
	size_t count;
	struct buf names;            /* the plan's: "READER/DOMAIN.NAME ..." */
};

static int hidden(const char *ref, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "there is no dataset \"%.140s\" that you may read; write "
	               "DOMAIN.DATASET, or DATASET in your own domain", ref);
}

/* --- who may --- */

/* name NULL: whichever. */
static struct decision may(const struct query *query, enum action action, const char *domain,
                           const char *name)
{
	struct value *stored = NULL;
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DATASET, query->asker.tenant, domain, name ? name : "");
	if (!name || catalog_get(query->control->catalog, query->arena, key, &stored, NULL,
	                         NULL) < 0)
		stored = NULL;
	struct policies_ask ask = {
		.asker = &query->asker, .action = action,
		.target = { .tenant = query->asker.tenant, .domain = domain },
		.kind = name ? kind_info[KIND_DATASET].kind : NULL, .name = name,
		.resource = stored, .now_ms = query->now_ms, .address = query->ask->address,
		.purpose = query->ask->purpose,
	};
	return may_decide(query->control, query->arena, &ask, name ? KIND_DATASET : KIND_NONE);
}

/* By an offer of its domain to the caller's. */
static bool is_offered(const struct query *query, const char *domain, const char *name)
{
	const struct reader reader = { query->asker.tenant, query->own };
	return query->own && strcmp(query->own, domain) != 0 &&
		sharing_offers(query->control, query->arena, &reader, KIND_DATASET, domain,
		               name) &&
		may(query, ACTION_DATASET_QUERY, query->own, NULL).allowed;
}

static int not_allowed(const struct query *query, const char *domain, bool audit, struct err *err)
{
	return err_set(err, E_DENIED,
	               "%s/%s may not %s in the domain %s; the role %s permits it",
	               query->asker.tenant, query->asker.principal,
	               audit ? "audit:read" : "dataset:query", domain,
	               audit ? "auditor" : "consumer");
}

/* Whether its rows may be asked for at all; which of them, the plan says (control/inputs.h). */
static int authorize(struct query *query, struct named *named, bool alias, struct err *err)
{
	const char *name = alias ? NULL : named->name;
	bool audit = !alias && home_is_audit(named->domain, named->name);
	struct decision rows = may(query, audit ? ACTION_AUDIT_READ : ACTION_DATASET_QUERY,
	                           named->reader, name);
	named->sure = may(query, ACTION_DATASET_READ, named->reader, name).allowed;
	named->offered = !alias && (!named->sure || !rows.allowed) &&
		is_offered(query, named->domain, named->name);
	if (query->count == 0)
		query->decision = rows;
	if (named->offered)
		named->reader = query->own;
	if (rows.allowed || named->offered)
		return 0;
	if (!named->sure)
		return hidden(named->ref, err);
	return not_allowed(query, named->reader, audit, err);
}

/* --- which dataset --- */

struct search { const struct query *query; const char *alias; char domain[64]; };

static int look_for_alias(void *context, const char *key, const struct value *domain,
                          int64_t revision, struct err *err)
{
	struct search *search = context;
	const char *name = strrchr(key, '/') + 1;
	const struct reader reader = { search->query->asker.tenant, name };
	(void)domain, (void)revision, (void)err;
	if (!search->domain[0] &&
	    sharing_is_alias(search->query->control, &reader, search->alias) &&
	    may(search->query, ACTION_DATASET_QUERY, name, NULL).allowed)
		snprintf(search->domain, sizeof search->domain, "%s", name);
	return 0;
}

static bool has_domain(const struct query *query, const char *domain)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DOMAIN, query->asker.tenant, NULL, domain);
	return catalog_has(query->control->catalog, key);
}

/* Where the rights to read it count: in the domain itself, or in that which accepted it. */
static int find_reader(const struct query *query, const char *domain, char reader[64],
                       struct err *err)
{
	char prefix[STORE_KEY_MAX];
	const struct reader own = { query->asker.tenant, query->own };
	struct search search = { .query = query, .alias = domain };
	bool more = false;
	snprintf(reader, 64, "%s", domain);
	if (has_domain(query, domain))
		return 0;
	if (query->own && sharing_is_alias(query->control, &own, domain)) {
		snprintf(reader, 64, "%s", query->own);
		return 0;
	}
	snprintf(prefix, sizeof prefix, "r/domain/%s/", query->asker.tenant);
	TRY(catalog_list(query->control->catalog, query->arena, prefix, NULL, DOMAINS_MOST,
	                 look_for_alias, &search, &more, err));
	if (search.domain[0])
		snprintf(reader, 64, "%s", search.domain);
	return 0;
}

static int split(const struct query *query, const char *ref, char domain[64], char name[64],
                 struct err *err)
{
	if (!query->own && !strchr(ref, '.'))
		return err_set(err, E_INVALID, "sql: \"%.64s\" is of which domain? write "
		               "DOMAIN.DATASET, or send \"domain\"", ref);
	if (catalog_ref(ref, query->own, domain, name, NULL) < 0)
		return hidden(ref, err);
	return 0;
}

static int exists(const struct query *query, const struct named *named, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct shared shared;
	const struct reader who = { query->asker.tenant, named->reader };
	int code = sharing_resolve(query->control, query->arena, &who, KIND_DATASET, named->domain,
	                           named->name, &shared, err);
	if (code == E_INPUT)
		return hidden(named->ref, err);
	TRY(code);
	catalog_key(key, KIND_DATASET, shared.tenant, shared.domain, shared.name);
	return catalog_has(query->control->catalog, key) ? 0 : hidden(named->ref, err);
}

/* "flights" and "sales.flights" may be one. */
static bool is_named(const struct query *query, const struct named *named)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->named[i].domain, named->domain) == 0 &&
		    strcmp(query->named[i].name, named->name) == 0)
			return true;
	return false;
}

static int add(struct query *query, const char *ref, struct err *err)
{
	char reader[64];
	struct named *named = &query->named[query->count];
	*named = (struct named){ .ref = ref };
	TRY(split(query, ref, named->domain, named->name, err));
	if (is_named(query, named))
		return 0;
	TRY(find_reader(query, named->domain, reader, err));
	named->reader = arena_strdup(query->arena, reader);
	if (!named->reader)
		return err_set(err, E_NOMEM, "no memory for a query");
	/* Of another tenant's nothing is in the catalog under the alias: rights in the domain that
	 * accepted it are what counts. */
	TRY(authorize(query, named, strcmp(reader, named->domain) != 0, err));
	TRY(exists(query, named, err));
	buf_printf(&query->names, "%s%s/%s.%s", query->count ? " " : "", named->reader,
	           named->domain, named->name);
	query->account = query->account ? query->account : named->reader;
	query->count++;
	return 0;
}

/* --- the grant --- */

static int choose_domain(struct query *query, struct err *err)
{
	const char *asked = query->wanted->domain, *home = query->asker.domain;
	query->own = asked ? asked : home;
	query->account = home ? home : asked;
	if (!asked || (home && strcmp(asked, home) == 0))
		return 0;
	if (!has_domain(query, asked) || !may(query, ACTION_DOMAIN_READ, asked, NULL).allowed)
		return err_set(err, E_NOT_FOUND, "domain: there is no domain \"%.64s\" that you "
		               "may read", asked);
	return 0;
}

static int check_nothing_named(struct query *query, struct err *err)
{
	if (!query->account)
		return err_set(err, E_INVALID, "the SQL names no dataset; send \"domain\": it is "
		               "the one that pays");
	struct decision rows = may(query, ACTION_DATASET_QUERY, query->account, NULL);
	query->decision = rows;
	return rows.allowed ? 0 : not_allowed(query, query->account, false, err);
}

static int decide(struct query *query, struct err *err)
{
	const struct access_query *wanted = query->wanted;
	if (wanted->table_count > GRANT_TABLES_MAX)
		return err_set(err, E_INVALID, "a query reads at most %d datasets, not %zu",
		               GRANT_TABLES_MAX, wanted->table_count);
	TRY(tenancy_needs(query->control, query->asker.tenant, TENANCY_RUN, err));
	TRY(choose_domain(query, err));
	for (size_t i = 0; i < wanted->table_count; i++)
		TRY(add(query, wanted->tables[i], err));
	TRY(buf_check(&query->names, err));
	return wanted->table_count ? 0 : check_nothing_named(query, err);
}

static int check_quota(const struct query *query, const struct grant *grant, struct err *err)
{
	struct amounts amounts = { .v = { 0 } };
	amounts.v[DIM_QUERIES] = amounts.v[DIM_CPU_MS] = amounts.v[DIM_BYTES_READ] = 1;
	for (size_t i = 0; i < grant->input_count; i++)
		for (size_t f = 0; f < grant->inputs[i].file_count; f++)
			amounts.v[DIM_BYTES_READ] += grant->inputs[i].files[f].bytes;
	return shard_check(query->part->shard, query->asker.tenant, query->account, &amounts, err);
}

static int make_plan(struct query *query, const char *worker, struct grant **ret_grant,
                     struct plan_reads *ret_reads, struct err *err)
{
	struct value *spec = value_map(query->arena);
	struct work work = {
		.id = query->wanted->id, .tenant = query->asker.tenant,
		.domain = query->own ? query->own : query->account,
		.principal = query->asker.principal, .type = TASK_QUERY, .spec = spec,
		.asker = &query->asker, .purpose = query->ask->purpose,
		.attempt = 1, .token = { atomic_load(&query->part->led), 1 },
	};
	limits_default(&work.limits);
	work.limits.deadline_ms = DEADLINE_MS;
	work.limits.cpu_ms = CPU_MS;
	value_set_str(spec, "datasets", query->names.len ? (char *)query->names.data : "");
	value_set_str(spec, "sha256", query->wanted->sha256);
	value_set_str(spec, "account", query->account);
	TRY(value_check(spec, err));
	return plan_grant_reads(query->control, query->arena, &work, worker, ret_grant, ret_reads,
	                        err);
}

/* --- audit and signature --- */

/* What was refused is named as it was written, in the domain where it would lie. */
static void put_refused(const struct query *query, const char *ref, struct buf *text)
{
	bool bare = query->own && !strchr(ref, '.');
	buf_printf(text, "%sdatasets/%s%s%.130s", text->len ? " " : "", bare ? query->own : "",
	           bare ? "." : "", ref);
}

static const char *tables_text(const struct query *query, bool refused)
{
	AUTO_BUF text;
	buf_init(&text, RESOURCE_MAX);
	for (size_t i = 0; i < query->count; i++)
		buf_printf(&text, "%sdatasets/%s.%s", i ? " " : "", query->named[i].domain,
		           query->named[i].name);
	for (size_t i = query->count; refused && i < query->wanted->table_count; i++)
		put_refused(query, query->wanted->tables[i], &text);
	(void)!buf_check(&text, NULL);     /* an event names what fits */
	return text.data ? arena_strndup(query->arena, (char *)text.data, text.len) : "datasets";
}

/* Not the text: it may hold values. */
static const struct value *detail_of(const struct query *query)
{
	struct value *detail = value_map(query->arena);
	value_set_str(detail, "sqlSha256", query->wanted->sha256);
	value_set_str(detail, "account", query->account);
	return value_check(detail, NULL) == 0 ? detail : NULL;
}

static int audit(const struct query *query, const struct plan_reads *reads, int code,
                 struct err *err)
{
	char actor[ACTOR_TEXT_MAX];
	snprintf(actor, sizeof actor, "%s/%s", query->asker.tenant, query->asker.principal);
	const struct audit_event event = {
		.tenant = query->asker.tenant,
		.actor = actor,
		.credential = query->asker.credential,
		.action = action_name(ACTION_DATASET_QUERY),
		.verb = VERB_QUERY_DATA,
		.operation = "query",
		.resource = tables_text(query, code != 0),
		.policies = query->decision.policies,
		.policy_count = query->decision.policy_count,
		.digest = query->decision.digest,
		.purpose = query->ask->purpose,
		.address = query->ask->address,
		.detail = detail_of(query),
		.result = !code                                   ? "allowed"
		          : code == E_QUOTA || code == E_CONFLICT ? "refused"
		                                                  : "denied",
		.rule = code ? NULL : query->decision.rule,
		.code = code ? err_name(code) : NULL,
		.request = query->wanted->id,
		.at_ms = query->now_ms,
	};
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	TRY(audit_add(change, &event, err));
	for (size_t i = 0; reads && i < reads->count; i++)
		TRY(sharing_audit_read(query->control, query->part, change, &reads->items[i], err));
	return journal_commit(query->part->journal, change, err);
}

static void audit_refusal(const struct query *query, int code)
{
	struct err err = { 0 };
	if (code != E_NOT_FOUND && code != E_DENIED && code != E_QUOTA && code != E_CONFLICT)
		return;
	const struct log_context context = { .tenant = query->asker.tenant };
	if (audit(query, NULL, code, &err) < 0)
		log_warn(&context, "refusal_not_audited", "action=dataset:query reason=\"%s\"",
		         err.text);
}

/* A grant does not outlive the credential that it was asked with. */
static int64_t grant_ends(const struct query *query)
{
	int64_t most = query->now_ms + QUERY_GRANT_MS, ends = query->asker.expires_ms;
	return ends != 0 && ends < most ? ends : most;
}

static int finish(struct query *query, struct grant *grant, const struct plan_reads *reads,
                  struct buf *ret_grant, struct err *err)
{
	TRY(check_quota(query, grant, err));
	TRY(audit(query, reads, 0, err));
	grant->expires_ms = grant_ends(query);
	return grant_sign(query->control->signer, grant, query->ask->box_public, ret_grant, err);
}

/* Why there is nothing to read is told to who may know that it exists. */
static int veiled(const struct query *query, int code, struct err *err)
{
	bool tells = code == E_INPUT || code == E_NOT_FOUND || code == E_DENIED;
	for (size_t i = 0; i < query->count && tells; i++)
		if (!query->named[i].sure && !query->named[i].offered)
			return hidden(query->named[i].ref, err);
	return code;
}

static int answer(struct query *query, const char *worker, struct buf *ret_grant, struct err *err)
{
	struct grant *grant = NULL;
	struct plan_reads reads = { 0 };
	TRY(decide(query, err));
	int code = make_plan(query, worker, &grant, &reads, err);
	if (code < 0)
		return veiled(query, code, err);
	code = finish(query, grant, &reads, ret_grant, err);
	grant_wipe(grant);
	return code;
}

int access_query(struct control *control, struct arena *arena, const struct access_ask *ask,
                 const char *worker, struct buf *ret_grant, struct err *err)
{
	struct query *query = arena_alloc(arena, sizeof *query);
	if (!query)
		return err_set(err, E_NOMEM, "no memory for a query");
	*query = (struct query){
		.control = control, .arena = arena, .ask = ask, .wanted = ask->query,
		.now_ms = clock_unix_ms(control->clock),
	};
	TRY(access_identify(control, arena, ask, &query->asker, &query->part, err));
	buf_init(&query->names, NAMES_MAX);
	int code = answer(query, worker, ret_grant, err);
	if (code < 0)
		audit_refusal(query, code);
	buf_release(&query->names);
	return code;
}
