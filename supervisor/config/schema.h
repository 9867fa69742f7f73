/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the one table of configuration keys, and of what is none of our business.
 *
 * A row says what a key is called, what it may hold, what it is when it is absent,
 * which processes it concerns, and what zonesync does with it. Parser, checks, help,
 * the sample file and the tests all come from it. `[]` in a key stands for any index;
 * `*` at the end for anything.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfg {
#define ROW(id, ...) CFG_##id,
#include "supervisor/config/schema.def"
#undef ROW
	CFG__COUNT
};

enum schema_type {
	TYPE_STR,
	TYPE_BOOL,
	TYPE_INT,    /* min to max */
	TYPE_ENUM,   /* one of `options` */
	TYPE_LIST,   /* of strings: a YAML list, or one text with commas */
	TYPE_PATH,   /* absolute */
	TYPE_SECRET, /* a string that is never shown */
	TYPE_MAP,    /* secrets by name: every key below `x.*` */
	TYPE__COUNT
};

enum schema_status {
	STATUS_USED,
	STATUS_LATER,	  /* its part comes with a later release: warned about, ignored */
	STATUS_REFUSED,	  /* `refused` (or any value) would change the server or its security */
	STATUS_NO_EFFECT, /* the reference has it, and zonesync needs no such thing: accepted */
	STATUS__COUNT
};

enum schema_change {
	CHANGE_WITH_WORKERS, /* those that read it are restarted; without any, with the reload */
	CHANGE_LIVE,
	CHANGE_AT_START /* of the daemon */
};

/* Whose behaviour the key changes: whose slice it is part of. */
enum {
	FOR_SUPERVISOR = 1,
	FOR_ELECTOR = 2,
	FOR_FETCHER = 4,
	FOR_CACHE = 8,
	FOR_WORKERS = FOR_ELECTOR | FOR_FETCHER | FOR_CACHE,
	FOR_ALL = FOR_WORKERS | FOR_SUPERVISOR
};

struct schema_row {
	const char *key;
	enum schema_type type;
	const char *dflt; /* "": none */
	const char *doc;  /* one sentence for people */
	enum schema_status status;
	unsigned who;	     /* FOR_ bits */
	int64_t min;	     /* of TYPE_INT */
	int64_t max;	     /* of TYPE_INT; of the others bytes, 0: VALUE_MAX_BYTES */
	int64_t zero;	     /* of TYPE_INT: what 0 stands for; 0: itself */
	const char *unit;    /* of TYPE_INT: "ms", "bytes"; NULL: a bare number */
	const char *options; /* of TYPE_ENUM: "a|b|c"; "b=a" reads b as a */
	const char *group;   /* LATER rows of one group share one warning */
	const char *refused; /* REFUSED: the value that is refused; NULL: all but the default */
	const char *why;     /* REFUSED: what is wrong; what would be right */
	enum cfg needs;	     /* not 0: looked at only when this TYPE_BOOL before it is true */
	const char *part;    /* of a slice, what it fills: "redis.port"; "x=auto": x, when auto */
	enum cfg unless;     /* not 0: and only where this one is not set */
	enum schema_change when; /* a new value counts */
	bool old;		 /* an older spelling of another row: not in the sample */
	const char *sample;	 /* the sample file sets it to this; NULL: commented out */
};

const struct schema_row *schema_row(enum cfg id);
bool schema_is_pattern(const struct schema_row *row);

/* The row of a flat key of a file, list items of TYPE_LIST included. CFG__COUNT: none. */
enum cfg schema_match(const char *key);

/* `key` is a group that rows are in, such as "zonesync.lease". */
bool schema_is_group(const char *key);

/* `key` is a row that holds one text, with something below: "zonesync.candidate.x". */
bool schema_is_below_row(const char *key, enum cfg *row);

/* The key belongs to another product that reads the same file. */
bool schema_is_foreign(const char *key);

/* The known key that looks most like `key`; NULL when none is close. */
const char *schema_nearest(const char *key);

/* `key` without "repositories." when one of our scopes follows; `key` itself otherwise. */
const char *schema_strip_scope(const char *key);
bool schema_has_scope(const char *key);
