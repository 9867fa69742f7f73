/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs - the documents of a file source, what they are about, and how they hang together.
 *
 * Two documents with one id: the first by path counts, the others are shadowed. A
 * subscription hangs on its API or product, a key on its subscriptions; when one changes, those
 * that hang on it are dirty and are mapped again.
 *
 * Owns:    the documents and all tables.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/map/membership.h"

enum docs_dir { /* in the order in which they must be read */
		DIR_ENVIRONMENTS,
		DIR_ORGANIZATIONS,
		DIR_API_PRODUCTS, /* they make APIs eligible */
		DIR_APIS,
		DIR_SUBSCRIPTIONS,
		DIR_API_KEYS,
		DIR_DICTIONARIES,
		DIR_SHARED_POLICY_GROUPS,
		DIR_AUTHZ_ENTITIES,
		DIR_AUTHZ_POLICIES,
		DIR_ACCESS_POINTS,
		DIR_LICENSES,
		DIR_INSTALLATION, /* with one document */
		DIR__COUNT
};

struct doc_list {
	struct doc **v; /* not owned */
	size_t n, cap;
};

struct doc {
	char *path; /* owned; "apis/orders.json" */
	enum docs_dir dir;
	char *id; /* owned; NULL while nothing readable was seen */
	struct {  /* what stat said when it was read */
		int64_t mtime_ns;
		int64_t size;
		uint64_t inode;
	} seen;
	bool read;    /* at least once */
	bool dirty;   /* must be read in this pass */
	bool present; /* seen in the listing under way */
	bool missing; /* not there at first sight: looked for again before it is gone */
	bool doubted; /* unreadable at first sight: read again before it is judged */
	bool quarantined;
	bool shadowed;		 /* another path has the same id */
	const char *unpublished; /* static: why it makes nothing, if a person would ask; or NULL */
	struct map_ids names;	 /* of events it made, deployed or not */

	bool deployed;		/* API, product */
	char *version;		/* API, product: owned; of its event's content */
	uint32_t anew;		/* API: the pass that deployed it, or changed what is deployed */
	struct map_plans plans; /* API, product */
	bool lost; /* API: not eligible since a product's file is gone: as if its were; API,
		      product: not of our environments, which is the same */
	struct map_subscription facts; /* subscription: of its last good version */
	struct map_ids subscriptions;  /* key */
};

struct docs {
	struct table paths;	      /* path -> doc, owned */
	struct table ids[DIR__COUNT]; /* id -> doc_list, owned; sorted by path */
	struct table children;	      /* id of an API or product -> doc_list of subscriptions */
	struct table keys;	      /* subscription id -> doc_list of keys */
	size_t dirty[DIR__COUNT];     /* how many */
};

struct docs_form {	 /* of what a directory holds */
	const char *dir; /* its name */
	enum kind kind;
	/* How a document without a row around it becomes the payload of one; NULL: it does not. */
	const char *type, *property, *id;
};
const struct docs_form *docs_form(enum docs_dir d);
bool docs_is_document(const char *name); /* of a file in such a directory */
struct doc *docs_find(const struct docs *d, const char *path);
struct doc *docs_add(struct docs *d, enum docs_dir dir, const char *path);
void docs_remove(struct docs *d, struct doc *doc);
void docs_mark(struct docs *d, struct doc *doc);
void docs_unmark(struct docs *d, struct doc *doc);
void docs_mark_dir(struct docs *d, enum docs_dir dir);
void docs_reset(struct docs *d);

/* The document that counts for an id, NULL when there is none. */
struct doc *docs_owner(const struct docs *d, enum docs_dir dir, const char *id);

/* Says what a document is about; those that change rank because of it become dirty. */
void docs_set_id(struct docs *d, struct doc *doc, const char *id);
void docs_set_facts(struct docs *d, struct doc *sub, struct map_subscription *facts); /* takes */
void docs_set_subscriptions(struct docs *d, struct doc *key, const struct map_key *facts);

/* What hangs on it becomes dirty. */
void docs_mark_children(struct docs *d, const char *ref);
void docs_mark_keys(struct docs *d, const char *subscription);
