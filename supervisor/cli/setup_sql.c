/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/setup_sql.h"

#include <string.h>

#include "common/base/str.h"

/* clang-format off */

/* One lock at a time, let go before the next: no writer can get into a deadlock with this, or
   wait for longer than lock_timeout. */
static const char begin[] =
"DO $zonesync$\n"
"DECLARE\n"
"  the_prefix text := current_setting('zonesync.prefix');\n"
"  the_name text := 'zonesync_notify' || CASE the_prefix WHEN '' THEN '' ELSE '_' || the_prefix END;\n"
"  home oid;\n"
"  func text;\n"
"  told integer := 0;\n"
"  rel regclass;\n"
"  op text;\n"
"  item text[];\n"
"  tables CONSTANT text[] := ARRAY[ -- a table, whose rows its rows are part of, by which column\n"
"    ['events_latest', 'events_latest', 'id'],\n"
"    ['events_latest_properties', 'events_latest', 'event_id'],\n"
"    ['events_latest_environments', 'events_latest', 'event_id'],\n"
"    ['events_latest_organizations', 'events_latest', 'event_id'],\n"
"    ['subscriptions', 'subscriptions', 'id'],\n"
"    ['subscriptions_metadata', 'subscriptions', 'subscription_id'],\n"
"    ['keys', 'keys', 'id'],\n"
"    ['key_subscriptions', 'keys', 'key_id'],\n"
"    ['environments', 'environments', 'id'],\n"
"    ['environment_hrids', 'environments', 'environment_id'],\n"
"    ['organizations', 'organizations', 'id'],\n"
"    ['organization_hrids', 'organizations', 'organization_id'],\n"
"    ['installation', 'installation', 'id'],\n"
"    ['installation_informations', 'installation', 'installation_id'],\n"
"    ['licenses', 'licenses', 'reference_id'],\n"
"    ['access_points', 'access_points', 'id']];\n"
"BEGIN\n"
"  home := coalesce(\n"
"    (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(the_prefix || 'events_latest'))),\n"
"    (SELECT min(pronamespace) FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace\n"
"      WHERE proname = the_name AND nspname = ANY (current_schemas(false))));\n"
"  IF home IS NULL THEN\n"
"    RAISE EXCEPTION 'there is no table % here; see management.jdbc.schema and prefix', the_prefix || 'events_latest';\n"
"  END IF;\n"
"  func := format('%I.%I', (SELECT nspname FROM pg_namespace WHERE oid = home), the_name);\n";

/* The function reads what changed by the name that the triggers give it. It is not in the
   way of a writer: an error is a warning, and what it tells is never more than one message
   a statement. */
static const char function[] =
"  EXECUTE format('CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER '\n"
"    'SET search_path = pg_catalog, pg_temp AS %L', func, $function$\n"
"DECLARE -- arguments: prefix of the tables, table of the rows, column with their ids\n"
"  ids text[] := '{}';\n"
"  payload text;\n"
"BEGIN\n"
"  IF TG_OP <> 'TRUNCATE' THEN\n"
"    EXECUTE format('SELECT array_agg(id) FROM (SELECT %I::text AS id FROM changed LIMIT 101) c', TG_ARGV[2]) INTO ids;\n"
"    IF ids IS NULL THEN\n"
"      RETURN NULL; -- no row was changed\n"
"    END IF;\n"
"    -- Too many to name, or gone, and what hung on them is to be looked for.\n"
"    IF cardinality(ids) > 100 OR (TG_OP = 'DELETE' AND TG_TABLE_NAME = TG_ARGV[0] || TG_ARGV[1]) THEN\n"
"      ids := '{}';\n"
"    END IF;\n"
"  END IF;\n"
"  payload := array_to_json(TG_ARGV[1] || ids)::text;\n"
"  IF octet_length(payload) > 7999 THEN\n"
"    payload := array_to_json(ARRAY[TG_ARGV[1]])::text;\n"
"  END IF;\n"
"  PERFORM pg_notify('zonesync_notify_' || (SELECT relnamespace FROM pg_class WHERE oid = TG_RELID)\n"
"    || '_' || TG_ARGV[0], payload);\n"
"  RETURN NULL;\n"
"EXCEPTION WHEN OTHERS THEN\n"
"  RAISE WARNING 'zonesync_notify: %', SQLERRM;\n"
"  RETURN NULL;\n"
"END\n"
"$function$);\n"
"  EXECUTE format('COMMENT ON FUNCTION %s() IS %L', func,\n"
"    'Tells zonesync which rows changed; see zonesync setup postgres-notify, and --remove of it.');\n"
"  COMMIT;\n";

static const char drop_triggers[] =
"  FOREACH item SLICE 1 IN ARRAY tables LOOP\n"
"    rel := to_regclass(quote_ident(the_prefix || item[1]));\n"
"    CONTINUE WHEN rel IS NULL OR (SELECT relnamespace FROM pg_class WHERE oid = rel) <> home;\n"
"    FOREACH op IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP\n"
"      IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = rel AND tgname = 'zonesync_notify_' || op) THEN\n"
"        EXECUTE format('DROP TRIGGER %I ON %s', 'zonesync_notify_' || op, rel);\n"
"      END IF;\n";

static const char create_trigger[] =
"      EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s(%L, %L, %L)',\n"
"        'zonesync_notify_' || op, op, rel,\n"
"        CASE op WHEN 'truncate' THEN '' WHEN 'delete' THEN 'REFERENCING OLD TABLE AS changed'\n"
"          ELSE 'REFERENCING NEW TABLE AS changed' END,\n"
"        func, the_prefix, item[2], item[3]);\n"
"      EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', 'zonesync_notify_' || op, rel,\n"
"        'Tells zonesync which rows changed; see zonesync setup postgres-notify, and --remove of it.');\n";

static const char end_tables[] =
"    END LOOP;\n"
"    told := told + 1;\n"
"    COMMIT;\n"
"  END LOOP;\n";

/* Whoever listens looks whether the triggers are there. */
static const char drop_function[] =
"  EXECUTE format('DROP FUNCTION IF EXISTS %s()', func);\n"
"  PERFORM pg_notify('zonesync_notify_' || home || '_' || the_prefix, '');\n";

/* clang-format on */

/* Between two of doubled[0]; what is in `doubled` comes twice. */
static void add_quoted(struct buf *b, const char *s, size_t n, const char *doubled)
{
	size_t i;

	buf_addc(b, doubled[0]);
	for (i = 0; i < n; i++) {
		if (strchr(doubled, s[i]) != NULL)
			buf_addc(b, s[i]);
		buf_addc(b, s[i]);
	}
	buf_addc(b, doubled[0]);
}

/* The value of the last currentSchema in a JDBC URL, encoded; NULL: there is none. */
static const char *current_schema(const char *url)
{
	static const char name[] = "currentSchema=";
	const char *s = strchr(url, '?');
	const char *found = NULL;

	for (; s != NULL; s = strchr(s + 1, '&'))
		if (str_starts(s + 1, name))
			found = s + 1 + strlen(name);
	return found;
}

/* Decoded; what is no encoding stays: the daemon refuses it. */
static void add_current_schema(struct buf *out, const char *s)
{
	for (; *s != '\0' && *s != '&'; s++) {
		if (*s == '%' && str_hex_digit(s[1]) >= 0 && str_hex_digit(s[2]) >= 0) {
			buf_addc(out, (char)(str_hex_digit(s[1]) << 4 | str_hex_digit(s[2])));
			s += 2;
		} else {
			buf_addc(out, *s == '+' ? ' ' : *s);
		}
	}
}

/* E: good whatever standard_conforming_strings says. */
static void add_literal(struct buf *out, const char *s, size_t n)
{
	if (n > 0 && memchr(s, '\\', n) != NULL) /* nothing may be NULL */
		buf_addc(out, 'E');
	add_quoted(out, s, n, "'\\");
}

/* Nothing: as the server sets it for who runs this. */
static void add_path(struct buf *out, const struct setup_names *n)
{
	const char *current = current_schema(n->url);
	struct buf schemas = { 0 };

	if (n->schema[0] != '\0') {
		buf_adds(out, "SET search_path = ");
		add_quoted(out, n->schema, strlen(n->schema), "\"");
		buf_adds(out, ";\n");
	} else if (current != NULL) {
		add_current_schema(&schemas, current);
		buf_adds(out, "SELECT set_config('search_path', ");
		add_literal(out, schemas.data, schemas.len);
		buf_adds(out, ", false);\n");
	}
	buf_reset(&schemas);
}

void setup_sql(struct buf *out, const struct setup_names *n, bool remove)
{
	buf_printf(out,
		   "-- %s\n"
		   "-- Run it as the owner of the tables, and not within a transaction:\n"
		   "--   zonesync setup postgres-notify%s | psql -v ON_ERROR_STOP=1 URL\n",
		   remove ? "Takes out the triggers that tell zonesync of changes."
			  : "Triggers that tell zonesync of changes, in PostgreSQL 11 or newer.",
		   remove ? " --remove" : "");
	buf_adds(out, "SET lock_timeout = '2s';\n");
	add_path(out, n);
	buf_adds(out, "SET zonesync.prefix = ");
	add_literal(out, n->prefix, strlen(n->prefix));
	buf_adds(out, ";\n");
	buf_adds(out, begin);
	if (!remove)
		buf_adds(out, function);
	buf_adds(out, drop_triggers);
	if (!remove)
		buf_adds(out, create_trigger);
	buf_adds(out, end_tables);
	if (remove)
		buf_adds(out, drop_function);
	buf_printf(out, "  RAISE NOTICE 'zonesync: %% tables %s', told;\nEND\n$zonesync$;\n",
		   remove ? "do not tell of changes any more" : "tell of their changes");
	buf_adds(out, "RESET zonesync.prefix;\nRESET search_path;\nRESET lock_timeout;\n");
}
