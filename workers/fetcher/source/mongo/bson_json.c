/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/mongo/bson_json.h"

#include <bson/bson.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/json/write.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

static int write_text(struct buf *out, const char *p, size_t n, struct err *e)
{
	if (!str_is_utf8(p, n))
		return err_set(e, ERR_PARSE, "a text is not UTF-8");
	json_write_string(out, p, n);
	return 0;
}

static int write_double(struct buf *out, double v, struct err *e)
{
	if (!isfinite(v))
		return err_set(e, ERR_PARSE, "a number is not finite");
	if (v == trunc(v) && fabs(v) < WHOLE_MAX)
		buf_addi(out, (int64_t)v);
	else
		buf_printf(out, "%.17g", v);
	return 0;
}

static int write_value(struct buf *out, const bson_iter_t *it, struct err *e)
{
	char text[BSON_DECIMAL128_STRING];
	bson_decimal128_t decimal;
	uint32_t n = 0;
	const char *s;

	switch (bson_iter_type(it)) {
	case BSON_TYPE_UTF8:
		s = bson_iter_utf8(it, &n);
		return write_text(out, s, n, e);
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		buf_addi(out, bson_iter_as_int64(it));
		return 0;
	case BSON_TYPE_DATE_TIME:
		buf_addi(out, bson_iter_date_time(it));
		return 0;
	case BSON_TYPE_DOUBLE:
		return write_double(out, bson_iter_double(it), e);
	case BSON_TYPE_BOOL:
		buf_adds(out, bson_iter_bool(it) ? "true" : "false");
		return 0;
	case BSON_TYPE_OID:
		bson_oid_to_string(bson_iter_oid(it), text);
		return write_text(out, text, 24, e);
	case BSON_TYPE_DECIMAL128:
		if (!bson_iter_decimal128(it, &decimal))
			break;
		bson_decimal128_to_string(&decimal, text);
		return write_text(out, text, strlen(text), e);
	default:
		break;
	}
	buf_adds(out, "null");
	return 0;
}

struct level { /* of a document that is being walked */
	bson_iter_t it;
	bool array;
};

/* The levels stand in `up`, so nothing recurses. */
int bson_json(struct buf *out, const uint8_t *bson, size_t n, struct err *e)
{
	struct level up[BSON_JSON_DEPTH];
	size_t depth = 0;

	up[0].array = false;
	if (!bson_iter_init_from_data(&up[0].it, bson, n))
		return err_set(e, ERR_PARSE, "the BSON is damaged");
	buf_addc(out, '{');
	for (;;) {
		bson_iter_t *it = &up[depth].it;
		const char *key;
		bson_type_t type;
		int rc;

		if (!bson_iter_next(it)) {
			if (it->err_off != 0)
				return err_set(e, ERR_PARSE, "the BSON is damaged");
			buf_addc(out, up[depth].array ? ']' : '}');
			if (depth-- == 0)
				return 0;
			continue;
		}
		key = bson_iter_key(it);
		type = bson_iter_type(it);
		if (depth == 0 && str_equal(key, "id"))
			continue; /* nothing of ours, and it would hide `_id` */
		json_write_comma(out);
		if (!up[depth].array) {
			bool id = depth == 0 && str_equal(key, "_id");

			rc = write_text(out, id ? "id" : key, id ? 2 : strlen(key), e);
			if (rc < 0)
				return rc;
			buf_addc(out, ':');
		}
		if (type == BSON_TYPE_DOCUMENT || type == BSON_TYPE_ARRAY) {
			if (depth + 1 == BSON_JSON_DEPTH)
				return err_set(e, ERR_LIMIT, "nested deeper than %d levels",
					       BSON_JSON_DEPTH);
			if (!bson_iter_recurse(it, &up[depth + 1].it))
				return err_set(e, ERR_PARSE, "the BSON is damaged");
			depth++;
			up[depth].array = type == BSON_TYPE_ARRAY;
			buf_addc(out, type == BSON_TYPE_ARRAY ? '[' : '{');
			continue;
		}
		rc = write_value(out, it, e);
		if (rc < 0)
			return rc;
	}
}
