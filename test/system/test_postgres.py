# SPDX-License-Identifier: Apache-2.0
"""What is PostgreSQL's own: the same zone as from MongoDB, time, order, plans, and a server that fails."""
import datetime
import json
import os
import signal
import subprocess

import pytest

import mongo as m
import postgres as pg
import zone as z
from zone import api, apikey, subscription, until
from test_mongo import OLD, VECTORS, cursor, lines, names_are, one_node, plan_of, put_api, put_key, put_sub, see_a_delta

pytestmark = pytest.mark.sources("postgresql")


# --- the same zone ---

def rows_of_vectors():
    """(collection, row) of every recorded row, each with an id of its own."""
    for i, line in enumerate(lines("primary-rows.jsonl")):
        row = {k: v for k, v in line["row"].items() if k != "kind"}
        kind = line["row"]["kind"]
        if kind in ("environment", "organization"):
            yield kind + "s", row
        elif kind == "event":
            yield "events_latest", {**row, "id": f"{row['id']}-{i}"} if i % 2 else row
        elif kind in ("subscription", "key"):
            yield kind + "s", {**row, "id": f"{row['id']}.{i}"}
            if "subscription" in line:
                sub = {k: v for k, v in line["subscription"].items() if k != "kind"}
                yield "subscriptions", sub
        elif kind == "access_point":
            yield "access_points", row
    for line in lines("primary-definitions.jsonl"):
        row = {k: v for k, v in line["row"].items() if k != "kind"}
        for property in ("dictionary_id", "organization_id"):
            row["id"] = row["properties"].get(property, row["id"])
        yield "events_latest", {**row, "environments": ["DEFAULT"], "organizations": ["DEFAULT"]}


def fits(collection, row):
    """Whether there is such a row in a table: columns have types."""
    lists = {"properties": dict, "environments": list, "organizations": list, "metadata": dict, "subscriptions": list,
             "hrids": list}
    times = ("createdAt", "updatedAt", "startingAt", "endingAt", "expireAt")
    for k, v in row.items():
        if v is None:
            continue
        if k in lists and (not isinstance(v, lists[k]) or not all(
                isinstance(x, str) for x in (v.values() if isinstance(v, dict) else v))):
            return False
        if k in times and not (isinstance(v, int) and not isinstance(v, bool)):
            return False
        if k in ("revoked", "paused", "federated") and not isinstance(v, bool):
            return False
        if k not in lists and k not in times and not isinstance(v, (str, bool)):
            return False
        if isinstance(v, str) and "\0" in v:
            return False
    return isinstance(row.get("id"), str) and len(row["id"]) <= 64


def columns_of(collection):
    return {"events_latest": {"id", "type", "payload", "properties", "environments", "organizations", "createdAt",
                              "updatedAt"},
            "environments": {"id", "hrids", "name", "description", "organizationId"},
            "organizations": {"id", "hrids", "name", "description"},
            "keys": {"id", "key", "subscriptions", "subscription", "environmentId", "application", "expireAt", "revoked",
                     "paused", "federated", "createdAt", "updatedAt"},
            "subscriptions": {"id", "api", "referenceId", "referenceType", "environmentId", "plan", "status", "application",
                              "applicationName", "clientId", "clientCertificate", "consumerStatus", "configuration",
                              "metadata", "type", "startingAt", "endingAt", "createdAt", "updatedAt"}}[collection]


def hashes(zone):
    out = {}
    for key in zone.redis("KEYS", "distributed_event:*").split("\n"):
        fields = [line.split(") ", 1)[1] for line in zone.redis("--no-raw", "HGETALL", key).split("\n")]
        named = dict(zip(fields[::2], fields[1::2]))
        hash, _, marks, version = zone.redis.stamp(key)
        out[key] = {k: v for k, v in named.items() if k not in ('"zs"', '"updatedAt"')} | {"zs": (hash, marks, version)}  # not of the writing
    return out


def test_both_databases_make_the_same_zone_to_the_byte(zone):
    other = m.MongoZone(zone.base / "mongodb")
    try:
        rows = {}
        for collection, row in rows_of_vectors():
            if collection != "access_points" and fits(collection, row):
                row = {k: v for k, v in row.items() if k in columns_of(collection)}
                if isinstance(row.get("subscriptions"), list):
                    row["subscriptions"] = sorted(set(row["subscriptions"]))  # a set there
                rows[collection, row["id"]] = {"updatedAt": OLD, **row} if collection not in (
                    "environments", "organizations") else row
        for i, f in enumerate(sorted(z.DEFINITIONS.glob("*.json"))):
            d = json.loads(f.read_text())
            rows["events_latest", d["id"]] = {
                "id": d["id"], "type": "PUBLISH_API", "payload": m.bean(d), "createdAt": OLD + i, "updatedAt": OLD + i,
                "properties": {"api_id": d["id"], "deployment_number": "1"}, "environments": ["DEFAULT"]}
            rows["subscriptions", f"s{i}"] = subscription(f"s{i}", d["id"], plan_of(d), startingAt=OLD, metadata={
                "z": "1", "a": "ü\t\"\\/\u2028", "m": ""}, configuration=json.dumps({"channel": "c"}), clientId="c")
            rows["keys", f"k{i}"] = apikey(f"k{i}", [f"s{i}"], expireAt=OLD * 2, paused=False)
        assert len(rows) > 150
        for (collection, _), row in rows.items():
            for one in (zone, other):
                one.row(collection, dict(row), None)
        zone.start(1)
        other.start(1)
        counts = [int(one.settled()["count"]) for one in (zone, other)]
        assert counts[0] == counts[1] > 100
        ours, theirs = hashes(zone), hashes(other)
        assert {k: v for k, v in ours.items() if theirs.get(k) != v} == {
            k: v for k, v in theirs.items() if ours.get(k) != v}
        digests = [[one.redis.meta()[f"d{i}"] for i in range(4)] for one in (zone, other)]
        assert digests[0] == digests[1]
        assert zone.nodes[0].cli("quarantine", "--json") and {
            q["where"] for q in quarantine(zone.nodes[0])} == {q["where"] for q in quarantine(other.nodes[0])}
    finally:
        other.close()


def quarantine(n):
    return [json.loads(line) for line in n.cli("quarantine", "--json").split("\n") if line]


# --- time ---

def version(zone, key):
    """In the zone, of the row."""
    return int(zone.redis.version(f"distributed_event:test:{key}"))


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_timestamps_are_of_the_time_zone_that_is_configured(zone, name):
    import zoneinfo
    zone.more_source = f"    timezone: {name}\n"
    at = m.now_ms()
    local = lambda ms: datetime.datetime.fromtimestamp(ms / 1000, zoneinfo.ZoneInfo(name)).replace(tzinfo=None)  # noqa: E731
    put_api(zone, "a")
    zone.mongo.run("UPDATE events_latest SET updated_at = %s, created_at = %s", local(at), local(at))
    n = one_node(zone)
    zone.settled(count=1)
    assert version(zone, "API:a") == at
    assert cursor(zone, "events_latest") == at
    put_api(zone, "b")  # in UTC: some hours ago, or hence
    zone.mongo.run("UPDATE events_latest SET updated_at = %s WHERE id = 'b'", local(m.now_ms()))
    until("a delta finds it", lambda: n.get("API", "b"))


def test_a_time_zone_that_the_server_does_not_know_is_named(zone):
    zone.more_source = "    timezone: Mars/Olympus\n"
    put_api(zone, "a")
    zone.redis.start()
    n = zone.node("n1")
    until("said", lambda: "Mars/Olympus" in n.fetcher()["source"])


def test_rows_of_one_millisecond_are_paged_by_their_microseconds_and_ids(zone):
    """2,500 of one millisecond, in 3 microseconds, with ids that a language orders unlike their bytes."""
    put_api(zone, "a", updated=OLD)
    n = one_node(zone)
    zone.settled(count=1)
    zone.mongo.fail(["hello", "find"], errorCode=1)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    at = datetime.datetime.utcnow().replace(microsecond=0)
    zone.mongo.run("""INSERT INTO subscriptions (id, api, plan, application, application_name, environment_id, status,
                      created_at, updated_at)
                      SELECT CASE i %% 4 WHEN 0 THEN 'a' WHEN 1 THEN 'B' WHEN 2 THEN 'Ab' ELSE 'ä-' END || i, 'a', 'plan-1',
                      'app', 'App', 'DEFAULT', 'ACCEPTED', %s, %s::timestamp + (123000 + i %% 3) * interval '1 microsecond'
                      FROM generate_series(1, 2500) i""", at, at)
    zone.mongo.heal()
    zone.settled(count=2501)
    until("steady", lambda: n.fetcher()["source"] == "up")
    assert cursor(zone, "subscriptions") == int(at.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000 + 123
    see_a_delta(zone, n)
    assert n.fetcher()["quarantined"] == 0


def test_a_transaction_that_commits_late_is_found_by_a_delta(zone):
    """Its row says when it began; others that began later were seen meanwhile."""
    put_api(zone, "a")
    n = one_node(zone)
    zone.settled(count=1)
    late = zone.mongo.server.connect(zone.mongo.name)
    late.cursor().execute("""BEGIN; INSERT INTO subscriptions (id, api, plan, application, application_name, environment_id,
        status, created_at, updated_at) VALUES ('late', 'a', 'plan-1', 'app', 'App', 'DEFAULT', 'ACCEPTED',
        timezone('UTC', now()), timezone('UTC', now()))""")
    put_sub(zone, "s", "a", updated=m.NOW)
    until("the other is seen", lambda: n.get("SUBSCRIPTION", "s"))
    see_a_delta(zone, n)
    assert n.get("SUBSCRIPTION", "late") is None
    late.cursor().execute("COMMIT")
    late.close()
    until("found", lambda: n.get("SUBSCRIPTION", "late"))


# --- where the tables are ---

def test_tables_have_a_schema_and_a_prefix(zone):
    put_api(zone, "public")
    zone.mongo.run('CREATE SCHEMA "Über"; GRANT USAGE ON SCHEMA "Über" TO reader; '
                   'ALTER DEFAULT PRIVILEGES IN SCHEMA "Über" GRANT SELECT ON TABLES TO reader; '
                   'SET search_path = "Über"; ' + pg.SCHEMA.replace("CREATE TABLE ", "CREATE TABLE Gw_").replace(
                       " ON ", " ON Gw_").replace(" ON Gw_ALL TABLES IN SCHEMA public", " ON ALL TABLES IN SCHEMA public")
                   .replace(" ON Gw_TABLES", " ON TABLES"))
    zone.mongo.prefix = "gw_"
    put_api(zone, "a")
    zone.more_source = "    schema: Über\n    prefix: gw_\n"
    n = one_node(zone)
    names_are(n, "API:a")
    zone.more_source = "    schema: Über\n    prefix: nowhere_\n"
    n.config.write_text(zone.config("n1"))
    n.cli("reload")
    until("named", lambda: "nowhere_" in n.fetcher()["source"] and "management.jdbc.schema" in n.fetcher()["source"])
    assert n.names() == ["API:a"]


@pytest.mark.parametrize("where", [
    "currentSchema=PUBLIC", "currentSchema=nowhere,%20%22public%22", "currentSchema=%22public%22",
    "options=-c%20search_path%3Dpublic", "options=-c+search_path%3Dpublic&currentSchema=public",
])
def test_the_path_to_the_tables_is_read_as_the_driver_reads_it(zone, where):
    zone.mongo.start()
    # without it nothing is found
    zone.mongo.run(f'ALTER ROLE reader IN DATABASE "{zone.mongo.name}" SET search_path = pg_catalog')
    put_api(zone, "a")
    n = one_node(zone, start=False)
    n.config.write_text(zone.config("n1").replace(zone.mongo.uri, zone.mongo.uri + ("&" if "?" in zone.mongo.uri else "?") + where))
    n.start()
    names_are(n, "API:a")


@pytest.mark.parametrize("where", ["currentSchema=%22PUBLIC%22", "currentSchema=", "currentSchema=nowhere"])
def test_tables_that_are_not_there_at_first_start_are_named(zone, where):
    zone.mongo.start()
    n = one_node(zone, start=False)
    n.config.write_text(zone.config("n1").replace(zone.mongo.uri, zone.mongo.uri + ("&" if "?" in zone.mongo.uri else "?") + where))
    n.start()
    until("named", lambda: "table events_latest" in n.fetcher()["source"] or "table environments" in n.fetcher()["source"]
          or "or is not there" in n.fetcher()["source"])
    assert "management.jdbc.schema" in n.fetcher()["source"]


def test_tables_of_older_releases_lack_columns_and_tables(zone):
    zone.mongo.start()
    zone.mongo.run("ALTER TABLE subscriptions DROP reference_id, DROP reference_type, DROP configuration; "
                   "ALTER TABLE keys DROP federated, DROP paused; DROP TABLE licenses, access_points, subscriptions_metadata")
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a")
    zone.mongo.run("INSERT INTO keys (id, key, application, created_at, updated_at, subscription) "
                   "VALUES ('k', 'x', 'app', now(), now(), 's')")
    n = one_node(zone)
    names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=0)
    put_api(zone, "a")
    names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")


def test_access_points_and_licenses_without_a_time_are_read_whole_by_each_delta(zone):
    """access_points of 4.2 have neither a time nor a status."""
    zone.mongo.run("ALTER TABLE access_points DROP updated_at, DROP status; ALTER TABLE licenses DROP updated_at, DROP created_at; "
                   "ALTER TABLE access_points ALTER reference_id SET NOT NULL; CREATE INDEX ON access_points (reference_id)")

    def point(id, host):
        zone.mongo.run(f"INSERT INTO access_points (id, reference_type, reference_id, target, host, secured, overriding) VALUES "
                       f"('{id}', 'ENVIRONMENT', 'DEFAULT', 'GATEWAY', '{host}', true, false) "
                       f"ON CONFLICT (id) DO UPDATE SET host = '{host}'")

    def see(id, host):
        until(f"{id} is {host}", lambda: json.loads(n.get("ACCESS_POINT", id) or "{}").get("host") == host)

    point("m", "old.example.org")
    n = one_node(zone)
    see("m", "old.example.org")
    zone.settled(count=1)
    compared = n.logs("fetcher").count("compare")
    point("a", "first.example.org")  # its id is before the one that was seen last
    see("a", "first.example.org")
    point("m", "new.example.org")
    see("m", "new.example.org")
    zone.mongo.run("INSERT INTO licenses (reference_id, reference_type, license) VALUES ('DEFAULT', 'ORGANIZATION', 'text')")
    until("the license", lambda: n.get("LICENSE", "DEFAULT") == b"text")
    assert n.logs("fetcher").count("compare") == compared and not n.fetcher()["error"]


def test_lists_come_whole_where_no_index_finds_them(zone):
    zone.mongo.run("DROP INDEX subscriptions_metadata_subscription_id_idx; "
                   "ALTER TABLE key_subscriptions DROP CONSTRAINT key_subscriptions_pkey")
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a", metadata={"b": "1", "a": "2"})
    put_key(zone, "k", ["s"])
    n = one_node(zone)
    names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")
    assert json.loads(n.get("SUBSCRIPTION", "s"))["metadata"] == {"b": "1", "a": "2"}
    put_sub(zone, "s", "a", updated=m.NOW, metadata={"c": "3"})
    until("changed", lambda: json.loads(n.get("SUBSCRIPTION", "s"))["metadata"] == {"c": "3"})


def test_a_right_that_is_missing_is_named(zone):
    put_api(zone, "a")
    zone.mongo.run("REVOKE SELECT ON keys FROM reader")
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1")
    until("named", lambda: "table keys" in n.fetcher()["source"])
    zone.mongo.run("GRANT SELECT ON keys TO reader")
    names_are(n, "API:a")


# --- plans ---

def questions(zone):
    """The questions that were logged, with what stood for their parameters."""
    return (zone.mongo.server.dir / "log").read_text(errors="replace")


@pytest.mark.parametrize("more,table,index", [
    ("", "events_latest", "events_latest_updated_at_idx"),
    ("", "keys", "keys_updated_at_idx"),
    ("environments: default", "subscriptions", "subscriptions_environment_id_updated_at_id_idx"),
    ("", "subscriptions", "subscriptions_environment_id_updated_at_id_idx"),
])
def test_a_delta_reads_by_an_index_of_time(zone, more, table, index):
    """As auto_explain saw it, of the node's own question."""
    zone.row("organizations", {"id": "O", "hrids": ["o"], "name": "o"}, None)
    zone.row("environments", {"id": "DEFAULT", "hrids": ["default"], "name": "d", "organizationId": "O"}, None)
    zone.mongo.run("ALTER TABLE subscriptions ALTER environment_id SET NOT NULL")
    zone.mongo.run("""INSERT INTO events_latest (id, type, payload, created_at, updated_at)
        SELECT 'e' || i, 'START_DICTIONARY', '', now(), now() - i * interval '1 minute' FROM generate_series(1, 30000) i;
        INSERT INTO subscriptions (id, plan, api, application, application_name, environment_id, status, updated_at)
        SELECT 's' || i, 'p', 'a', 'app', 'App', 'DEFAULT', 'CLOSED', now() - i * interval '1 minute'
        FROM generate_series(1, 30000) i;
        INSERT INTO keys (id, key, environment_id, updated_at, revoked)
        SELECT 'k' || i, 'k', 'DEFAULT', now() - i * interval '1 minute', true FROM generate_series(1, 30000) i; ANALYZE""")
    for e in "bcd":  # some more
        put_sub(zone, f"s-{e}", "a", environmentId=e, status="CLOSED")
    zone.mongo.run(f"""ALTER ROLE reader IN DATABASE "{zone.mongo.name}" SET session_preload_libraries = 'auto_explain';
        ALTER DATABASE "{zone.mongo.name}" SET auto_explain.log_min_duration = 0""")
    put_api(zone, "a")
    n = one_node(zone, more=more)
    zone.settled(count=1)
    see_a_delta(zone, n)
    plans = [p for p in questions(zone).split("LOG:") if f'FROM "{table}" t' in p and "ORDER BY t.updated_at" in p]
    assert plans and index in plans[-1] and f"Seq Scan on {table} t" not in plans[-1], plans[-1:]


# --- a server that fails ---

def fill(zone, count=12):
    for i in range(count):
        put_api(zone, f"a{i:02}", updated=OLD)
        put_sub(zone, f"s{i:02}", f"a{i:02}")
        put_key(zone, f"k{i:02}", [f"s{i:02}"])


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGQUIT])
def test_the_server_restarted_under_a_primary(zone, sig):
    fill(zone)
    n = one_node(zone)
    zone.settled(count=36)
    for turn in range(2):
        zone.mongo.kill(sig)
        until("down", lambda: n.fetcher()["source"].startswith("down"))
        assert len(n.names()) == 36 + turn
        zone.mongo.start()
        put_api(zone, f"new{turn}")
        until("up", lambda: n.get("API", f"new{turn}"))
    assert "removed" not in n.logs("fetcher")


def test_a_server_that_is_not_there_at_the_start_is_waited_for(zone):
    fill(zone, 2)
    zone.mongo.kill()
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1")
    until("said", lambda: n.fetcher()["source"].startswith("down: PostgreSQL"))
    zone.mongo.start()
    zone.settled(count=6)
    assert n.fetcher()["source"] == "up"


def test_a_server_that_hangs_is_an_outage_and_holds_nobody_up(zone):
    fill(zone, 2)
    n = one_node(zone)
    zone.settled(count=6)
    zone.mongo.pause()
    until("down", lambda: "did not answer" in n.fetcher()["source"] or "let us in" in n.fetcher()["source"])
    assert n.stop() == 0
    assert "event=child_kill child=fetcher" not in n.logs(), "it ended by itself"
    zone.mongo.resume()
    n.start()
    put_api(zone, "after")
    until("after", lambda: n.get("API", "after"))


def test_a_wrong_password_is_named_and_never_shown(zone):
    fill(zone, 1)
    zone.mongo.password = "wrong-secret"
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1")
    until("said", lambda: "authentication failed" in n.fetcher()["source"])
    zone.mongo.password = pg.PASSWORD
    n.config.write_text(zone.config("n1"))
    n.cli("reload")
    zone.settled(count=3)
    arguments = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    for text in [f.read_text() for f in [*n.log.glob("*.log"), n.dir / "out"]] + [arguments, n.cli("config", "show")]:
        assert "wrong-secret" not in text and pg.PASSWORD not in text


def test_sessions_are_read_only_and_give_up_by_themselves(zone):
    put_api(zone, "a")
    n = one_node(zone)
    zone.settled(count=1)
    seen = zone.mongo.run("SELECT application_name, backend_xmin FROM pg_stat_activity WHERE usename = 'reader'").fetchall()
    assert seen and all(name == "zonesync" for name, _ in seen)
    assert n.fetcher()["source"] == "up"


# --- one moment ---

def insert_subs(zone, count):
    zone.mongo.run("""INSERT INTO subscriptions (id, api, plan, application, application_name, environment_id, status,
                      created_at, updated_at)
                      SELECT 's' || i, 'a', 'plan-1', 'app', 'App', 'DEFAULT', 'ACCEPTED', now(),
                      now() - interval '1 day' FROM generate_series(1, %s) i""", count)


def test_an_api_comes_back_with_more_subscriptions_than_a_page_holds(zone):
    """Their rows lie far behind the cursor: they are looked up by the API."""
    put_api(zone, "a", updated=OLD)
    put_api(zone, "b", updated=OLD)
    insert_subs(zone, 2500)
    put_key(zone, "k", ["s2499"])
    zone.start(1, more="")
    zone.settled(count=2503)
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=1)
    put_api(zone, "a")
    zone.settled(count=2503)


def sessions(zone):
    """(state, whether it holds a moment) of the node's sessions."""
    return zone.mongo.run("SELECT state, backend_xmin IS NOT NULL FROM pg_stat_activity WHERE usename = 'reader'").fetchall()


def stall(zone, n):
    """The zone cannot be written for a while, in the midst of a read of everything."""
    until("it began", lambda: int(zone.redis.meta().get("count", 0)) > 0)
    zone.redis.pause()
    until("the queue is full", lambda: n.fetcher()["outbox"] > 0 and sessions(zone))


def test_a_read_of_everything_is_of_one_moment(zone):
    """What changes meanwhile is another read's: the keys are those of the subscriptions that were read before them."""
    put_api(zone, "a", updated=OLD)
    insert_subs(zone, 20000)
    for i in range(3):
        put_key(zone, f"k{i}", [f"s{i + 1}"])
    zone.ttl = 10000
    zone.redis.start()
    zone.delay = 60000  # no delta before we have looked
    n = zone.node("n1")
    stall(zone, n)
    assert any(held for _, held in sessions(zone)), sessions(zone)
    # In a row that was not read yet, and would be: of a later moment.
    zone.mongo.run("UPDATE keys SET revoked = true, updated_at = now() WHERE id IN ('k0', 'k1', 'k2')")
    zone.redis.resume()
    until("all of that moment", lambda: "pass_done" in n.logs("fetcher"))
    zone.settled(count=20004)
    until("let go", lambda: not any("transaction" in (state or "") or held for state, held in sessions(zone)))


def test_a_moment_is_held_no_longer_than_it_may_be(zone):
    """The zone takes longer than that to be written: the rest comes in pages, and all of it comes."""
    put_api(zone, "a", updated=OLD)
    insert_subs(zone, 20000)
    put_key(zone, "k", ["s5"])
    zone.more_source = "    snapshotMaxAge: 1000\n"
    zone.ttl = 10000
    zone.redis.start()
    n = zone.node("n1")
    stall(zone, n)
    since = datetime.datetime.now()
    until("longer than it may", lambda: datetime.datetime.now() - since > datetime.timedelta(seconds=1.2))
    zone.redis.resume()
    zone.settled(count=20002)
    assert "event=snapshot_released table=subscriptions" in n.logs("fetcher")


# --- rows that cannot be read ---

BAD = [("events_latest", "a", "payload = '{'"), ("events_latest", "a", "payload = NULL"), ("events_latest", "a", "type = 'PAUSE_API'"),
       ("events_latest", "a", "updated_at = NULL"), ("events_latest", "a", "updated_at = 'infinity'"),
       ("events_latest", "a", "created_at = '-infinity'"),
       ("subscriptions", "s", "status = 'OPEN'"), ("subscriptions", "s", "plan = NULL"), ("subscriptions", "s", "api = NULL"),
       ("subscriptions", "s", "ending_at = 'infinity'"), ("subscriptions", "s", "updated_at = NULL"),
       ("subscriptions", "s", "configuration = repeat('x', 100000)"),
       ("keys", "k", '"key" = NULL'), ("keys", "k", "expire_at = 'infinity'"), ("keys", "k", "updated_at = NULL")]


@pytest.mark.parametrize("table,id,change", BAD, ids=[f"{t}-{c}"[:60] for t, _, c in BAD])
def test_a_row_that_cannot_be_read_is_set_aside_and_mended(zone, table, id, change):
    put_api(zone, "a", updated=OLD)
    put_api(zone, "b", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    n = one_node(zone, extra="  limits:\n    entity_max_bytes: 65536")
    zone.settled(count=4)
    before = n.names()
    row = zone.mongo.db[table].find_one({"_id": id})
    touched = "" if "updated_at" in change else ", updated_at = timezone('UTC', clock_timestamp())"
    zone.mongo.run(f"UPDATE {table} SET {change}{touched} WHERE id = '{id}'")
    zone.compare()
    until("named", lambda: [q["where"] for q in quarantine(n)] == [f"{table}/{id}"])
    see_a_delta(zone, n)
    assert n.names() == before, "its last good version stays, the rest goes on"
    zone.mongo.db[table].replace_one({"_id": id}, {**row, "updatedAt": m.date(m.now_ms())})
    until("mended", lambda: quarantine(n) == [])
    assert n.names() == before


# --- TLS ---

def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, and a server's certificate for localhost; another authority that nobody asked."""
    folder.mkdir()
    for ca in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ca}", "-keyout",
                f"{ca}.key", "-out", f"{ca}.pem")
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out",
            "server.csr")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", "server.pem")


@pytest.fixture
def tls(zone):
    zone.mongo.start()
    server = zone.mongo.server
    folder = zone.base / "tls"
    make_certificates(folder)
    target = server.dir / f"tls-{zone.mongo.name}"
    target.mkdir()
    for f in ("server.pem", "server.key"):
        (target / f).write_bytes((folder / f).read_bytes())
    (target / "server.key").chmod(0o600)
    if server.user:
        for f in [target, *target.iterdir()]:
            os.chown(f, server.user["user"], server.user["group"])
    server.stop()
    server.start("-c", "ssl=on", "-c", f"ssl_cert_file={target}/server.pem", "-c", f"ssl_key_file={target}/server.key")
    yield folder
    server.stop()
    server.start()


@pytest.mark.parametrize("host,ca,says", [("localhost", "ca", None), ("127.0.0.1", "ca", "does not match"),
                                          ("localhost", "other", "certificate verify failed")])
def test_a_server_proves_its_name(zone, tls, host, ca, says):
    put_api(zone, "a")
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1", start=False)
    n.config.write_text(zone.config("n1").replace(
        zone.mongo.uri, f"jdbc:postgresql://{host}:{zone.mongo.server.port}/{zone.mongo.name}"
                        f"?sslmode=verify-full&sslrootcert={tls}/{ca}.pem"))
    n.start()
    if says:
        until("refused", lambda: says in n.fetcher()["source"])
        assert "API:a" not in zone.redis("KEYS", "*")
        return
    until("read", lambda: n.names() == ["API:a"])
    used = zone.mongo.run("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'reader'").fetchall()
    assert used and all(u for u, in used)


def test_a_server_elsewhere_is_verified_unless_the_url_says_otherwise(zone):
    """Nobody is at that address: what counts is what is said of it."""
    zone.mongo.start()
    zone.redis.start()
    n = zone.node("n1", start=False)
    there = "jdbc:postgresql://192.0.2.1/d?connectTimeout=1&reWriteBatchedInserts=true"
    n.config.write_text(zone.config("n1").replace(zone.mongo.uri, there))
    n.start()
    until("tried", lambda: n.fetcher()["source"].startswith("down"))
    assert "sslmode" not in n.logs() + json.dumps(n.status()["warnings"])
    assert "has reWriteBatchedInserts, which is ignored" in n.logs("fetcher")
    n.stop()
    n.config.write_text(zone.config("n1").replace(zone.mongo.uri, there + "&sslmode=require"))
    n.start()
    until("told", lambda: "has sslmode=require: another server may be taken for the database" in n.logs("fetcher"))
    assert "has sslmode=require" in json.dumps(n.status()["warnings"])
    assert "has sslmode=require" in n.cli("config", "check", n.config, check=False).stderr
