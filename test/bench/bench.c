/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - the clients of test/bench/run: what a zone costs, and what the bare client of the
 * same server does.
 *
 *	bench publish SOCKET COUNT	plain HSET and fenced pages: insert, overwrite; SOCKET may be
 *					a port of loopback
 *	bench drain SOCKET ZONE		read a zone's pages and throw them away
 *	bench update SOCKET ZONE KEYS APIS RATE	write keys of the zone anew, until ended
 *	...				those of clients.h
 *
 * Prints one figure a line: name, seconds, events a second.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/zone/follow.h"
#include "common/zone/lease.h"
#include "common/zone/stamp.h"
#include "test/bench/clients.h"
#include "workers/fetcher/publish/zone_sink.h"

#define PAYLOAD_BYTES 1000
#define PLAIN_WINDOW  512
#define TTL_MS	      900000
#define UPDATE_MS     10
#define SLICE	      10000

struct bench {
	uv_loop_t loop;
	struct zone_conn *z;
	struct end end;
	struct zone_sink *w;
	struct known known;
	const char *mode;
	uint64_t count;
	uint64_t apis; /* of an update */
	uint64_t rate; /* of an update, a second */
	uv_timer_t tick;
	uint64_t sent;
	uint64_t answered;
	unsigned round;	     /* 0: insert, 1: overwrite */
	bool fenced;	     /* the slice under way, else plain */
	uint64_t from, to;   /* of it */
	int64_t spent_us[2]; /* plain, fenced */
	int64_t begin_us;
	uint64_t events;
	uint64_t bytes;
	struct position pos;
	char payload[PAYLOAD_BYTES];
};

/* We may be in a callback of what would have to be freed. */
static void done(struct bench *b)
{
	UNUSED(b);
	exit(0);
}

static void figure(const struct bench *b, const char *name, uint64_t n)
{
	double s = (double)(clock_boot_us() - b->begin_us) / 1e6;

	(void)printf("%s %.3f %.0f\n", name, s, (double)n / s);
	(void)fflush(stdout);
}

static void name_of(char id[32], uint64_t i)
{
	(void)snprintf(id, 32, "key-%012" PRIu64, i);
}

static void vary(struct bench *b, uint64_t i)
{
	int n = snprintf(b->payload, PAYLOAD_BYTES, "{\"round\":%u,\"n\":%" PRIu64, b->round, i);

	b->payload[n] = ' ';
}

/* --- publish: plain and fenced by turns, since a machine is not the same for long --- */

static void pump_plain(struct bench *b);
static void pump_fenced(struct bench *b);

static void begin_slice(struct bench *b)
{
	b->to = MIN(b->from + SLICE, b->count);
	b->sent = b->from;
	b->answered = b->from;
	b->begin_us = clock_boot_us();
	if (b->fenced)
		pump_fenced(b);
	else
		pump_plain(b);
}

static void end_round(struct bench *b)
{
	static const char *const names[2][2] = { { "plain_insert", "fenced_insert" },
						 { "plain_overwrite", "fenced_overwrite" } };
	unsigned i;

	for (i = 0; i < 2; i++) {
		b->begin_us = clock_boot_us() - b->spent_us[i];
		figure(b, names[b->round][i], b->count);
		b->spent_us[i] = 0;
	}
	b->from = 0;
	if (++b->round == 2)
		done(b);
}

static void end_slice(struct bench *b)
{
	b->spent_us[b->fenced] += clock_boot_us() - b->begin_us;
	if (b->fenced)
		b->from = b->to;
	b->fenced = !b->fenced;
	if (b->from == b->count)
		end_round(b);
	begin_slice(b);
}

/* --- plain --- */

static void on_plain(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct bench *b = arg;

	CHECK(lost == NULL && !redis_is_error(r));
	b->answered++;
	pump_plain(b);
}

static void put_plain(struct bench *b, uint64_t i, struct redis_cmd *c)
{
	const char *const f[] = { "clusterId", "plain", "type", "API_KEY", "syncAction", "DEPLOY" };
	struct stamp st = { .revision = i + 1,
			    .version = b->round == 0 ? "1" : "2",
			    .version_len = 1 };
	struct buf stamp = { 0 };
	char id[32];
	char key[64];
	unsigned k;

	name_of(id, i);
	(void)snprintf(key, sizeof(key), "distributed_event:plain:API:api-1:API_KEY:%s", id);
	redis_cmd_str(c, "HSET");
	redis_cmd_str(c, key);
	for (k = 0; k < ARRAY_LEN(f); k++)
		redis_cmd_str(c, f[k]);
	redis_cmd_str(c, "id");
	redis_cmd_str(c, id);
	redis_cmd_str(c, "updatedAt");
	redis_cmd_i64(c, 1755700000000);
	redis_cmd_str(c, "payload");
	redis_cmd_arg(c, b->payload, PAYLOAD_BYTES);
	stamp_write(&stamp, &st);
	redis_cmd_str(c, STAMP_FIELD);
	redis_cmd_arg(c, stamp.data, stamp.len);
	buf_reset(&stamp);
}

static void pump_plain(struct bench *b)
{
	struct redis_cmd c = { 0 };

	while (b->sent < b->to && b->sent - b->answered < PLAIN_WINDOW) {
		vary(b, b->sent);
		put_plain(b, b->sent, &c);
		CHECK(redis_send(zone_conn_redis(b->z), &c, on_plain, b) == 0);
		b->sent++;
	}
	if (b->answered == b->to)
		end_slice(b);
}

/* --- fenced --- */

/* A page is all the sink takes at once; it looks ahead for the next. */
static void put_event(struct bench *b, struct zone_page *p, struct event *ev, bool forced)
{
	char *name;
	struct hash h;

	name = event_name(ev->kind, ev->id, ev->ref_id);
	event_hash(&h, ev);
	known_set(&b->known, known_put(&b->known, name, ev->kind, ev->ref_id), &h, ev->version);
	page_deploy(p, &b->known, ev, &h, forced);
	mem_free(name);
}

static void pump_fenced(struct bench *b)
{
	struct zone_page p;

	if (!zone_sink_is_free(b->w))
		return;
	page_begin(&p, &b->known, PAGE_RECORDS, clock_wall_ms());
	while (b->sent < b->to && page_has_room(&p, PAYLOAD_BYTES)) {
		struct event ev = { .kind = KIND_API_KEY, .action = ACTION_DEPLOY };
		char id[32];

		name_of(id, b->sent);
		vary(b, b->sent);
		ev.ref_id = mem_strdup("api-1");
		ev.id = mem_strdup(id);
		ev.version = mem_strdup(b->round == 0 ? "1" : "2");
		buf_add(&ev.payload, b->payload, PAYLOAD_BYTES);
		put_event(b, &p, &ev, false);
		b->sent++;
	}
	page_close(&p, &b->known);
	zone_sink_write(b->w, &p, b->sent < b->to);
}

static void on_written(void *arg, struct zone_page *p, bool broken)
{
	struct bench *b = arg;

	CHECK(!broken);
	if (p->begins) {
		begin_slice(b);
		return;
	}
	b->answered += p->revision - p->base;
	if (b->rate > 0)
		return;
	if (b->answered == b->to)
		end_slice(b);
	else
		pump_fenced(b);
}

static void on_over(void *arg, const struct err *why)
{
	UNUSED(arg);
	(void)fprintf(stderr, "bench: %s\n", why->text);
	exit(1);
}

/* --- updates of a zone that run filled --- */

static void put_key(struct bench *b, struct zone_page *p, uint64_t i)
{
	struct event ev = { .kind = KIND_API_KEY, .action = ACTION_DEPLOY };
	char *payload = mem_printf("{\"id\":\"k%" PRIu64 "\",\"key\":\"key-of-k%" PRIu64
				   "\",\"api\":\"a%" PRIu64 "\",\"plan\":\"plan-1\","
				   "\"subscription\":\"s%" PRIu64 "\",\"application\":\"app\","
				   "\"revoked\":false,\"paused\":false,\"active\":true,"
				   "\"n\":%" PRIu64 "}",
				   i, i, i % b->apis, i, b->sent);

	ev.id = mem_printf("k%" PRIu64, i);
	ev.ref_id = mem_printf("a%" PRIu64, i % b->apis);
	ev.version = mem_printf("%" PRId64, clock_wall_ms());
	ev.payload = (struct buf){ payload, strlen(payload), strlen(payload) + 1 };
	put_event(b, p, &ev, true);
}

static void on_tick(uv_timer_t *t)
{
	struct bench *b = t->data;
	uint64_t due = (uint64_t)(clock_boot_us() - b->begin_us) * b->rate / 1000000;

	struct zone_page p;

	if (b->sent == 0)
		b->begin_us = clock_boot_us();
	if (!zone_sink_is_free(b->w) || b->sent >= MAX(due, 1))
		return;
	page_begin(&p, &b->known, PAGE_RECORDS, clock_wall_ms());
	for (; b->sent < MAX(due, 1) && page_has_room(&p, 0); b->sent++)
		put_key(b, &p, b->sent * 7919 % b->count);
	page_close(&p, &b->known);
	zone_sink_write(b->w, &p, false);
}

static redis_reply_fn on_learned;

static void learn(struct bench *b)
{
	const struct follow_ask ask = { &b->pos, "", FOLLOW_PAGE_EVENTS };

	CHECK(follow_read(b->z, &ask, on_learned, b) == 0);
}

/* What the zone holds, as a primary knows it. */
static void on_learned(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct bench *b = arg;
	struct page page = { 0 };
	size_t i;

	CHECK(lost == NULL && follow_parse(r, &page, NULL) == 0);
	for (i = 0; i < page.len; i++) {
		const struct followed *f = &page.events[i];

		known_learn(&b->known, known_put(&b->known, f->name, f->ev.kind, f->ev.ref_id),
			    &f->hash, f->revision);
		b->pos.revision = f->revision;
	}
	if (page.len > 0) {
		learn(b);
	} else {
		b->known.revision = page.head.revision;
		b->known.horizon = page.head.horizon;
		str_copy(b->known.lineage, sizeof(b->known.lineage), page.head.lineage);
		CHECK(uv_timer_start(&b->tick, on_tick, 0, UPDATE_MS) == 0);
	}
	follow_page_reset(&page);
}

static void begin_zone(struct bench *b)
{
	struct zone_page p;

	page_begin(&p, &b->known, PAGE_RECORDS, clock_wall_ms());
	page_refill_begin(&p, &b->known, "bench");
	page_close(&p, &b->known);
	zone_sink_write(b->w, &p, false);
}

static void on_lease(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct bench *b = arg;
	struct lease_reply l;

	CHECK(lost == NULL && lease_parse(r, &l, NULL) == 0 && l.answer == LEASE_HELD);
	zone_sink_begin(b->w, l.token);
	zone_sink_extend(b->w, clock_boot_ms() + TTL_MS);
	if (b->rate > 0) {
		CHECK(uv_timer_init(&b->loop, &b->tick) == 0);
		b->tick.data = b;
		learn(b);
		return;
	}
	begin_zone(b);
}

/* --- drain --- */

/* The bare client: parsed by hiredis, looked at only for where to go on. */
static redis_reply_fn on_page;

static void drain_on(struct bench *b)
{
	const struct follow_ask ask = { &b->pos, "", FOLLOW_PAGE_EVENTS };

	CHECK(follow_read(b->z, &ask, on_page, b) == 0);
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct bench *b = arg;
	const struct redis_reply *events = redis_at(r, 1);
	size_t n = redis_count(events);

	CHECK(lost == NULL);
	if (n == 0) {
		figure(b, "drain", b->events);
		done(b);
		return;
	}
	b->events += n;
	CHECK(redis_u64(redis_at(redis_at(events, n - 1), 1), &b->pos.revision));
	drain_on(b);
}

static void on_up(void *arg)
{
	struct bench *b = arg;
	const struct lease_ask ask = { .nonce = "0123456789abcdef0123456789abcdef",
				       .ttl_ms = TTL_MS,
				       .holder = "bench",
				       .break_token = "" };

	b->begin_us = clock_boot_us();
	if (str_equal(b->mode, "drain")) {
		drain_on(b);
		return;
	}
	b->end.hooks.arg = b;
	b->end.hooks.written = on_written;
	b->end.hooks.over = on_over;
	b->end.hooks.trouble = on_over;
	b->w = zone_sink_create(b->z, &b->end, "bench");
	CHECK(lease_acquire(b->z, &ask, on_lease, b) == 0);
}

static void on_down(void *arg, const struct err *why)
{
	on_over(arg, why);
}

static bool number(const char *text, uint64_t *out)
{
	return str_to_u64(text, strlen(text), out) && *out > 0;
}

/* The zone's name; NULL: these are none of our arguments. */
static const char *read_args(struct bench *b, int argc, char **argv)
{
	if (argc == 4 && str_equal(b->mode, "publish") && number(argv[3], &b->count))
		return "bench";
	if (argc == 4 && str_equal(b->mode, "drain"))
		return argv[3];
	if (argc == 7 && str_equal(b->mode, "update") && number(argv[4], &b->count) &&
	    number(argv[5], &b->apis) && number(argv[6], &b->rate))
		return argv[3];
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench b = { .mode = argc > 1 ? argv[1] : "" };
	struct redis_opts o = { .connect_timeout_ms = 5000, .command_timeout_ms = 60000 };
	const struct zone_hooks h = { &b, on_up, on_down };
	const char *zone = read_args(&b, argc, argv);
	struct err e = { 0 };

	if (zone == NULL && client_run(argc, argv))
		return 0;
	if (zone == NULL) {
		(void)fputs("usage: see bench.c and clients.h\n", stderr);
		return 64;
	}
	if (argv[2][0] == '/')
		o.socket = argv[2];
	o.host = "127.0.0.1";
	o.port = (uint16_t)strtoul(argv[2], NULL, 10);
	memset(b.payload, 'x', sizeof(b.payload));
	CHECK(uv_loop_init(&b.loop) == 0);
	CHECK(zone_conn_open(&b.z, &b.loop, &o, zone, &h, &e) == 0);
	(void)uv_run(&b.loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&b.loop) == 0);
	return 0;
}
