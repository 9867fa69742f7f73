/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/work.h"

void learn_want(struct fetcher *f, enum relearn why)
{
	f->learn.wanted = MAX(f->learn.wanted, why);
}

bool learn_is_wanted(const struct fetcher *f)
{
	return f->learn.wanted != RELEARN_NO;
}

/* The zone is learned anew, its sums are put right, or else it is refilled. Not again at once:
   the name stays among the suspects until one of them has mended it. */
void learn_doubt(struct fetcher *f)
{
	int64_t now = clock_boot_ms();

	if (f->learn.doubted_ms != 0 && now - f->learn.doubted_ms < LEARN_DOUBT_MS)
		return;
	log_warn(EV("repair"), KV("key", "*"));
	f->learn.doubted_ms = now;
	learn_want(f, RELEARN_DOUBT);
}

void learn_reset(struct fetcher *f)
{
	known_reset(&f->known);
	f->learn.wanted = RELEARN_NO; /* a follower names the damage again */
	f->learn.why = RELEARN_NO;
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
	if (f->state == FETCH_OLD_NAMES)
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
	else if (f->state == FETCH_NAMES) /* of a kind we do not know: it counts */
		digest_add(&f->known.sums, &one->hash);
	mem_free(ref_copy);
}

/* Two of one revision, or one above the head's: what is written next could not be told apart. */
static void check_score(struct fetcher *f, const struct end_name *one)
{
	bool again = one->revision <= f->learn.after;
	bool above = one->revision > f->known.revision && one->hash.b[0] != 0;

	if (f->state == FETCH_OLD_NAMES || f->refill != REFILL_NONE || (!again && !above))
		return;
	log_warn(EV("refill"), KV("why", "the log is damaged"), KV("key", one->name));
	f->refill = REFILL_READING;
}

/* After the last name of a log. True: all is known. */
static bool go_on(struct fetcher *f)
{
	if (f->state == FETCH_NAMES && f->refill != REFILL_NONE) {
		f->state = FETCH_OLD_NAMES;
		f->learn.after = 0;
		f->end->ops->ask_names(f->end, true, 0);
		return false;
	}
	if (!f->learn.adopt)
		return true;
	f->state = FETCH_KEYS;
	f->end->ops->ask_found(f->end, "0");
	return false;
}

bool learn_names(struct fetcher *f, const struct end_name *v, size_t n, bool last)
{
	bool old = f->state == FETCH_OLD_NAMES;
	size_t i;

	if (!old && f->state != FETCH_NAMES)
		return false; /* learn_begin() comes again with the connection */
	for (i = 0; i < n; i++) {
		check_score(f, &v[i]);
		f->learn.after = v[i].revision;
		if (v[i].name[0] == '\0' || (old && known_get(&f->known, v[i].name) != NULL))
			continue; /* an unfinished refill has it already */
		learn_entry(f, &v[i]);
	}
	if (last)
		return go_on(f);
	f->end->ops->ask_names(f->end, old, f->learn.after);
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
	f->learn.adopted++;
}

bool learn_found(struct fetcher *f, const struct end_found *v, size_t n, const char *cursor)
{
	size_t i;

	if (f->state != FETCH_KEYS)
		return false;
	for (i = 0; i < n; i++)
		adopt_one(f, &v[i]);
	if (!str_equal(cursor, "0")) {
		f->end->ops->ask_found(f->end, cursor);
		return false;
	}
	if (f->learn.adopted > 0)
		log_note(EV("adopted"), KV("events", f->learn.adopted));
	return true;
}

/* Why it is written anew; NULL: it is not. */
static const char *why_refill(const struct fetcher *f, const struct end_state *s)
{
	if (f->learn.why == RELEARN_REFILL)
		return "the zone is damaged";
	if (s->lineage[0] == '\0')
		return "the zone is empty";
	if (s->java)
		return "a Java primary wrote the zone";
	if (!s->complete)
		return "a refill was not finished";
	return str_equal(s->mapping, f->mapping) ? NULL
						 : "the zone was made with another configuration";
}

bool learn_state(struct fetcher *f, const struct end_state *s)
{
	struct known *k = &f->known;
	const char *why = why_refill(f, s);
	size_t i;

	if (f->state != FETCH_HEAD)
		return false;
	known_reset(k);
	for (i = 0; i < s->n_cursors; i++)
		mem_free(table_set(&k->cursors, s->cursor_fields[i],
				   mem_strdup(s->cursor_values[i])));
	str_copy(k->lineage, sizeof(k->lineage), s->lineage);
	k->revision = s->revision;
	k->horizon = s->horizon;
	k->polls = s->polls;
	k->lag_ms = s->lag_ms;
	f->learn.adopt = (s->lineage[0] == '\0' || s->java || !s->complete) &&
			 f->end->ops->ask_found != NULL;
	f->learn.adopted = 0;
	f->learn.has_said = s->sums != NULL;
	if (f->learn.has_said)
		f->learn.said = *s->sums;
	f->refill = why == NULL ? REFILL_NONE : REFILL_READING;
	if (why != NULL)
		log_warn(EV("refill"), KV("why", why));
	f->state = FETCH_NAMES;
	f->learn.after = 0;
	f->end->ops->ask_names(f->end, false, 0);
	return true;
}

/* Not more than one in an hour: what it cannot mend it need not try at once again. */
static bool may_refill(struct fetcher *f)
{
	int64_t now = clock_boot_ms();

	if (f->learn.refilled_ms != 0 && now - f->learn.refilled_ms < LEARN_REFILL_MS)
		return false;
	f->learn.refilled_ms = now;
	return true;
}

bool learn_finds_wrong_sums(struct fetcher *f)
{
	bool doubted = f->learn.why == RELEARN_DOUBT;

	f->learn.why = RELEARN_NO;
	if (f->learn.has_said && !digest_equal(&f->known.sums, &f->learn.said)) {
		/* What it says was counted, and may be wrong by what was lost there. */
		log_warn(EV("sums_corrected"), KV("count", f->known.sums.count),
			 KV("was", f->learn.said.count));
		return true;
	}
	if (doubted && may_refill(f))
		learn_want(f, RELEARN_REFILL);
	return false;
}

void learn_refilled(struct fetcher *f)
{
	if (f->learn.wanted == RELEARN_REFILL)
		f->learn.wanted = RELEARN_COMPARE;
	f->learn.why = RELEARN_NO;
}

void learn_begin(struct fetcher *f)
{
	f->learn.why = MAX(f->learn.why, f->learn.wanted);
	f->learn.wanted = RELEARN_NO;
	f->state = FETCH_HEAD;
	worker_report(f->w);
	f->end->ops->ask_state(f->end);
}
