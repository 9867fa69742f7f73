/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/json_tree.h"

#include <string.h>

static bool strings_equal(struct json_span a, struct json_span b)
{
	struct buf x = { 0 };
	struct buf y = { 0 };
	bool equal;

	json_unescape(a, &x);
	json_unescape(b, &y);
	equal = x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
	buf_reset(&x);
	buf_reset(&y);
	return equal;
}

struct json_span tree_member(struct json_span object, struct json_span name)
{
	struct json_span found = { 0 };
	struct json_iter it;

	json_iter_init(&it, object);
	while (json_next(&it))
		if (it.object && strings_equal(it.name, name))
			found = it.value;
	return found;
}

size_t tree_count(struct json_span v)
{
	struct json_iter it;
	size_t n = 0;

	json_iter_init(&it, v);
	while (json_next(&it))
		n++;
	return n;
}

static bool objects_equal(struct json_span a, struct json_span b)
{
	struct json_iter it;

	json_iter_init(&it, a);
	while (json_next(&it))
		if (!tree_equal(it.value, tree_member(b, it.name)))
			return false;
	return tree_count(a) == tree_count(b);
}

static bool arrays_equal(struct json_span a, struct json_span b)
{
	struct json_iter x;
	struct json_iter y;

	json_iter_init(&x, a);
	json_iter_init(&y, b);
	while (json_next(&x))
		if (!json_next(&y) || !tree_equal(x.value, y.value))
			return false;
	return !json_next(&y);
}

bool tree_equal(struct json_span a, struct json_span b)
{
	if (json_type(a) != json_type(b))
		return false;
	switch (json_type(a)) {
	case JSON_STRING:
		return strings_equal(a, b);
	case JSON_OBJECT:
		return objects_equal(a, b);
	case JSON_ARRAY:
		return arrays_equal(a, b);
	default:
		return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
	}
}
