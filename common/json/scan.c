/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/scan.h"

#include <string.h>

/* What the validator expects next. */
enum want {
	WANT_VALUE,
	WANT_VALUE_OR_END, /* right behind '[' */
	WANT_NAME,
	WANT_NAME_OR_END, /* right behind '{' */
	WANT_COLON,
	WANT_COMMA_OR_END, /* behind a value inside something */
	WANT_NOTHING	   /* behind the outermost value */
};

static const char *const want_text[] = {
	[WANT_VALUE] = "a value",
	[WANT_VALUE_OR_END] = "a value or ']'",
	[WANT_NAME] = "a member name",
	[WANT_NAME_OR_END] = "a member name or '}'",
	[WANT_COLON] = "':'",
	[WANT_COMMA_OR_END] = "',' or the end of the array or object",
	[WANT_NOTHING] = "the end of the text",
};

struct check {
	const char *start;
	const char *p;
	const char *end;
	enum want want;
	unsigned depth;
	bool object[JSON_DEPTH_MAX]; /* is the level an object (or an array)? */
	struct err *e;
};

/* What the letter of an escape stands for; 0: there is no such escape. */
static const char escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

static int refuse(struct check *c, const char *at, const char *expected)
{
	return err_set(c->e, ERR_PARSE, "JSON: expected %s at byte %zu", expected,
		       (size_t)(at - c->start));
}

/* Four hexadecimal digits at p, or -1. */
static int hex4(const char *p, const char *end)
{
	int v = 0;
	int i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		int d = str_hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* c->p is on the backslash. */
static int check_escape(struct check *c)
{
	const char *p = c->p;
	int high;
	int low;

	if (c->end - p >= 2 && p[1] != 'u') {
		if (escapes[(unsigned char)p[1]] == 0)
			return refuse(c, p, "a known escape");
		c->p = p + 2;
		return 0;
	}
	high = c->end - p < 2 ? -1 : hex4(p + 2, c->end);
	if (high < 0)
		return refuse(c, p, "four hexadecimal digits after \\u");
	c->p = p + 6;
	if (high < 0xd800 || high > 0xdfff)
		return 0;
	p += 6;
	low = c->end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, c->end) : -1;
	if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return refuse(c, c->p - 6, "a pair of surrogates");
	c->p = p + 6;
	return 0;
}

/* c->p is on the opening quote; afterwards behind the closing one. */
static int check_string(struct check *c)
{
	c->p++;
	for (;;) {
		unsigned char ch;
		size_t len;
		int rc;

		c->p += str_plain_run(c->p, (size_t)(c->end - c->p));
		if (c->p == c->end || *c->p == '"')
			break;
		ch = (unsigned char)*c->p;
		if (ch == '\\') {
			rc = check_escape(c);
			if (rc < 0)
				return rc;
			continue;
		}
		if (ch < 0x20)
			return refuse(c, c->p, "an escape instead of a control character");
		len = str_utf8_len(c->p, (size_t)(c->end - c->p));
		if (len == 0)
			return refuse(c, c->p, "valid UTF-8");
		c->p += len;
	}
	if (c->p == c->end)
		return refuse(c, c->p, "a closing quote");
	c->p++;
	return 0;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static int check_number(struct check *c)
{
	const char *p = c->p;
	const char *q;

	if (*p == '-')
		p++;
	if (p == c->end || !is_digit(*p))
		return refuse(c, p, "a digit");
	p = *p == '0' ? p + 1 : skip_digits(p, c->end);
	if (p < c->end && *p == '.') {
		q = skip_digits(p + 1, c->end);
		if (q == p + 1)
			return refuse(c, q, "a digit after the decimal point");
		p = q;
	}
	if (p < c->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < c->end && (*p == '+' || *p == '-'))
			p++;
		q = skip_digits(p, c->end);
		if (q == p)
			return refuse(c, q, "a digit in the exponent");
		p = q;
	}
	c->p = p;
	return 0;
}

static int check_word(struct check *c, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
		return refuse(c, c->p, want_text[c->want]);
	c->p += n;
	return 0;
}

/* A value ended: what may follow depends on what it stands in. */
static void after_value(struct check *c)
{
	c->want = c->depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_END;
}

static int check_open(struct check *c, bool object)
{
	if (c->depth == JSON_DEPTH_MAX)
		return err_set(c->e, ERR_LIMIT, "JSON: expected at most %d levels at byte %zu",
			       JSON_DEPTH_MAX, (size_t)(c->p - c->start));
	CHECK(c->depth < JSON_DEPTH_MAX);
	c->object[c->depth++] = object;
	c->want = object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
	c->p++;
	return 0;
}

static int check_value(struct check *c)
{
	int rc;

	switch (*c->p) {
	case '{':
		return check_open(c, true);
	case '[':
		return check_open(c, false);
	case '"':
		rc = check_string(c);
		break;
	case 't':
		rc = check_word(c, "true");
		break;
	case 'f':
		rc = check_word(c, "false");
		break;
	case 'n':
		rc = check_word(c, "null");
		break;
	default:
		if (*c->p != '-' && !is_digit(*c->p))
			return refuse(c, c->p, want_text[c->want]);
		rc = check_number(c);
	}
	if (rc == 0)
		after_value(c);
	return rc;
}

/* Is *c->p the bracket that closes the level we are in, and may it be closed now? */
static bool closes(const struct check *c)
{
	if (c->depth == 0 || c->want == WANT_VALUE || c->want == WANT_NAME || c->want == WANT_COLON)
		return false;
	return *c->p == (c->object[c->depth - 1] ? '}' : ']');
}

static int check_token(struct check *c)
{
	if (closes(c)) {
		c->p++;
		c->depth--;
		after_value(c);
		return 0;
	}
	switch (c->want) {
	case WANT_VALUE:
	case WANT_VALUE_OR_END:
		return check_value(c);
	case WANT_NAME:
	case WANT_NAME_OR_END:
		if (*c->p != '"')
			break;
		c->want = WANT_COLON;
		return check_string(c);
	case WANT_COLON:
		if (*c->p != ':')
			break;
		c->p++;
		c->want = WANT_VALUE;
		return 0;
	case WANT_COMMA_OR_END:
		if (*c->p != ',')
			break;
		c->p++;
		c->want = c->object[c->depth - 1] ? WANT_NAME : WANT_VALUE;
		return 0;
	case WANT_NOTHING:
		break;
	}
	return refuse(c, c->p, want_text[c->want]);
}

int json_check(const char *p, size_t n, struct json_span *out, struct err *e)
{
	struct check c = { .start = p, .want = WANT_VALUE, .e = e };
	const char *first;
	const char *last;

	if (n == 0)
		return err_set(e, ERR_PARSE, "JSON: expected a value at byte 0");
	c.end = p + n;
	first = skip_space(p, c.end);
	last = first;
	c.p = first;
	while (c.p < c.end) {
		int rc = check_token(&c);

		if (rc < 0)
			return rc;
		last = c.p;
		c.p = skip_space(c.p, c.end);
	}
	if (c.want != WANT_NOTHING)
		return refuse(&c, c.end, want_text[c.want]);
	*out = (struct json_span){ first, (size_t)(last - first) };
	return 0;
}

enum json_type json_type(struct json_span v)
{
	if (v.n == 0)
		return JSON_NONE;
	switch (v.p[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

bool json_is_null(struct json_span v)
{
	return v.n == 0 || v.p[0] == 'n';
}

bool json_is_true(struct json_span v)
{
	return v.n > 0 && v.p[0] == 't';
}

/* From the opening quote to behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
	const char *from = p + 1;

	for (p = from; p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL; p++) {
		const char *slash = p;

		while (slash > from && slash[-1] == '\\')
			slash--;
		if ((p - slash) % 2 == 0)
			return p + 1;
	}
	return end;
}

static const char *skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		char c = *p;

		if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c)))
			break;
		if (c == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		p++;
	}
	return p;
}

void json_iter_init(struct json_iter *it, struct json_span v)
{
	enum json_type t = json_type(v);

	*it = (struct json_iter){ .object = t == JSON_OBJECT };
	if (t != JSON_OBJECT && t != JSON_ARRAY)
		return;
	it->p = v.p + 1;
	it->end = v.p + v.n - 1;
}

bool json_next(struct json_iter *it)
{
	const char *p;

	if (it->p == NULL)
		return false;
	p = skip_space(it->p, it->end);
	if (p < it->end && *p == ',')
		p = skip_space(p + 1, it->end);
	if (p == it->end)
		return false;
	if (it->object) {
		const char *q = skip_string(p, it->end);

		it->name = (struct json_span){ p, (size_t)(q - p) };
		p = skip_space(q, it->end);
		p = p < it->end ? skip_space(p + 1, it->end) : p; /* the colon */
	}
	it->p = skip_value(p, it->end);
	it->value = (struct json_span){ p, (size_t)(it->p - p) };
	return true;
}

/* Most names differ in their first character. */
static bool is_named(struct json_span name, const char *s)
{
	char c;

	CHECK(name.p != NULL); /* an object's members have names */
	c = name.p[1];
	return (c == s[0] || c == '\\' || s[0] == '\0') && json_equals(name, s);
}

void json_pick(struct json_span v, const char *const *names, struct json_span *out, size_t n)
{
	struct json_iter it;
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (struct json_span){ 0 };
	if (json_type(v) != JSON_OBJECT)
		return;
	json_iter_init(&it, v);
	while (json_next(&it))
		for (i = 0; i < n; i++)
			if (is_named(it.name, names[i]))
				out[i] = it.value;
}

struct json_span json_get(struct json_span v, const char *name)
{
	struct json_span found;

	json_pick(v, &name, &found, 1);
	return found;
}

static size_t put_utf8(unsigned cp, char *out)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* Decodes the escape at **p, which was validated; moves *p behind it. */
static size_t take_escape(const char **p, const char *end, char *out)
{
	const char *q = *p + 1;
	unsigned cp;

	if (*q != 'u') {
		out[0] = escapes[(unsigned char)*q];
		*p = q + 1;
		return 1;
	}
	cp = (unsigned)hex4(q + 1, end);
	*p = q + 5;
	if (cp >= 0xd800 && cp <= 0xdbff) {
		cp = 0x10000 + ((cp - 0xd800) << 10) + ((unsigned)hex4(*p + 2, end) - 0xdc00);
		*p += 6;
	}
	return put_utf8(cp, out);
}

/* The next character's bytes: `out`, or inside the span. Returns their number. */
static size_t take_char(const char **p, const char *end, char out[4])
{
	if (**p == '\\')
		return take_escape(p, end, out);
	out[0] = *(*p)++;
	return 1;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool equals(struct json_span v, const char *s, bool nocase)
{
	const char *p;
	const char *end;
	char c[4];

	if (json_type(v) != JSON_STRING)
		return false;
	p = v.p + 1;
	end = v.p + v.n - 1;
	while (p < end) {
		size_t n = take_char(&p, end, c);
		size_t i;

		for (i = 0; i < n; i++, s++)
			if (*s == '\0' || (nocase ? lower(*s) != lower(c[i]) : *s != c[i]))
				return false;
	}
	return *s == '\0';
}

bool json_equals(struct json_span v, const char *s)
{
	return equals(v, s, false);
}

bool json_equals_nocase(struct json_span v, const char *s)
{
	return equals(v, s, true);
}

void json_unescape(struct json_span v, struct buf *out)
{
	const char *p;
	const char *end;
	char *to;

	if (json_type(v) != JSON_STRING)
		return;
	p = v.p + 1;
	end = v.p + v.n - 1;
	buf_reserve(out, v.n); /* no escape is shorter than what it stands for */
	to = out->data + out->len;
	while (p < end) {
		if (*p == '\\')
			to += take_escape(&p, end, to);
		else
			*to++ = *p++;
	}
	out->len = (size_t)(to - out->data);
}

bool json_to_i64(struct json_span v, int64_t *out)
{
	return json_type(v) == JSON_NUMBER && str_to_i64(v.p, v.n, out);
}

void json_compact(struct json_span v, struct buf *out)
{
	const char *p = v.p;
	const char *end = v.p + v.n;

	if (v.n == 0)
		return;
	buf_reserve(out, v.n);
	while (p < end) {
		const char *q = p;

		while (q < end && !is_space(*q))
			q = *q == '"' ? skip_string(q, end) : q + 1;
		buf_add(out, p, (size_t)(q - p));
		p = skip_space(q, end);
	}
}
