/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - a row of the source in, the event that goes to the zone out.
 *
 * Rows are JSON text with the members of the management repository (storage 4a;
 * dates are integer ms; test/data/vectors shows each kind). The functions check the
 * text themselves: a row is the raw bytes, never longer than the caller's
 * entity_max_bytes. The same row and the same context give the same bytes always.
 *
 * Three ends: an event; nothing, with a reason; an error, and then the caller sets
 * the row aside ("quarantine") and the last good version stays. A readable row that
 * maps to nothing (no plan left, tags that do not match) is an UNDEPLOY.
 *
 * Owns:    map_out owns its event; the facts own their strings; a context its tables.
 * Blocks:  never; pure: no fd, clock, loop or log.
 * Errors:  ERR_PARSE: not readable; ERR_LIMIT: nested too deep. Outputs are untouched.
 * Threads: a context may be read by several at once while nobody changes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/json/scan.h"
#include "common/model/event.h"
#include "workers/fetcher/map/ids.h"

#define MAP_ID_MAX_BYTES 512
struct map_ctx; /* what decides about contents besides the row: tags, secret, environments, products */

/* `tags` are the gateway's sharding tags, trimmed, "!x" excludes; `secret` may be NULL. */
struct map_ctx *map_ctx_create(const char *const *tags, size_t n_tags, const void *secret,
			       size_t secret_len) MUST_USE;
void map_ctx_free(struct map_ctx **ctx);

/* Authorization entities and policies are distributed (gamma.enabled); else they are nothing. */
void map_ctx_set_authz(struct map_ctx *ctx, bool on);

enum map_outcome { MAP_NOTHING, MAP_EVENT };

struct map_out {
	enum map_outcome outcome;
	struct event ev;    /* MAP_EVENT only. ev.version is NULL for files: the caller sets it */
	const char *reason; /* static text: why nothing, or why an UNDEPLOY; else NULL */
	bool ineligible;    /* an API's UNDEPLOY: a product that contains it would change that */

	/*
	 * Where in ev.payload the digits of a deployedAt stand that came from the file's
	 * time, or the createdAt of a product's row, or forceDispatch of a subscription. Length
	 * 0: it was given. A digest of the content leaves these bytes out.
	 */
	size_t deployed_at_off, deployed_at_len;
};

void map_out_reset(struct map_out *out);

/* A row of events_latest, of whatever is distributed by its type; other types: nothing. */
int map_event(const struct map_ctx *ctx, struct json_span row, struct map_out *out,
	      struct err *e) MUST_USE;

/* What a row of events_latest is about, without its payload. MAP_NOTHING: another type. */
struct map_about {
	enum map_outcome outcome;
	enum kind kind; /* after an error too: as its type alone says, or KIND__COUNT */
	char *id;	/* owned, reset by the caller */
	bool withdraws; /* its event is an UNDEPLOY, whatever the payload */
};
int map_event_about(const struct map_ctx *ctx, struct json_span row, struct map_about *out,
		    struct err *e) MUST_USE;

/* A row of events_latest has the id of its entity; of another kind several may be of one. */
bool map_own_id(enum kind k);

/* The types that map_event() may make something of, or all that the reference writes. Static. */
enum map_types { MAP_TYPES_MAPPED, MAP_TYPES_ALL };
const char *const *map_event_types(enum map_types which, size_t *n);

/*
 * An API file: a bare definition (environment DEFAULT, started), or an object with
 * `definition` and any of enabled, lifecycleState, deployedAt, environmentId,
 * environmentHrid, organizationId, organizationHrid, revision. A revision that is not
 * given is a digest of all the rest but a deployedAt that is not given.
 */
int map_api_file(const struct map_ctx *ctx, struct json_span text, int64_t modified_ms,
		 struct map_out *out, struct err *e) MUST_USE;

enum {
	MAP_ATTACHED = 1,      /* a subscription found while deploying its API: forceDispatch */
	MAP_PRODUCT_KNOWN = 2, /* if the scope is a product: it is deployed, with an API */
};

int map_subscription(struct json_span row, unsigned flags, struct map_out *out,
		     struct err *e) MUST_USE;

/* What deltas need to know of an API or product that is deployed: plans one may subscribe to. */
struct map_plan {
	char *id;    /* owned */
	bool apikey; /* its subscriptions have keys */
	bool push;   /* they are pushed to */
};
struct map_plans {
	struct map_plan *v; /* owned */
	size_t n, cap;
};

/* `payload` is an event's, ours or a Java primary's. A product without an API has no plans. */
int map_plans_read(enum kind k, struct json_span payload, struct map_plans *out,
		   struct err *e) MUST_USE;
void map_plans_reset(struct map_plans *p);
bool map_plans_push(const struct map_plans *p, const char *plan); /* NULL: any of them */
bool map_plans_has(const struct map_plans *p, const char *plan);
bool map_plans_equal(const struct map_plans *a, const struct map_plans *b);

/* Whether a child belongs into the zone, by what it refers to. */
enum hang {
	HANG_YES,
	HANG_NO,
	HANG_MAYBE,  /* the plans are not known */
	HANG_KEPT,   /* it cannot be read: its children stay as they are */
	HANG_NOTHING /* there is none: it takes its children along, or the guard keeps all */
};

struct map_subscription {
	char *id;	    /* owned */
	char *scope;	    /* owned; the API's id, or the product's */
	char *plan;	    /* owned */
	const char *status; /* static; "ACCEPTED", ...; NULL when the row has none */
	bool product;	    /* scope is a product */
	bool accepted;
	int64_t updated_at; /* ms; 0 when the row has none */
};
int map_subscription_read(struct json_span row, struct map_subscription *out,
			  struct err *e) MUST_USE;
void map_subscription_reset(struct map_subscription *s);

/* One key for one of its subscriptions; another's maps to nothing. */
int map_apikey(struct json_span row, const struct map_subscription *s, unsigned flags,
	       struct map_out *out, struct err *e) MUST_USE;

struct map_key {
	char *id; /* owned */
	struct map_ids subscriptions;
	bool revoked, paused;
	bool federated; /* never distributed */
	int64_t updated_at;
};
int map_key_read(struct json_span row, struct map_key *out, struct err *e) MUST_USE;
void map_key_reset(struct map_key *k);
