# SPDX-License-Identifier: Apache-2.0
"""A management database that fails, lies or is empty: nothing is lost, nothing is removed."""
import json
import os
import signal
import time

import pytest

import mongo as m
import zone as z
from zone import api, apikey, subscription, until
from test_mongo import OLD, cursor, names_are, one_node, put_api, put_key, put_sub, see_a_delta

pytestmark = pytest.mark.sources("mongodb")

FAULTS = ["error", "close"]
BOTH = pytest.mark.sources("mongodb", "postgresql")


def fill(zone, count, updated=OLD):
    for i in range(count):
        put_api(zone, f"a{i:02}", updated=updated)
        put_sub(zone, f"s{i:02}", f"a{i:02}", updated=updated)
        put_key(zone, f"k{i:02}", [f"s{i:02}"], updated=updated)


def tables(zone):
    return {t: cursor(zone, t) for t in ("events_latest", "subscriptions", "keys")}


# --- one failed question, wherever it falls ---

@BOTH
@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("nth", range(12))
def test_an_initial_scan_that_fails_once_ends_whole(zone, nth, how):
    fill(zone, 12)
    zone.mongo.fail_after(nth, how)
    n = one_node(zone)
    zone.settled(count=36)
    assert "removed" not in n.logs("fetcher")
    assert n.fetcher()["quarantined"] == 0


@BOTH
@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("nth", range(12))
def test_a_delta_that_fails_once_loses_nothing_and_writes_nothing_twice(zone, nth, how):
    """An API with another plan, a subscription that closes, a key that is revoked, a new one of each."""
    fill(zone, 4)
    put_key(zone, "k9", ["s03"])
    n = one_node(zone)
    rev = int(zone.settled(count=13)["rev"])
    until("compared", lambda: "pass_done" in n.logs("fetcher"))
    zone.mongo.fail(["hello", "isMaster", "find"], errorCode=11600)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    put_api(zone, "a00", plan="another")       # takes s00 and k00 along
    put_sub(zone, "s01", "a01", updated=m.NOW, status="CLOSED")  # takes k01 along
    put_key(zone, "k02", ["s02"], updated=m.NOW, revoked=True)
    put_api(zone, "new")
    put_sub(zone, "new", "new", updated=OLD)
    put_key(zone, "new", ["new"], updated=OLD)
    zone.mongo.fail_after(nth, how)
    names_are(n, "API:a00", "API:a01", "API:a02", "API:a03", "API:new", "SUBSCRIPTION:s02", "SUBSCRIPTION:s03",
              "SUBSCRIPTION:new", "API_KEY:k03", "API_KEY:k9", "API_KEY:new")
    see_a_delta(zone, n)
    assert int(zone.settled(count=11)["rev"]) == rev + 9 + 4  # what changed, and two that were seen come and go
    assert "removed" not in n.logs("fetcher")


@BOTH
@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("nth", range(14))
def test_a_comparison_that_fails_once_removes_nothing_that_is_there(zone, nth, how):
    fill(zone, 12)
    n = one_node(zone)
    zone.settled(count=36)
    before = tables(zone)
    zone.mongo.fail(["hello", "isMaster", "find"], errorCode=11600)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    done = n.logs("fetcher").count("pass_done")
    put_api(zone, "late", updated=OLD)  # only a comparison finds it
    put_sub(zone, "late", "late", updated=OLD)
    zone.mongo.db["keys"].delete_one({"_id": "k00"})
    zone.compare()
    zone.mongo.fail_after(nth, how)
    until("compared", lambda: n.logs("fetcher").count("pass_done") > done)
    zone.settled(count=37)
    assert n.get("API", "late") and n.get("SUBSCRIPTION", "late")
    assert n.logs("fetcher").count("removed") == 1 and n.get("API_KEY", "k00") is None
    assert tables(zone) == before, "a comparison moves no cursor"


@pytest.mark.parametrize("nth,how", [(9, "error"), (10, "error"), (10, "close"), (11, "close"), (12, "error"), (13, "close")])
def test_large_pages_that_fail_between_two_answers_end_whole(zone, nth, how, monkeypatch):
    """Beyond 16 MB a page takes two answers; beyond 4 MB of rows others are looked up while it is read."""
    # The driver is not instrumented: what it reads after it was freed must not look as before.
    monkeypatch.setenv("ASAN_OPTIONS", "max_free_fill_size=1048576:free_fill_byte=90")
    zone.mongo.start()
    put_api(zone, "a", updated=OLD)
    for i in range(18):
        put_sub(zone, f"s{i:02}", "a", metadata={"m": "x" * (1 << 20)} if i < 6 else {})
        put_key(zone, f"k{i:02}", [f"s{i:02}"], pad="y" * (1 << 20))
    zone.mongo.fail_after(nth, how)
    n = one_node(zone)
    zone.settled(count=37)
    assert n.fetcher()["quarantined"] == 0
    assert n.logs("fetcher").count("event=source_down") == 1 or n.logs("fetcher").count("event=promoted") > 1


def test_keys_of_subscriptions_too_large_to_keep_are_mapped_from_their_own_rows(zone):
    put_api(zone, "a", updated=OLD)
    n = one_node(zone)
    zone.settled(count=1)
    zone.mongo.fail(["find"], errorCode=11600)
    for i in range(8):
        put_sub(zone, f"s{i}", "a", updated=m.NOW, metadata={"m": "x" * (1 << 20)})
        put_key(zone, f"k{i}", [f"s{i}"], updated=m.NOW)
    zone.mongo.heal()
    zone.settled(count=17)
    for i in range(8):
        assert json.loads(n.get("API_KEY", f"k{i}"))["key"] == f"key-of-k{i}"
    assert n.fetcher()["quarantined"] == 0


@BOTH
def test_a_comparison_that_fails_again_and_again_does_not_keep_the_deltas_away(zone):
    fill(zone, 3)
    zone.row("environments", {"id": "DEFAULT", "hrids": ["one"]}, None)
    n = one_node(zone, more="environments: one")
    zone.settled(count=9)
    zone.row("environments", {"id": "DEFAULT", "hrids": ["two"]}, None)  # only a comparison looks at it
    zone.compare()
    until("it fails", lambda: "no environment" in n.fetcher()["source"])
    for i in range(3):
        put_api(zone, f"new{i}")
        until("a delta brings it", lambda: n.get("API", f"new{i}"))
    lines = [line for line in n.logs("fetcher").splitlines() if "event=source_" in line]
    assert len(lines) == 1, "and the outage is said once"
    zone.row("environments", {"id": "DEFAULT", "hrids": ["one"]}, None)
    until("up", lambda: n.fetcher()["source"] == "up")
    zone.settled(count=12)


# --- the server is gone ---

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_the_database_restarted_under_a_primary(zone, sig):
    fill(zone, 12)
    n = one_node(zone)
    zone.settled(count=36)
    for turn in range(3):
        zone.mongo.process.send_signal(sig)
        zone.mongo.process.wait()
        until("down", lambda: n.fetcher()["source"].startswith("down"))
        assert len(n.names()) == 36 + turn
        zone.mongo.start()
        put_api(zone, f"new{turn}")
        until("up", lambda: n.get("API", f"new{turn}"))
    assert "removed" not in n.logs("fetcher")


def test_a_database_that_is_not_there_at_the_start_is_waited_for(zone):
    fill(zone, 2)
    port = zone.mongo.port
    zone.mongo.process.kill()
    zone.mongo.process.wait()
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1")
    until("said", lambda: n.fetcher()["source"].startswith("down: MongoDB") and str(port) in n.fetcher()["source"])
    zone.mongo.start()
    zone.settled(count=6)
    assert n.fetcher()["source"] == "up"


@pytest.mark.parametrize("timeout", [2000, 60000])
def test_a_database_that_hangs_is_an_outage_and_holds_nobody_up(zone, timeout):
    zone.mongo.uri = zone.mongo.uri.replace("socketTimeoutMS=2000", f"socketTimeoutMS={timeout}")
    fill(zone, 2)
    zone.delay = 200
    zone.start(2)
    zone.settled(count=6)
    p = zone.primary()
    zone.mongo.pause()
    if timeout == 2000:
        until("down", lambda: p.fetcher()["source"].startswith("down"))
    begin = time.monotonic()
    p.cli("stepdown")
    q = until("another", lambda: next((x for x in zone.nodes if x is not p and x.role() == "primary"), None))
    assert q.stop() == 0
    assert p.stop() == 0
    assert time.monotonic() - begin < 30
    for n in zone.nodes:
        assert "event=child_kill child=fetcher" not in n.logs(), "it ended by itself"
        n.start()
    zone.mongo.resume()
    put_api(zone, "after")
    for n in zone.nodes:
        until("after", lambda: n.get("API", "after"))


@BOTH
def test_a_primary_that_cannot_hear_its_source_lets_the_lease_go(zone):
    """One node cannot reach the database: the other becomes the primary."""
    fill(zone, 2)
    zone.delay = 200
    zone.redis.start()
    deaf = zone.node("deaf", time_scale=2, start=False)
    deaf.config.write_text(deaf.config.read_text().replace(f":{zone.mongo.port}/", ":1/"))
    deaf.start(time_scale=2)
    until("it is the primary", lambda: deaf.role() == "primary")
    n = zone.node("n2", time_scale=2)
    until("the other is", lambda: n.role() == "primary", 90)
    zone.settled(nodes=[n, deaf], count=6)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no shared memory")
def test_a_killed_fetcher_leaves_no_shared_memory_of_its_driver(zone):
    fill(zone, 1)
    n = one_node(zone)
    zone.settled(count=3)
    pid = n.pid("fetcher")
    assert os.path.exists(f"/dev/shm/mongoc-{pid}"), "the driver keeps its counters there"
    os.kill(pid, signal.SIGKILL)
    until("another", lambda: n.pid("fetcher") not in (0, pid))
    assert not os.path.exists(f"/dev/shm/mongoc-{pid}")
    pid = n.pid("fetcher")
    n.stop()
    assert not os.path.exists(f"/dev/shm/mongoc-{pid}")


# --- what is there is not what should be ---

@BOTH
def test_a_collection_that_is_dropped_removes_nothing_until_a_person_says_so(zone):
    fill(zone, 12)
    n = one_node(zone)
    zone.settled(count=36)
    zone.mongo.db["events_latest"].drop()
    zone.compare()
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    done = n.logs("fetcher").count("pass_done")
    zone.compare()
    until("compared", lambda: n.logs("fetcher").count("pass_done") > done)
    assert n.status()["health"] == "degraded"
    zone.settled(count=36)
    for i in range(12):  # deltas bring them back one by one
        put_api(zone, f"a{i:02}")
        until("it is back", lambda: cursor(zone, "events_latest") >= m.now_ms() - 5000) if i % 4 == 0 else None
    see_a_delta(zone, n)
    zone.settled(count=36)
    zone.compare()
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=36)
    assert "event=removed " not in n.logs("fetcher"), "the others were not gone while they came back"
    zone.mongo.db["events_latest"].drop()
    zone.compare()
    until("held back again", lambda: "accept-deletes" in n.fetcher()["guard"])
    n.cli("resync", "--accept-deletes")
    zone.settled(count=0)


@BOTH
def test_many_rows_that_are_gone_need_a_second_comparison_that_agrees(zone):
    """It comes by itself; the deltas in between have not looked at everything."""
    fill(zone, 50)
    n = one_node(zone, extra="  source:\n    notify: off")
    zone.settled(count=150)
    for i in range(20):
        zone.mongo.db["events_latest"].delete_one({"_id": f"a{i:02}"})
    zone.compare()
    zone.settled(count=90)
    log = n.logs("fetcher")
    assert log.index("event=removals_held") < log.index("event=second_look") < log.index("event=removed ")


def renamed(zone, n, database):
    n.stop()
    n.config.write_text(n.config.read_text().replace(f":{zone.mongo.port}/gravitee", f":{zone.mongo.port}/{database}"))
    n.start()


def test_a_mistyped_database_removes_nothing(zone):
    zone.mongo.start()
    zone.mongo.db["installation"].insert_one({"_id": "i1"})
    fill(zone, 12)
    n = one_node(zone)
    zone.settled(count=37)
    renamed(zone, n, "gravitree")
    until("said", lambda: "installation" in n.fetcher()["source"])
    assert len(n.names()) == 37
    n.config.write_text(n.config.read_text().replace("/gravitree", "/gravitee"))
    n.cli("reload")
    until("up", lambda: n.fetcher()["source"] == "up")
    zone.settled(count=37)


def test_a_mistyped_database_without_installation_removes_nothing(zone):
    fill(zone, 12)
    n = one_node(zone)
    zone.settled(count=36)
    renamed(zone, n, "gravitree")
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    zone.settled(count=36)


def test_another_installation_is_written_anew(zone):
    zone.mongo.start()
    zone.mongo.db["installation"].insert_one({"_id": "i1"})
    fill(zone, 12, updated=m.NOW)
    n = one_node(zone)
    lineage = zone.settled(count=37)["lineage"]  # and what the nodes are told of the installation
    zone.mongo.db["installation"].delete_one({"_id": "i1"})
    zone.mongo.db["installation"].insert_one({"_id": "i2"})
    zone.mongo.db["events_latest"].update_many({}, {"$set": {"updatedAt": m.date(OLD)}})
    zone.compare()
    until("anew", lambda: zone.redis.meta().get("lineage") != lineage)
    zone.settled(count=37)
    assert cursor(zone, "events_latest") == OLD, "cursors are those of the new one"
    assert zone.redis("HGET", "zonesync:{test}:cursor", "installation") == "i2"
    put_api(zone, "new")
    zone.settled(count=38)
    done = n.logs("fetcher").count("refill_done")
    zone.mongo.db["installation"].drop()
    zone.compare()
    until("refused", lambda: "installation" in n.fetcher()["source"])
    assert n.logs("fetcher").count("refill_done") == done and len(n.names()) == 38
    put_api(zone, "foreign")
    refused = zone.mongo.db.command("serverStatus")["opcounters"]["query"]
    until("several passes", lambda: zone.mongo.db.command("serverStatus")["opcounters"]["query"] > refused + 10)
    assert n.get("API", "foreign") is None, "deltas are refused too"
    zone.mongo.db["installation"].insert_one({"_id": "i2"})
    until("up", lambda: n.fetcher()["source"] == "up")
    zone.settled(count=39)


# --- who may read ---

def test_a_wrong_password_is_named_and_never_shown(zone):
    fill(zone, 1)
    zone.mongo.client["gravitee"].command("createUser", "reader", pwd="right", roles=[{"role": "read", "db": "gravitee"}])
    zone.mongo.process.terminate()
    zone.mongo.process.wait()
    zone.mongo.client.close()
    plain = zone.mongo.uri
    zone.mongo.args = ["--auth"]
    zone.mongo.uri = plain.replace("//", "//reader:right@") + "&authSource=gravitee"
    zone.mongo.start()
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1", start=False)
    n.config.write_text(zone.config("n1").replace(":right@", ":wrong-secret@"))
    n.start()
    until("said", lambda: "uthenticat" in n.fetcher()["source"])
    n.config.write_text(zone.config("n1"))
    n.cli("reload")
    zone.settled(count=3)
    for f in [*n.log.glob("*.log"), n.dir / "out"]:
        assert "wrong-secret" not in f.read_text() and ":right@" not in f.read_text()
    assert "right@" not in n.cli("config", "show")
