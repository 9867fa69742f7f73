/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "supervisor/config/mask.h"

/* Calls for each "name" or "alias=name" of "a|b|c=a". False from the last. */
static bool next_option(const char **at, char *option, size_t n)
{
	size_t len = strcspn(*at, "|");

	if (**at == '\0')
		return false;
	CHECK(len < n);
	memcpy(option, *at, len);
	option[len] = '\0';
	*at += len + ((*at)[len] == '|' ? 1 : 0);
	return true;
}

static void add_options(struct buf *out, const char *options)
{
	char option[64];
	bool first = true;

	while (next_option(&options, option, sizeof(option))) {
		if (strchr(option, '=') != NULL)
			continue;
		buf_adds(out, first ? "" : ", ");
		buf_adds(out, option);
		first = false;
	}
}

void value_wanted(struct buf *out, const struct schema_row *row)
{
	switch (row->type) {
	case TYPE_BOOL:
		buf_adds(out, "write true or false");
		break;
	case TYPE_INT:
		buf_printf(out, "write a whole number%s%s from %" PRId64 " to %" PRId64,
			   row->unit == NULL ? "" : " of ", row->unit == NULL ? "" : row->unit,
			   row->min, row->max);
		break;
	case TYPE_ENUM:
		buf_adds(out, strchr(row->options, '|') == NULL ? "write " : "write one of ");
		add_options(out, row->options);
		break;
	case TYPE_LIST:
		buf_adds(out, "write a list, or one text with commas: a,b");
		break;
	case TYPE_PATH:
		buf_adds(out, "write a path that begins with /");
		break;
	default:
		buf_adds(out, "write one text");
		break;
	}
}

static bool is_secret(const struct schema_row *row)
{
	return row->type == TYPE_SECRET || row->type == TYPE_MAP;
}

/* "what" is a format's worth of complaint; the wish of the row follows. */
static int refuse(struct err *e, const struct schema_row *row, const char *text, const char *what)
{
	struct buf want = { 0 };
	struct buf shown = { 0 };
	int rc;

	value_wanted(&want, row);
	if (!is_secret(row))
		mask_uri(&shown, text);
	if (is_secret(row))
		rc = err_set(e, ERR_CONFIG, "the value %s; %s", what, buf_cstr(&want));
	else
		rc = err_set(e, ERR_CONFIG, "`%.60s` %s; %s", buf_cstr(&shown), what,
			     buf_cstr(&want));
	buf_reset(&want);
	buf_reset(&shown);
	return rc;
}

static int parse_bool(struct value *out, const struct schema_row *row, const char *text,
		      struct err *e)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) != 0 && strcasecmp(text, no[i]) != 0)
			continue;
		out->num = strcasecmp(text, yes[i]) == 0;
		out->text = mem_strdup(out->num != 0 ? "true" : "false");
		return 0;
	}
	return refuse(e, row, text, "is neither true nor false");
}

/* "10s" and the like: people expect it, the reference does not have it. */
static int refuse_suffix(struct err *e, const struct schema_row *row, const char *text)
{
	static const struct {
		const char *suffix;
		int64_t ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 }
	};
	size_t digits = strspn(text, "0123456789");
	int64_t n;
	size_t i;

	if (row->unit == NULL || strcmp(row->unit, "ms") != 0 || digits == 0 || digits > 9 ||
	    !str_to_i64(text, digits, &n))
		return refuse(e, row, text, "is not a whole number");
	for (i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i].suffix) == 0)
			return err_set(e, ERR_CONFIG,
				       "`%.60s` is not a whole number; write %" PRId64
				       ", in milliseconds and without a unit",
				       text, n * units[i].ms);
	return refuse(e, row, text, "is not a whole number");
}

static int parse_int(struct value *out, const struct schema_row *row, const char *text,
		     struct err *e)
{
	if (!str_to_i64(text, strlen(text), &out->num))
		return refuse_suffix(e, row, text);
	if (out->num < row->min || out->num > row->max)
		return refuse(e, row, text, "is out of range");
	out->text = mem_printf("%" PRId64, out->num);
	return 0;
}

static int parse_enum(struct value *out, const struct schema_row *row, const char *text,
		      struct err *e)
{
	const char *options = row->options;
	char option[64];

	while (next_option(&options, option, sizeof(option))) {
		char *real = strchr(option, '=');

		if (real != NULL)
			*real++ = '\0';
		if (strcasecmp(text, option) != 0)
			continue;
		out->text = mem_strdup(real != NULL ? real : option);
		return 0;
	}
	return refuse(e, row, text, "is not known");
}

static int parse_list(struct value *out, const struct schema_row *row, const char *text,
		      struct err *e)
{
	size_t cap = out->n;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		const char *s = text;
		size_t n = len;

		text += len + (text[len] == ',' ? 1 : 0);
		while (n > 0 && isspace((unsigned char)*s)) {
			s++;
			n--;
		}
		while (n > 0 && isspace((unsigned char)s[n - 1]))
			n--;
		if (n == 0)
			continue;
		if (n > VALUE_ITEM_BYTES)
			return refuse(e, row, s, "is longer than 256 bytes");
		if (out->n == VALUE_LIST_MAX)
			return refuse(e, row, s, "is item number 1001, and 1000 are allowed");
		out->list = mem_grow(out->list, &cap, out->n + 1, sizeof(*out->list));
		out->list[out->n++] = mem_dup(s, n);
	}
	return 0;
}

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int parse_text(struct value *out, const struct schema_row *row, const char *text,
		      struct err *e)
{
	size_t max = row->max > 0 ? (size_t)row->max : VALUE_MAX_BYTES;

	if (strlen(text) > max)
		return err_set(e, ERR_CONFIG, "the value has %zu bytes; at most %zu are allowed",
			       strlen(text), max);
	if (!is_secret(row) && has_control(text))
		return refuse(e, row, text, "holds a control character");
	if (row->type == TYPE_PATH && text[0] != '/')
		return refuse(e, row, text, "is not an absolute path");
	out->text = mem_strdup(text);
	return 0;
}

typedef int parse_fn(struct value *out, const struct schema_row *row, const char *text,
		     struct err *e);

int value_parse(struct value *out, const struct schema_row *row, const char *text, struct err *e)
{
	static parse_fn *const parse[TYPE__COUNT] = {
		[TYPE_STR] = parse_text,    [TYPE_BOOL] = parse_bool, [TYPE_INT] = parse_int,
		[TYPE_ENUM] = parse_enum,   [TYPE_LIST] = parse_list, [TYPE_PATH] = parse_text,
		[TYPE_SECRET] = parse_text, [TYPE_MAP] = parse_text,
	};

	if (row->status == STATUS_NO_EFFECT) { /* whatever it is */
		out->text = mem_strdup(text);
		return 0;
	}
	if (str_starts(text, "secret://") || str_starts(text, "kubernetes://"))
		return err_set(
			e, ERR_CONFIG,
			"secret providers (secret://, kubernetes://) are not read; write the "
			"value, or have it put into an environment variable");
	if (!str_is_utf8(text, strlen(text)))
		return err_set(e, ERR_CONFIG, "the value is not UTF-8; write it in UTF-8");
	return parse[row->type](out, row, text, e);
}

bool value_has_entry(const struct value *v, const char *name)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		if (str_equal(v->list[i], name))
			return true;
	return false;
}

int value_parse_entry(struct value *out, const struct schema_row *row, const char *name,
		      const char *text, struct err *e)
{
	struct value one = { 0 };
	int rc;

	if (strlen(name) > VALUE_ITEM_BYTES || strchr(name, ':') != NULL || has_control(name) ||
	    !str_is_utf8(name, strlen(name)))
		return err_set(e, ERR_CONFIG,
			       "`%.60s` is no name; write at most %d bytes of UTF-8 without a "
			       "colon and control characters",
			       name, VALUE_ITEM_BYTES);
	if (out->n == VALUE_MAP_MAX)
		return err_set(e, ERR_CONFIG,
			       "`%.60s` is one name too many; at most %d are allowed", name,
			       VALUE_MAP_MAX);
	rc = value_parse(&one, row, text, e);
	if (rc < 0)
		return rc;
	out->list = mem_realloc(out->list, (out->n + 1) * sizeof(*out->list));
	out->secrets = mem_realloc(out->secrets, (out->n + 1) * sizeof(*out->secrets));
	out->list[out->n] = mem_strdup(name);
	out->secrets[out->n++] = one.text;
	return 0;
}

void value_reset(struct value *v)
{
	size_t i;

	mem_free_secret(v->text);
	for (i = 0; i < v->n; i++) {
		mem_free(v->list[i]);
		if (v->secrets != NULL)
			mem_free_secret(v->secrets[i]);
	}
	mem_free(v->list);
	mem_free(v->secrets);
	*v = (struct value){ 0 };
}
