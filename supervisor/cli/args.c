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

struct parsing {
	struct args *out;
	const char *const *argv;
	size_t n;
	size_t at; /* the word being looked at */
};

/* The word behind the one being looked at; NULL: none. */
static const char *next_of(const struct parsing *p)
{
	return p->at + 1 < p->n ? p->argv[p->at + 1] : NULL;
}

/* What is behind `first` in a verb of two words; NULL: it is no such verb. */
static const char *second_of(const char *verb, const char *first)
{
	size_t n = strlen(first);

	return strncmp(verb, first, n) == 0 && verb[n] == ' ' ? verb + n + 1 : NULL;
}

static const char *first_of_group(const char *word)
{
	size_t i;

	for (i = 0; i < commands_len; i++)
		if (second_of(commands[i].verb, word) != NULL)
			return commands[i].verb;
	return NULL;
}

static int no_second_word(const char *word, const char *next, struct err *e)
{
	const char *near = NULL;
	char two[VERB_BYTES];

	if (next != NULL) {
		str_print(two, sizeof(two), "%s %s", word, next);
		near = args_nearest(two);
	}
	return err_set(e, ERR_PARSE, "`%s` wants a second word, such as `%s`", word,
		       near == NULL ? first_of_group(word) : near);
}

static int no_verb(struct parsing *p, const char *word, const char *next, struct err *e)
{
	const char *near = args_nearest(word);

	if (first_of_group(word) != NULL && (next == NULL || next[0] == '-')) {
		p->out->group = word;
		return 0;
	}
	if (first_of_group(word) != NULL)
		return no_second_word(word, next, e);
	if (near != NULL)
		return err_set(e, ERR_PARSE, "there is no command `%s`; did you mean `%s`?", word,
			       near);
	return err_set(e, ERR_PARSE, "there is no command `%s`; see `zonesync help`", word);
}

/* Two words are tried before one: "config check". */
static int take_verb(struct parsing *p, struct err *e)
{
	const char *word = p->argv[p->at];
	const char *next = next_of(p);
	size_t i;

	for (i = 0; i < commands_len && next != NULL; i++) {
		const char *second = second_of(commands[i].verb, word);

		if (second == NULL || !str_equal(second, next))
			continue;
		p->out->command = &commands[i];
		p->at++;
		return 0;
	}
	p->out->command = command_find(word);
	return p->out->command == NULL ? no_verb(p, word, next, e) : 0;
}

static int check_words(const struct args *a, struct err *e)
{
	const struct command *c = a->command;

	if (c == NULL)
		return a->group == NULL ? 0 : no_second_word(a->group, NULL, e);
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

/* The value of an option: behind "=", or the next word. */
static int take_value(struct parsing *p, size_t len, const char **value, struct err *e)
{
	const char *word = p->argv[p->at];

	if (word[len] == '=') {
		*value = word + len + 1;
		return 0;
	}
	*value = next_of(p);
	p->at++;
	return *value == NULL ? err_set(e, ERR_PARSE, "%s wants a value", word) : 0;
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

	if (a->command == NULL)
		return take_verb(p, e);
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
		else
			rc = take_word(&p, e);
	}
	if (rc == 0 && !out->help)
		rc = check_words(out, e);
	return rc;
}

/* The last of that name: it wins. */
static const struct args_option *find_option(const struct args *a, const char *name)
{
	size_t i;

	for (i = a->n_options; i > 0; i--)
		if (strlen(name) == a->option[i - 1].name_len &&
		    memcmp(name, a->option[i - 1].name, a->option[i - 1].name_len) == 0)
			return &a->option[i - 1];
	return NULL;
}

bool args_has(const struct args *a, const char *option)
{
	return find_option(a, option) != NULL;
}

const char *args_value(const struct args *a, const char *option)
{
	const struct args_option *o = find_option(a, option);

	return o == NULL ? NULL : o->value;
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
	if (str_starts(s, "API:"))
		s += strlen("API:");
	else if (str_starts(s, "API_PRODUCT:"))
		s += strlen("API_PRODUCT:");
	return *s == '\0' ? NULL : s;
}
