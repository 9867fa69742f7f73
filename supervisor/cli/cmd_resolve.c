/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "supervisor/cli/json.h"
#include "supervisor/cli/query.h"
#include "supervisor/cli/print.h"

#define KEY_MAX 1024 /* bytes of a key on stdin; the index takes no longer one */

static const char *reason_of(const Gateway__Match *m)
{
	static const char *const reasons[] = {
		[GATEWAY__MATCH__WHY__KEY_REVOKED] = "the key is revoked",
		[GATEWAY__MATCH__WHY__KEY_PAUSED] = "the key is paused",
		[GATEWAY__MATCH__WHY__KEY_EXPIRED] = "the key has expired",
		[GATEWAY__MATCH__WHY__KEY_INACTIVE] = "the key is marked inactive",
		[GATEWAY__MATCH__WHY__SUBSCRIPTION_UNKNOWN] =
			"its subscription is not deployed here",
		[GATEWAY__MATCH__WHY__SUBSCRIPTION_NOT_ACCEPTED] =
			"its subscription is not accepted",
		[GATEWAY__MATCH__WHY__SUBSCRIPTION_NOT_STARTED] =
			"its subscription has not started",
		[GATEWAY__MATCH__WHY__SUBSCRIPTION_ENDED] = "its subscription has ended",
		[GATEWAY__MATCH__WHY__REF_NOT_DEPLOYED] = "what it is for is not deployed here",
	};
	size_t why = (size_t)m->why;

	return why < ARRAY_LEN(reasons) && reasons[why] != NULL
		       ? reasons[why]
		       : "for a reason this version does not know";
}

/* --- what is printed --- */

static void line(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%-13s ", name);
	text_clean(out, value[0] == '\0' ? "-" : value);
	buf_addc(out, '\n');
}

static void print_text(const Gateway__Reply *r)
{
	const Gateway__Match *m = r->resolution->matches[0];
	struct buf out = { 0 };
	struct buf expires = { 0 };

	if (m->active)
		line(&out, "active", "yes");
	else
		buf_printf(&out, "%-13s no: %s\n", "active", reason_of(m));
	line(&out, "subscription", m->subscription);
	line(&out, "plan", m->plan);
	line(&out, "application", m->application);
	if (m->api_product[0] != '\0')
		line(&out, "API product", m->api_product);
	if (m->key_id[0] != '\0')
		line(&out, "key", m->key_id);
	if (m->expire_at_ms != 0)
		text_time(&expires, m->expire_at_ms);
	line(&out, "until", expires.len == 0 ? "no end is set" : buf_cstr(&expires));
	if (r->position != NULL) {
		char *at = mem_printf("%s:%" PRIu64 "%s", r->position->lineage,
				      r->position->revision,
				      r->position->proven ? "" : ", not proven");

		line(&out, "position", at);
		mem_free(at);
	}
	if (r->resolution->n_matches > 1)
		buf_printf(&out, "%zu more match; see --json\n", r->resolution->n_matches - 1);
	cli_print(&out);
	buf_reset(&expires);
}

static void print_json(const Gateway__Reply *r)
{
	const Gateway__Resolution *s = r->resolution;
	struct buf out = { 0 };
	size_t i;

	buf_addc(&out, '{');
	json_add_bool(&out, "found", s->found);
	json_add_bool(&out, "active", s->n_matches > 0 && s->matches[0]->active);
	json_add_bool(&out, "deployed", s->deployed);
	json_open(&out, "matches", '[');
	for (i = 0; i < s->n_matches; i++) {
		json_write_comma(&out);
		json_message(&out, &s->matches[i]->base);
	}
	buf_addc(&out, ']');
	if (r->position != NULL) {
		char *at = mem_printf("%s:%" PRIu64, r->position->lineage, r->position->revision);

		json_add_shown(&out, "position", at);
		json_add_bool(&out, "proven", r->position->proven);
		mem_free(at);
	}
	buf_addc(&out, '}');
	buf_addc(&out, '\n');
	cli_print(&out);
}

/* Has said all there is to say. */
static int print_reply(void *arg, const Gateway__Reply *r, int code, struct err *e)
{
	const struct args *args = arg;
	bool json = args_has(args, "--json");
	const Gateway__Resolution *s = r->resolution;

	if ((code != 0 && code != CLI_NO) || s == NULL || (code == 0 && s->n_matches == 0))
		return cli_fail(code == 0 ? EX_PROTOCOL : code, "%s",
				code == 0 ? "an answer without a resolution" : e->text);
	if (json)
		print_json(r);
	if (code != 0 && !json)
		return cli_fail(code,
				s->deployed ? "nothing is known under it for %s"
					    : "%s is not deployed here, and nothing is known "
					      "under it",
				args->word[0]);
	if (code != 0)
		return code;
	if (!json)
		print_text(r);
	return s->matches[0]->active ? CLI_OK : CLI_REFUSED;
}

/* --- what is asked --- */

/* "API:ID", "API_PRODUCT:ID" or "ID" of an API; *kind is "" or a type. */
static int split_ref(const char *typed, const char **kind, const char **id)
{
	*kind = str_starts(typed, "API_PRODUCT:") ? "API_PRODUCT" : "";
	*id = args_ref_id(typed);
	if (*id == NULL)
		return cli_fail(EX_USAGE, "`%s` is no API:ID and no API_PRODUCT:ID", typed);
	return 0;
}

/* A key on the command line stands in the list of processes; on stdin it does not. */
static int read_key(char key[KEY_MAX + 3])
{
	size_t n = fread(key, 1, KEY_MAX + 2, stdin);

	if (ferror(stdin))
		return cli_fail(EX_IOERR, "stdin: %s", strerror(errno));
	if (n > 0 && key[n - 1] == '\n')
		n--;
	if (n == 0 || n > KEY_MAX || memchr(key, '\0', n) != NULL || memchr(key, '\n', n) != NULL)
		return cli_fail(EX_USAGE, "stdin holds no key: one line of at most %d bytes",
				KEY_MAX);
	key[n] = '\0';
	return 0;
}

static int ask(struct cli *c, const ProtobufCMessage *body)
{
	struct err e = { 0 };
	struct query q;
	int rc = query_open(&q, c->socket);

	if (rc != 0)
		return rc;
	rc = query_run(&q, body, print_reply, &c->args, &e);
	if (rc < 0)
		rc = query_fail(&q, rc, &e);
	query_close(&q);
	return rc;
}

int verb_resolve_key(struct cli *c)
{
	const char *typed = c->args.word[1];
	Gateway__ResolveKey k = GATEWAY__RESOLVE_KEY__INIT;
	char key[KEY_MAX + 3];
	const char *kind;
	const char *id;
	int rc = split_ref(c->args.word[0], &kind, &id);

	if (rc == 0 && str_equal(typed, "-"))
		rc = read_key(key);
	if (rc != 0)
		return rc;
	k.ref_kind = (char *)(uintptr_t)kind;
	k.ref = (char *)(uintptr_t)id;
	k.key = str_equal(typed, "-") ? key : (char *)(uintptr_t)typed;
	return ask(c, &k.base);
}

int verb_resolve_subscription(struct cli *c)
{
	const char *plan = args_value(&c->args, "--plan");
	Gateway__ResolveSubscription s = GATEWAY__RESOLVE_SUBSCRIPTION__INIT;
	const char *kind;
	const char *id;
	int rc = split_ref(c->args.word[0], &kind, &id);

	if (rc != 0)
		return rc;
	s.ref_kind = (char *)(uintptr_t)kind;
	s.ref = (char *)(uintptr_t)id;
	s.client_id = (char *)(uintptr_t)c->args.word[1];
	s.plan = (char *)(uintptr_t)(plan == NULL ? "" : plan);
	return ask(c, &s.base);
}
