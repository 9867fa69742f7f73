/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/write.h"
#include "supervisor/cli/cmd_status.h"

static void add_workers(struct buf *b, const Control__Status *st)
{
	size_t i;

	json_open(b, "workers", '[');
	for (i = 0; i < st->n_workers; i++) {
		const Control__Worker *w = st->workers[i];

		json_open(b, NULL, '{');
		json_add_shown(b, "name", w->name);
		json_add_shown(b, "state", w->state);
		json_add_i64(b, "pid", w->pid);
		json_add_u64(b, "generation", w->generation);
		json_add_i64(b, "uptime_ms", w->uptime_ms);
		json_add_i64(b, "restart_in_ms", w->restart_in_ms);
		json_add_shown(b, "error", w->error);
		json_add_shown(b, "log", w->log);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static void add_deaths(struct buf *b, const Control__Status *st)
{
	size_t i;

	json_open(b, "deaths", '[');
	for (i = 0; i < st->n_deaths; i++) {
		const Control__Death *d = st->deaths[i];

		json_open(b, NULL, '{');
		json_add_i64(b, "at_ms", d->at_ms);
		json_add_shown(b, "worker", d->worker);
		json_add_i64(b, "pid", d->pid);
		json_add_i64(b, "exit_code", d->exit_code);
		json_add_i64(b, "signal", d->signal);
		json_add_i64(b, "uptime_ms", d->uptime_ms);
		json_add_shown(b, "why", d->why);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static void add_elector(struct buf *b, const Ipc__ElectorReport *e)
{
	size_t i;

	if (e == NULL) {
		json_add_null(b, "elector");
		return;
	}
	json_open(b, "elector", '{');
	json_add_shown(b, "state", e->state);
	json_add_shown(b, "token", e->token);
	json_add_shown(b, "holder", e->holder);
	json_add_i64(b, "ttl_ms", e->ttl_ms);
	json_add_shown(b, "error", e->error);
	json_add_shown(b, "redis", e->redis);
	json_add_shown(b, "java", e->java);
	json_add_bool(b, "disputed", e->disputed);
	json_add_bool(b, "unfit", e->unfit);
	json_open(b, "warnings", '[');
	for (i = 0; i < e->n_warnings; i++)
		json_add_shown(b, NULL, e->warnings[i]);
	buf_addc(b, ']');
	buf_addc(b, '}');
}

static void add_quarantined(struct buf *b, const Ipc__Quarantined *q)
{
	buf_addc(b, '{');
	json_add_shown(b, "type", q->kind);
	json_add_shown(b, "id", q->id);
	json_add_shown(b, "where", q->where);
	json_add_shown(b, "reason", q->reason);
	json_add_i64(b, "since_ms", q->since_ms);
	buf_addc(b, '}');
}

static void add_fetcher(struct buf *b, const Ipc__FetcherReport *f)
{
	size_t i;

	if (f == NULL) {
		json_add_null(b, "fetcher");
		return;
	}
	json_open(b, "fetcher", '{');
	json_add_shown(b, "state", f->state);
	json_add_shown(b, "token", f->token);
	json_add_shown(b, "source", f->source);
	json_add_bool(b, "source_heard", f->source_heard);
	json_add_shown(b, "notify", f->notify);
	json_add_u64(b, "rows", f->rows);
	json_add_u64(b, "published", f->published);
	json_add_u64(b, "batch", f->batch);
	json_add_u64(b, "outbox", f->outbox);
	json_add_shown(b, "guard", f->guard);
	json_add_shown(b, "guard_set", f->guard_set);
	json_add_shown(b, "error", f->error);
	json_add_shown(b, "index", f->index);
	json_add_u64(b, "quarantined", f->quarantined);
	json_open(b, "quarantine", '[');
	for (i = 0; i < f->n_quarantine; i++) {
		json_write_comma(b);
		add_quarantined(b, f->quarantine[i]);
	}
	buf_addc(b, ']');
	buf_addc(b, '}');
}

static void add_cache(struct buf *b, const Ipc__CacheReport *c)
{
	if (c == NULL) {
		json_add_null(b, "cache");
		return;
	}
	json_open(b, "cache", '{');
	json_add_shown(b, "state", c->state);
	json_add_shown(b, "lineage", c->lineage);
	json_add_u64(b, "revision", c->revision);
	json_add_u64(b, "count", c->count);
	json_add_shown(b, "digest", c->digest);
	json_add_u64(b, "head_revision", c->head_revision);
	json_add_u64(b, "behind",
		     c->head_revision > c->revision ? c->head_revision - c->revision : 0);
	json_add_bool(b, "proven", c->proven);
	json_add_bool(b, "serving", c->serving);
	json_add_shown(b, "error", c->error);
	json_add_u64(b, "generation", c->generation);
	json_add_i64(b, "applied_ms", c->applied_ms);
	json_add_shown(b, "redis", c->redis);
	json_add_shown(b, "socket", c->socket);
	json_add_shown(b, "http", c->http);
	json_add_u64(b, "reads", c->reads);
	json_add_i64(b, "read_ms", c->read_ms);
	json_add_u64(b, "errors", c->errors);
	json_add_shown(b, "java", c->java);
	json_add_u64(b, "set_aside", c->set_aside);
	json_add_bool(b, "unwritten", c->unwritten);
	buf_addc(b, '}');
}

void status_json(struct buf *out, const struct snapshot *s)
{
	const Control__Status *st = s->status;
	size_t i;

	buf_addc(out, '{');
	json_add_shown(out, "version", st->version);
	json_add_shown(out, "node", st->node);
	json_add_shown(out, "zone", st->zone);
	json_add_shown(out, "mode", st->mode);
	json_add_shown(out, "role", st->role);
	json_add_shown(out, "health", st->health);
	json_add_shown(out, "reason", st->reason);
	json_add_i64(out, "pid", st->pid);
	json_add_i64(out, "uptime_ms", st->uptime_ms);
	json_add_shown(out, "config", st->config);
	json_add_shown(out, "cache_socket", st->cache_socket);
	json_open(out, "warnings", '[');
	for (i = 0; i < st->n_warnings; i++)
		json_add_shown(out, NULL, st->warnings[i]);
	buf_addc(out, ']');
	add_workers(out, st);
	add_deaths(out, st);
	add_elector(out, s->elector);
	add_fetcher(out, s->fetcher);
	add_cache(out, s->cache);
	buf_addc(out, '}');
	buf_addc(out, '\n');
}

void quarantine_json(struct buf *out, const struct snapshot *s)
{
	size_t i;

	for (i = 0; s->fetcher != NULL && i < s->fetcher->n_quarantine; i++) {
		add_quarantined(out, s->fetcher->quarantine[i]);
		buf_addc(out, '\n');
	}
}
