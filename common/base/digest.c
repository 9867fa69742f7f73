/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/digest.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/cdefs.h"

void hash_event(struct hash *h, char action, const char *key, const void *payload, size_t n)
{
	XXH3_state_t s;
	XXH128_canonical_t c;

	CHECK(action == 'D' || action == 'U');
	if (action == 'U') { /* all tombstones are alike: a page's maker knows them */
		memset(h->b, 0, HASH_BYTES);
		h->b[0] = 'U';
		return;
	}
	XXH3_INITSTATE(&s);
	(void)XXH3_128bits_reset(&s);
	(void)XXH3_128bits_update(&s, &action, 1);
	(void)XXH3_128bits_update(&s, key, strlen(key) + 1);
	if (n > 0)
		(void)XXH3_128bits_update(&s, payload, n);
	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(&s));
	h->b[0] = (unsigned char)action;
	memcpy(h->b + 1, c.digest, 16);
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, HASH_BYTES) == 0;
}

static uint32_t lane_of(const struct hash *h, unsigned i)
{
	const unsigned char *p = h->b + 1 + 4 * i;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void digest_add(struct digest *d, const struct hash *h)
{
	unsigned i;

	if (h->b[0] != 'D')
		return;
	for (i = 0; i < 4; i++)
		d->lane[i] += lane_of(h, i);
	d->count++;
}

void digest_sub(struct digest *d, const struct hash *h)
{
	unsigned i;

	if (h->b[0] != 'D')
		return;
	for (i = 0; i < 4; i++)
		d->lane[i] -= lane_of(h, i);
	d->count--;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->count == b->count && memcmp(a->lane, b->lane, sizeof(a->lane)) == 0;
}

void digest_text(char out[DIGEST_TEXT_BYTES], const struct digest *d)
{
	(void)snprintf(out, DIGEST_TEXT_BYTES, "%08x%08x%08x%08x", d->lane[0], d->lane[1],
		       d->lane[2], d->lane[3]);
}

void hash_texts(unsigned char out[16], const char *const *texts, size_t n)
{
	XXH3_state_t s;
	XXH128_canonical_t c;
	size_t i;

	XXH3_INITSTATE(&s);
	(void)XXH3_128bits_reset(&s);
	for (i = 0; i < n; i++)
		(void)XXH3_128bits_update(&s, texts[i], strlen(texts[i]) + 1);
	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(&s));
	memcpy(out, c.digest, sizeof(c.digest));
}

uint64_t hash_u64(const void *p, size_t n, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, n, seed);
}
