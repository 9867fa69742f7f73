/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/pg_row.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "common/json/write.h"

#define LIST_MAX 65536 /* elements of a list or a map; more are damage */

static int32_t read_i32(const char *p)
{
	uint32_t wire;

	memcpy(&wire, p, sizeof(wire));
	return (int32_t)be32toh(wire);
}

bool pg_read_time(const struct pg_value *v, int64_t *us)
{
	uint64_t wire;

	if (v->p == NULL || v->n != sizeof(wire))
		return false;
	memcpy(&wire, v->p, sizeof(wire));
	*us = (int64_t)be64toh(wire);
	/* The ends of the range are infinity. */
	return *us != INT64_MIN && *us != INT64_MAX &&
	       !__builtin_add_overflow(*us, PG_EPOCH_US, us);
}

static int64_t floor_ms(int64_t us)
{
	return us / 1000 - (us % 1000 < 0 ? 1 : 0);
}

/* --- texts --- */

static int write_text(struct buf *out, const struct pg_value *v, struct err *e)
{
	if (!str_is_utf8(v->p, v->n))
		return err_set(e, ERR_PARSE, "a text is not UTF-8");
	json_write_string(out, v->p, v->n);
	return 0;
}

static int write_long_text(struct buf *out, const struct pg_value *v, uint64_t max_bytes,
			   struct err *e)
{
	if (v[0].p == NULL && v[1].p != NULL && v[1].n == sizeof(int32_t))
		return err_set(e, ERR_LIMIT,
			       "%" PRId32
			       " bytes are more than zonesync.limits.entity_max_bytes allows "
			       "(%" PRIu64 ")",
			       read_i32(v[1].p), max_bytes);
	return write_text(out, v, e);
}

/* --- lists and maps --- */

struct row_walk { /* over a text[] */
	const char *p, *end;
	int32_t left;
};

/* Of `width` columns; an empty array has no dimension. */
static bool walk_begin(struct row_walk *w, const struct pg_value *v, int32_t width)
{
	int32_t dims = v->n >= 12 ? read_i32(v->p) : -1;
	int32_t want = width > 1 ? 2 : 1;
	size_t head = 12 + 8 * (size_t)MAX(dims, 0);

	*w = (struct row_walk){ v->p, v->p + v->n, 0 };
	if (dims == 0)
		return true;
	if (dims != want || v->n < head)
		return false;
	w->left = read_i32(v->p + 12);
	if (w->left < 0 || w->left > LIST_MAX || (want == 2 && read_i32(v->p + 20) != width))
		return false;
	w->left *= width;
	w->p += head;
	return true;
}

static bool walk_next(struct row_walk *w, struct pg_value *out)
{
	int32_t n;

	if (w->left == 0 || w->end - w->p < 4)
		return false;
	n = read_i32(w->p);
	w->p += 4;
	if (n < -1 || n > w->end - w->p)
		return false;
	w->left--;
	*out = (struct pg_value){ n < 0 ? NULL : w->p, n < 0 ? 0 : (size_t)n };
	w->p += MAX(n, 0);
	return true;
}

static int write_list(struct buf *out, const struct pg_value *v, struct err *e)
{
	struct pg_value one;
	struct row_walk w;
	int rc = 0;

	if (!walk_begin(&w, v, 1))
		return err_set(e, ERR_PARSE, "a list is damaged");
	buf_addc(out, '[');
	while (rc == 0 && walk_next(&w, &one)) {
		json_write_comma(out);
		if (one.p == NULL)
			buf_adds(out, "null");
		else
			rc = write_text(out, &one, e);
	}
	buf_addc(out, ']');
	return rc == 0 && w.left > 0 ? err_set(e, ERR_PARSE, "a list is damaged") : rc;
}

static int write_map(struct buf *out, const struct pg_value *v, struct err *e)
{
	struct pg_value name, value;
	struct row_walk w;
	int rc = 0;

	if (!walk_begin(&w, v, 2))
		return err_set(e, ERR_PARSE, "a map is damaged");
	buf_addc(out, '{');
	while (rc == 0 && walk_next(&w, &name) && walk_next(&w, &value)) {
		if (name.p == NULL || value.p == NULL)
			continue;
		json_write_comma(out);
		rc = write_text(out, &name, e);
		buf_addc(out, ':');
		if (rc == 0)
			rc = write_text(out, &value, e);
	}
	buf_addc(out, '}');
	return rc == 0 && w.left > 0 ? err_set(e, ERR_PARSE, "a map is damaged") : rc;
}

/* --- the row --- */

static int write_cell(struct buf *out, const struct pg_column *c, const struct pg_value *v,
		      uint64_t max_bytes, struct err *e)
{
	int64_t us;

	json_write_name(out, c->member);
	switch (c->type) {
	case PG_TEXT:
		return write_text(out, v, e);
	case PG_BIG:
		return write_long_text(out, v, max_bytes, e);
	case PG_TIME:
		if (!pg_read_time(v, &us))
			return err_set(e, ERR_PARSE, "its %s is no date", c->member);
		buf_addi(out, floor_ms(us));
		return 0;
	case PG_BOOL:
		buf_adds(out, v->n == 1 && v->p[0] != 0 ? "true" : "false");
		return 0;
	case PG_LIST:
		return write_list(out, v, e);
	case PG_MAP:
		return write_map(out, v, e);
	}
	return 0;
}

static int write_row(struct pg_row *r, const struct pg_select *s, const struct pg_value *v,
		     uint64_t max_bytes, struct err *e)
{
	uint64_t bytes = 0;
	unsigned i;
	int rc = 0;

	buf_addc(&r->json, '{');
	for (i = 0; rc == 0 && i < s->n_cells; i++) {
		bool pair = s->cells[i].type == PG_BIG;

		bytes += v[i].n;
		if (v[i].p != NULL || (pair && v[i + 1].p != NULL))
			rc = write_cell(&r->json, &s->cells[i], &v[i], max_bytes, e);
		i += pair ? 1 : 0;
	}
	buf_addc(&r->json, '}');
	if (rc == 0 && bytes > max_bytes)
		return err_set(e, ERR_LIMIT,
			       "%" PRIu64
			       " bytes are more than zonesync.limits.entity_max_bytes allows "
			       "(%" PRIu64 ")",
			       bytes, max_bytes);
	return rc;
}

int pg_row_read(struct pg_row *r, const struct pg_select *s, const struct pg_value *v,
		uint64_t max_bytes, struct err *e)
{
	int64_t us = 0;

	buf_clear(&r->json);
	buf_clear(&r->id);
	buf_clear(&r->position);
	r->updated = pg_read_time(&v[PG_UPDATED], &us);
	r->updated_ms = r->updated ? floor_ms(us) : 0;
	buf_printf(&r->position, "%03d/", r->updated ? (int)(us - floor_ms(us) * 1000) : 0);
	buf_add(&r->position, v[PG_ID].p, v[PG_ID].n);
	db_show_id(&r->id, v[PG_ID].p, v[PG_ID].n);
	if (v[PG_ID].p == NULL)
		return err_set(e, ERR_PARSE, "its id is no text");
	return write_row(r, s, v, max_bytes, e);
}

void pg_row_reset(struct pg_row *r)
{
	buf_reset(&r->json);
	buf_reset(&r->id);
	buf_reset(&r->position);
}
