/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that an editor saved in UTF-16, or with a byte order mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "workers/fetcher/source/files/encoding.h"

struct row {
	const char *bytes;
	size_t n;
	const char *text; /* NULL: refused */
};

#define ROW(bytes, text)                                                                           \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, text                                                     \
	}

static void marks_say_what_a_text_is(void **state)
{
	static const struct row rows[] = {
		ROW("", ""),
		ROW("{}", "{}"),
		ROW("\xef\xbb\xbf{}", "{}"),
		ROW("\xef\xbb\xbf", ""),
		ROW("\xef\xbb", "\xef\xbb"), /* no mark: whoever reads it says what is wrong */
		ROW("\xff\xfe{\0}\0", "{}"),
		ROW("\xfe\xff\0{\0}", "{}"),
		ROW("\xff\xfe", ""),
		ROW("\xff\xfe\xe9\0\xac\x20\x3d\xd8\x00\xde",
		    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		ROW("\xfe\xff\0\xe9\x20\xac\xd8\x3d\xde\x00",
		    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		ROW("\xff\xfe{", NULL),		       /* half a unit */
		ROW("\xff\xfe\x3d\xd8", NULL),	       /* half a pair */
		ROW("\xff\xfe\x3d\xd8{\0", NULL),      /* and something else */
		ROW("\xff\xfe\x00\xde{\0", NULL),      /* the wrong half */
		ROW("\xff\xfe\x3d\xd8\x3d\xd8", NULL), /* twice the first half */
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct err e = { 0 };
		struct buf b = { 0 };
		int rc;

		buf_add(&b, r->bytes, r->n);
		rc = encoding_to_utf8(&b, &e);
		if (r->text == NULL) {
			assert_int_equal(rc, ERR_PARSE);
			assert_non_null(strstr(e.text, "UTF-8"));
			assert_int_equal(b.len, r->n);
			assert_memory_equal(b.data, r->bytes, r->n);
		} else {
			assert_int_equal(rc, 0);
			assert_string_equal(buf_cstr(&b), r->text);
		}
		buf_reset(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(marks_say_what_a_text_is) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
