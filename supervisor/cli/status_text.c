/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/cmd_status.h"

#define LABEL_COLUMNS 12
#define DEATHS_SHOWN  5
#define DIGEST_SHOWN  12

int status_exit_code(const Control__Status *st)
{
	return str_equal(st->health, "ok") ? CLI_OK : CLI_NO;
}

static void label(struct buf *out, const char *name)
{
	buf_printf(out, "%-*s", LABEL_COLUMNS, name);
}

static void line(struct buf *out, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	label(out, name);
	text_clean(out, value);
	buf_addc(out, '\n');
}

static enum text_colour colour_of(const char *word)
{
	if (str_equal(word, "ok") || str_equal(word, "up"))
		return COLOUR_GREEN;
	return str_equal(word, "degraded") ? COLOUR_RED : COLOUR_YELLOW;
}

static void add_node(struct buf *out, const Control__Status *st, bool colour)
{
	label(out, "node");
	text_paint(out, COLOUR_BOLD, st->node, colour);
	buf_printf(out, ", zonesyncd %s, pid %d, up ", st->version, st->pid);
	text_ms(out, st->uptime_ms);
	buf_addc(out, '\n');
	if (st->zone[0] == '\0') {
		line(out, "mode", st->mode);
	} else {
		label(out, "zone");
		text_paint(out, COLOUR_BOLD, st->zone, colour);
		buf_adds(out, ", mode ");
		text_clean(out, st->mode);
		buf_adds(out, ", role ");
		text_paint(out, COLOUR_BOLD, st->role, colour);
		buf_addc(out, '\n');
	}
	label(out, "health");
	text_paint(out, colour_of(st->health), st->health, colour);
	if (st->reason[0] != '\0') {
		buf_adds(out, ": ");
		text_clean(out, st->reason);
	}
	buf_addc(out, '\n');
}

static void add_position(struct buf *out, const Ipc__CacheReport *c)
{
	label(out, "here");
	if (c == NULL) {
		buf_adds(out, "nothing known: the cache has not reported\n");
		return;
	}
	if (c->lineage[0] != '\0') {
		text_clean(out, c->lineage);
		buf_printf(out, ":%" PRIu64 ", %" PRIu64 " entities, ", c->revision, c->count);
		if (c->digest[0] != '\0')
			buf_printf(out, "digest %.*s, ", DIGEST_SHOWN, c->digest);
		buf_adds(out, c->proven ? "proven" : "not proven");
		if (c->behind > 0)
			buf_printf(out, ", behind by %" PRIu64, c->behind);
		buf_adds(out, ", ");
	}
	text_clean(out, c->state);
	buf_adds(out, c->serving ? ", serving\n" : ", not serving\n");
}

static void add_lease(struct buf *out, const Ipc__ElectorReport *e)
{
	if (e == NULL)
		return;
	label(out, "lease");
	/* Who holds it is known by what the elector was answered last: it need not be so now. */
	if (e->token[0] != '\0')
		buf_printf(out, "ours, epoch %.*s", (int)strcspn(e->token, ":"), e->token);
	else if (e->holder[0] != '\0') {
		buf_adds(out, e->error[0] == '\0' ? "held by " : "not known, last held by ");
		text_clean(out, e->holder);
	} else
		buf_adds(out, "not known to be held");
	if (e->ttl_ms > 0 && e->error[0] == '\0') {
		buf_adds(out, ", ");
		text_ms(out, e->ttl_ms);
		buf_adds(out, " left");
	}
	buf_adds(out, ", elector ");
	text_clean(out, e->state);
	if (e->error[0] != '\0') {
		buf_adds(out, ": ");
		text_clean(out, e->error);
	}
	buf_addc(out, '\n');
}

/* "API keys", "dictionaries": of a type's name. */
static void plural(struct buf *out, const char *type, uint64_t n)
{
	size_t len = strlen(type);
	size_t i;

	for (i = 0; i < len; i++)
		buf_addc(out, type[i] == '_' ? ' '
			      : str_starts(type, "API") && i < 3
				      ? type[i]
				      : (char)tolower((unsigned char)type[i]));
	if (n != 1 && len > 0 && type[len - 1] == 'Y' && !str_ends(type, "KEY")) {
		out->len--;
		buf_adds(out, "ies");
	} else if (n != 1) {
		buf_addc(out, 's');
	}
}

static void add_unpublished(struct buf *out, const Ipc__FetcherReport *f)
{
	struct buf b = { 0 };
	size_t i;

	for (i = 0; i < f->n_unpublished; i++) {
		const Ipc__Unpublished *u = f->unpublished[i];

		buf_printf(&b, "%s%" PRIu64 " ", i == 0 ? "not published: " : "; ", u->count);
		plural(&b, u->type, u->count);
		buf_printf(&b, ", %s", u->reason);
	}
	if (b.len > 0) {
		buf_adds(&b, ", see `zonesync quarantine --all`");
		line(out, "", buf_cstr(&b));
	}
	buf_reset(&b);
}

static void add_source(struct buf *out, const Ipc__FetcherReport *f)
{
	if (f == NULL)
		return;
	label(out, "source");
	/* It looks at the source when it is promoted, not before. */
	text_clean(out, str_equal(f->state, "idle") ? "not read by this node"
			: f->source[0] == '\0'	    ? "-"
						    : f->source);
	buf_adds(out, ", fetcher ");
	text_clean(out, f->state);
	buf_printf(out, ", %" PRIu64 " rows read, %" PRIu64 " published, %" PRIu64 " waiting\n",
		   f->rows, f->published, f->outbox);
	line(out, "", f->error);
	line(out, "notify", f->notify);
	line(out, "guard", f->guard);
	line(out, "index", f->index);
	label(out, "quarantine");
	buf_printf(out, "%" PRIu64 "%s\n", f->quarantined,
		   f->quarantined == 0 ? "" : ", see `zonesync quarantine`");
	add_unpublished(out, f);
}

/* The elector knows what follows from it; a node without one has the cache's word. */
static void add_java(struct buf *out, const Control__Status *st)
{
	if (st->elector != NULL && st->elector->java[0] != '\0')
		line(out, "java", st->elector->java);
	else if (st->cache != NULL)
		line(out, "java", st->cache->java);
	if (st->cache != NULL && st->cache->set_aside > 0)
		buf_printf(out,
			   "%-*s%" PRIu64 " of its events cannot be read: `zonesync logs cache`\n",
			   LABEL_COLUMNS, "", st->cache->set_aside);
}

static void add_redis(struct buf *out, const Control__Status *st)
{
	size_t i;

	if (st->cache != NULL)
		line(out, "redis", st->cache->redis);
	else if (st->elector != NULL)
		line(out, "redis", st->elector->redis);
	for (i = 0; st->elector != NULL && i < st->elector->n_warnings; i++)
		line(out, "", st->elector->warnings[i]);
}

static void note_of(struct buf *out, const Control__Worker *w)
{
	if (w->restart_in_ms > 0) {
		buf_adds(out, "restart in ");
		text_ms(out, w->restart_in_ms);
	}
	if (w->error[0] != '\0') {
		buf_adds(out, out->len == 0 ? "" : "; ");
		buf_adds(out, w->error);
	}
}

static void add_workers(struct buf *out, const Control__Status *st)
{
	static const char *const heads[] = { "worker", "state", "pid", "up", "failures", "" };
	struct columns t = { .columns = ARRAY_LEN(heads) };
	size_t i;

	for (i = 0; i < ARRAY_LEN(heads); i++)
		table_cell(&t, "%s", i + 1 == ARRAY_LEN(heads) ? " " : heads[i]);
	for (i = 0; i < st->n_workers; i++) {
		const Control__Worker *w = st->workers[i];
		struct buf up = { 0 };
		struct buf note = { 0 };

		if (w->pid != 0)
			text_ms(&up, w->uptime_ms);
		note_of(&note, w);
		table_cell(&t, "%s", w->name);
		table_cell(&t, "%s", w->state);
		table_cell(&t, w->pid == 0 ? "-" : "%d", w->pid);
		table_cell(&t, "%s", buf_cstr(&up));
		table_cell(&t, "%u", w->failures);
		table_cell(&t, "%s", note.len == 0 ? " " : buf_cstr(&note));
		buf_reset(&up);
		buf_reset(&note);
	}
	buf_addc(out, '\n');
	table_print(&t, out);
	table_reset(&t);
}

static void add_deaths(struct buf *out, const Control__Status *st)
{
	struct columns t = { .columns = 6 };
	size_t i = st->n_deaths > DEATHS_SHOWN ? st->n_deaths - DEATHS_SHOWN : 0;

	if (st->n_deaths == 0)
		return;
	for (; i < st->n_deaths; i++) {
		const Control__Death *d = st->deaths[i];
		struct buf when = { 0 };
		struct buf after = { 0 };

		text_time(&when, d->at_ms);
		text_ms(&after, d->uptime_ms);
		table_cell(&t, "  %s", buf_cstr(&when));
		table_cell(&t, "%s", d->worker);
		table_cell(&t, "pid %d", d->pid);
		table_cell(&t, "after %s", buf_cstr(&after));
		if (d->signal != 0)
			table_cell(&t, "signal %d (%s)", d->signal,
				   sigabbrev_np(d->signal) == NULL ? "?" : sigabbrev_np(d->signal));
		else
			table_cell(&t, "exit %d", d->exit_code);
		table_cell(&t, "%s", d->why);
		buf_reset(&when);
		buf_reset(&after);
	}
	buf_adds(out, "\nlast ends\n");
	table_print(&t, out);
	table_reset(&t);
}

void status_text(struct buf *out, const Control__Status *st, bool colour)
{
	size_t i;

	add_node(out, st, colour);
	line(out, "config", st->config);
	for (i = 0; i < st->n_warnings; i++)
		line(out, "warning", st->warnings[i]);
	add_position(out, st->cache);
	add_lease(out, st->elector);
	add_source(out, st->fetcher);
	add_java(out, st);
	add_redis(out, st);
	if (st->cache != NULL)
		line(out, "http", st->cache->http);
	add_workers(out, st);
	add_deaths(out, st);
	text_wrap(out, LABEL_COLUMNS);
}

void quarantine_text(struct buf *out, const Control__Status *st)
{
	static const char *const heads[] = { "type", "id", "since", "where", "reason" };
	struct columns t = { .columns = ARRAY_LEN(heads) };
	const Ipc__FetcherReport *f = st->fetcher;
	size_t i;

	if (f == NULL || f->n_quarantine == 0) {
		if (str_equal(st->role, "secondary"))
			buf_adds(out,
				 "nothing here: only the primary reads the source; ask it there "
				 "(see `zonesync status`)\n");
		else
			buf_adds(out, f == NULL ? "the fetcher has not reported\n"
						: "nothing is in quarantine\n");
		return;
	}
	for (i = 0; i < ARRAY_LEN(heads); i++)
		table_cell(&t, "%s", heads[i]);
	for (i = 0; i < f->n_quarantine; i++) {
		const Ipc__Quarantined *q = f->quarantine[i];
		struct buf since = { 0 };

		text_time(&since, q->since_ms);
		table_cell(&t, "%s", q->type);
		table_cell(&t, "%s", q->id);
		table_cell(&t, "%s", buf_cstr(&since));
		table_cell(&t, "%s", q->where);
		table_cell(&t, "%s", q->reason);
		buf_reset(&since);
	}
	table_print(&t, out);
	table_reset(&t);
	if (f->quarantined > f->n_quarantine)
		buf_printf(out, "and %" PRIu64 " more\n", f->quarantined - f->n_quarantine);
}

void unpublished_text(struct buf *out, const Ipc__FetcherReport *f)
{
	static const char *const heads[] = { "not published", "count", "why", "for example" };
	struct columns t = { .columns = ARRAY_LEN(heads) };
	size_t i, k;

	if (f->n_unpublished == 0)
		return;
	for (i = 0; i < ARRAY_LEN(heads); i++)
		table_cell(&t, "%s", heads[i]);
	for (i = 0; i < f->n_unpublished; i++) {
		const Ipc__Unpublished *u = f->unpublished[i];
		struct buf ids = { 0 };

		for (k = 0; k < u->n_examples; k++)
			buf_printf(&ids, "%s%s", k == 0 ? "" : ", ", u->examples[k]);
		table_cell(&t, "%s", u->type);
		table_cell(&t, "%" PRIu64, u->count);
		table_cell(&t, "%s", u->reason);
		table_cell(&t, "%s", ids.len == 0 ? "-" : buf_cstr(&ids));
		buf_reset(&ids);
	}
	buf_addc(out, '\n');
	table_print(&t, out);
	table_reset(&t);
}
