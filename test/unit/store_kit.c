/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/store_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

char *store_kit_make(void)
{
	char text[] = "/tmp/zonesync-store-XXXXXX";

	assert_non_null(mkdtemp(text));
	return mem_printf("%s/store", text);
}

void store_kit_damage(const char *dir, const char *text)
{
	char *command =
		mem_printf("for f in '%s'/[0-9]*/data.mdb; do"
			   " for at in $(grep -abo '%s' \"$f\" | cut -d: -f1); do"
			   " printf '#' | dd of=\"$f\" bs=1 seek=$at conv=notrunc status=none;"
			   " done; done",
			   dir, text);

	assert_int_equal(system(command), 0);
	mem_free(command);
}

struct position store_kit_told(struct store *s)
{
	struct store_view *v = NULL;
	struct position p;

	assert_int_equal(store_view_open(s, &v, NULL), 0);
	store_view_told(v, &p);
	store_view_close(&v);
	return p;
}

void store_kit_remove(char **dir)
{
	char *command;

	*strrchr(*dir, '/') = '\0';
	command = mem_printf("rm -rf '%s'", *dir);
	assert_int_equal(system(command), 0);
	mem_free(command);
	mem_free(*dir);
	*dir = NULL;
}
