# SPDX-License-Identifier: Apache-2.0
"""Cases of the reference's own tests (storage 9) that no other file has, and the list of all of them."""
import re

import pytest

import mongo as m
import postgres as pg
import zone as z
from everything import contents
from resp import Resp
from test_mongo import OLD, names_are, one_node, put_api
from zone import api, subscription, until

TABLE = z.ROOT / "test" / "CONFORMANCE.md"
NUMBERS = [f"{letter}{i}" for letter, last in (("E", 13), ("S", 2), ("R", 7), ("M", 11), ("F", 1)) for i in range(1, last + 1)]
DATABASES = pytest.mark.sources("mongodb", "postgresql")


def names_of_tests():
    """Names of all tests: functions of Python, and those in the tables of cmocka."""
    out = set()
    for f in [*(z.ROOT / "test").rglob("test_*.py"), *(z.ROOT / "test").rglob("test_*.c")]:
        found = re.findall(r"^def (test_\w+)" if f.suffix == ".py" else r"^static void (\w+)\(void \*\*state\)", f.read_text(), re.M)
        out |= {f"{f.name}::{name}" for name in found}
    return out


def test_every_case_of_the_reference_is_in_the_table_and_each_test_named_there_exists():
    rows = re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", TABLE.read_text(), re.M)
    assert [number for number, _ in rows] == NUMBERS
    exist = names_of_tests()
    for number, row in rows:
        promise, ours = row.rsplit("|", 1)
        named = set(re.findall(r"`(test_\w+\.(?:py|c)::\w+)`", ours))
        assert promise.strip() and (named or "cannot apply" in ours), number
        assert named <= exist, (number, named - exist)


# --- the sync manager ---

def wait_for_renewals(zone, n):
    """A clock that goes as the elector does: n renewals of the lease."""
    seq = lambda: int(zone.redis("HGET", "zonesync:{test}:lease", "seq") or 0)  # noqa: E731
    last = seq() + n
    until(f"{n} renewals", lambda: seq() >= last)


@pytest.mark.sources("file", "mongodb", "postgresql")
def test_m2_a_cold_start_finds_everything_whatever_the_state_says(zone):
    """The state of a former run is of no meaning: rows far behind it are read."""
    zone.redis.start()
    zone.redis("HSET", "distributed_sync_state:test", "clusterId", "test", "nodeId", "n", "nodeVersion", "zonesync",
               "from", m.now_ms() + 1000, "to", m.now_ms() + 2000)
    if zone.SOURCE == "file":
        zone.write("apis/a.json", api("a"))
    else:
        put_api(zone, "a", updated=1000)
    zone.write("subscriptions/s.json", subscription("s", "a"))
    n = one_node(zone)
    names_are(n, "API:a", "SUBSCRIPTION:s")
    zone.settled(count=2)
    assert zone.redis("HGET", "distributed_sync_state:test", "from") == "-1"


@DATABASES
def test_m3_a_secondary_that_is_promoted_goes_on_at_the_cursor(zone):
    """What changed since is found; what did not is not written again."""
    put_api(zone, "a", updated=OLD)
    zone.delay = 200
    zone.start(2)
    before = zone.settled(count=1)
    events = contents(zone)
    p = zone.primary()
    p.stop()
    put_api(zone, "b")
    q = zone.primary()
    until("the change", lambda: q.get("API", "b"))
    assert int(zone.redis.meta()["rev"]) == int(before["rev"]) + 1 and zone.redis.meta()["lineage"] == before["lineage"]
    now = contents(zone)
    assert {k: now[k] for k in events} == events


@DATABASES
def test_m4_a_secondary_that_is_promoted_before_any_complete_read_reads_everything(zone):
    """A cursor that is ahead of all rows counts for nothing then."""
    for i in range(5):
        put_api(zone, f"a{i}", updated=OLD)
    zone.start(2)
    zone.settled(count=5)
    p = zone.primary()
    p.stop()
    q = next(n for n in zone.nodes if n is not p)
    q.stop()
    lineage = zone.redis.meta()["lineage"]
    zone.redis("HSET", "zonesync:{test}:meta", "complete", "0")
    for table in ("events_latest", "subscriptions", "keys"):
        zone.redis("HSET", "zonesync:{test}:cursor", table, f"{m.now_ms()}:zzz")
    zone.mongo.db["events_latest"].delete_one({"_id": "a4"})
    q.start()
    until("a refill", lambda: zone.redis.meta()["lineage"] != lineage)
    zone.settled([q], count=4)
    names_are(q, *[f"API:a{i}" for i in range(4)])


@pytest.mark.sources("postgresql")
def test_m6_a_read_that_takes_longer_than_the_delay_is_not_overtaken(zone):
    zone.mongo.options = "connectTimeout=20&socketTimeout=20"
    put_api(zone, "a", updated=OLD)
    zone.delay = 100
    zone.start(1, extra="  source:\n    notify: off")
    zone.settled(count=1)
    n = zone.nodes[0]
    until("compared", lambda: "pass_done" in n.logs("fetcher"))
    waiting = lambda: zone.mongo.run("SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'",  # noqa: E731
                                     pg.READER).fetchone()[0]
    slow = zone.mongo.server.connect(zone.mongo.name)
    try:
        slow.cursor().execute("BEGIN; LOCK TABLE events_latest IN ACCESS EXCLUSIVE MODE")
        until("a read waits", lambda: waiting() == 1)
        asked = zone.mongo.proxy.asked
        wait_for_renewals(zone, 6)  # of a fifth of a second each
        assert waiting() == 1 and zone.mongo.proxy.asked == asked, "one read at a time"
        slow.cursor().execute("COMMIT")
    finally:
        slow.close()
    put_api(zone, "b")
    names_are(n, "API:a", "API:b")
    assert n.fetcher()["source"] == "up"


@DATABASES
def test_m9_nothing_is_marked_as_done_that_could_not_be_written(zone):
    put_api(zone, "a", updated=OLD)
    n = one_node(zone)
    zone.settled(count=1)
    until("compared", lambda: "pass_done" in n.logs("fetcher"))
    marks = lambda: (zone.redis.hash("zonesync:{test}:cursor"), zone.redis.hash("distributed_sync_state:test"),  # noqa: E731
                     zone.redis.meta()["rev"])
    zone.redis("ACL", "SETUSER", "default", "resetkeys", "~zonesync:*", "%R~distributed_*")
    before = marks()
    put_api(zone, "b")
    until("refused", lambda: n.logs("fetcher").count("event=write_refused") > 0)
    wait_for_renewals(zone, 2)
    assert marks() == before
    zone.redis("ACL", "SETUSER", "default", "~*")
    names_are(n, "API:a", "API:b")
    until("the cursor moves", lambda: marks()[0] != before[0])


def test_m10_a_node_that_is_not_primary_writes_nothing(zone):
    """While nobody is primary, nothing changes."""
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    f = zone.node("follower", extra="  candidate: false")
    zone.settled(count=1)
    zone.nodes[0].stop()
    own = b"zonesync:{test}:nodes"  # which node has come how far, for people
    until("the lease is given back", lambda: zone.redis("EXISTS", "zonesync:{test}:lease") == "0")

    def dump():
        with Resp(zone.redis.socket) as r:
            return {k: r("DUMP", k) for k in r("KEYS", "*") if k != own}
    before, reads = dump(), f.cache()["reads"]
    until("some polls", lambda: f.cache()["reads"] > reads + 5)
    assert len(before) > 4 and dump() == before
