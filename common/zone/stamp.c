/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/stamp.h"

#include <inttypes.h>
#include <string.h>

void stamp_write(struct buf *out, const struct stamp *s)
{
	buf_add(out, s->hash.b, HASH_BYTES);
	buf_printf(out, "%" PRIu64 " ", s->revision);
	if (s->kept)
		buf_addc(out, STAMP_KEPT);
	buf_addc(out, ' ');
	buf_add(out, s->version, s->version_len);
}

bool stamp_read(struct stamp *s, const char *p, size_t n)
{
	const char *digits;
	const char *marks;
	const char *space;
	const char *end;

	if (p == NULL || n < HASH_BYTES || (p[0] != 'D' && p[0] != 'U'))
		return false;
	digits = p + HASH_BYTES;
	end = p + n;
	*s = (struct stamp){ .revision = 0 };
	memcpy(s->hash.b, p, HASH_BYTES);
	space = memchr(digits, ' ', (size_t)(end - digits));
	if (space == NULL || !str_to_u64(digits, (size_t)(space - digits), &s->revision))
		return false;
	marks = space + 1;
	space = memchr(marks, ' ', (size_t)(end - marks));
	if (space == NULL)
		return false;
	s->kept = memchr(marks, STAMP_KEPT, (size_t)(space - marks)) != NULL;
	s->version = space + 1;
	s->version_len = (size_t)(end - s->version);
	return memchr(s->version, '\0', s->version_len) == NULL;
}
