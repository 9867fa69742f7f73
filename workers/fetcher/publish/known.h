/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known - what the zone holds, as the primary learned it at promotion and keeps it with
 * each of its own writes: name, hash, version, revision; no payloads.
 *
 * Owns:    its entries.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include "common/base/digest.h"
#include "common/base/table.h"
#include "common/model/event.h"

#define KNOWN_LINEAGE_BYTES 40

/* One for each name in the zone: a million of them, so the order leaves no gaps. */
struct known_entry {
	struct hash hash;  /* as it is to be; b[0] == 0: lost or damaged, to be written again */
	struct hash there; /* as the last page left it in the zone; b[0] == 0: nothing whole */
	bool live;	   /* read it with known_live() */
	bool repair;	   /* a follower found it damaged: write it whatever it seems */
	bool unread;	   /* it is kept as it is, since its row could not be read lately */
	bool behind;	   /* a refill began since: what stands there is in no log yet */
	bool bare;	   /* another wrote it: there is no stamp of ours on it */
	bool numbered;	   /* the version is a number, else a text */
	uint32_t pass;	   /* of the last full pass that saw it */
	uint32_t ref_gen;
	enum kind kind;
	union {
		int64_t number;
		char *text; /* owned; NULL: unknown */
	} version;
	uint64_t revision; /* in the log, by the last page; 0: the log does not name it */
	int64_t updated_ms;
	struct known_ref *ref;		  /* not owned, NULL: none */
	struct known_entry *next, **link; /* siblings: of the same reference */
	const char *name;		  /* not owned: the table's */
};

/* A reference. Its children are withdrawn together, without walking them: their live mark
   counts only while their generation is the reference's. */
struct known_ref {
	char *id;
	uint32_t gen;
	struct known_entry *first; /* child, live or not */
	size_t live[KIND__COUNT];
};

struct known {
	struct table names; /* -> known_entry, owned */
	struct table refs;  /* -> known_ref, owned */
	size_t live[KIND__COUNT];
	/* As the last page left them. */
	char lineage[KNOWN_LINEAGE_BYTES];
	struct digest sums; /* of all `there` */
	uint64_t revision;
	uint64_t horizon; /* greatest purged tombstone */
	uint64_t polls;	  /* of the source, that left nothing open */
	int64_t lag_ms;	  /* as old may be what it is made of */
	/* As they were found; they move on in the source, which tells. */
	struct table cursors; /* field -> value, owned */
};

bool known_live(const struct known_entry *e);
const char *known_ref_id(const struct known_entry *e); /* NULL: none */
void known_withdraw_children(struct known *k, const char *ref);
struct known_entry *known_get(const struct known *k, const char *name);
struct known_entry *known_put(struct known *k, const char *name, enum kind kind, const char *ref);
/* What the zone was found to hold of it; b[0] == 0: nothing whole. The intent is the same. */
void known_learn(struct known *k, struct known_entry *e, const struct hash *h, uint64_t revision);
void known_set(struct known *k, struct known_entry *e, const struct hash *h, const char *version);
/* `version`: of what withdrew it; "" when that says nothing of a later one. */
void known_withdraw(struct known *k, struct known_entry *e, const char *version);
#define KNOWN_VERSION_BYTES 24 /* of one that is a number */
/* In `scratch` or the entry's own; "": unknown. */
const char *known_version(const struct known_entry *e, char scratch[KNOWN_VERSION_BYTES]);
bool known_version_is(const struct known_entry *e, const char *version);
/* Is that version too old for it? Versions of a database are numbers and compare; those of files
   only differ. What was withdrawn comes back with a version above that of the withdrawal; what
   went with its reference, with any. */
bool known_is_newer(const struct known_entry *e, const char *version);
void known_drop(struct known *k, const char *name);
void known_reset(struct known *k);
