# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL tells of changes once its triggers are there: the polls are an hour apart, where nothing else is said."""
import psycopg2.sql
import pytest

import mongo as m
import postgres as pg
from test_mongo import OLD, put_api, put_key, put_sub
from test_notify import HOUR_MS, passes, start
from zone import api, until

pytestmark = pytest.mark.sources("postgresql")
NOT_INSTALLED = "polling: the triggers are not installed; see zonesync setup postgres-notify"
BULK = 20000


def node(zone, notify=NOT_INSTALLED, delay=HOUR_MS):
    """A node that has compared all, of a database as it is."""
    zone.mongo.start()
    zone.redis.start()
    zone.delay, zone.ttl = delay, 5000
    n = zone.node("n1")
    until("compared", lambda: passes(n) > 0)
    until(notify, lambda: n.fetcher()["notify"] == notify)
    return n


class Listener:
    """Another one on the channel: counts messages, and shows them."""

    def __init__(self, zone, schema="public"):
        self.connection = zone.mongo.server.connect(zone.mongo.name)
        self.cursor = self.connection.cursor()
        self.cursor.execute("SELECT %s::regnamespace::oid", (schema,))
        self.cursor.execute(f'LISTEN "zonesync_notify_{self.cursor.fetchone()[0]}_{zone.mongo.prefix}"')

    def payloads(self):
        self.cursor.execute("SELECT 1")
        self.connection.poll()
        return [n.payload for n in self.connection.notifies]


def made(zone):
    """What is in the database that carries our name."""
    return zone.mongo.run("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%zonesync%' UNION ALL "
                          "SELECT proname FROM pg_proc WHERE proname LIKE '%zonesync%' UNION ALL "
                          "SELECT description FROM pg_description WHERE description LIKE '%zonesync%'").fetchall()


# --- the triggers ---

def test_without_triggers_it_polls_and_says_why_until_they_are_there(zone):
    put_api(zone, "a", updated=OLD)
    n = node(zone, delay=200)
    put_api(zone, "b")
    zone.settled(count=2)
    assert n.fetcher()["source"] == "up"
    zone.setup_notify()
    until("told", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")
    put_api(zone, "c", updated=OLD)  # no poll would bring it
    zone.settled(count=3)


def test_what_was_missed_until_they_are_there_is_looked_for(zone):
    put_api(zone, "a", updated=OLD)
    n = node(zone)
    put_api(zone, "b", updated=OLD)
    zone.setup_notify()
    zone.settled(count=2)
    until("it listens", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")


def test_removing_leaves_nothing_and_is_noticed(zone):
    n = start(zone)
    assert len(made(zone)) == 2 * (16 * 4 + 1)
    assert "16 tables" in zone.setup_notify(), "again changes nothing"
    assert len(made(zone)) == 2 * (16 * 4 + 1)
    zone.setup_notify("--remove")
    assert made(zone) == []
    until("polling", lambda: n.fetcher()["notify"] == NOT_INSTALLED)
    zone.setup_notify("--remove")


def test_a_table_without_triggers_is_named(zone):
    zone.setup_notify()
    zone.mongo.run("ALTER TABLE keys DISABLE TRIGGER zonesync_notify_insert")
    node(zone, "polling: triggers are not installed at keys; see zonesync setup postgres-notify")


def test_a_release_without_some_tables(zone):
    zone.mongo.start()
    zone.mongo.run("DROP TABLE licenses, access_points")
    assert "14 tables" in zone.setup_notify()
    put_api(zone, "a")
    n = node(zone, "LISTEN/NOTIFY")
    put_api(zone, "b", updated=OLD)
    zone.settled(count=2)
    assert passes(n) == 1


@pytest.mark.parametrize("schema,prefix", [('we"i\'rd\\ ;--', 'p$zonesync$"\'\\'), ("München", "zürich_")])
def test_names_of_any_kind(zone, schema, prefix):
    zone.mongo.start()
    quoted = schema.replace('"', '""')
    zone.mongo.run(f'CREATE SCHEMA "{quoted}"; GRANT USAGE ON SCHEMA "{quoted}" TO PUBLIC')
    for table, in zone.mongo.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
        zone.mongo.run(f'ALTER TABLE "{table}" SET SCHEMA "{quoted}"')
        zone.mongo.run(f'ALTER TABLE "{quoted}"."{table}" RENAME TO "{(prefix + table).replace(chr(34), 2 * chr(34))}"')
    yaml = [s.replace("'", "''") for s in (schema, prefix)]
    zone.more_source = f"    schema: '{yaml[0]}'\n    prefix: '{yaml[1]}'\n"
    zone.setup_notify()
    sql = psycopg2.sql

    def insert(id):
        for table, columns, values in [
                ("events_latest_properties", "event_id, property_key, property_value", (id, "api_id", id)),
                ("events_latest_environments", "event_id, environment_id", (id, "DEFAULT")),
                ("events_latest", "id, type, payload, updated_at", (id, "PUBLISH_API", m.bean(api(id)), "2020-01-01"))]:
            zone.mongo.run(sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
                sql.Identifier(schema, prefix + table), sql.SQL(columns), sql.Literal(values)))

    insert("first")
    n = node(zone, "LISTEN/NOTIFY")
    zone.settled(count=1)
    insert("a")
    zone.settled(count=2)
    assert passes(n) == 1
    zone.setup_notify("--remove")
    assert made(zone) == []


def test_two_zones_in_one_database_do_not_wake_each_other(zone):
    zone.mongo.start()
    for table, in zone.mongo.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
        zone.mongo.run(f"CREATE TABLE other_{table} (LIKE {table} INCLUDING ALL)")
    zone.setup_notify()
    here = Listener(zone)
    zone.mongo.prefix, zone.more_source = "other_", "    prefix: other_\n"
    zone.setup_notify()
    there = Listener(zone)
    put_key(zone, "k", ["s"])
    assert there.payloads() and not here.payloads()
    zone.setup_notify("--remove")
    assert len(made(zone)) == 2 * (16 * 4 + 1), "those of the other one stay"


def test_they_are_not_in_the_way_of_writers(zone):
    """An error in them is a warning; a writer needs no rights for them; nothing is told of nothing."""
    zone.setup_notify()
    listener = Listener(zone)
    zone.mongo.run("DELETE FROM keys")
    zone.mongo.run("UPDATE keys SET revoked = true")
    assert listener.payloads() == []
    zone.mongo.run("ALTER TABLE licenses RENAME COLUMN reference_id TO other")
    zone.mongo.run("INSERT INTO licenses (other, reference_type, license) VALUES ('o', 'ORGANIZATION', 'x')")
    assert zone.mongo.run("SELECT count(*) FROM licenses").fetchone() == (1,)
    zone.mongo.run(f"GRANT INSERT ON keys TO {pg.READER}")
    c = zone.mongo.connection().cursor()
    c.execute(f"SET ROLE {pg.READER}")
    c.execute("INSERT INTO keys (id) VALUES ('k')")
    c.execute("RESET ROLE")
    assert listener.payloads() == ['["keys","k"]']


# --- what is told ---

def test_many_rows_of_one_statement_are_one_message(zone):
    put_api(zone, "a", updated=OLD)
    n = start(zone)
    listener = Listener(zone)
    zone.mongo.run("INSERT INTO subscriptions (id, plan, api, application, application_name, status, environment_id, updated_at) "
                   "SELECT 's' || i, 'plan-1', 'a', 'app', 'App', 'ACCEPTED', 'DEFAULT', '2020-01-01' "
                   "FROM generate_series(1, %s) i", BULK)
    zone.settled(count=BULK + 1)
    assert listener.payloads() == ['["subscriptions"]']
    zone.mongo.run("UPDATE subscriptions SET application_name = 'other', updated_at = '2020-01-02'")
    for i in (1, BULK // 2, BULK):
        until("all of them", lambda: b'"other"' in n.get("SUBSCRIPTION", f"s{i}"))
    assert listener.payloads() == ['["subscriptions"]'] * 2


def test_what_hangs_on_a_row_tells_of_that_row(zone):
    """Also when it goes: the Management API writes it anew with each change, which is no reason to compare."""
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a", metadata={"x": "1"})
    put_key(zone, "k", ["s"])
    n = start(zone)
    listener = Listener(zone)
    zone.mongo.run("INSERT INTO key_subscriptions VALUES ('k', 't')")
    zone.mongo.run("DELETE FROM subscriptions_metadata")
    zone.mongo.run("UPDATE events_latest_properties SET property_value = '5' WHERE property_key = 'deployment_number'")
    assert listener.payloads() == ['["keys","k"]', '["subscriptions","s"]', '["events_latest","a"]']
    put_sub(zone, "s", "a", updated=OLD + 1, metadata={"x": "2"})
    until("changed", lambda: b'"2"' in n.get("SUBSCRIPTION", "s"))
    assert passes(n) == 1


def test_messages_that_mean_nothing_make_a_comparison(zone):
    put_api(zone, "a", updated=OLD)
    n = start(zone)
    zone.mongo.run("ALTER TABLE events_latest DISABLE TRIGGER USER")
    put_api(zone, "b", updated=OLD)
    zone.mongo.run("ALTER TABLE events_latest ENABLE TRIGGER USER")
    for payload in ("", "[", "5", "[]", '["nothing"]', '[["keys"]]', "x" * 7999):
        before = passes(n)
        zone.mongo.run("SELECT pg_notify('zonesync_notify_' || 'public'::regnamespace::oid || '_', %s)", payload)
        until("compared", lambda: passes(n) > before)
    zone.settled(count=2)
    zone.mongo.run("SELECT pg_notify('zonesync_notify_' || 'public'::regnamespace::oid || '_', %s)",
                   '["keys",null,5,{"a":["b"]},"\\u0000","no such"]')
    put_api(zone, "c", updated=OLD)
    zone.settled(count=3)
    assert n.fetcher()["notify"] == "LISTEN/NOTIFY"


# --- the connection ---

def test_a_backend_that_is_terminated_loses_nothing(zone):
    put_api(zone, "a", updated=OLD)
    n = start(zone)
    ended = []

    def terminated():
        for pid, in zone.mongo.run("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name "
                                   "= 'zonesync-watch' AND pid <> ALL(%s::int[])", ended).fetchall():
            zone.mongo.run("SELECT pg_terminate_backend(%s)", pid)
            ended.append(pid)
        return len(ended) > turn

    for turn in range(3):
        until("it listens again", terminated)  # the server knows; what the node says may be of before
        put_api(zone, f"b{turn}", updated=OLD)
        zone.settled(count=2 + turn)
    until("it listens again", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")


def test_a_server_that_restarts_loses_nothing(zone):
    put_api(zone, "a", updated=OLD)
    n = start(zone)
    zone.mongo.kill()
    until("told", lambda: n.fetcher()["notify"].startswith("polling"))
    zone.mongo.start()
    put_api(zone, "b", updated=OLD)
    zone.settled(count=2)
    until("it listens again", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")


def test_a_poll_and_no_notice_when_it_is_off(zone):
    zone.setup_notify()
    zone.redis.start()
    n = zone.node("n1", extra="  source:\n    notify: off")
    until("off", lambda: n.fetcher()["notify"] == "off")
    assert zone.mongo.run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'zonesync-watch' AND datname = "
                          "current_database()").fetchall() == []
