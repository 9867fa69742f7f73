/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relate_inner - what the files of relate share.
 *
 * Owns, blocks, errors: as relate.h says. Nobody outside includes this.
 */
#pragma once

#include "workers/fetcher/source/made.h"
#include "workers/fetcher/source/relate.h"

/* A row of an environment that has no document proves nothing: it counts as absent. */
enum owner { NOT_OURS, OURS, OWNER_UNKNOWN };

/* Is the environment one of this gateway's? NULL: the row names none. */
enum owner relate_owner_of(struct relate *r, const char *environment);
/* Has the environment or organization one of the wanted hrids? */
enum owner relate_intersects(const struct relate *r, const char *id, char *const *wanted, size_t n);

/* What a document is about, before it is mapped. false: it was quarantined or is shadowed. */
bool relate_identify(struct relate *r, struct doc *doc, const char *id);

/* What becomes of the names a document made before and makes no more. */
enum leftovers { LEFT_WITHDRAWN, LEFT_ABSENT, LEFT_KEPT };
void relate_publish(struct relate *r, struct doc *doc, struct made *m, enum leftovers left);

/* What a document of an environment that is not known made before: held, or kept. */
void relate_publish_unknown(struct relate *r, struct doc *doc);

char *relate_dup_string(struct json_span v) MUST_USE; /* NULL: it is no string */
enum kind relate_kind_of(enum docs_dir dir);

/* Documents that hang on nothing but environments and organizations: relate_plain.c. */
void relate_plain(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms);
