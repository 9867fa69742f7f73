/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/random.h"

#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/str.h"

void random_hex(char out[RANDOM_HEX_BYTES])
{
	unsigned char raw[RANDOM_HEX_BYTES / 2];

	CHECK(getrandom(raw, sizeof(raw), 0) == (ssize_t)sizeof(raw));
	str_hex(out, raw, sizeof(raw));
}

uint32_t random_number(void)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) < 0)
		v = (uint32_t)clock_boot_us();
	return v;
}
