/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places - environments and organizations of a database: which of them are this gateway's
 * (wire page 3.7), and a digest of all, since events carry their names.
 *
 * Owns:    what it keeps of each row.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE: a row that cannot be read; ERR_STATE: filters that match nothing, which
 *          for the reference means no filter at all, and for us a mistake.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/map/map.h"

struct places_wanted { /* of the configuration; not owned */
	char **environments;
	size_t n_environments;
	char **organizations;
	size_t n_organizations;
	bool legacy_hrids; /* they are hrids, else ids of environments */
};

struct places {
	struct places_wanted wanted;
	struct table environments;  /* id -> struct place, owned */
	struct table organizations; /* id -> struct place, owned */
	char **ids;		    /* of the environments to take; owned; n_ids 0: all */
	size_t n_ids;
	char **organization_ids; /* of those environments, and those wanted by themselves, sorted;
				    owned; n 0: all */
	size_t n_organization_ids;
	size_t unreadable; /* rows: what is in those environments is not known */
};

void places_begin(struct places *p); /* forgets the rows of before */
int places_environment(struct places *p, struct map_ctx *ctx, struct json_span row,
		       struct err *e) MUST_USE;
int places_organization(struct places *p, struct map_ctx *ctx, struct json_span row,
			struct err *e) MUST_USE;
void places_unreadable(struct places *p); /* a row was */
/* Makes both lists of ids; after an error those of before stand. */
int places_resolve(struct places *p, struct err *e) MUST_USE;
/* What is configured and has no row, for people; false: nothing is, or not all can be read. */
bool places_lack(const struct places *p, struct buf *out) MUST_USE;
/* Rows that are gone are forgotten by the mapping too; not while one cannot be read. */
void places_apply(const struct places *p, struct map_ctx *ctx);
/* The caller's. While a row cannot be read it is like no other but itself. */
char *places_digest(const struct places *p) MUST_USE;
void places_reset(struct places *p);
