# SPDX-License-Identifier: Apache-2.0
"""Changes are seen when they happen: the polls are an hour apart here. Whatever becomes of the notices, the
polls are left."""
import json
import os
import signal

import bson
import pytest

import mongo as m
import zone as z
from test_mongo import OLD, put_api, put_key, put_sub
from test_mongo_types import put_license
from zone import api, apikey, subscription, until

HOUR_MS = 3600000
BURST = 1500
mongodb = pytest.mark.sources("mongodb")
databases = pytest.mark.sources("mongodb", "postgresql")
everywhere = pytest.mark.sources("file", "mongodb", "postgresql")
TELLS = {"file": "inotify", "mongodb": "change stream", "jdbc": "LISTEN/NOTIFY"}


def insert_subscriptions(zone, count, updated):
    if zone.SOURCE == "mongodb":
        zone.mongo.db["subscriptions"].create_index("updatedAt")
    for at in range(0, count, 250):  # a slow answer would make the driver insert again
        zone.mongo.db["subscriptions"].insert_many(
            [{**m.row_of(subscription(f"s{i:05}", "a")), "updatedAt": m.date(updated(i))}
             for i in range(at, min(at + 250, count))])


def passes(n):
    return n.logs("fetcher").count("pass_done")


def start(zone, by=None, **kw):
    """A node that has compared all and waits."""
    if not zone.redis.process:
        zone.redis.start()
    if zone.SOURCE == "jdbc":
        zone.setup_notify()
    zone.delay = HOUR_MS
    zone.ttl = 5000
    n = zone.node("n1", **kw)
    until("compared", lambda: passes(n) > 0)
    by = by or TELLS[zone.SOURCE]
    until(by, lambda: by in n.fetcher()["notify"])
    zone.settled()
    return n


# --- all ---

@everywhere
def test_changes_are_seen_between_polls(zone):
    zone.guard = "off"  # all of it goes
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.settled(count=3)
    for turn in range(3):
        zone.write("apis/a.json", api("a", version=f"v{turn}"))
        until("the new version", lambda: f'"v{turn}"' in n.get("API", "a").decode())
    zone.remove("apis/a.json")
    until("all is gone", lambda: n.names() == [])
    assert "notify" in n.cli("status")


@everywhere
def test_what_is_told_is_off(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone, by="off", extra="  source:\n    notify: off")
    zone.write("apis/b.json", api("b"))
    n.cli("compare")
    zone.settled(count=2)


@everywhere
def test_a_burst_arrives_whole_in_few_passes(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    rows = n.fetcher()["rows"]
    if zone.SOURCE == "file":
        (zone.data / "subscriptions").mkdir()
        for i in range(BURST):
            zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", "a"))
    else:
        insert_subscriptions(zone, BURST, lambda i: m.now_ms())
    zone.settled(count=BURST + 1)
    # Each pass of a database reads the overlap again: a pass for each change would read millions.
    assert n.fetcher()["rows"] - rows < BURST * 100


# --- databases ---

@databases
def test_rows_with_an_old_time_are_noticed(zone):
    put_api(zone, "a")
    n = start(zone)
    zone.event("old", "PUBLISH_API", m.bean(api("old")), updated=OLD)
    put_sub(zone, "s", "a", updated=OLD)
    put_key(zone, "k", ["s"], updated=OLD)
    zone.settled(count=4)
    put_key(zone, "k", ["s"], updated=OLD + 1, revoked=True)
    until("revoked", lambda: n.get("API_KEY", "k") is None)
    assert passes(n) == 1, "nothing was compared for that"


@mongodb
def test_a_license_with_an_old_time_is_noticed_whatever_is_filtered(zone):
    for e, o in (("E1", "O1"), ("E2", "O2")):
        zone.row("environments", {"id": e, "hrids": [e.lower()], "organizationId": o}, None)
        zone.row("organizations", {"id": o, "hrids": [o.lower()]}, None)
    put_license(zone, "O1", "of now")
    n = start(zone, more="environments: [e1, e2]\n")
    put_license(zone, "O2", "of old", updated=OLD)
    until("the license", lambda: n.get("LICENSE", "O2") == b"of old")
    assert passes(n) == 1, "nothing was compared for that"


@databases
def test_a_row_that_goes_is_noticed_and_the_guard_stands(zone):
    for i in range(15):
        put_api(zone, f"a{i:02}", updated=OLD)
    put_sub(zone, "s", "a00")
    put_key(zone, "k", ["s"])
    n = start(zone)
    zone.mongo.db["keys"].delete_one({"_id": "k"})
    until("gone", lambda: n.get("API_KEY", "k") is None)
    zone.mongo.db["events_latest"].delete_many({})
    until("held", lambda: n.fetcher()["guard"])
    assert n.get("API", "a00") and n.get("SUBSCRIPTION", "s")


@mongodb
def test_a_server_without_change_streams_is_polled(zone):
    zone.mongo.args = ["--standalone"]
    zone.mongo.uri = zone.mongo.uri.replace("replicaSet=secantus&", "")
    zone.mongo.start()
    put_api(zone, "a")
    zone.redis.start()
    zone.delay = 200
    n = zone.node("n1")
    zone.settled(count=1)
    assert "40573" in until("it says why", lambda: "polling" in n.fetcher()["notify"] and n.fetcher()["notify"])
    put_api(zone, "b")
    zone.settled(count=2)
    assert n.logs("fetcher").count("event=notify") <= 2, "said once"
    assert n.fetcher()["source"] == "up"


def watch_fails(zone, commands, mode="alwaysOn", **data):
    zone.mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": {
        "failCommands": commands, "appName": "zonesync-watch", **data}})


def begins(n):
    return n.logs("fetcher").count('by="change stream"')


@mongodb
def test_a_server_that_refuses_is_asked_again(zone):
    zone.mongo.start()
    watch_fails(zone, ["aggregate"], errorCode=13)
    put_api(zone, "a")
    n = start(zone, by="polling")
    until("said", lambda: "13)" in n.fetcher()["notify"])
    zone.mongo.heal()
    until("it is told again", lambda: n.fetcher()["notify"] == "change stream")
    put_api(zone, "b")
    zone.settled(count=2)


@mongodb
@pytest.mark.parametrize("how", [{"errorCode": 43}, {"closeConnection": True}, {"errorCode": 11600}])
def test_a_stream_that_is_cut_loses_nothing(zone, how):
    put_api(zone, "a")
    n = start(zone)
    for turn in range(3):
        watch_fails(zone, ["getMore"], {"times": 1}, **how)
        put_api(zone, f"b{turn}", updated=OLD)  # a poll would not bring it: the stream is back
        zone.settled(count=2 + 2 * turn)
        put_api(zone, f"c{turn}", updated=OLD)
        zone.settled(count=3 + 2 * turn)
    assert passes(n) == 1


@mongodb
@pytest.mark.parametrize("code", [286, 280, 9, 40647])
def test_a_place_that_the_server_does_not_know_makes_a_comparison(zone, code):
    put_api(zone, "a")
    n = start(zone)
    before = begins(n)
    watch_fails(zone, ["getMore", "aggregate"], {"times": 2}, errorCode=code)
    put_api(zone, "b", updated=OLD)
    until("it begins again", lambda: begins(n) > before)
    until("compared", lambda: passes(n) > 1)
    put_api(zone, "c", updated=OLD)
    zone.settled(count=3)


@mongodb
def test_history_that_is_lost_makes_a_comparison(zone):
    zone.mongo.args = ["--oplog-max-entries", "50"]
    put_api(zone, "a")
    n = start(zone)
    pid = n.pid("fetcher")
    os.kill(pid, signal.SIGSTOP)
    put_api(zone, "b", updated=OLD)
    for _ in range(4):
        zone.mongo.db["keys"].insert_many([{"_id": bson.ObjectId(), "pad": 1} for _ in range(1000)])
        zone.mongo.db["keys"].delete_many({})
    os.kill(pid, signal.SIGCONT)
    zone.settled(count=2)
    assert n.pid("fetcher") == pid


@mongodb
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_restarts_loses_nothing(zone, sig):
    put_api(zone, "a")
    n = start(zone)
    for turn in range(2):
        zone.mongo.process.send_signal(sig)
        zone.mongo.process.wait()
        until("told", lambda: n.fetcher()["notify"].startswith("polling"))
        zone.mongo.client.close()
        zone.mongo.start()
        put_api(zone, f"b{turn}")
        until("it begins again", lambda: n.fetcher()["notify"] == "change stream")
        zone.settled(count=2 + turn)


@mongodb
@pytest.mark.parametrize("by", ["notice", "poll"])
def test_changes_arrive_during_a_comparison(zone, by):
    zone.mongo.start()
    put_api(zone, "a", updated=OLD)
    insert_subscriptions(zone, 6000, lambda i: OLD - i * 60000)
    if by == "notice":
        n = start(zone)
    else:
        n = start(zone, by="off", extra="  source:\n    notify: off")
        n.config.write_text(n.config.read_text().replace(f"delay: {HOUR_MS}", "delay: 200"))
        n.cli("reload")
        until("compared", lambda: passes(n) > 1)
    before = passes(n)
    # Each page takes its time.
    zone.mongo.fail(["getMore"], blockConnection=True, blockTimeMS=700)
    n.cli("compare")
    for turn in range(3):
        put_api(zone, f"b{turn}")
        until("it arrives", lambda: n.get("API", f"b{turn}"))
        assert passes(n) == before, "the comparison goes on"
    zone.mongo.heal()
    until("compared", lambda: passes(n) > before)
    zone.settled(count=6004)


@databases
def test_a_stop_does_not_wait_for_the_stream(zone):
    put_api(zone, "a")
    n = start(zone)
    zone.mongo.pause()
    assert n.stop() == 0
    assert "source_stuck" not in n.logs("fetcher")
    zone.mongo.resume()


# --- files ---

def test_directories_that_come_go_and_are_replaced(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    zone.write("subscriptions/s.json", subscription("s", "a"))  # the directory is new
    zone.settled(count=2)
    (zone.data / "apis.new").mkdir()
    for i in range(3):
        (zone.data / "apis.new" / f"b{i}.json").write_text(json.dumps(api(f"b{i}")))
    (zone.data / "apis").rename(zone.data / "apis.old")
    (zone.data / "apis.new").rename(zone.data / "apis")
    until("the new ones", lambda: n.names() == [f"API:b{i}" for i in range(3)])
    (zone.data / "apis.old" / "a.json").unlink()  # nobody looks there any more
    zone.write("apis/c.json", api("c"))
    until("still watched", lambda: n.get("API", "c"))


def test_a_root_that_is_replaced(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    zone.lose_source()
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    assert n.names() == ["API:a"]
    zone.return_source()
    until("up", lambda: n.fetcher()["source"] == "up")
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)


def test_every_way_to_write_a_file(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    apis = zone.data / "apis"
    (apis / "plain.json").write_text(json.dumps(api("plain")))
    until("written in place", lambda: n.get("API", "plain"))
    (zone.base / "away").mkdir()
    (zone.base / "away" / "x.json").write_text(json.dumps(api("moved")))
    (zone.base / "away" / "x.json").rename(apis / "moved.json")
    until("moved in", lambda: n.get("API", "moved"))
    (zone.base / "away" / "y.json").write_text(json.dumps(api("linked")))
    (apis / "linked.json").symlink_to(zone.base / "away" / "y.json")
    until("a symbolic link", lambda: n.get("API", "linked"))
    (zone.base / "away" / "z.json").write_text(json.dumps(api("hard")))
    (apis / "hard.json").hardlink_to(zone.base / "away" / "z.json")
    until("a hard link", lambda: n.get("API", "hard"))
    with open(apis / "slow.json", "w") as f:  # half a document, for longer than it is doubted
        text = json.dumps(api("slow"))
        f.write(text[:40])
        f.flush()
        zone.write("apis/other.json", api("other"))
        until("another one", lambda: n.get("API", "other"))
        f.write(text[40:])
    until("closed", lambda: n.get("API", "slow"))
    assert n.fetcher()["quarantined"] == 0
    (apis / "moved.json").rename(zone.base / "away" / "x.json")
    until("moved out", lambda: n.get("API", "moved") is None)
    (apis / "plain.json").unlink()
    until("removed", lambda: n.get("API", "plain") is None)


def test_more_notices_than_the_system_keeps(zone):
    zone.write("apis/a.json", api("a"))
    n = start(zone)
    queue = int(open("/proc/sys/fs/inotify/max_queued_events").read())
    for name in ("x.json", "y.json"):
        (zone.data / "apis" / name).write_text(json.dumps(api(name[0])))
    zone.settled(count=3)
    pid = n.pid("fetcher")
    os.kill(pid, signal.SIGSTOP)
    for i in range(queue // 2 + 10):
        os.utime(zone.data / "apis" / "x.json")
        os.utime(zone.data / "apis" / "y.json")
    zone.write("apis/b.json", api("b"))  # not told: the queue is full
    os.kill(pid, signal.SIGCONT)
    zone.settled(count=4)
    assert n.pid("fetcher") == pid
