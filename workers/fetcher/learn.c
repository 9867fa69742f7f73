/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/work.h"

void learn_reset(struct fetcher *f)
{
	size_t at = 0;
	void *v;

	known_reset(&f->known);
	while (table_next(&f->cursors, &at, NULL, &v))
		mem_free(v);
	table_reset(&f->cursors);
}

/* A name whose hash is lost still says what it was, for all ids without such a part. */
static bool guess(const char *name, enum kind *k, char **ref)
{
	static const enum kind children[] = { KIND_SUBSCRIPTION, KIND_API_KEY };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(children); i++) {
		char *mid = mem_printf(":%s:", kind_name(children[i]));
		const char *at = strstr(name, mid);

		mem_free(mid);
		if (at != NULL && str_starts(name, "API:") && at > name + 4) {
			*k = children[i];
			*ref = mem_dup(name + 4, (size_t)(at - name) - 4);
			return true;
		}
	}
	*ref = NULL;
	return strchr(name, ':') != NULL && kind_parse(name, (size_t)(strchr(name, ':') - name), k);
}

/* What stands under it, or stood there until a refill began. */
static void learn(struct fetcher *f, struct known_entry *e, const struct end_name *one)
{
	if (one->hash.b[0] == ACTION_UNDEPLOY)
		known_withdraw(&f->known, e, one->version);
	else
		known_set(&f->known, e, &one->hash, one->version);
	if (f->learn_old)
		e->behind = true;
	else
		known_learn(&f->known, e, &one->hash, one->revision);
	e->repair = one->hash.b[0] == 0;
	e->updated_ms = one->updated_ms;
}

static void learn_entry(struct fetcher *f, const struct end_name *one)
{
	const char *ref = NULL;
	char *ref_copy = NULL;
	enum kind k = KIND_API;
	size_t n = 0;
	bool whole = kind_parse(one->kind, strlen(one->kind), &k) &&
		     event_name_ref(one->name, k, one->id, &ref, &n, NULL) == 0;

	if (whole && ref != NULL)
		ref_copy = mem_dup(ref, n);
	if (whole || guess(one->name, &k, &ref_copy))
		learn(f, known_put(&f->known, one->name, k, ref_copy), one);
	else if (!f->learn_old) /* of a kind we do not know: it counts */
		digest_add(&f->known.sums, &one->hash);
	mem_free(ref_copy);
}

void learn_refused(void *arg, const struct err *why)
{
	struct fetcher *f = arg;

	f->error = *why;
	log_error(EV("load_failed"), KV("err", why->text));
	worker_report(f->w);
	f->end->ops->fail(f->end, why);
}

/* Two of one revision, or one above the head's: what is written next could not be told apart. */
static void check_score(struct fetcher *f, const struct end_name *one)
{
	bool again = one->revision <= f->learn_after;
	bool above = one->revision > f->known.revision && one->hash.b[0] != 0;

	if (f->learn_old || f->refill || (!again && !above))
		return;
	log_warn(EV("refill"), KV("why", "the log is damaged"), KV("key", one->name));
	f->refill = true;
}

bool learn_names(struct fetcher *f, const struct end_name *v, size_t n, bool last)
{
	size_t i;

	if (f->state != FETCH_LOADING)
		return false; /* learn_begin() comes again with the connection */
	for (i = 0; i < n; i++) {
		check_score(f, &v[i]);
		f->learn_after = v[i].revision;
		if (v[i].name[0] == '\0' ||
		    (f->learn_old && known_get(&f->known, v[i].name) != NULL))
			continue; /* an unfinished refill has it already */
		learn_entry(f, &v[i]);
	}
	if (last && (f->learn_old || !f->refill)) {
		if (f->adopt)
			f->end->ops->ask_found(f->end, "0");
		return !f->adopt;
	}
	if (last) {
		f->learn_old = true; /* what an unfinished refill set aside */
		f->learn_after = 0;
	}
	f->end->ops->ask_names(f->end, f->learn_old, f->learn_after);
	return false;
}

/* What others wrote is known by its content from now on, and so is what they withdrew of ours. */
static void adopt_one(struct fetcher *f, const struct end_found *one)
{
	struct known_entry *e = known_get(&f->known, one->name);
	enum action action = ACTION_DEPLOY;
	const char *ref = NULL;
	struct hash h;
	enum kind k = KIND_API;
	size_t n = 0;
	bool live;

	if (!kind_parse(one->kind, strlen(one->kind), &k) || one->id[0] == '\0' ||
	    !action_parse(one->action, strlen(one->action), &action) ||
	    event_name_ref(one->name, k, one->id, &ref, &n, NULL) < 0)
		return; /* no event of ours, whatever it is */
	live = action == ACTION_DEPLOY;
	if (live ? one->payload_len == 0 : e == NULL)
		return;
	hash_event(&h, (char)action, one->name, one->payload, live ? one->payload_len : 0);
	if (e != NULL && hash_equal(&one->hash, &h))
		return;
	if (e == NULL) {
		char *copy = ref == NULL ? NULL : mem_dup(ref, n);

		e = known_put(&f->known, one->name, k, copy);
		mem_free(copy);
	}
	if (live)
		known_set(&f->known, e, &h, "");
	else
		known_withdraw(&f->known, e, "");
	e->behind = true;
	e->bare = true;
	f->adopted++;
}

bool learn_found(struct fetcher *f, const struct end_found *v, size_t n, const char *cursor)
{
	size_t i;

	if (f->state != FETCH_LOADING)
		return false;
	for (i = 0; i < n; i++)
		adopt_one(f, &v[i]);
	if (!str_equal(cursor, "0")) {
		f->end->ops->ask_found(f->end, cursor);
		return false;
	}
	if (f->adopted > 0)
		log_note(EV("adopted"), KV("events", f->adopted));
	return true;
}

void learn_state(void *arg, const struct end_state *s)
{
	struct fetcher *f = arg;
	size_t i;

	if (f->state != FETCH_HEAD)
		return;
	learn_reset(f);
	for (i = 0; i < s->n_cursors; i++)
		mem_free(table_set(&f->cursors, s->cursor_fields[i],
				   mem_strdup(s->cursor_values[i])));
	str_copy(f->known.lineage, sizeof(f->known.lineage), s->lineage);
	f->known.revision = s->revision;
	f->known.horizon = s->horizon;
	f->polls = s->polls;
	f->lag_said = s->lag_ms;
	f->removals.empty = s->empty;
	removals_zone(f, s->lineage,
		      s->accepted != NULL ? s->accepted : table_get(&f->cursors, "accepted"));
	f->refill = f->want_refill || s->lineage[0] == '\0' || !s->complete || s->java ||
		    !str_equal(s->mapping, f->mapping);
	f->adopt = (s->lineage[0] == '\0' || s->java || !s->complete) &&
		   f->end->ops->ask_found != NULL;
	f->adopted = 0;
	f->has_said = s->sums != NULL;
	if (f->has_said)
		f->said = *s->sums;
	if (f->refill)
		log_warn(EV("refill"),
			 KV("why", f->want_refill	   ? "the zone is damaged"
				   : s->lineage[0] == '\0' ? "the zone is empty"
				   : s->java		   ? "a Java primary wrote the zone"
				   : !s->complete
					   ? "a refill was not finished"
					   : "the zone was made with another configuration"));
	f->state = FETCH_LOADING;
	f->learn_after = 0;
	f->learn_old = false;
	f->end->ops->ask_names(f->end, false, 0);
}

/* Not more than one in an hour: what it cannot mend it need not try at once again. */
static bool may_refill(struct fetcher *f)
{
	int64_t now = clock_boot_ms();

	if (f->refilled_ms != 0 && now - f->refilled_ms < FETCHER_REFILL_MS)
		return false;
	f->refilled_ms = now;
	return true;
}

/* There is no refill: what the zone says its sums are was counted, and may be wrong by what
   was lost there. */
void learn_check_sums(struct fetcher *f)
{
	bool doubted = f->doubted;

	f->doubted = false;
	if (f->has_said && !digest_equal(&f->known.sums, &f->said)) {
		log_warn(EV("sums_corrected"), KV("count", f->known.sums.count),
			 KV("was", f->said.count));
		f->corrects = true;
	} else if (doubted && may_refill(f)) {
		f->want_refill = true;
		f->reload = true;
	}
}

void learn_begin(struct fetcher *f)
{
	f->state = FETCH_HEAD;
	worker_report(f->w);
	f->end->ops->ask_state(f->end);
}
