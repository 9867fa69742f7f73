/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - random histories of a zone against the rules that say when a node serves what it follows
 * (zone-protocol 3 and 5): follow_judge(), follow_switch() and follow_withdrawals_above() are the
 * product's own, all around them is a model of it.
 *
 *   model [--histories N] [--seed S] [--rule NAME] [--trace]
 *
 * A source deploys names and revokes them for good; primaries poll it, late or in halves, and hold
 * removals back; Redis is dumped, restored, flushed, and split in two masters; nodes follow, start
 * again and change the master. Counted are the names that come back on a node that had lost them,
 * and nodes that do not reach the source's state when all is quiet. NAME is one of the rules that
 * were in force before, or one left out: with it names do come back, and the exit code is 0 when
 * they did. Without: when none did and all nodes got there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/zone/follow.h"

#define NAMES	  12
#define NODES	  3
#define EPOCHS	  128
#define DUMPS	  3
#define STEPS	  200
#define LAG	  8 /* how long before a poll may lie what it reads, in every second history */
#define LEASE	  3
#define QUIET_MAX 60

enum rule {
	RULE_NONE,
	RULE_CAUGHT_ANYHOW, /* said after any poll, whatever is held */
	RULE_CAUGHT_ONCE,   /* polls after it count, whatever they hold */
	RULE_CAUGHT_ALONE,  /* no poll is waited for */
	RULE_PROOF_ALONE,   /* what is proven serves */
	RULE_ONE_POLL,	    /* the first poll that ends after the look is enough */
	RULE_NO_LEASE,	    /* nobody need hold the zone's lease */
	RULE_DEPLOYS_TOO,   /* while it waits a node takes deploys of newer epochs, too */
	RULE_NOT_AHEAD,	    /* withdrawals that were taken do not count for what is older */
	RULE_LAG_UNSEEN,    /* nodes do not know how far polls may lag */
	RULE_LAG_FREE,	    /* polls count that may have read what was true before their token */
	RULE_ANY_TOKEN,	    /* looks at the head of another token count */
	RULE__COUNT
};

static const char *const rule_names[RULE__COUNT] = {
	[RULE_NONE] = "none",
	[RULE_CAUGHT_ANYHOW] = "caught-anyhow",
	[RULE_CAUGHT_ONCE] = "caught-once",
	[RULE_CAUGHT_ALONE] = "caught-alone",
	[RULE_PROOF_ALONE] = "proof-alone",
	[RULE_ONE_POLL] = "one-poll",
	[RULE_NO_LEASE] = "no-lease",
	[RULE_DEPLOYS_TOO] = "deploys-too",
	[RULE_NOT_AHEAD] = "not-ahead",
	[RULE_LAG_UNSEEN] = "lag-unseen",
	[RULE_LAG_FREE] = "lag-free",
	[RULE_ANY_TOKEN] = "any-token",
};

struct entry {
	uint64_t revision; /* 0: the zone never heard of it */
	bool live;
	int64_t version;
};

struct zone {
	unsigned lineage; /* 0: none */
	bool complete;
	struct entry log[NAMES];
	uint64_t revision, batch, polls;
	struct {
		uint64_t epoch, revision;
	} epochs[EPOCHS];
	size_t n_epochs;
	uint64_t caught, lease; /* epochs */
	int64_t saved;		/* of a dump: when */
};

struct primary {
	uint64_t epoch; /* 0: there is none */
	uint64_t batch;
	int64_t since, begun, view;
	bool polling;
};

struct node {
	int master;
	struct position pos, next;
	bool live[NAMES], next_live[NAMES];
	bool lost[NAMES]; /* was live here, and was withdrawn */
	char ahead[TOKEN_BYTES];
	bool building;
	struct looks looks;
};

struct world {
	enum rule rule;
	bool trace, quiet;
	uint64_t random;
	int64_t now, lag;
	int64_t deployed[NAMES], updated[NAMES], revoked[NAMES]; /* 0: not yet */
	struct zone zone[2], dump[DUMPS];
	size_t n_dumps;
	bool split;
	struct primary primary[2];
	struct node node[NODES];
	unsigned lineages;
	uint64_t epochs;
	unsigned back; /* names that came back */
};

static uint64_t dice(struct world *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % n;
}

#define TRACE(w, ...)                                                                              \
	do {                                                                                       \
		if ((w)->trace) {                                                                  \
			printf("%4" PRId64 " ", (w)->now);                                         \
			printf(__VA_ARGS__);                                                       \
		}                                                                                  \
	} while (0)

static void token_of(char out[TOKEN_BYTES], uint64_t epoch)
{
	(void)snprintf(out, TOKEN_BYTES, "%" PRIu64 ":n", epoch);
	if (epoch == 0)
		out[0] = '\0';
}

/* --- the source and its readers --- */

static bool is_live_at(const struct world *w, unsigned name, int64_t at)
{
	return w->deployed[name] > 0 && w->deployed[name] <= at &&
	       (w->revoked[name] == 0 || w->revoked[name] > at);
}

static int64_t version_at(const struct world *w, unsigned name, int64_t at)
{
	return w->updated[name] <= at ? MAX(w->updated[name], w->deployed[name])
				      : w->deployed[name];
}

static void acquire(struct world *w, int master)
{
	struct zone *z = &w->zone[master];
	struct primary *p = &w->primary[master];

	if (z->n_epochs == EPOCHS)
		return;
	*p = (struct primary){ .epoch = ++w->epochs, .since = w->now };
	z->epochs[z->n_epochs].epoch = p->epoch;
	z->epochs[z->n_epochs++].revision = z->revision;
	z->batch = 0;
	z->lease = p->epoch;
	if (z->lineage == 0 || !z->complete) {
		z->lineage = ++w->lineages;
		z->complete = false;
		memset(z->log, 0, sizeof(z->log));
	}
	TRACE(w, "master %d: epoch %" PRIu64 " begins at %" PRIu64 ", lineage %u\n", master,
	      p->epoch, z->revision, z->lineage);
}

static void write_entry(struct zone *z, unsigned name, bool live, int64_t version)
{
	z->log[name] = (struct entry){ ++z->revision, live, version };
}

/* True when it is what the source said at `view`. */
static bool settle_name(struct world *w, struct zone *z, unsigned name, int64_t view)
{
	struct entry *e = &z->log[name];
	bool live = is_live_at(w, name, view);

	if (live && (e->revision == 0 || version_at(w, name, view) > e->version))
		write_entry(z, name, true, version_at(w, name, view));
	if (live || !e->live || w->deployed[name] > view)
		return true; /* what is absent is asked for, and found */
	if (!w->quiet && dice(w, 3) == 0)
		return false; /* held, or its row cannot be read */
	write_entry(z, name, false, w->revoked[name]);
	return true;
}

static void end_poll(struct world *w, int master)
{
	struct zone *z = &w->zone[master];
	struct primary *p = &w->primary[master];
	bool counts = p->begun - p->since >= w->lag || w->rule == RULE_LAG_FREE;
	bool settled = true;
	unsigned stop = !w->quiet && dice(w, 12) == 0 ? (unsigned)dice(w, NAMES) : NAMES;
	unsigned i;

	p->polling = false;
	if (z->lease != p->epoch || z->batch != p->batch) { /* FENCED, or LOST */
		acquire(w, master);
		return;
	}
	for (i = 0; i < stop; i++)
		settled = settle_name(w, z, i, p->view) && settled;
	z->batch = ++p->batch;
	if (stop < NAMES) { /* it dies in the middle */
		p->epoch = 0;
		return;
	}
	z->complete = true;
	settled = settled || w->rule == RULE_CAUGHT_ANYHOW;
	if (counts && settled)
		z->caught = p->epoch;
	z->polls += counts && (settled || w->rule == RULE_CAUGHT_ONCE);
	TRACE(w, "master %d: poll %" PRIu64 " of epoch %" PRIu64 " ends at %" PRIu64 "%s\n", master,
	      z->polls, p->epoch, z->revision, z->caught == p->epoch ? ", caught" : "");
}

static void poll(struct world *w, int master)
{
	struct primary *p = &w->primary[master];

	if (p->epoch == 0) {
		acquire(w, master);
	} else if (p->polling) {
		end_poll(w, master);
	} else {
		p->polling = true;
		p->begun = w->now;
		p->view = w->now - (w->quiet ? 0 : (int64_t)dice(w, (uint64_t)w->lag + 1));
	}
}

/* --- nodes --- */

static struct digest digest_of(const bool *live)
{
	struct digest d = { 0 };
	unsigned i;

	for (i = 0; i < NAMES; i++) {
		d.count += live[i];
		d.lane[0] |= (uint32_t)live[i] << i;
	}
	return d;
}

static void head_of(const struct world *w, const struct zone *z, const struct position *own,
		    const char *served, struct head *h)
{
	bool live[NAMES];
	size_t i;

	*h = (struct head){ .revision = z->revision,
			    .polls = z->polls,
			    .complete = z->complete ? ZONE_COMPLETE : ZONE_FILLING,
			    .lag_ms = w->rule == RULE_LAG_UNSEEN ? 0 : w->lag,
			    .own_end = -2,
			    .above = -1 };
	if (z->lineage > 0)
		(void)snprintf(h->lineage, sizeof(h->lineage), "%u", z->lineage);
	token_of(h->caught, z->caught);
	token_of(h->lease, z->lease);
	for (i = 0; i < NAMES; i++)
		live[i] = z->log[i].live;
	h->digest = digest_of(live);
	for (i = 0; i < z->n_epochs; i++) {
		token_of(h->token, z->epochs[i].epoch);
		if (str_equal(h->token, own->token))
			h->own_end = i + 1 == z->n_epochs ? -1 : (int64_t)z->epochs[i + 1].revision;
		if (h->above < 0 && z->epochs[i].epoch > token_epoch(served))
			h->above = (int64_t)z->epochs[i].revision;
	}
}

static void serve(struct world *w, struct node *n, unsigned name, bool live)
{
	if (n->live[name] && !live)
		n->lost[name] = true;
	if (live && n->lost[name]) {
		TRACE(w, "node %td: %u comes back\n", n - w->node, name);
		w->back++;
		n->lost[name] = false;
	}
	n->live[name] = live;
}

static void take_ahead(struct world *w, struct node *n, const struct zone *z, const struct head *h)
{
	uint64_t above = follow_withdrawals_above(h, n->pos.lineage);
	bool taken = false;
	unsigned i;

	for (i = 0; above != UINT64_MAX && i < NAMES; i++) {
		const struct entry *e = &z->log[i];

		if (e->revision <= above || e->live == n->live[i])
			continue;
		if (e->live && w->rule != RULE_DEPLOYS_TOO)
			continue;
		serve(w, n, i, e->live);
		taken = true;
	}
	if (!taken)
		return;
	str_copy(n->ahead, sizeof(n->ahead), w->rule == RULE_NOT_AHEAD ? "" : h->token);
	TRACE(w, "node %td: takes withdrawals of %s\n", n - w->node, h->token);
}

static void begin_resync(struct world *w, struct node *n, const struct head *h)
{
	n->building = true;
	n->looks = (struct looks){ 0 };
	follow_look(&n->looks, h, w->now);
	n->next = (struct position){ 0 };
	str_copy(n->next.lineage, sizeof(n->next.lineage), h->lineage);
	str_copy(n->next.token, sizeof(n->next.token), h->token);
	memset(n->next_live, 0, sizeof(n->next_live));
	TRACE(w, "node %td: resync to %s of %s\n", n - w->node, h->lineage, h->token);
}

static bool may_switch(const struct world *w, const struct node *n, const struct head *h)
{
	struct digest d = digest_of(n->live);
	struct doubt doubt = { .serves = n->pos.lineage[0] != '\0',
			       .equal = digest_equal(&d, &h->digest) };
	struct looks looks = n->looks;
	struct head seen = *h;

	if (w->rule == RULE_PROOF_ALONE)
		return true;
	if (w->rule == RULE_CAUGHT_ALONE)
		return !doubt.serves || doubt.equal || str_equal(h->caught, h->token);
	if (w->rule == RULE_ONE_POLL && h->polls > looks.polls && looks.polls > 0)
		looks.polls--;
	if (w->rule == RULE_NO_LEASE)
		str_copy(seen.lease, sizeof(seen.lease), h->token);
	return follow_switch(&seen, &looks, &doubt, true) == SWITCH_NOW;
}

static bool is_proven(const struct node *n, const struct head *h)
{
	struct digest d = digest_of(n->building ? n->next_live : n->live);

	return digest_equal(&d, &h->digest);
}

static void follow(struct world *w, struct node *n, const struct zone *z, const struct head *h)
{
	struct position *p = n->building ? &n->next : &n->pos;
	unsigned i;

	for (i = 0; i < NAMES; i++) {
		if (z->log[i].revision <= p->revision)
			continue;
		if (n->building)
			n->next_live[i] = z->log[i].live;
		else
			serve(w, n, i, z->log[i].live);
	}
	if (n->building)
		take_ahead(w, n, z, h);
	p->revision = z->revision;
	str_copy(p->token, sizeof(p->token), h->token);
	if (!is_proven(n, h)) {
		n->building = false;
		if (n->pos.lineage[0] != '\0')
			begin_resync(w, n, h);
		return;
	}
	if (!n->building || !may_switch(w, n, h))
		return;
	TRACE(w, "node %td: switches to %s:%" PRIu64 "\n", n - w->node, h->lineage, p->revision);
	for (i = 0; i < NAMES; i++)
		serve(w, n, i, n->next_live[i]);
	n->pos = n->next;
	n->building = false;
	n->ahead[0] = '\0';
}

static void look(struct world *w, struct node *n)
{
	const struct zone *z = &w->zone[n->master];
	struct head h;
	enum verdict v;

	head_of(w, z, n->building ? &n->next : &n->pos, n->pos.token, &h);
	v = follow_judge(&h, n->building ? &n->next : &n->pos, n->building ? "" : n->ahead);
	if (n->building && v != FOLLOW_RESUME) {
		n->building = false;
		return;
	}
	if (n->building && w->rule == RULE_ANY_TOKEN)
		str_copy(n->looks.token, sizeof(n->looks.token), h.token);
	if (n->building)
		follow_look(&n->looks, &h, w->now);
	/* An older epoch is taken when its lease lives there for long. */
	if (v == FOLLOW_BEHIND && z->lease != 0 && w->primary[n->master].epoch == z->lease &&
	    dice(w, 4) == 0)
		v = FOLLOW_RESYNC;
	if (v == FOLLOW_RESYNC)
		begin_resync(w, n, &h);
	else if (v == FOLLOW_RESUME)
		follow(w, n, z, &h);
}

/* --- what happens --- */

static void change_source(struct world *w)
{
	unsigned name = (unsigned)dice(w, NAMES);

	if (w->deployed[name] == 0)
		w->deployed[name] = w->now;
	else if (w->revoked[name] == 0 && dice(w, 3) == 0)
		w->updated[name] = w->now;
	else if (w->revoked[name] == 0)
		w->revoked[name] = w->now;
}

static void restore(struct world *w, int master)
{
	if (w->n_dumps == 0)
		return;
	w->zone[master] = w->dump[dice(w, w->n_dumps)];
	if (w->now - w->zone[master].saved >= LEASE)
		w->zone[master].lease = 0; /* its time had come */
	TRACE(w, "master %d: restored to %u:%" PRIu64 "\n", master, w->zone[master].lineage,
	      w->zone[master].revision);
}

static void dump(struct world *w, int master)
{
	size_t at = w->n_dumps < DUMPS ? w->n_dumps++ : dice(w, DUMPS);

	w->dump[at] = w->zone[master];
	w->dump[at].saved = w->now;
}

/* A second master that lost the tail, and who is where. */
static void divide(struct world *w)
{
	unsigned i;

	if (w->split) { /* heals: one of them is left */
		if (dice(w, 2) == 0) {
			w->zone[0] = w->zone[1];
			w->primary[0] = w->primary[1];
		}
		for (i = 0; i < NODES; i++)
			w->node[i].master = 0;
		w->split = false;
		TRACE(w, "one master is left\n");
		return;
	}
	w->split = true;
	w->zone[1] = w->zone[0];
	w->primary[1] = (struct primary){ 0 };
	if (dice(w, 2) == 0)
		restore(w, 1);
	w->zone[1].lease = 0;
	for (i = 0; i < NODES; i++)
		w->node[i].master = (int)dice(w, 2);
	TRACE(w, "two masters\n");
}

static void restart(struct node *n)
{
	n->building = false; /* what was built is lost with the process */
}

static void happen(struct world *w)
{
	int master = w->split ? (int)dice(w, 2) : 0;
	struct node *n = &w->node[dice(w, NODES)];

	switch (dice(w, 64)) {
	case 0:
		dump(w, master);
		break;
	case 1:
		restore(w, master);
		break;
	case 2:
		divide(w);
		break;
	case 3:
		w->primary[master].epoch = 0; /* another one will take over */
		break;
	case 4:
		restart(n);
		break;
	case 5:
	case 7:
	case 8:
	case 9:
		n->master = w->split ? (int)dice(w, 2) : 0;
		break;
	case 6:
		if (dice(w, 4) == 0)
			w->zone[master] = (struct zone){ 0 };
		break;
	default:
		if (dice(w, 6) == 0)
			change_source(w);
		else if (dice(w, 2) == 0)
			poll(w, master);
		else
			look(w, n);
		break;
	}
}

/* All is quiet: does every node get to what the source says? */
static bool ends_well(struct world *w)
{
	bool same = true;
	unsigned i;
	unsigned name;

	w->quiet = true;
	if (w->split)
		divide(w);
	for (i = 0; i < QUIET_MAX; i++) {
		w->now += LAG;
		poll(w, 0);
		for (name = 0; name < NODES; name++)
			look(w, &w->node[name]);
	}
	for (i = 0; i < NODES; i++)
		for (name = 0; name < NAMES; name++)
			same = same && w->node[i].live[name] == is_live_at(w, name, w->now);
	return same;
}

struct tally {
	unsigned back, stuck;
};

static void history(uint64_t seed, enum rule rule, bool trace, struct tally *t)
{
	struct world *w = mem_zalloc(sizeof(*w));
	unsigned i;

	w->random = seed * 0x9e3779b97f4a7c15ULL + 1;
	w->rule = rule;
	w->trace = trace;
	w->lag = seed % 2 == 0 ? LAG : 0;
	for (i = 0; i < STEPS; i++) {
		w->now++;
		happen(w);
	}
	if (!ends_well(w)) {
		if (t->stuck++ == 0)
			printf("seed %" PRIu64 ": a node does not get there\n", seed);
	}
	if (w->back > 0 && t->back == 0)
		printf("seed %" PRIu64 ": a name comes back\n", seed);
	t->back += w->back;
	mem_free(w);
}

static enum rule rule_of(const char *name)
{
	unsigned i;

	for (i = 0; i < RULE__COUNT; i++)
		if (str_equal(rule_names[i], name))
			return (enum rule)i;
	fprintf(stderr, "there is no rule %s\n", name);
	exit(64);
}

int main(int argc, char **argv)
{
	uint64_t n = 20000;
	uint64_t first = 1;
	enum rule rule = RULE_NONE;
	bool trace = false;
	struct tally t = { 0 };
	uint64_t i;
	int a;

	for (a = 1; a < argc; a++) {
		if (str_equal(argv[a], "--trace"))
			trace = true;
		else if (a + 1 == argc)
			return 64;
		else if (str_equal(argv[a], "--histories"))
			n = strtoull(argv[++a], NULL, 10);
		else if (str_equal(argv[a], "--seed"))
			first = strtoull(argv[++a], NULL, 10);
		else if (str_equal(argv[a], "--rule"))
			rule = rule_of(argv[++a]);
		else
			return 64;
	}
	for (i = 0; i < n && (rule == RULE_NONE || t.back == 0); i++) /* one is enough */
		history(first + i, rule, trace, &t);
	printf("%" PRIu64 " histories, rule %s: %u names came back, %u histories do not end well\n",
	       i, rule_names[rule], t.back, t.stuck);
	return (rule == RULE_NONE ? t.back == 0 && t.stuck == 0 : t.back > 0) ? 0 : 1;
}
