/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/plain.h"

#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/members.h"

/* --- access points --- */

/* A gateway listens on these; the others are of consoles and portals. */
static const char *const targets[] = { "GATEWAY", "TCP_GATEWAY", "KAFKA_GATEWAY" };
static const char *const others[] = { "CONSOLE",    "CONSOLE_API",   "PORTAL",
				      "PORTAL_API", "GAMMA_CONSOLE", "GAMMA_API" };

static bool is_absent_or(struct json_span v, const char *word)
{
	return json_is_null(v) || json_equals(v, word);
}

/* Why the row is no access point of a gateway; *reason NULL: it is one. */
static int read_reason(struct json_span row, const char **reason, struct err *e)
{
	struct json_span target = json_get(row, "target");
	struct json_span type = json_get(row, "referenceType");
	struct json_span status = json_get(row, "status");

	if (!is_absent_or(type, "ENVIRONMENT") && !json_equals(type, "ORGANIZATION"))
		return err_set(e, ERR_PARSE,
			       "referenceType is neither ENVIRONMENT nor ORGANIZATION");
	if (!is_absent_or(status, "CREATED") && !json_equals(status, "DELETED"))
		return err_set(e, ERR_PARSE, "status is neither CREATED nor DELETED");
	*reason = NULL;
	if (member_one_of(target, targets, ARRAY_LEN(targets)) == NULL) {
		if (member_one_of(target, others, ARRAY_LEN(others)) == NULL)
			return err_set(e, ERR_PARSE, "target is none that is known");
		*reason = "its target is no gateway";
	} else if (!is_absent_or(type, "ENVIRONMENT")) {
		*reason = "it is of no environment";
	} else if (json_equals(status, "DELETED")) {
		*reason = "deleted";
	}
	return 0;
}

static int write_payload(struct json_span row, struct buf *b, struct err *e)
{
	static const struct member before[] = { { "id", MEMBER_TEXT } };
	static const struct member after[] = { { "host", MEMBER_TEXT }, { "target", MEMBER_TEXT } };
	char *environment = NULL;
	int rc;

	buf_addc(b, '{');
	rc = member_copy(b, row, before, ARRAY_LEN(before), e);
	if (rc == 0)
		rc = member_take_id(map_access_point_environment(row), "referenceId", &environment,
				    e);
	if (rc < 0)
		return rc;
	json_add_str(b, "environmentId", environment);
	mem_free(environment);
	if (json_type(json_get(row, "host")) != JSON_STRING)
		return err_set(e, ERR_PARSE, "host is not text");
	rc = member_copy(b, row, after, ARRAY_LEN(after), e);
	buf_addc(b, '}');
	return rc;
}

struct json_span map_access_point_environment(struct json_span row)
{
	struct json_span id = json_get(row, "referenceId");

	return json_is_null(id) ? json_get(row, "environmentId") : id;
}

int map_access_point(struct json_span text, struct map_out *out, struct err *e)
{
	struct map_out made = { .outcome = MAP_EVENT };
	struct json_span row = { 0 };
	int64_t updated = 0;
	int rc;

	made.ev.kind = KIND_ACCESS_POINT;
	made.ev.action = ACTION_DEPLOY;
	rc = member_check_object(text, "row", &row, e);
	if (rc == 0)
		rc = member_take_id(json_get(row, "id"), "id", &made.ev.id, e);
	if (rc == 0)
		rc = member_take_updated(json_get(row, "updatedAt"), json_get(row, "createdAt"),
					 &updated, e);
	if (rc == 0)
		rc = read_reason(row, &made.reason, e);
	if (rc == 0 && made.reason != NULL)
		made.ev.action = ACTION_UNDEPLOY;
	else if (rc == 0)
		rc = write_payload(row, &made.ev.payload, e);
	if (rc < 0) {
		map_out_reset(&made);
		return rc;
	}
	made.ev.version = member_version(updated);
	*out = made;
	return 0;
}

/* --- licenses --- */

struct json_span map_license_organization(struct json_span row)
{
	struct json_span id = json_get(row, "referenceId");

	return json_is_null(id) ? json_get(row, "id") : id;
}

int map_license(struct json_span text, struct map_out *out, struct err *e)
{
	struct map_out made = { .outcome = MAP_EVENT };
	struct json_span row = { 0 };
	struct json_span license;
	int64_t updated = 0;
	int rc;

	made.ev.kind = KIND_LICENSE;
	made.ev.action = ACTION_DEPLOY;
	rc = member_check_object(text, "row", &row, e);
	if (rc == 0)
		rc = member_take_id(map_license_organization(row), "referenceId", &made.ev.id, e);
	if (rc == 0)
		rc = member_take_updated(json_get(row, "updatedAt"), json_get(row, "createdAt"),
					 &updated, e);
	license = rc == 0 ? json_get(row, "license") : row;
	if (rc == 0 && json_type(license) == JSON_STRING)
		json_unescape(license, &made.ev.payload);
	else if (rc == 0 && !json_is_null(license))
		rc = err_set(e, ERR_PARSE, "license is not text");
	if (rc < 0) {
		map_out_reset(&made);
		return rc;
	}
	made.ev.version = member_version(updated);
	*out = made;
	return 0;
}

/* --- node metadata --- */

/* Version 8 of RFC 9562: 122 bits of our own choice, here a digest of the name. */
static char *uuid_of(const char *installation)
{
	const char *const texts[] = { "zonesync NODE_METADATA", installation };
	unsigned char h[16];

	hash_texts(h, texts, ARRAY_LEN(texts));
	h[6] = (unsigned char)((h[6] & 0x0f) | 0x80);
	h[8] = (unsigned char)((h[8] & 0x3f) | 0x80);
	return mem_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			  h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11],
			  h[12], h[13], h[14], h[15]);
}

void map_node_metadata(const char *installation, char *const *organizations, size_t n,
		       struct map_out *out)
{
	struct event ev = { .kind = KIND_NODE_METADATA, .action = ACTION_DEPLOY };
	struct buf *b = &ev.payload;
	size_t i;

	ev.id = uuid_of(installation);
	buf_addc(b, '{');
	if (n > 0) {
		json_open(b, "organizationIds", '[');
		for (i = 0; i < n; i++) {
			json_write_comma(b);
			json_write_string(b, organizations[i], strlen(organizations[i]));
		}
		buf_addc(b, ']');
	}
	json_add_str(b, "installationId", installation);
	buf_addc(b, '}');
	/* It is made of more than one row: a version of its content, as a file's. */
	ev.version = mem_printf("x%016llx", (unsigned long long)hash_u64(b->data, b->len, 1));
	*out = (struct map_out){ .outcome = MAP_EVENT, .ev = ev };
}
