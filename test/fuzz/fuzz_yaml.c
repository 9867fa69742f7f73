/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/str.h"
#include "supervisor/config/config.h"
#include "supervisor/config/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const struct config *c)
{
	const struct slice_input in = { .state_dir = "/s" };
	struct buf b = { 0 };
	unsigned i;

	config_show(c, &b);
	buf_reset(&b);
	for (i = 0; i < SLICE__COUNT; i++) {
		struct slice s = { 0 };

		slice_build(&s, c, (enum slice_worker)i, &in);
		slice_reset(&s);
	}
}

/* Every problem is one line of UTF-8, whatever the file holds. */
static void look_at(const struct problems *p)
{
	size_t i;

	CHECK(p->n <= PROBLEMS_MAX && p->n <= p->errors + p->warnings);
	for (i = 0; i < p->n; i++) {
		CHECK(str_is_utf8(p->item[i].text, strlen(p->item[i].text)));
		CHECK(strchr(p->item[i].text, '\n') == NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char zone[] = "gravitee_zonesync_zone_id=z";
	static char tag[] = "gravitee_tags_0=t";
	static char home[] = "GRAVITEE_HOME=/h";
	char *env[] = { zone, tag, home, NULL };
	const struct config_source src = {
		.name = "f.yml", .bytes = data, .n = n, .env = env, .hostname = "h"
	};
	struct problems p = { 0 };
	struct config *c = NULL;
	struct err e = { 0 };

	if (config_load_from(&c, &src, &p, &e) == 0)
		use(c);
	look_at(&p);
	config_free(&c);
	problems_reset(&p);
	return 0;
}
