/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relate_part - what the files of relate share: relate_part.c has documents in general;
 * relate_reference.c the APIs and products that others hang on; relate_plain.c what hangs on
 * nothing but environments and organizations; relate.c those, what hangs on references, and
 * which of all these a document is. Each calls only those before it.
 *
 * Owns, blocks, errors: as relate.h says. Nobody outside includes this.
 */
#pragma once

#include "workers/fetcher/map/membership.h"
#include "workers/fetcher/source/files/made.h"
#include "workers/fetcher/source/files/relate.h"

/* What becomes of the names a document made before and makes no more. */
enum leftovers { LEFT_WITHDRAWN, LEFT_ABSENT, LEFT_KEPT };

static inline struct json_span relate_text(const struct buf *b)
{
	return (struct json_span){ b->data, b->len };
}

/* Puts what it made, and takes it; `left` says what becomes of what it made before. */
void relate_publish(struct relate *r, struct doc *doc, struct made *m, enum leftovers left);
/* The same of one whose environment is not known: held, or what it made is kept. That proves
   nothing: it counts as absent. So does what is not ours, which the configuration says, and
   may be mistaken about; not the source. */
void relate_unknown(struct relate *r, struct doc *doc);
/* What an environment or organization of that owner made: an event, or nothing. */
void relate_publish_owned(struct relate *r, struct doc *doc, struct map_out *out, enum owner o);

/* Is the environment that the row names, else `fallback`, one of this gateway's? */
enum owner relate_owner(struct relate *r, struct json_span row, const char *fallback);
/* What it is about, before it is mapped. false: it was quarantined or is shadowed. */
bool relate_identify(struct relate *r, struct doc *doc, struct json_span id);

/* Of the content of an event: without what the moment says. */
char *relate_version(const struct map_out *m) MUST_USE;

char *relate_dup_string(struct json_span v) MUST_USE; /* NULL: it is no string */

/* The document of an API, or of a product; NULL: nothing says anything of it. */
struct doc *relate_ref(const struct relate *r, bool product, const char *id);
/* The other document with the id, an API's or a product's; NULL: there is none. */
struct doc *relate_twin(const struct relate *r, const struct doc *doc);
/* Which APIs the product has now, none when `apis` is empty: those that change are mapped
   again. `lost`: its file is gone. */
void relate_members(struct relate *r, const char *id, struct map_ids *apis, bool lost);

enum place_type relate_place_type(enum docs_dir dir);
/* What hangs on environments and organizations: it carries their names, or is filtered. */
void relate_mark_owned(struct relate *r);

bool relate_has_type(struct json_span v); /* of an event, any */
/* Is it a row of an event? Else it is an entity by itself, to be made the payload of one. */
bool relate_is_row(struct json_span v);
void relate_wrap(enum docs_dir dir, struct json_span v, int64_t created_ms, struct buf *out);

/* relate_plain.c */
void relate_plain(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms);

/* relate_reference.c */
void relate_api(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms);
void relate_product(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms);

/* YES, NO; NOTHING: what it refers to has no document. */
enum hang relate_hang(const struct relate *r, const struct map_subscription *s);
