/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/args.h"

#include <string.h>

#define VERB_BYTES     64
#define NEAR	       3 /* edits between a verb and what was typed for it */
#define SECONDS_DIGITS 8

/* The next word of a row's `args`, without brackets. 0 when there is none left. */
static size_t next_token(const char **at, const char **word)
{
	const char *s = *at + strspn(*at, " []");
	size_t n = strcspn(s, " []");

	*word = s;
	*at = s + n;
	return n;
}

int args_takes(const struct command *c, const char *name, size_t len)
{
	const char *at = c->args;
	const char *word;
	size_t n;

	while ((n = next_token(&at, &word)) > 0) {
		if (word[0] != '-' || n != len || memcmp(word, name, n) != 0)
			continue;
		return *at == ' ' && at[1] != '[' && at[1] != '-' && at[1] != '\0' ? 1 : 0;
	}
	return ERR_NOTFOUND;
}

const char *args_nearest(const char *verb)
{
	const char *best = NULL;
	unsigned least = NEAR;
	size_t i;

	for (i = 0; i < commands_len; i++) {
		unsigned d = str_distance(verb, commands[i].verb);

		if (d < least && d < strlen(verb)) {
			least = d;
			best = commands[i].verb;
		}
	}
	return best;
}

/* --- words --- */

/* Two words are tried before one: "config check". Returns how many the verb took. */
static size_t find_verb(struct args *out, const char *const *argv, size_t n)
{
	char two[VERB_BYTES];

	if (n > 1 && strlen(argv[0]) + strlen(argv[1]) + 2 <= sizeof(two)) {
		str_copy(two, sizeof(two), argv[0]);
		str_copy(two + strlen(two), sizeof(two) - strlen(two), " ");
		str_copy(two + strlen(two), sizeof(two) - strlen(two), argv[1]);
		out->command = command_find(two);
		if (out->command != NULL)
			return 2;
	}
	out->command = command_find(argv[0]);
	return out->command == NULL ? 0 : 1;
}

static int no_verb(const char *word, const char *next, struct err *e)
{
	size_t len = strlen(word);
	const char *near = args_nearest(word);
	char two[VERB_BYTES];
	size_t i;

	for (i = 0; i < commands_len; i++) {
		const char *verb = commands[i].verb;

		if (strncmp(verb, word, len) != 0 || verb[len] != ' ')
			continue;
		if (next != NULL && len + strlen(next) + 2 <= sizeof(two)) {
			str_copy(two, sizeof(two), word);
			str_copy(two + len, sizeof(two) - len, " ");
			str_copy(two + len + 1, sizeof(two) - len - 1, next);
			near = args_nearest(two);
			if (near != NULL)
				verb = near;
		}
		return err_set(e, ERR_PARSE, "`%s` wants a second word, such as `%s`", word, verb);
	}
	if (near != NULL)
		return err_set(e, ERR_PARSE, "there is no command `%s`; did you mean `%s`?", word,
			       near);
	return err_set(e, ERR_PARSE, "there is no command `%s`; see `zonesync help`", word);
}

static int check_words(const struct args *a, struct err *e)
{
	const struct command *c = a->command;

	if (c == NULL)
		return 0;
	if (a->n_words < c->min_args)
		return err_set(e, ERR_PARSE, "%s wants %s", c->verb, c->args);
	if (a->n_words > c->max_args)
		return c->args[0] == '\0'
			       ? err_set(e, ERR_PARSE, "%s takes no argument", c->verb)
			       : err_set(e, ERR_PARSE, "too many arguments; usage: zonesync %s %s",
					 c->verb, c->args);
	return 0;
}

/* --- options --- */

struct parsing {
	struct args *out;
	const char *const *argv;
	size_t n;
	size_t at; /* the word being looked at */
};

/* The value of an option: behind "=", or the next word. */
static int take_value(struct parsing *p, size_t len, const char **value, struct err *e)
{
	const char *word = p->argv[p->at];

	if (word[len] == '=') {
		*value = word + len + 1;
		return 0;
	}
	if (p->at + 1 == p->n)
		return err_set(e, ERR_PARSE, "%s wants a value", word);
	*value = p->argv[++p->at];
	return 0;
}

static int take_option(struct parsing *p, struct err *e)
{
	const char *word = p->argv[p->at];
	size_t len = strcspn(word, "=");
	struct args *a = p->out;
	struct args_option o = { word, len, NULL };
	int takes;
	int rc = 0;

	if (len == 8 && memcmp(word, "--socket", len) == 0)
		return take_value(p, len, &a->socket, e);
	if (str_equal(word, "--help") || str_equal(word, "-h")) {
		a->help = true;
		return 0;
	}
	if (a->command == NULL && str_equal(word, "--version")) {
		a->version = true;
		return 0;
	}
	if (a->command == NULL)
		return err_set(e, ERR_PARSE, "%s is no option; see `zonesync help`", word);
	takes = args_takes(a->command, word, len);
	if (takes < 0)
		return err_set(e, ERR_PARSE, "%s has no option %.*s; usage: zonesync %s %s",
			       a->command->verb, (int)MIN(len, 40), word, a->command->verb,
			       a->command->args);
	if (takes == 0 && word[len] == '=')
		return err_set(e, ERR_PARSE, "%.*s takes no value", (int)len, word);
	if (takes == 1)
		rc = take_value(p, len, &o.value, e);
	if (rc == 0 && a->n_options == ARGS_OPTIONS_MAX)
		return err_set(e, ERR_PARSE, "too many options");
	if (rc == 0)
		a->option[a->n_options++] = o;
	return rc;
}

static int take_word(struct parsing *p, struct err *e)
{
	struct args *a = p->out;

	if (a->command == NULL && a->help)
		return 0;
	if (a->command == NULL) {
		size_t took = find_verb(a, p->argv + p->at, p->n - p->at);

		if (took == 0)
			return no_verb(p->argv[p->at], p->at + 1 < p->n ? p->argv[p->at + 1] : NULL,
				       e);
		p->at += took - 1;
		return 0;
	}
	if (a->n_words == ARGS_WORDS_MAX)
		return err_set(e, ERR_PARSE, "too many arguments");
	a->word[a->n_words++] = p->argv[p->at];
	return 0;
}

int args_parse(struct args *out, const char *const *argv, size_t n, struct err *e)
{
	struct parsing p = { out, argv, n, 0 };
	bool literal = false; /* behind "--" */
	int rc = 0;

	*out = (struct args){ 0 };
	for (; p.at < n && rc == 0; p.at++) {
		const char *word = argv[p.at];

		if (!literal && str_equal(word, "--"))
			literal = true;
		else if (!literal && word[0] == '-' && word[1] != '\0')
			rc = take_option(&p, e);
		else if (!literal && out->command == NULL && str_equal(word, "help"))
			out->help = true;
		else if (out->help && out->command == NULL)
			rc = find_verb(out, argv + p.at, n - p.at) > 0 ? 0
			     : p.at + 1 < n ? no_verb(word, argv[p.at + 1], e)
					    : no_verb(word, NULL, e);
		else
			rc = take_word(&p, e);
	}
	if (rc == 0 && !out->help)
		rc = check_words(out, e);
	return rc;
}

bool args_has(const struct args *a, const char *option)
{
	size_t i;

	for (i = 0; i < a->n_options; i++)
		if (strlen(option) == a->option[i].name_len &&
		    memcmp(option, a->option[i].name, a->option[i].name_len) == 0)
			return true;
	return false;
}

const char *args_value(const struct args *a, const char *option)
{
	const char *value = NULL;
	size_t i;

	for (i = 0; i < a->n_options; i++)
		if (strlen(option) == a->option[i].name_len &&
		    memcmp(option, a->option[i].name, a->option[i].name_len) == 0)
			value = a->option[i].value; /* the last one wins */
	return value;
}

/* --- values --- */

bool args_is_position(const char *s)
{
	const char *colon = strrchr(s, ':');
	const char *revision = colon == NULL ? s : colon + 1;
	uint64_t ignored;

	return colon != s && str_to_u64(revision, strlen(revision), &ignored);
}

int args_seconds_ms(const char *s, int64_t *out, struct err *e)
{
	size_t whole = strcspn(s, ".");
	const char *frac = s[whole] == '.' ? s + whole + 1 : "";
	size_t n = strspn(frac, "0123456789");
	uint64_t sec = 0;
	int64_t ms = 0;
	int64_t unit = 100;
	size_t i;

	if (whole > SECONDS_DIGITS || !str_to_u64(s, whole, &sec) || sec > 366U * 86400 ||
	    frac[n] != '\0' || (s[whole] == '.' && n == 0))
		return err_set(e, ERR_PARSE, "`%s` is no number of seconds", s);
	for (i = 0; i < n && unit > 0; i++, unit /= 10)
		ms += (frac[i] - '0') * unit;
	*out = (int64_t)sec * 1000 + ms;
	return 0;
}

const char *args_ref_id(const char *s)
{
	static const char *const prefixes[] = { "API:", "API_PRODUCT:" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (str_starts(s, prefixes[i])) {
			s += strlen(prefixes[i]);
			break;
		}
	}
	return *s == '\0' ? NULL : s;
}
