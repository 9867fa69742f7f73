/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/members.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/map.h"

void map_out_reset(struct map_out *out)
{
	event_reset(&out->ev);
	*out = (struct map_out){ 0 };
}

int member_check_object(struct json_span text, const char *what, struct json_span *out,
			struct err *e)
{
	struct json_span v = { 0 };
	int rc = json_check(text.p, text.n, &v, e);

	if (rc < 0) {
		(void)err_wrap(e, "%s", what);
		return rc;
	}
	if (json_type(v) != JSON_OBJECT)
		return err_set(e, ERR_PARSE, "%s is not an object", what);
	*out = v;
	return 0;
}

int member_check_payload(const struct buf *payload, struct err *e)
{
	struct json_span text = { payload->data, payload->len };
	struct json_span v = { 0 };

	return payload->len == 0 ? 0 : member_check_object(text, "payload", &v, e);
}

int member_open_text(struct json_span v, const char *what, struct buf *room, struct json_span *out,
		     struct err *e)
{
	if (json_type(v) != JSON_STRING)
		return err_set(e, ERR_PARSE, "%s is not text", what);
	json_unescape(v, room);
	return member_check_object((struct json_span){ room->data, room->len }, what, out, e);
}

static bool is_id(const struct buf *b)
{
	size_t i;

	if (b->len == 0 || b->len > MAP_ID_MAX_BYTES)
		return false;
	for (i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] < 0x20 || b->data[i] == 0x7f)
			return false;
	return true;
}

int member_take_id(struct json_span v, const char *what, char **out, struct err *e)
{
	struct buf b = { 0 };

	if (json_type(v) != JSON_STRING)
		return err_set(e, ERR_PARSE, "%s is not text", what);
	json_unescape(v, &b);
	if (!is_id(&b)) {
		buf_reset(&b);
		return err_set(e, ERR_PARSE,
			       "%s is empty, longer than %d bytes, or has control characters", what,
			       MAP_ID_MAX_BYTES);
	}
	*out = buf_take(&b);
	return 0;
}

int member_take_ids(struct json_span list, const char *what, const char *each, struct map_ids *out,
		    struct err *e)
{
	struct json_iter it;
	char *id = NULL;
	int rc = 0;

	if (!json_is_null(list) && json_type(list) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "%s is not an array", what);
	json_iter_init(&it, list);
	while (rc == 0 && json_next(&it)) {
		rc = member_take_id(it.value, each, &id, e);
		if (rc == 0)
			map_ids_take(out, id);
	}
	return rc;
}

int member_take_ms(struct json_span v, const char *what, int64_t otherwise, int64_t *out,
		   struct err *e)
{
	int64_t ms = otherwise;

	if (!json_is_null(v) && !json_to_i64(v, &ms))
		return err_set(e, ERR_PARSE, "%s is not an integer", what);
	*out = ms;
	return 0;
}

int member_take_updated(struct json_span updated, struct json_span created, int64_t *out,
			struct err *e)
{
	int64_t otherwise = 0;
	int rc = member_take_ms(created, "createdAt", 0, &otherwise, e);

	if (rc == 0)
		rc = member_take_ms(updated, "updatedAt", otherwise, out, e);
	return rc;
}

char *member_version(int64_t ms)
{
	return mem_printf("%" PRId64, ms);
}

/* Numbers and booleans become text, as the reference's reader makes them. */
static int write_text(struct buf *b, struct json_span v, const char *what, struct err *e)
{
	switch (json_type(v)) {
	case JSON_STRING:
		json_write_respelled(b, v);
		return 0;
	case JSON_NUMBER:
	case JSON_BOOL:
		json_write_string(b, v.p, v.n);
		return 0;
	default:
		return err_set(e, ERR_PARSE, "%s is not text", what);
	}
}

static int write_form(struct buf *b, struct json_span v, const struct member *m, struct err *e)
{
	int64_t ms;

	switch (m->form) {
	case MEMBER_TEXT:
		return write_text(b, v, m->name, e);
	case MEMBER_MS:
		if (!json_to_i64(v, &ms))
			return err_set(e, ERR_PARSE, "%s is not an integer", m->name);
		buf_addi(b, ms);
		return 0;
	case MEMBER_ANY:
		json_compact(v, b);
		return 0;
	}
	return 0;
}

int member_copy(struct buf *b, struct json_span from, const struct member *list, size_t n,
		struct err *e)
{
	const char *names[MEMBER_LIST_MAX] = { 0 };
	struct json_span v[MEMBER_LIST_MAX];
	size_t i;

	CHECK(n <= MEMBER_LIST_MAX);
	for (i = 0; i < n; i++)
		names[i] = list[i].name;
	json_pick(from, names, v, n);
	for (i = 0; i < n; i++) {
		int rc;

		if (json_is_null(v[i]))
			continue;
		json_write_name(b, list[i].name);
		rc = write_form(b, v[i], &list[i], e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int member_write_strings(struct buf *b, struct json_span object, const char *what, struct err *e)
{
	struct json_iter it;

	if (json_type(object) != JSON_OBJECT)
		return err_set(e, ERR_PARSE, "%s is not an object", what);
	buf_addc(b, '{');
	json_iter_init(&it, object);
	while (json_next(&it)) {
		int rc;

		if (json_is_null(it.value))
			continue;
		json_write_comma(b);
		json_write_respelled(b, it.name);
		buf_addc(b, ':');
		rc = write_text(b, it.value, what, e);
		if (rc < 0)
			return rc;
	}
	buf_addc(b, '}');
	return 0;
}

const char *member_one_of(struct json_span v, const char *const *table, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (json_equals(v, table[i]))
			return table[i];
	return NULL;
}
