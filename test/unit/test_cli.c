/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "supervisor/cli/args.h"
#include "supervisor/cli/dial.h"
#include "supervisor/cli/json.h"
#include "supervisor/cli/query.h"
#include "supervisor/cli/merge.h"
#include "supervisor/cli/setup_sql.h"
#include "supervisor/cli/cmd_status.h"
#include "supervisor/cli/print.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

#define PARSE(a, e, ...)                                                                           \
	args_parse((a), (const char *const[]){ __VA_ARGS__ },                                      \
		   ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })), (e))

static void args_take_options_before_and_behind_the_verb(void **state)
{
	struct args a;

	UNUSED(state);
	assert_int_equal(PARSE(&a, NULL, "--socket", "/x", "get", "API", "a1", "--ref=API:p"), 0);
	assert_string_equal(a.command->verb, "get");
	assert_string_equal(a.socket, "/x");
	assert_int_equal(a.n_words, 2);
	assert_string_equal(args_value(&a, "--ref"), "API:p");
	assert_int_equal(PARSE(&a, NULL, "status", "--json", "--socket=/y"), 0);
	assert_true(args_has(&a, "--json"));
	assert_false(args_has(&a, "--watch"));
	assert_string_equal(a.socket, "/y");
	assert_int_equal(PARSE(&a, NULL, "config", "check", "f.yml"), 0);
	assert_string_equal(a.command->verb, "config check");
	assert_int_equal(PARSE(&a, NULL, "get", "--", "API", "-odd"), 0);
	assert_string_equal(a.word[1], "-odd");
}

static void args_refuse_what_the_row_does_not_know(void **state)
{
	struct err e = { 0 };
	struct args a;

	UNUSED(state);
	assert_int_equal(PARSE(&a, &e, "status", "--jsn"), ERR_PARSE);
	assert_non_null(strstr(e.text, "status has no option --jsn"));
	assert_int_equal(PARSE(&a, &e, "get", "API"), ERR_PARSE);
	assert_non_null(strstr(e.text, "TYPE ID"));
	assert_int_equal(PARSE(&a, &e, "reload", "now"), ERR_PARSE);
	assert_int_equal(PARSE(&a, &e, "wait", "--revision"), ERR_PARSE);
	assert_int_equal(PARSE(&a, &e, "status", "--json=yes"), ERR_PARSE);
	assert_int_equal(PARSE(&a, &e, "--frob", "status"), ERR_PARSE);
	assert_int_equal(PARSE(&a, &e, "get", "a", "b", "c", "d", "e"), ERR_PARSE);
	assert_int_equal(
		PARSE(&a, &e, "logs", "-f", "-f", "-f", "-f", "-f", "-f", "-f", "-f", "-f"),
		ERR_PARSE);
}

static void args_suggest_the_nearest_verb(void **state)
{
	struct err e = { 0 };
	struct args a;

	UNUSED(state);
	assert_int_equal(PARSE(&a, &e, "staus"), ERR_PARSE);
	assert_non_null(strstr(e.text, "did you mean `status`"));
	assert_int_equal(PARSE(&a, &e, "config", "chek"), ERR_PARSE);
	assert_non_null(strstr(e.text, "`config check`"));
	assert_int_equal(PARSE(&a, &e, "help", "lst"), ERR_PARSE);
	assert_non_null(strstr(e.text, "`list`"));
	assert_null(args_nearest("completely-else"));
	assert_null(args_nearest("x"));
}

static void args_know_help_in_each_form(void **state)
{
	struct args a;

	UNUSED(state);
	assert_int_equal(PARSE(&a, NULL, "help", "config", "show"), 0);
	assert_true(a.help);
	assert_string_equal(a.command->verb, "config show");
	assert_int_equal(PARSE(&a, NULL, "--help"), 0);
	assert_true(a.help);
	assert_null(a.command);
	assert_int_equal(PARSE(&a, NULL, "get", "--help"), 0);
	assert_true(a.help);
	assert_int_equal(PARSE(&a, NULL, "--version"), 0);
	assert_true(a.version);
}

static void every_option_of_the_table_is_understood(void **state)
{
	const struct command *wait = command_find("wait");
	const struct command *logs = command_find("logs");

	UNUSED(state);
	assert_int_equal(args_takes(wait, "--revision", 10), 1);
	assert_int_equal(args_takes(wait, "--timeout", 9), 1);
	assert_int_equal(args_takes(logs, "-f", 2), 0);
	assert_int_equal(args_takes(logs, "-n", 2), 1);
	assert_int_equal(args_takes(command_find("resync"), "--accept-deletes", 16), 0);
	assert_int_equal(args_takes(logs, "-", 1), ERR_NOTFOUND);
	assert_int_equal(args_takes(command_find("list"), "--ref", 5), 1);
	assert_int_equal(args_takes(command_find("list"), "--json", 6), 0);
}

static void values_are_checked(void **state)
{
	int64_t ms = 0;

	UNUSED(state);
	assert_true(args_is_position("12"));
	assert_true(args_is_position("ab:c:12"));
	assert_false(args_is_position(":12"));
	assert_false(args_is_position("ab:"));
	assert_false(args_is_position(""));
	assert_false(args_is_position("-3"));
	assert_int_equal(args_seconds_ms("2.25", &ms, NULL), 0);
	assert_int_equal(ms, 2250);
	assert_int_equal(args_seconds_ms("0", &ms, NULL), 0);
	assert_int_equal(ms, 0);
	assert_int_equal(args_seconds_ms("1.", &ms, NULL), ERR_PARSE);
	assert_int_equal(args_seconds_ms("", &ms, NULL), ERR_PARSE);
	assert_int_equal(args_seconds_ms("-1", &ms, NULL), ERR_PARSE);
	assert_int_equal(args_seconds_ms("99999999999", &ms, NULL), ERR_PARSE);
	assert_string_equal(args_ref_id("API:x:y"), "x:y");
	assert_string_equal(args_ref_id("x"), "x");
	assert_null(args_ref_id("API:"));
	assert_string_equal(args_ref_id("API_PRODUCT:API:x"), "API:x");
	assert_null(args_ref_id("API_PRODUCT:"));
}

static void text_lets_no_control_character_through(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	text_clean(&b, "a\033[2Jb\tc\nd\x7f\xc2\x9b\xff\xc3\xa9");
	assert_string_equal(buf_cstr(&b), "a?[2Jb?c?d???\xc3\xa9");
	buf_clear(&b);
	/* Right-to-left override, zero-width space, byte order mark: they hide or turn round. */
	text_clean(&b, "a\xe2\x80\xae"
		       "b\xe2\x80\x8b"
		       "c\xef\xbb\xbf");
	assert_string_equal(buf_cstr(&b), "a?b?c?");
	buf_reset(&b);
}

static void durations_are_short(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} t[] = { { 0, "0 ms" },	{ 999, "999 ms" },    { 4210, "4.2 s" },
		  { 200000, "3m 20s" }, { 7500000, "2h 5m" }, { 356400000, "4d 3h" },
		  { -5, "-" } };
	struct buf b = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(t); i++) {
		buf_clear(&b);
		text_ms(&b, t[i].ms);
		assert_string_equal(buf_cstr(&b), t[i].text);
	}
	buf_reset(&b);
}

static void make_event(Gateway__Event *ev, const char *ref, const char *bytes, uint64_t whole)
{
	gateway__event__init(ev);
	ev->kind = (char *)(uintptr_t) "API_KEY";
	ev->id = (char *)(uintptr_t) "k";
	ev->ref = (char *)(uintptr_t)ref;
	ev->payload.data = (uint8_t *)(uintptr_t)bytes;
	ev->payload.len = strlen(bytes);
	ev->payload_bytes = whole;
}

static void gather_joins_the_chunks_of_an_entity(void **state)
{
	struct gather g = { 0 };
	Gateway__Event ev;

	UNUSED(state);
	make_event(&ev, "a", "one ", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), 0);
	assert_int_equal(gather_end(&g, NULL), ERR_PROTO);
	make_event(&ev, "a", "two", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), 0);
	make_event(&ev, "b", "", 0);
	assert_int_equal(gather_add(&g, &ev, NULL), 0);
	assert_int_equal(gather_end(&g, NULL), 0);
	assert_int_equal(g.n, 2);
	assert_string_equal(buf_cstr(&g.item[0].payload), "one two");
	gather_reset(&g);
}

static void gather_refuses_chunks_that_do_not_fit(void **state)
{
	struct gather g = { 0 };
	Gateway__Event ev;

	UNUSED(state);
	make_event(&ev, "a", "one ", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), 0);
	make_event(&ev, "b", "two", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), ERR_PROTO);
	make_event(&ev, "a", "much too long", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), ERR_PROTO);
	make_event(&ev, "a", "", 7);
	assert_int_equal(gather_add(&g, &ev, NULL), ERR_PROTO);
	gather_reset(&g);
	make_event(&ev, "a", "", UINT64_MAX);
	assert_int_equal(gather_add(&g, &ev, NULL), ERR_PROTO);
	gather_reset(&g);
}

static void lines_are_tab_separated_and_clean(void **state)
{
	struct buf b = { 0 };
	char kind[16];
	Gateway__Event ev;

	UNUSED(state);
	make_event(&ev, "", "", 0);
	ev.id = (char *)(uintptr_t) "a\tb";
	ev.revision = 7;
	ev.deployed = true;
	lines_entity(&b, &ev);
	lines_change(&b, &ev);
	assert_string_equal(buf_cstr(&b), "API_KEY\ta?b\t-\t7\tdeployed\n"
					  "7\tDEPLOY\tAPI_KEY\ta?b\t-\n");
	buf_clear(&b);
	lines_json(&b, &ev, "L");
	assert_non_null(strstr(buf_cstr(&b), "\"position\":\"L:7\""));
	assert_true(lines_kind(kind, sizeof(kind), "api-key"));
	assert_string_equal(kind, "API_KEY");
	assert_false(lines_kind(kind, sizeof(kind), "sixteen-letters-"));
	buf_reset(&b);
}

static void logs_merge_by_time_and_keep_stampless_lines_in_place(void **state)
{
	struct merge m = { 0 };
	struct buf a = { 0 };
	struct buf b = { 0 };
	struct buf out = { 0 };

	UNUSED(state);
	buf_adds(&a, "ts=2026-01-01T00:00:01.000Z one\n  more of one\nts=2026-01-01T00:00:03.000Z "
		     "three\nts=2026-01-01T00:00:04.000Z not y");
	buf_adds(&b, "{\"ts\":\"2026-01-01T00:00:02.000Z\",\"x\":1}\n");
	merge_add(&m, 0, &a);
	merge_add(&m, 1, &b);
	merge_take(&m, 3, &out);
	assert_string_equal(buf_cstr(&out), "  more of one\n"
					    "{\"ts\":\"2026-01-01T00:00:02.000Z\",\"x\":1}\n"
					    "ts=2026-01-01T00:00:03.000Z three\n");
	assert_string_equal(buf_cstr(&a), "ts=2026-01-01T00:00:04.000Z not y");
	buf_reset(&a);
	buf_reset(&b);
	buf_reset(&out);
	merge_reset(&m);
}

static void logs_cut_lines_without_end(void **state)
{
	struct merge m = { 0 };
	struct buf in = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < 3 * MERGE_LINE_BYTES; i++)
		buf_addc(&in, 'x');
	merge_add(&m, 0, &in);
	assert_int_equal(m.n, 3);
	assert_int_equal(in.len, 0);
	buf_reset(&in);
	merge_reset(&m);
}

static void receive_gives_one_message_at_a_time(void **state)
{
	const uint8_t *body = NULL;
	struct conn c = { .fd = -1 };
	struct err e = { 0 };
	size_t n = 0;
	int fd[2];

	UNUSED(state);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	c.fd = fd[0];
	assert_int_equal(write(fd[1], "\0\0\0\1a\0\0\0\0\0\0\0\2bc", 15), 15);
	assert_int_equal(conn_receive(&c, 100, &body, &n, &e), 0);
	assert_memory_equal(body, "a", 1);
	assert_int_equal(conn_receive(&c, 100, &body, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(conn_receive(&c, 100, &body, &n, &e), 0);
	assert_memory_equal(body, "bc", 2);
	assert_int_equal(conn_receive(&c, 1, &body, &n, &e), ERR_TIMEOUT);
	assert_int_equal(write(fd[1], "\xff\xff\xff\xff", 4), 4);
	assert_int_equal(conn_receive(&c, 100, &body, &n, &e), ERR_PROTO);
	conn_close(&c);
	(void)close(fd[1]);
}

static void status_of_a_bare_daemon_can_be_shown(void **state)
{
	Control__Status st;
	struct buf b = { 0 };

	UNUSED(state);
	control__status__init(&st);
	st.health = (char *)(uintptr_t) "starting";
	status_text(&b, &st, true);
	assert_non_null(strstr(buf_cstr(&b), "starting"));
	buf_clear(&b);
	json_line(&b, &st.base);
	assert_non_null(strstr(buf_cstr(&b), "\"cache\":null"));
	quarantine_text(&b, &st);
	assert_int_equal(status_exit_code(&st), 1);
	buf_reset(&b);
}

/* Lines of at most 80 columns, broken at blanks; colours take none. */
static void long_lines_are_broken_between_words(void **state)
{
	static const struct {
		const char *text, *wrapped;
	} rows[] = {
		{ "", "" },
		{ "short\nlines\n", "short\nlines\n" },
		{ "no end of line", "no end of line" },
		{ "1234567890 234567890 234567890 234567890 234567890 234567890 234567890 2345678901 x",
		  "1234567890 234567890 234567890 234567890 234567890 234567890 234567890\n"
		  "    2345678901 x" },
		{ "1234567890 234567890 234567890 234567890 234567890 234567890 234567890 234567890\n",
		  "1234567890 234567890 234567890 234567890 234567890 234567890 234567890 234567890\n" },
		{ "  1234567890123456789012345678901234567890123456789012345678901234567890123456789 a",
		  "  1234567890123456789012345678901234567890123456789012345678901234567890123456789\n"
		  "    a" },
		{ "\033[31m234567890\033[0m 234567890 234567890 234567890 234567890 234567890 234567890 "
		  "2345678\n",
		  "\033[31m234567890\033[0m 234567890 234567890 234567890 234567890 234567890 234567890 "
		  "2345678\n" },
		{ "ä234567890 234567890 234567890 234567890 234567890 234567890 234567890 23456789\n",
		  "ä234567890 234567890 234567890 234567890 234567890 234567890 234567890 23456789\n" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		buf_adds(&b, rows[i].text);
		text_wrap(&b, 4);
		assert_string_equal(buf_cstr(&b), rows[i].wrapped);
		buf_reset(&b);
	}
}

/* --- what programs read: each name, its order and its shape --- */

static void set_daemon(Control__Status *st)
{
	static Control__Worker workers[2];
	static Control__Worker *worker_list[] = { &workers[0], &workers[1] };
	static Control__Death death;
	static Control__Death *death_list[] = { &death };
	static char *warnings[] = { TEXT("one \"w\""), TEXT("two") };

	control__status__init(st);
	control__worker__init(&workers[0]);
	control__worker__init(&workers[1]);
	control__death__init(&death);
	st->version = TEXT("1.2");
	st->node = TEXT("n\xc3\xa9\xff");
	st->zone = TEXT("z\xe2\x80\xae");
	st->mode = TEXT("zone");
	st->role = TEXT("primary");
	st->health = TEXT("ok");
	st->reason = TEXT("a\tb\n\x7f\033[2J\\");
	st->pid = INT32_MIN;
	st->uptime_ms = INT64_MAX;
	st->config = TEXT("/etc/z.yml");
	st->cache_socket = TEXT("/run/c.sock");
	st->warnings = warnings;
	st->n_warnings = 2;
	workers[0].name = TEXT("cache");
	workers[0].state = TEXT("up");
	workers[0].pid = 7;
	workers[0].generation = UINT32_MAX;
	workers[0].failures = 6;
	workers[0].uptime_ms = 8;
	workers[0].restart_in_ms = 9;
	workers[0].error = TEXT("e");
	workers[0].log = TEXT("/l");
	st->workers = worker_list;
	st->n_workers = 2;
	death.at_ms = 1;
	death.worker = TEXT("elector");
	death.pid = 2;
	death.exit_code = -1;
	death.signal = 9;
	death.uptime_ms = 3;
	death.why = TEXT("died");
	st->deaths = death_list;
	st->n_deaths = 1;
}

#define DAEMON_JSON                                                                                   \
	"{\"version\":\"1.2\",\"node\":\"n\xc3\xa9\\ufffd\",\"zone\":\"z\\u202e\",\"mode\":\"zone\"," \
	"\"role\":\"primary\",\"health\":\"ok\","                                                     \
	"\"reason\":\"a\\tb\\n\\u007f\\u001b[2J\\\\\",\"pid\":-2147483648,"                           \
	"\"uptime_ms\":9223372036854775807,\"config\":\"/etc/z.yml\","                                \
	"\"cache_socket\":\"/run/c.sock\",\"warnings\":[\"one \\\"w\\\"\",\"two\"],"                  \
	"\"workers\":[{\"name\":\"cache\",\"state\":\"up\",\"pid\":7,\"generation\":4294967295,"      \
	"\"uptime_ms\":8,\"restart_in_ms\":9,\"error\":\"e\",\"log\":\"/l\",\"failures\":6},"         \
	"{\"name\":\"\",\"state\":\"\",\"pid\":0,\"generation\":0,\"uptime_ms\":0,"                   \
	"\"restart_in_ms\":0,\"error\":\"\",\"log\":\"\",\"failures\":0}],"                           \
	"\"deaths\":[{\"at_ms\":1,\"worker\":\"elector\",\"pid\":2,\"exit_code\":-1,\"signal\":9,"    \
	"\"uptime_ms\":3,\"why\":\"died\"}],"

static void set_elector(Ipc__ElectorReport *r)
{
	static char *warnings[] = { TEXT("w") };

	ipc__elector_report__init(r);
	r->state = TEXT("held");
	r->token = TEXT("1:x");
	r->holder = TEXT("n");
	r->ttl_ms = -4;
	r->error = TEXT("e");
	r->redis = TEXT("connected");
	r->java = TEXT("j");
	r->disputed = true;
	r->warnings = warnings;
	r->n_warnings = 1;
}

#define ELECTOR_JSON                                                                                \
	"\"elector\":{\"state\":\"held\",\"token\":\"1:x\",\"holder\":\"n\",\"ttl_ms\":-4,"         \
	"\"error\":\"e\",\"redis\":\"connected\",\"java\":\"j\",\"disputed\":true,\"unfit\":false," \
	"\"warnings\":[\"w\"]},"

static void set_fetcher(Ipc__FetcherReport *r)
{
	static Ipc__Quarantined q[2];
	static Ipc__Quarantined *list[] = { &q[0], &q[1] };
	static Ipc__Unpublished u[2];
	static Ipc__Unpublished *unpublished[] = { &u[0], &u[1] };
	static char *ids[] = { TEXT("k1"), TEXT("k2") };

	ipc__fetcher_report__init(r);
	ipc__quarantined__init(&q[0]);
	ipc__quarantined__init(&q[1]);
	r->state = TEXT("steady");
	r->token = TEXT("t");
	r->source = TEXT("up");
	r->source_heard = true;
	r->source_reached = true;
	r->notify = TEXT("off");
	r->rows = UINT64_MAX;
	r->published = 2;
	r->batch = 3;
	r->outbox = 4;
	r->guard = TEXT("g");
	r->guard_set = TEXT("gs");
	r->error = TEXT("e");
	r->index = TEXT("there");
	r->quarantined = 5;
	q[0].type = TEXT("API");
	q[0].id = TEXT("id\"");
	q[0].where = TEXT("f.json");
	q[0].reason = TEXT("r");
	q[0].since_ms = 6;
	r->quarantine = list;
	r->n_quarantine = 2;
	ipc__unpublished__init(&u[0]);
	ipc__unpublished__init(&u[1]);
	u[0].type = TEXT("API_KEY");
	u[0].reason = TEXT("without a subscription");
	u[0].count = 5;
	u[0].examples = ids;
	u[0].n_examples = ARRAY_LEN(ids);
	u[1].type = TEXT("DICTIONARY");
	u[1].reason = TEXT("lost");
	u[1].count = 2;
	r->unpublished = unpublished;
	r->n_unpublished = 2;
}

#define QUARANTINED_JSON                                                                           \
	"{\"type\":\"API\",\"id\":\"id\\\"\",\"where\":\"f.json\",\"reason\":\"r\",\"since_ms\":6}"
#define NO_QUARANTINED_JSON                                                                        \
	"{\"type\":\"\",\"id\":\"\",\"where\":\"\",\"reason\":\"\",\"since_ms\":0}"
#define UNPUBLISHED_JSON                                                                           \
	"{\"type\":\"API_KEY\",\"reason\":\"without a subscription\",\"count\":5,"                 \
	"\"examples\":[\"k1\",\"k2\"]},"                                                           \
	"{\"type\":\"DICTIONARY\",\"reason\":\"lost\",\"count\":2,\"examples\":[]}"
#define FETCHER_JSON                                                                                  \
	"\"fetcher\":{\"state\":\"steady\",\"token\":\"t\",\"source\":\"up\",\"source_heard\":true,"  \
	"\"notify\":\"off\",\"rows\":18446744073709551615,\"published\":2,\"batch\":3,\"outbox\":4,"  \
	"\"guard\":\"g\",\"guard_set\":\"gs\",\"error\":\"e\",\"index\":\"there\",\"quarantined\":5," \
	"\"quarantine\":[" QUARANTINED_JSON "," NO_QUARANTINED_JSON "],"                              \
	"\"unpublished\":[" UNPUBLISHED_JSON "]},"

static void set_cache(Ipc__CacheReport *r)
{
	ipc__cache_report__init(r);
	r->state = TEXT("following");
	r->lineage = TEXT("L");
	r->revision = 42;
	r->count = 2;
	r->digest = TEXT("d");
	r->head_revision = 50;
	r->behind = 8;
	r->serving = true;
	r->error = TEXT("e");
	r->generation = 3;
	r->applied_ms = 4;
	r->redis = TEXT("down: x");
	r->socket = TEXT("/s");
	r->http = TEXT("/h");
	r->reads = 5;
	r->read_ms = 6;
	r->errors = 7;
	r->java = TEXT("j");
	r->set_aside = 8;
	r->unwritten = true;
	r->waits = TEXT("for the supervisor alone, as the three below");
	r->held = r->waits;
	r->asks = true;
	r->lacks = 9;
}

#define CACHE_JSON                                                                                   \
	"\"cache\":{\"state\":\"following\",\"lineage\":\"L\",\"revision\":42,\"count\":2,"          \
	"\"digest\":\"d\",\"head_revision\":50,\"behind\":8,\"proven\":false,\"serving\":true,"      \
	"\"error\":\"e\",\"generation\":3,\"applied_ms\":4,\"redis\":\"down: x\",\"socket\":\"/s\"," \
	"\"http\":\"/h\",\"reads\":5,\"read_ms\":6,\"errors\":7,\"java\":\"j\",\"set_aside\":8,"     \
	"\"unwritten\":true}"

static void what_is_not_published_has_a_line(void **state)
{
	Ipc__FetcherReport fetcher;
	Control__Status st;
	struct buf b = { 0 };

	UNUSED(state);
	control__status__init(&st);
	set_fetcher(&fetcher);
	st.fetcher = &fetcher;
	status_text(&b, &st, false);
	assert_non_null(strstr(buf_cstr(&b), "not published: 5 API keys, without a subscription;"));
	assert_non_null(strstr(buf_cstr(&b), "dictionaries,"));
	assert_non_null(strstr(buf_cstr(&b), "--all"));
	buf_clear(&b);
	unpublished_text(&b, &fetcher);
	assert_non_null(strstr(buf_cstr(&b), "API_KEY"));
	assert_non_null(strstr(buf_cstr(&b), "k1, k2\n"));
	assert_non_null(strstr(buf_cstr(&b), "lost"));
	buf_reset(&b);
}

static void status_as_json_is_what_programs_know(void **state)
{
	Ipc__ElectorReport elector;
	Ipc__FetcherReport fetcher;
	Ipc__CacheReport cache;
	Control__Status st;
	struct buf b = { 0 };

	UNUSED(state);
	set_daemon(&st);
	set_elector(&elector);
	set_fetcher(&fetcher);
	set_cache(&cache);
	json_line(&b, &st.base);
	assert_string_equal(buf_cstr(&b),
			    DAEMON_JSON "\"elector\":null,\"fetcher\":null,\"cache\":null}\n");
	buf_clear(&b);
	st.elector = &elector;
	st.fetcher = &fetcher;
	st.cache = &cache;
	json_line(&b, &st.base);
	assert_string_equal(buf_cstr(&b), DAEMON_JSON ELECTOR_JSON FETCHER_JSON CACHE_JSON "}\n");
	buf_clear(&b);
	json_line(&b, &fetcher.quarantine[0]->base);
	json_line(&b, &fetcher.quarantine[1]->base);
	assert_string_equal(buf_cstr(&b), QUARANTINED_JSON "\n" NO_QUARANTINED_JSON "\n");
	buf_clear(&b);
	control__status__init(&st);
	json_line(&b, &st.base);
	assert_string_equal(
		buf_cstr(&b),
		"{\"version\":\"\",\"node\":\"\",\"zone\":\"\",\"mode\":\"\",\"role\":\"\",\"health\":\"\","
		"\"reason\":\"\",\"pid\":0,\"uptime_ms\":0,\"config\":\"\",\"cache_socket\":\"\","
		"\"warnings\":[],\"workers\":[],\"deaths\":[],\"elector\":null,\"fetcher\":null,"
		"\"cache\":null}\n");
	buf_reset(&b);
}

static void findings_as_json_are_what_programs_know(void **state)
{
	Ipc__Examined m = IPC__EXAMINED__INIT;
	Ipc__Finding f;
	Ipc__Finding *list = &f;
	struct buf b = { 0 };

	UNUSED(state);
	json_line(&b, &m.base);
	ipc__finding__init(&f);
	f.bad = true;
	f.topic = TEXT("zone");
	f.text = TEXT("\"t\"");
	m.findings = &list;
	m.n_findings = 1;
	json_line(&b, &m.base);
	assert_string_equal(buf_cstr(&b), "{\"findings\":[]}\n{\"findings\":[{\"topic\":\"zone\","
					  "\"bad\":true,\"text\":\"\\\"t\\\"\"}]}\n");
	buf_reset(&b);
}

static void an_event_as_json_is_what_programs_know(void **state)
{
	struct buf b = { 0 };
	Gateway__Event ev;

	UNUSED(state);
	make_event(&ev, "", "x", 7);
	ev.id = TEXT("\033\xff\"");
	ev.revision = UINT64_MAX;
	ev.updated_ms = -1;
	ev.version = TEXT("v");
	lines_json(&b, &ev, "L");
	ev.ref = TEXT("api");
	ev.deployed = true;
	lines_json(&b, &ev, "");
	assert_string_equal(
		buf_cstr(&b),
		"{\"revision\":18446744073709551615,\"position\":\"L:18446744073709551615\","
		"\"action\":\"UNDEPLOY\",\"type\":\"API_KEY\",\"id\":\"\\u001b\\ufffd\\\"\",\"ref\":null,"
		"\"deployed\":false,\"updated_ms\":-1,\"version\":\"v\",\"payload_bytes\":7}\n"
		"{\"revision\":18446744073709551615,\"action\":\"DEPLOY\",\"type\":\"API_KEY\","
		"\"id\":\"\\u001b\\ufffd\\\"\",\"ref\":\"api\",\"deployed\":true,\"updated_ms\":-1,"
		"\"version\":\"v\",\"payload_bytes\":7}\n");
	buf_reset(&b);
}

static void setup_sql_quotes_whatever_is_configured(void **state)
{
	static const struct {
		struct setup_names names;
		const char *path, *prefix; /* as the SQL has them; NULL: no such line */
	} rows[] = {
		{ { "", "jdbc:postgresql://h/d", "" }, NULL, "''" },
		{ { "s", "jdbc:postgresql://h/d?currentSchema=no", "gio_" },
		  "SET search_path = \"s\";",
		  "'gio_'" },
		{ { "a\"; DROP", "", "it's" }, "SET search_path = \"a\"\"; DROP\";", "'it''s'" },
		/* as the driver sets it: the server folds, unquotes and takes apart */
		{ { "", "jdbc:pgsql:d?x=currentSchema=&currentSchema=a%22b%2Cc,D&y", "$zonesync$" },
		  "SELECT set_config('search_path', 'a\"b,c,D', false);",
		  "'$zonesync$'" },
		{ { "", "jdbc:postgresql://h/d?currentSchema=", "\\'" },
		  "SELECT set_config('search_path', '', false);",
		  "E'\\\\'''" },
		{ { "", "jdbc:postgresql://h/d?currentSchema=100%2'\\", "" },
		  "SELECT set_config('search_path', E'100%2''\\\\', false);",
		  "''" },
		{ { "", "jdbc:postgresql://h/d?currentSchema=a&currentSchema=b", "" },
		  "SELECT set_config('search_path', 'b', false);",
		  "''" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *path = rows[i].path == NULL ? NULL : mem_printf("\n%s\n", rows[i].path);
		char *prefix =
			mem_printf("\nSET zonesync.prefix = %s;\nDO $zonesync$\n", rows[i].prefix);
		struct buf b = { 0 };

		setup_sql(&b, &rows[i].names, i % 2 != 0);
		assert_non_null(strstr(buf_cstr(&b), prefix));
		if (path != NULL)
			assert_non_null(strstr(buf_cstr(&b), path));
		else
			assert_null(strstr(buf_cstr(&b), "\nSET search_path ="));
		buf_reset(&b);
		mem_free(path);
		mem_free(prefix);
	}
}

static void setup_sql_makes_or_takes_out(void **state)
{
	static const struct setup_names names = { "", "", "" };
	struct buf b = { 0 };

	UNUSED(state);
	setup_sql(&b, &names, false);
	assert_non_null(strstr(buf_cstr(&b), "CREATE OR REPLACE FUNCTION"));
	assert_non_null(strstr(buf_cstr(&b), "CREATE TRIGGER"));
	assert_null(strstr(buf_cstr(&b), "DROP FUNCTION"));
	buf_clear(&b);
	setup_sql(&b, &names, true);
	assert_null(strstr(buf_cstr(&b), "CREATE"));
	assert_non_null(strstr(buf_cstr(&b), "DROP TRIGGER"));
	assert_non_null(strstr(buf_cstr(&b), "DROP FUNCTION"));
	buf_reset(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(args_take_options_before_and_behind_the_verb),
		cmocka_unit_test(args_refuse_what_the_row_does_not_know),
		cmocka_unit_test(args_suggest_the_nearest_verb),
		cmocka_unit_test(args_know_help_in_each_form),
		cmocka_unit_test(every_option_of_the_table_is_understood),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(text_lets_no_control_character_through),
		cmocka_unit_test(durations_are_short),
		cmocka_unit_test(gather_joins_the_chunks_of_an_entity),
		cmocka_unit_test(gather_refuses_chunks_that_do_not_fit),
		cmocka_unit_test(lines_are_tab_separated_and_clean),
		cmocka_unit_test(logs_merge_by_time_and_keep_stampless_lines_in_place),
		cmocka_unit_test(logs_cut_lines_without_end),
		cmocka_unit_test(receive_gives_one_message_at_a_time),
		cmocka_unit_test(status_of_a_bare_daemon_can_be_shown),
		cmocka_unit_test(what_is_not_published_has_a_line),
		cmocka_unit_test(long_lines_are_broken_between_words),
		cmocka_unit_test(status_as_json_is_what_programs_know),
		cmocka_unit_test(findings_as_json_are_what_programs_know),
		cmocka_unit_test(an_event_as_json_is_what_programs_know),
		cmocka_unit_test(setup_sql_quotes_whatever_is_configured),
		cmocka_unit_test(setup_sql_makes_or_takes_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
