/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places - environments and organizations: the names that events carry, and which of them
 * are this gateway's (storage 3.7).
 *
 * A row that is gone is there no more; its names are known until they are forgotten.
 *
 * Owns:    what it keeps of each row, and copies of what is wanted.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE: a row that cannot be read; ERR_STATE: filters that match nothing, which
 *          for the reference means no filter at all, and for us a mistake.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/map/membership.h"

enum place_type { PLACE_ENVIRONMENT, PLACE_ORGANIZATION, PLACE__COUNT };

struct place {
	char *id;	      /* owned */
	char *organization;   /* owned; of an environment; NULL: none */
	struct map_ids hrids; /* the first is its name */
	uint64_t hash;	      /* of the row */
	bool there;
};

struct places_wanted { /* of the configuration */
	struct map_ids environments;
	struct map_ids organizations;
	bool legacy_hrids; /* they are hrids, else ids of environments */
};

struct places {
	struct places_wanted wanted; /* owned */
	bool *named;		     /* owned: which of its environments a row of any kind names */
	struct table of[PLACE__COUNT];	 /* id -> struct place, owned */
	struct map_ids ids;		 /* of the environments to take; none: all */
	struct map_ids organization_ids; /* as places_organizations() has them; none: all */
	size_t unreadable;		 /* rows: what is in those environments is not known */
};

struct places *map_places(struct map_ctx *ctx); /* the context's own */

void places_want(struct places *p, const struct places_wanted *w); /* copied */
bool places_filter(const struct places *p); /* not all environments are ours */
void places_begin(struct places *p);	    /* no row is there, none is named */
void places_unname(struct places *p);	    /* none is named */
int places_add(struct places *p, enum place_type t, struct json_span row, struct err *e) MUST_USE;
void places_gone(struct places *p, enum place_type t, const char *id);
void places_end(struct places *p); /* forgets those that are gone, if all could be read */
void places_reset(struct places *p);

/* NULL when it is not known. */
const struct place *places_find(const struct places *p, enum place_type t, const char *id);
const struct place *places_organization(const struct places *p, const struct place *env);
const char *place_hrid(const struct place *p); /* NULL: it has none */

/* Of what is in a place that no row describes nothing is proven. */
enum owner { NOT_OURS, OURS, OWNER_UNKNOWN };
/* Of a row of that environment; NULL: it names none. */
enum owner places_owner(const struct places *p, const char *environment);
/* Organizations of our environments, and those wanted by themselves; sorted. */
void places_organizations(const struct places *p, struct map_ids *out);
/* Makes both lists of ids; after an error those of before stand. */
int places_resolve(struct places *p, struct err *e) MUST_USE;
/* What is configured and has no row, for people; false: nothing is, or not all can be read. */
bool places_lack(const struct places *p, struct buf *out) MUST_USE;
/* The caller's. While a row cannot be read it is like no other but itself. */
char *places_digest(const struct places *p) MUST_USE;
