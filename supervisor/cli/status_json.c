/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/json.h"
#include "supervisor/cli/cmd_status.h"

static void add_workers(struct buf *b, const Control__Status *st)
{
	size_t i;

	json_open(b, "workers", '[');
	for (i = 0; i < st->n_workers; i++) {
		const Control__Worker *w = st->workers[i];

		json_open(b, NULL, '{');
		json_str(b, "name", w->name);
		json_str(b, "state", w->state);
		json_int(b, "pid", w->pid);
		json_uint(b, "generation", w->generation);
		json_int(b, "uptime_ms", w->uptime_ms);
		json_int(b, "restart_in_ms", w->restart_in_ms);
		json_str(b, "error", w->error);
		json_str(b, "log", w->log);
		json_close(b, '}');
	}
	json_close(b, ']');
}

static void add_deaths(struct buf *b, const Control__Status *st)
{
	size_t i;

	json_open(b, "deaths", '[');
	for (i = 0; i < st->n_deaths; i++) {
		const Control__Death *d = st->deaths[i];

		json_open(b, NULL, '{');
		json_int(b, "at_ms", d->at_ms);
		json_str(b, "worker", d->worker);
		json_int(b, "pid", d->pid);
		json_int(b, "exit_code", d->exit_code);
		json_int(b, "signal", d->signal);
		json_int(b, "uptime_ms", d->uptime_ms);
		json_str(b, "why", d->why);
		json_close(b, '}');
	}
	json_close(b, ']');
}

static void add_elector(struct buf *b, const Ipc__ElectorReport *e)
{
	size_t i;

	if (e == NULL) {
		json_null(b, "elector");
		return;
	}
	json_open(b, "elector", '{');
	json_str(b, "state", e->state);
	json_str(b, "token", e->token);
	json_str(b, "holder", e->holder);
	json_int(b, "ttl_ms", e->ttl_ms);
	json_str(b, "error", e->error);
	json_str(b, "redis", e->redis);
	json_str(b, "java", e->java);
	json_bool(b, "disputed", e->disputed);
	json_bool(b, "unfit", e->unfit);
	json_open(b, "warnings", '[');
	for (i = 0; i < e->n_warnings; i++)
		json_str(b, NULL, e->warnings[i]);
	json_close(b, ']');
	json_close(b, '}');
}

static void add_quarantined(struct buf *b, const Ipc__Quarantined *q)
{
	json_open(b, NULL, '{');
	json_str(b, "type", q->kind);
	json_str(b, "id", q->id);
	json_str(b, "where", q->where);
	json_str(b, "reason", q->reason);
	json_int(b, "since_ms", q->since_ms);
	json_close(b, '}');
}

static void add_fetcher(struct buf *b, const Ipc__FetcherReport *f)
{
	size_t i;

	if (f == NULL) {
		json_null(b, "fetcher");
		return;
	}
	json_open(b, "fetcher", '{');
	json_str(b, "state", f->state);
	json_str(b, "token", f->token);
	json_str(b, "source", f->source);
	json_bool(b, "source_heard", f->source_heard);
	json_str(b, "notify", f->notify);
	json_uint(b, "rows", f->rows);
	json_uint(b, "published", f->published);
	json_uint(b, "batch", f->batch);
	json_uint(b, "outbox", f->outbox);
	json_str(b, "guard", f->guard);
	json_str(b, "guard_set", f->guard_set);
	json_str(b, "error", f->error);
	json_str(b, "index", f->index);
	json_uint(b, "quarantined", f->quarantined);
	json_open(b, "quarantine", '[');
	for (i = 0; i < f->n_quarantine; i++)
		add_quarantined(b, f->quarantine[i]);
	json_close(b, ']');
	json_close(b, '}');
}

static void add_cache(struct buf *b, const Ipc__CacheReport *c)
{
	if (c == NULL) {
		json_null(b, "cache");
		return;
	}
	json_open(b, "cache", '{');
	json_str(b, "state", c->state);
	json_str(b, "lineage", c->lineage);
	json_uint(b, "revision", c->revision);
	json_uint(b, "count", c->count);
	json_str(b, "digest", c->digest);
	json_uint(b, "head_revision", c->head_revision);
	json_uint(b, "behind", c->head_revision > c->revision ? c->head_revision - c->revision : 0);
	json_bool(b, "proven", c->proven);
	json_bool(b, "serving", c->serving);
	json_str(b, "error", c->error);
	json_uint(b, "generation", c->generation);
	json_int(b, "applied_ms", c->applied_ms);
	json_str(b, "redis", c->redis);
	json_str(b, "socket", c->socket);
	json_str(b, "http", c->http);
	json_uint(b, "reads", c->reads);
	json_int(b, "read_ms", c->read_ms);
	json_uint(b, "errors", c->errors);
	json_str(b, "java", c->java);
	json_uint(b, "set_aside", c->set_aside);
	json_bool(b, "unwritten", c->unwritten);
	json_close(b, '}');
}

void status_json(struct buf *out, const struct snapshot *s)
{
	const Control__Status *st = s->status;
	size_t i;

	json_open(out, NULL, '{');
	json_str(out, "version", st->version);
	json_str(out, "node", st->node);
	json_str(out, "zone", st->zone);
	json_str(out, "mode", st->mode);
	json_str(out, "role", st->role);
	json_str(out, "health", st->health);
	json_str(out, "reason", st->reason);
	json_int(out, "pid", st->pid);
	json_int(out, "uptime_ms", st->uptime_ms);
	json_str(out, "config", st->config);
	json_str(out, "cache_socket", st->cache_socket);
	json_open(out, "warnings", '[');
	for (i = 0; i < st->n_warnings; i++)
		json_str(out, NULL, st->warnings[i]);
	json_close(out, ']');
	add_workers(out, st);
	add_deaths(out, st);
	add_elector(out, s->elector);
	add_fetcher(out, s->fetcher);
	add_cache(out, s->cache);
	json_close(out, '}');
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
