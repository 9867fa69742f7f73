/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/readable.h"
#include "workers/fetcher/map/map_ctx.h"
#include "workers/fetcher/map/definition.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

#define FILE_ENVIRONMENT "DEFAULT"

/* Never taken from the API: the reference writes its default (storage 2.3). */
static const char definition_context[] =
	"{\"origin\":\"management\",\"mode\":\"fully_managed\",\"syncFrom\":\"MANAGEMENT\","
	"\"originManagement\":true,\"originKubernetes\":false,\"syncFromKubernetes\":false,"
	"\"syncFromManagement\":true}";

/* The envelope around a definition, before it is written. */
struct envelope {
	struct json_span definition;
	struct json_span deployed_at; /* an integer; empty: the row or file has none */
	struct json_span revision;    /* empty: none */
	struct json_span file;	      /* members that a file may give; empty for rows */
	const char *environment_id;   /* borrowed; NULL: none, or not known */
	const struct places *places;
	const struct place *environment;
	bool is_file;
	bool started;
	int64_t modified_ms; /* of a file: deployedAt when it gives none */
};

static void set_environment(const struct map_ctx *ctx, struct envelope *n, const char *id)
{
	n->places = &ctx->places;
	n->environment = places_find(n->places, PLACE_ENVIRONMENT, id);
	if (n->environment != NULL)
		n->environment_id = n->environment->id;
}

/* What the file says goes before what the tables say. */
static int write_place(struct buf *b, const struct envelope *n, const char *name, const char *known,
		       struct err *e)
{
	const struct member m = { name, MEMBER_TEXT };

	if (n->is_file && !json_is_null(json_get(n->file, name)))
		return member_copy(b, n->file, &m, 1, e);
	json_add_str(b, name, known);
	return 0;
}

static int write_places(struct buf *b, const struct envelope *n, struct err *e)
{
	const struct place *env = n->environment;
	const struct place *org = env == NULL ? NULL : places_organization(n->places, env);
	int rc;

	rc = write_place(b, n, "environmentId", n->environment_id, e);
	if (rc == 0)
		rc = write_place(b, n, "environmentHrid", place_hrid(env), e);
	if (rc == 0)
		rc = write_place(b, n, "organizationId", org == NULL ? NULL : org->id, e);
	if (rc == 0)
		rc = write_place(b, n, "organizationHrid", place_hrid(org), e);
	return rc;
}

static int write_deployed_at(struct map_out *out, const struct envelope *n, struct err *e)
{
	struct buf *b = &out->ev.payload;
	size_t before;
	int64_t ms;
	int rc = member_take_ms(n->deployed_at, "deployedAt", n->modified_ms, &ms, e);

	if (rc < 0 || (!n->is_file && json_is_null(n->deployed_at)))
		return rc;
	json_write_name(b, "deployedAt");
	before = b->len;
	buf_addi(b, ms);
	if (json_is_null(n->deployed_at)) {
		out->deployed_at_off = before;
		out->deployed_at_len = b->len - before;
	}
	return 0;
}

/* A digest of what was written so far but the default deployedAt: it changes with the content. */
static void write_digest(struct map_out *out)
{
	struct buf *b = &out->ev.payload;
	size_t skip = out->deployed_at_off + out->deployed_at_len;
	uint64_t h;
	char *text;

	CHECK(skip <= b->len);
	h = hash_u64(b->data, out->deployed_at_off, 0);
	h = hash_u64(b->data + skip, b->len - skip, h);
	text = mem_printf("%llu", (unsigned long long)h);
	json_add_str(b, "revision", text);
	mem_free(text);
}

static int write_revision(struct map_out *out, const struct envelope *n, struct err *e)
{
	struct buf *b = &out->ev.payload;

	if (n->is_file && json_is_null(n->revision)) {
		write_digest(out);
		return 0;
	}
	if (json_is_null(n->revision))
		return 0;
	if (json_type(n->revision) != JSON_STRING && json_type(n->revision) != JSON_NUMBER)
		return err_set(e, ERR_PARSE, "revision is not text");
	json_write_name(b, "revision");
	if (json_type(n->revision) == JSON_NUMBER)
		json_write_string(b, n->revision.p, n->revision.n);
	else
		json_write_respelled(b, n->revision);
	return 0;
}

static void withdraw(struct map_out *out, const char *reason)
{
	buf_reset(&out->ev.payload);
	out->ev.action = ACTION_UNDEPLOY;
	out->reason = reason;
	out->deployed_at_off = 0;
	out->deployed_at_len = 0;
}

static int write_payload(const struct map_ctx *ctx, const struct envelope *n, struct map_out *out,
			 size_t *plans, struct err *e)
{
	struct buf *b = &out->ev.payload;
	int rc;

	buf_addc(b, '{');
	json_write_name(b, "definition");
	rc = definition_write(ctx, n->definition, b, plans, e);
	if (rc < 0)
		return rc;
	json_add_bool(b, "enabled", true);
	rc = write_deployed_at(out, n, e);
	if (rc == 0)
		rc = write_places(b, n, e);
	if (rc == 0)
		rc = write_revision(out, n, e);
	if (rc < 0)
		return rc;
	json_write_name(b, "definitionContext");
	buf_adds(b, definition_context);
	buf_addc(b, '}');
	return 0;
}

/* The whole is read before anything is decided: an unreadable row withdraws nothing. */
static int map_envelope(const struct map_ctx *ctx, const struct envelope *n, struct map_out *out,
			struct err *e)
{
	const char *against = NULL;
	size_t plans = 0;
	int rc;

	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_API;
	out->ev.action = ACTION_DEPLOY;
	rc = member_take_id(json_get(n->definition, "id"), "definition id", &out->ev.id, e);
	if (rc == 0)
		rc = write_payload(ctx, n, out, &plans, e);
	if (rc < 0)
		return rc;
	if (!tags_match(&ctx->tags, json_get(n->definition, "tags")))
		against = "tags do not match";
	else if (plans == 0)
		against = "no plan left";
	if (!n->started) {
		withdraw(out, "not started");
	} else if (against != NULL && table_get(&ctx->members, out->ev.id) == NULL) {
		withdraw(out, against);
		out->ineligible = true;
	}
	return 0;
}

/* The members of the management API's Api bean that matter. */
enum { BEAN_DEFINITION, BEAN_VERSION, BEAN_TYPE, BEAN_STATE, BEAN_ENVIRONMENT, BEAN__COUNT };
static const char *const bean_names[BEAN__COUNT] = { "definition", "definitionVersion", "type",
						     "lifecycleState", "environmentId" };

/* The definition in the bean is text once more. */
int api_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
	      struct err *e)
{
	struct envelope n = { .deployed_at = row->created_at };
	struct json_span m[BEAN__COUNT];
	enum definition_kind kind;
	struct buf text = { 0 };
	struct buf id = { 0 };
	bool v4;
	int rc;

	json_pick(row->bean, bean_names, m, BEAN__COUNT);
	v4 = json_equals(m[BEAN_VERSION], "4.0.0");
	n.started = json_equals_nocase(m[BEAN_STATE], "STARTED");
	n.revision = json_get(row->properties, "deployment_number");
	rc = member_open_text(m[BEAN_DEFINITION], "definition", &text, &n.definition, e);
	if (rc == 0)
		rc = definition_recognise(n.definition, v4, m[BEAN_TYPE], &kind, e);
	if (rc == 0)
		rc = definition_check(n.definition, kind, e);
	if (rc == 0) {
		json_unescape(m[BEAN_ENVIRONMENT], &id);
		if (id.len > 0)
			set_environment(ctx, &n, buf_cstr(&id));
		rc = map_envelope(ctx, &n, out, e);
	}
	buf_reset(&id);
	buf_reset(&text);
	return rc;
}

static int read_started(struct json_span file, bool *out, struct err *e)
{
	struct json_span enabled = json_get(file, "enabled");
	struct json_span state = json_get(file, "lifecycleState");

	if (!json_is_null(enabled) && json_type(enabled) != JSON_BOOL)
		return err_set(e, ERR_PARSE, "enabled is neither true nor false");
	if (!json_is_null(state) && !json_equals(state, "STARTED") &&
	    !json_equals(state, "STOPPED"))
		return err_set(e, ERR_PARSE, "lifecycleState is neither STARTED nor STOPPED");
	*out = (json_is_null(enabled) || json_is_true(enabled)) && !json_equals(state, "STOPPED");
	return 0;
}

static int map_file(const struct map_ctx *ctx, struct envelope *n, struct map_out *out,
		    struct err *e)
{
	bool v4 = definition_says_v4(n->definition);
	struct json_span type = json_get(n->definition, "type");
	struct json_span given = json_get(n->file, "environmentId");
	enum definition_kind kind;
	char *environment = NULL;
	int rc;

	rc = definition_recognise(n->definition, v4, type, &kind, e);
	if (rc == 0)
		rc = definition_check(n->definition, kind, e);
	if (rc == 0 && !json_is_null(given))
		rc = member_take_id(given, "environmentId", &environment, e);
	if (rc < 0)
		return rc;
	n->environment_id = FILE_ENVIRONMENT;
	set_environment(ctx, n, environment == NULL ? FILE_ENVIRONMENT : environment);
	mem_free(environment);
	return map_envelope(ctx, n, out, e);
}

/* Finds the definition: the file itself, or its member, as an object or as text. */
static int open_file(struct json_span file, struct envelope *n, struct buf *text, struct err *e)
{
	struct json_span def = json_get(file, "definition");

	if (json_type(def) == JSON_NONE) {
		n->definition = file;
		n->started = true;
		return 0;
	}
	n->file = file;
	n->deployed_at = json_get(file, "deployedAt");
	n->revision = json_get(file, "revision");
	if (json_type(def) != JSON_OBJECT)
		return member_open_text(def, "definition", text, &n->definition, e);
	n->definition = def;
	return 0;
}

int map_api_file(const struct map_ctx *ctx, struct json_span text, int64_t modified_ms,
		 struct map_out *out, struct err *e)
{
	struct envelope n = { .is_file = true, .modified_ms = modified_ms };
	struct map_out made = { 0 };
	struct json_span file = { 0 };
	struct buf room = { 0 };
	int rc;

	rc = member_check_object(text, "file", &file, e);
	if (rc == 0)
		rc = open_file(file, &n, &room, e);
	if (rc == 0)
		rc = read_started(n.file, &n.started, e);
	if (rc == 0)
		rc = map_file(ctx, &n, &made, e);
	if (rc == 0)
		rc = member_check_payload(&made.ev.payload, e);
	buf_reset(&room);
	if (rc < 0)
		map_out_reset(&made);
	else
		*out = made;
	return rc;
}
