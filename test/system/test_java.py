# SPDX-License-Identifier: Apache-2.0
"""A zone whose primary is a Java gateway: followed by the reference's index, not fought, taken over when told."""
import json
import os
import signal
import threading

import pytest

import java
from resp import Error, Resp
from zone import ROOT, api, subscription, until

pytestmark = pytest.mark.servers("redis8")
VECTORS = ROOT / "test" / "data" / "vectors"
INDEX = ["FT.CREATE", java.INDEX, "ON", "HASH", "PREFIX", "1", "distributed_event:", "SCHEMA", "clusterId", "TAG",
         "type", "TAG", "syncAction", "TAG", "updatedAt", "NUMERIC", "SORTABLE"]
FOLLOWER = "  candidate: false\n  java:\n    silence: 2000"
CANDIDATE = "  java:\n    silence: 2000"


def vector(name):
    """The documents of one file. Not splitlines(): there are other ends of lines in the texts."""
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().split("\n") if line]


class Primary:
    """What a Java primary writes (storage 1.2, 1.6, 1.7). It lives while it beats."""

    def __init__(self, zone, cluster="test", index=True):
        self.redis = Resp(zone.redis.socket)
        self.cluster = cluster
        self.to = java.now_ms()
        self.node = "4e6f0000-0000-4000-8000-000000000001"
        self.ahead = 0
        self.thread = None
        if index:
            self.index()

    def index(self):
        try:
            self.redis(*INDEX)
        except Error as e:
            assert "already exists" in str(e)

    def key(self, kind, id, ref=None):
        return f"distributed_event:{self.cluster}:" + (f"API:{ref}:" if ref else "") + f"{kind}:{id}"

    def deploy(self, kind, id, payload, ref=None, at=None, key=None):
        payload = payload if isinstance(payload, str) else json.dumps(payload)
        self.redis("HSET", key or self.key(kind, id, ref), "clusterId", self.cluster, "id", id, "payload", payload,
                   "type", kind, "syncAction", "DEPLOY", "updatedAt", at or self.now())

    def undeploy(self, kind, id, ref=None):
        self.redis("HSET", self.key(kind, id, ref), "clusterId", self.cluster, "id", id, "type", kind,
                   "syncAction", "UNDEPLOY", "updatedAt", self.now())

    def now(self):
        return java.now_ms() + self.ahead

    def cycle(self):
        """The end of one of its cycles."""
        since, self.to = self.to, max(self.now(), self.to + 1)
        self.redis("HSET", f"distributed_sync_state:{self.cluster}", "clusterId", self.cluster, "nodeId", self.node,
                   "nodeVersion", "4.13.0 (build: 1) revision#abc", "from", since, "to", self.to)

    def live(self, zone):
        """Ends cycle after cycle, on a connection of its own."""
        self.stopping = threading.Event()

        def beat():
            with Resp(zone.redis.socket) as own:
                mine, self.beating = self.redis, own
                while not self.stopping.wait(0.3):
                    own("HSET", f"distributed_sync_state:{self.cluster}", "clusterId", self.cluster, "nodeId", self.node,
                        "nodeVersion", "4.13.0 (build: 1) revision#abc", "from", self.to, "to", self.now())
        self.cycle()
        self.thread = threading.Thread(target=beat, daemon=True)
        self.thread.start()
        return self

    def die(self):
        if self.thread:
            self.stopping.set()
            self.thread.join()
            self.thread = None


@pytest.fixture
def primary(zone):
    zone.redis.start()
    p = Primary(zone)
    yield p
    p.die()


def follower(zone, name="f1", extra=FOLLOWER, **kw):
    return zone.node(name, extra=extra, **kw)


def mirrored(n, count):
    """It serves that many, and knows that these are all."""
    return until(f"{n.name} holds {count}",
                 lambda: (c := n.cache())["proven"] and c["count"] == count and c["lineage"].startswith("java-") and c)


def hashes(zone, pattern="distributed_event:*"):
    """All event keys with their fields, raw."""
    with Resp(zone.redis.socket) as r:
        return {k: r("HGETALL", k) for k in r("KEYS", pattern)}


def replay(zone):
    with Resp(zone.redis.socket) as r:
        for command in vector("java-primary.commands"):
            try:
                r(*command)
            except Error as e:
                assert "already exists" in str(e)


def test_the_recorded_commands_of_a_java_primary_are_followed(zone):
    """All types arrive with their bytes; what was undeployed, and the children of such an API, do not."""
    zone.redis.start()
    zone.zone = "zone-a"
    replay(zone)
    before = hashes(zone)
    n = follower(zone)
    mirrored(n, 21)
    want = {}
    for key, flat in before.items():
        h = dict(zip(flat[::2], flat[1::2]))
        if h[b"syncAction"] == b"DEPLOY":
            want[h[b"type"].decode() + ":" + h[b"id"].decode()] = h[b"payload"]
    assert n.names() == sorted(want)
    for name, payload in want.items():
        kind, id = name.split(":", 1)
        assert n.get(kind, id) == payload, name
    assert {name.split(":")[0] for name in want} >= {"API", "SUBSCRIPTION", "API_KEY", "DICTIONARY", "ORGANIZATION",
                                                     "LICENSE", "ACCESS_POINT", "NODE_METADATA"}
    assert n.cache()["set_aside"] == 0 and "Java gateway" in n.cache()["java"]
    assert hashes(zone) == before, "a follower writes nothing there"


def test_changes_are_followed(zone, primary):
    primary.deploy("API", "a", {"id": "a", "v": 1})
    primary.deploy("SUBSCRIPTION", "s", subscription("s", "a"), ref="a")
    n = follower(zone)
    first = mirrored(n, 2)
    primary.deploy("API", "a", {"id": "a", "v": 2})
    primary.deploy("DICTIONARY", "d", {"id": "d"})
    until("the change", lambda: json.loads(n.get("API", "a"))["v"] == 2)
    mirrored(n, 3)
    primary.undeploy("API", "a")
    primary.undeploy("SUBSCRIPTION", "s", ref="a")
    c = mirrored(n, 1)
    assert n.names() == ["DICTIONARY:d"]
    assert c["lineage"] == first["lineage"] and c["revision"] > first["revision"], "one history"
    # A revision of the node's own can be waited for.
    n.cli("wait", "--revision", f"{c['lineage']}:{c['revision']}", "--timeout", "10")


def test_a_node_that_was_away_comes_back_in_step(zone, primary):
    for i in range(5):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"}, at=1682349874051)
    n = follower(zone)
    mirrored(n, 5)
    n.stop()
    primary.undeploy("API", "a1")
    primary.deploy("API", "new", {"id": "new"}, at=1682349874051)
    n.start()
    mirrored(n, 5)
    assert n.names() == ["API:a0", "API:a2", "API:a3", "API:a4", "API:new"]


def test_an_event_that_is_late_by_its_own_time_is_found(zone, primary):
    """Its time was taken long before it was written, or by a clock that is wrong."""
    primary.deploy("API", "a", {"id": "a"})
    n = follower(zone)
    mirrored(n, 1)
    primary.deploy("API", "late", {"id": "late"}, at=java.now_ms() - 3600000)
    mirrored(n, 2)


def test_a_clock_that_runs_ahead_hides_nothing(zone, primary):
    primary.cycle()
    primary.deploy("API", "future", {"id": "future"}, at=java.now_ms() + 10 ** 9)
    n = follower(zone)
    mirrored(n, 1)
    primary.deploy("API", "a", {"id": "a", "v": 1})
    mirrored(n, 2)
    primary.deploy("API", "a", {"id": "a", "v": 2})
    until("the change", lambda: json.loads(n.get("API", "a"))["v"] == 2)


def test_each_recorded_hash_is_met_without_harm(zone, primary):
    """reader.jsonl: good and bad hashes at once. The good arrive, the others are set aside, nothing falls."""
    lines = vector("reader")
    zone.zone = primary.cluster = "zone-r"
    names = set()
    for i, x in enumerate(lines):  # each under an id of its own
        fields, key = dict(x["fields"]), x["key"]
        id = fields.get("id")
        if id and key.endswith(id):
            fields["id"], key = f"{id}-{i}", f"{key}-{i}"
            if x["initial"]["outcome"] == "ok" and fields.get("payload") and fields["clusterId"] == "zone-r":
                names.add(f"{fields['type']}:{fields['id']}")
        primary.redis("HSET", key, *[p for pair in fields.items() for p in pair])
    n = follower(zone)
    until("serving", lambda: (c := n.cache())["serving"] and c["proven"])
    pid = n.pid("cache")
    assert names - set(n.names()) == set(), "what a Java secondary takes"
    assert n.cache()["set_aside"] > 0 and "event_set_aside" in n.logs("cache")
    primary.deploy("API", "after", {"id": "after"})
    until("it goes on", lambda: n.get("API", "after"))
    assert n.pid("cache") == pid
    assert n.cache()["error"] == ""
    for name in n.names():
        assert n.get(*name.split(":", 1)) is not None


def test_other_zones_and_old_releases_are_no_part_of_it(zone, primary):
    primary.deploy("API", "mine", {"id": "mine"})
    for cluster in ("TEST", "test:b", "test,x"):
        other = Primary(zone, cluster, index=False)
        other.deploy("API", "theirs-" + cluster[-1], {"id": "x"})
    # Up to 4.11: without a cluster id.
    primary.redis("HSET", "distributed_event::API:old", "id", "old", "type", "API", "syncAction", "DEPLOY",
                  "payload", "{}", "updatedAt", "1682349874051")
    n = follower(zone)
    mirrored(n, 1)
    assert n.names() == ["API:mine"]


def test_keys_that_are_no_text_stop_nobody(zone, primary):
    """They are events of this zone to the index, which counts them."""
    primary.deploy("API", "a", {"id": "a"})
    for key in (b"distributed_event:test:API:\xff", b"distributed_event:test:API:\xfe"):
        primary.deploy("API", "bad", {"id": "bad"}, key=key)
    primary.cycle()
    n = follower(zone)
    mirrored(n, 1)
    assert n.names() == ["API:a"]
    assert n.cache()["set_aside"] == 2
    primary.deploy("API", "b", {"id": "b"})
    mirrored(n, 2)


def test_a_dropped_index_is_made_again_and_nothing_is_lost(zone, primary):
    for i in range(30):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    primary.cycle()
    n = follower(zone)
    mirrored(n, 30)
    primary.redis("FT.DROPINDEX", java.INDEX)
    until("noticed", lambda: "index_created" in n.logs("cache"))
    primary.deploy("API", "b", {"id": "b"})
    mirrored(n, 31)


def test_an_index_that_shows_a_part_removes_nothing(zone, primary):
    for i in range(30):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    primary.cycle()
    n = follower(zone)
    mirrored(n, 30)
    primary.redis("FT.DROPINDEX", java.INDEX)
    primary.redis(*INDEX[:7], "FILTER", "@id!='a7' && @id<'a2'", *INDEX[7:])
    until("doubted", lambda: "missing in the index" in n.cache()["error"])
    assert len(n.names()) == 30 and n.status()["health"] == "degraded"
    primary.redis("FT.DROPINDEX", java.INDEX)
    primary.index()
    mirrored(n, 30)
    until("well again", lambda: n.cache()["error"] == "")


def test_a_few_keys_that_were_deleted_by_hand_go_after_a_second_look(zone, primary):
    for i in range(30):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    n = follower(zone)
    mirrored(n, 30)
    primary.redis("DEL", primary.key("API", "a3"))
    mirrored(n, 29)
    assert n.get("API", "a3") is None


def test_a_flushed_zone_keeps_serving(zone, primary):
    for i in range(12):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    primary.cycle()
    n = follower(zone)
    mirrored(n, 12)
    primary.redis("FLUSHALL")
    primary.cycle()
    until("said", lambda: n.status()["health"] == "degraded" and n.cache()["error"])
    assert len(n.names()) == 12
    primary.index()
    primary.deploy("API", "a0", {"id": "a0", "v": 2})
    until("the change", lambda: "v" in json.loads(n.get("API", "a0")))
    assert len(n.names()) == 12


def test_what_was_served_from_the_log_is_not_given_up_for_a_few_events(zone, primary):
    """The node was away when a Java primary came, and Redis was flushed."""
    for i in range(30):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    n = zone.node("n1", extra=CANDIDATE)
    f = follower(zone)
    zone.settled([n, f], count=30)
    n.stop()
    f.stop()
    primary.redis("FLUSHALL")
    primary.index()
    primary.live(zone)
    for id in ("a1", "b"):
        primary.deploy("API", id, {"id": id})
    f.start()
    until("said", lambda: f.status()["health"] == "degraded" and "zonesync resync" in f.cache()["error"])
    assert len(f.names()) == 30 and not f.cache()["proven"]
    f.cli("resync")
    mirrored(f, 2)
    assert f.names() == ["API:a1", "API:b"]


def test_pages_that_are_too_large_for_an_answer_come_one_by_one(zone, primary):
    for i in range(12):
        primary.deploy("API", f"a{i}", {"id": f"a{i}", "x": "x" * 300000})
    n = zone.node("f1", start=False, extra=FOLLOWER + "\n  limits:\n    entity_max_bytes: 400000")
    n.config.write_text(n.config.read_text().replace("    command_timeout", "    reply_max_bytes: 1500000\n    command_timeout"))
    n.start()
    mirrored(n, 12)


# --- who is primary ---

def test_a_java_primary_is_followed_and_not_fought(zone, primary):
    zone.write("apis/ours.json", api("ours"))
    primary.live(zone)
    primary.deploy("API", "theirs", {"id": "theirs"})
    n = follower(zone, extra=CANDIDATE)
    mirrored(n, 1)
    e = until("said", lambda: (e := n.status()["elector"])["state"] == "barred" and e)
    until("watched", lambda: "writes this zone as its primary" in n.status()["elector"]["java"])
    assert n.role() == "secondary" and n.status()["health"] == "ok"
    assert "java_primary" in n.logs("elector")
    assert "java" in n.cli("status") and "Java gateway" in n.cli("status")
    # It falls silent: still a person's decision.
    primary.die()
    until("silent", lambda: "takeover" in n.status()["elector"]["java"])
    until("said", lambda: (s := n.status())["health"] == "degraded" and "takeover" in s["reason"])
    assert zone.redis("EXISTS", "zonesync:{test}:lease") == "0" and n.names() == ["API:theirs"]
    n.cli("takeover")
    until("primary", lambda: n.role() == "primary")
    zone.settled(count=1)
    assert n.names() == ["API:ours"]
    assert zone.redis("HGET", primary.key("API", "theirs"), "syncAction") == "UNDEPLOY", "adopted"


def test_what_a_java_primary_left_long_ago_bars_nobody(zone, primary):
    zone.write("apis/ours.json", api("ours"))
    primary.cycle()
    n = follower(zone, extra=CANDIDATE)
    until("primary", lambda: n.role() == "primary")
    zone.settled(count=1)
    assert zone.redis("HGET", "distributed_sync_state:test", "nodeVersion") == "zonesync"


def test_a_primary_of_ours_steps_back_for_a_java_primary(zone, primary):
    zone.write("apis/a.json", api("a"))
    n = follower(zone, extra=CANDIDATE)
    f = follower(zone, "f2")
    until("primary", lambda: n.role() == "primary")
    zone.settled(count=1)
    primary.live(zone)
    primary.deploy("API", "theirs", {"id": "theirs"})
    until("stepped back", lambda: n.role() == "secondary" and n.status()["elector"]["state"] == "barred")
    mirrored(n, 2)
    mirrored(f, 2)
    # And back: the log of then is history, the zone is filled anew.
    primary.die()
    until("silent", lambda: "takeover" in n.status()["elector"]["java"])
    n.cli("takeover")
    zone.settled([n, f], count=1)
    assert n.names() == f.names() == ["API:a"]


def test_told_to_it_takes_over_from_a_living_one_and_says_so(zone, primary):
    zone.write("apis/a.json", api("a"))
    primary.live(zone)
    primary.deploy("API", "theirs", {"id": "theirs"})
    n = follower(zone, extra=CANDIDATE + "\n  reconcile:\n    interval: 10000")
    until("barred", lambda: "writes this zone as" in n.status()["elector"]["java"])
    n.cli("takeover")
    until("primary", lambda: n.role() == "primary")
    s = until("disputed", lambda: (s := n.status())["health"] == "degraded" and "stop one of the two" in s["reason"] and s)
    assert s["elector"]["disputed"]
    until("filled", lambda: zone.redis.meta().get("complete") == "1")
    until("and written over", lambda: zone.redis("HGET", "distributed_sync_state:test", "nodeVersion") != "zonesync")
    primary.die()
    until("over", lambda: n.status()["health"] == "ok")
    assert n.role() == "primary"
    # The next reconcile takes the zone back whole: what the other wrote meanwhile is adopted.
    until("ours", lambda: zone.redis("HGET", "distributed_sync_state:test", "nodeVersion") == "zonesync")
    until("forgotten", lambda: n.status()["elector"]["java"] == "")
    zone.settled(count=1)
    assert n.names() == ["API:a"]
    assert zone.redis("HGET", primary.key("API", "theirs"), "syncAction") == "UNDEPLOY"


def test_takeover_is_refused_where_it_means_nothing(zone, primary):
    n = follower(zone)
    r = n.cli("takeover", check=False)
    assert r.returncode == 1 and "candidate" in r.stderr
    # What is said now must not hold against a Java primary that comes later.
    p = zone.node("p", extra=CANDIDATE)
    until("primary", lambda: p.role() == "primary")
    r = p.cli("takeover", check=False)
    assert r.returncode == 1 and "no Java gateway writes" in r.stderr
    primary.live(zone)
    until("it steps back", lambda: p.role() == "secondary")


# --- adoption ---

def test_what_a_java_primary_left_is_adopted_and_what_the_source_has_not_is_withdrawn(zone, primary):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    primary.deploy("API", "a", {"old": "form"})
    primary.deploy("SUBSCRIPTION", "s", {"old": "form"}, ref="a")
    primary.deploy("API", "gone", {"id": "gone"})
    primary.deploy("SUBSCRIPTION", "gone-s", {"id": "gone-s"}, ref="gone")
    for i in range(4):  # one more a cold start
        primary.deploy("NODE_METADATA", f"random{i}", {"installationId": "i"})
    zone.write("installation/i.json", {"id": "i"})
    primary.undeploy("API", "past")
    theirs = Primary(zone, "test:b", index=False)  # a longer id
    theirs.deploy("API", "x", {"id": "x"})
    primary.deploy("API", "stray", {"id": "stray"}, key="distributed_event:test:API:not-its-id")
    primary.redis("HSET", "distributed_event::API:old", "id", "old", "type", "API", "syncAction", "DEPLOY",
                  "payload", "{}", "updatedAt", "1")
    others = {**hashes(zone, "distributed_event:test:b:*"), **hashes(zone, "distributed_event::*"),
              **hashes(zone, "*not-its-id")}
    assert len(others) == 3
    n = zone.node("n1", extra=CANDIDATE)
    zone.settled(count=3)
    assert [x for x in n.names() if "random" not in x and not x.startswith("NODE_METADATA:")] == ["API:a", "SUBSCRIPTION:s"]
    for key in (primary.key("API", "gone"), primary.key("SUBSCRIPTION", "gone-s", "gone"),
                *(primary.key("NODE_METADATA", f"random{i}") for i in range(4)), primary.key("API", "past")):
        assert zone.redis("HGET", key, "syncAction") == "UNDEPLOY", key
    assert json.loads(n.get("API", "a"))["definition"]["id"] == "a"
    now = hashes(zone)
    assert {k: now[k] for k in others} == others, "not ours to touch"
    assert "adopted" in n.logs("fetcher")


def test_what_is_too_much_for_one_answer_is_adopted_too(zone, primary):
    zone.write("apis/a.json", api("a"))
    large = [f"large{i}" for i in range(4)]
    for id in large:
        primary.deploy("API", id, {"id": id, "x": "x" * (6 << 20)})
    n = zone.node("n1", extra=CANDIDATE)
    until("held back", lambda: "4 of 5 API would be removed: held back" in n.fetcher()["guard"])
    n.cli("resync", "--accept-deletes")
    zone.settled(count=1)
    assert [zone.redis("HGET", primary.key("API", id), "syncAction") for id in large] == ["UNDEPLOY"] * 4


def test_the_guard_holds_for_what_is_adopted(zone, primary):
    """A mistyped source must not empty a zone that Java gateways read."""
    for i in range(30):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    n = zone.node("n1", extra=CANDIDATE)
    zone.settled(count=30, caught=False)
    assert "API would be removed" in n.fetcher()["guard"]
    assert all(zone.redis("HGET", primary.key("API", f"a{i}"), "syncAction") == "DEPLOY" for i in range(30))
    assert json.loads(n.get("API", "a7")) == {"id": "a7"}
    n.cli("resync", "--accept-deletes")
    zone.settled(count=0)


def test_another_source_does_not_take_the_place_of_what_is_adopted(zone, primary):
    for i in range(13):
        primary.deploy("API", f"a{i}", {"id": f"a{i}"})
    for i in range(15):
        zone.write(f"apis/x{i}.json", api(f"x{i}"))
    n = zone.node("n1", extra=CANDIDATE)
    until("held back", lambda: "13 of 28 API would be removed: held back" in n.fetcher()["guard"])
    until("the zone has both", lambda: zone.redis.meta().get("complete") == "1" and zone.redis.meta()["count"] == "28")
    assert all(zone.redis("HGET", primary.key("API", f"a{i}"), "syncAction") == "DEPLOY" for i in range(13))
    n.cli("resync", "--accept-deletes")
    zone.settled(count=15)


def test_definitions_too_large_for_one_answer_are_adopted_too(zone, primary):
    """More than one step over the keys may carry: none of them may be left to Java gateways for ever."""
    for i in range(24):
        primary.deploy("API", f"a{i}", {"id": f"a{i}", "pad": "x" * (1 << 20)})
    n = zone.node("n1", extra=CANDIDATE)
    zone.settled(count=24, caught=False)
    n.cli("resync", "--accept-deletes")
    zone.settled(count=0)
    assert all(zone.redis("HGET", primary.key("API", f"a{i}"), "syncAction") == "UNDEPLOY" for i in range(24))


# --- zonesync doctor ---

def findings(n, code=None):
    r = n.cli("doctor", "--json", check=False)
    found = json.loads(r.stdout)["findings"]
    assert r.returncode == (1 if any(f["bad"] for f in found) else 0), found
    return found


def said(found, topic, *words, bad=None):
    return [f["text"] for f in found if f["topic"] == topic and all(w in f["text"] for w in words)
            and (bad is None or f["bad"] == bad)]


def test_the_doctor_tells_which_id_to_configure(zone, primary):
    other = Primary(zone, "gio-apim-gateway-cluster-hz57", index=False)
    other.deploy("API", "a", {"id": "a"})
    other.undeploy("API", "b")
    other.cycle()
    old = "distributed_event::API:old", "distributed_event:API:old:SUBSCRIPTION:s"
    for key in old:
        primary.redis("HSET", key, "id", "old", "type", "API", "syncAction", "DEPLOY", "payload", "{}", "updatedAt", "1")
    before = hashes(zone)
    n = follower(zone)
    until("Redis is up", lambda: n.cache()["redis"] == "connected")
    until("said", lambda: (s := n.status())["health"] == "starting" and "zonesync doctor" in s["reason"])
    found = findings(n)
    assert said(found, "zone", "gio-apim-gateway-cluster-hz57", "2 events", "1 of them deployed", "upgrade of Hazelcast")
    assert said(found, "zone", "nothing here is of zone test", "<cluster-name>", "zonesync.zone.id", bad=True)
    assert said(found, "primary", "Java primary", other.node)
    assert said(found, "old", "2 keys without a cluster id", "never touches", bad=False)
    assert said(found, "index", "is there") and said(found, "index", "2.10.5")
    text = n.cli("doctor", check=False)
    assert "!! zone" in text.stdout
    assert hashes(zone) == before
    # With the right id it has nothing to complain of but the server.
    n.stop()
    n.config.write_text(n.config.read_text().replace("id: test", "id: gio-apim-gateway-cluster-hz57"))
    n.start()
    mirrored(n, 1)
    found = findings(n)
    assert said(found, "zone", "this node's") and not said(found, "zone", bad=True)


def test_the_doctor_finds_what_breaks_java_gateways(zone, primary):
    for cluster in ("test", "TEST", "a,b"):
        Primary(zone, cluster, index=False).deploy("API", "x", {"id": "x"})
    primary.redis("FT.DROPINDEX", java.INDEX)
    primary.redis(*[w.replace("distributed-event-search-idx-v2", "distributed-event-search-idx") for w in INDEX])
    n = zone.node("n1", extra=CANDIDATE)
    until("Redis is up", lambda: n.cache()["redis"] == "connected")
    found = findings(n)
    assert said(found, "zone", "TEST", "letter case", bad=True) and said(found, "zone", "a,b", "comma", bad=True)
    assert said(found, "old", "index of releases up to 4.11")
    assert said(found, "server", "keeps nothing on disk", bad=True)
    zone.redis.stop()
    until("Redis is down", lambda: n.cache()["redis"].startswith("down"))
    assert said(findings(n), "server", "cannot be reached", bad=True)


def test_the_doctor_finds_this_zone_among_a_multitude(zone, primary):
    for i in range(600):
        other = f"other{i}"
        primary.redis("HSET", f"distributed_event:{other}:API:x", "clusterId", other, "id", "x", "payload", "{}",
                      "type", "API", "syncAction", "DEPLOY", "updatedAt", "1")
        primary.redis("HSET", f"distributed_sync_state:{other}", "clusterId", other, "nodeId", "n", "nodeVersion", "4.13.0",
                      "from", "1", "to", "2")
    primary.deploy("API", "x", {"id": "x"})
    primary.cycle()
    n = follower(zone)
    mirrored(n, 1)
    for _ in range(2):
        found = findings(n)
        assert said(found, "zone", "test (this node's): 1 events") and not said(found, "zone", bad=True)
        assert said(found, "primary", "test: a Java primary") and said(found, "zone", "more than")


def test_the_doctor_needs_the_cache(zone, primary):
    n = follower(zone)
    n.kill("cache", signal.SIGSTOP)
    child = threading.Thread(target=lambda: results.append(n.cli("doctor", check=False)))
    results = []
    child.start()
    n.kill("cache")
    child.join()
    assert results[0].returncode == 1 and "cache" in results[0].stderr


# --- conformance cases of the reference (storage 9), by number ---

CASES = [("1", "API", "DEPLOY", 1682349874051, None), ("2", "API", "UNDEPLOY", 1682436294051, None),
         ("3", "DICTIONARY", "DEPLOY", 1682522714051, None), ("4", "API_KEY", "DEPLOY", 1687620274051, "1"),
         ("5", "SUBSCRIPTION", "DEPLOY", 1687620334051, "1"), ("DEFAULT", "LICENSE", "DEPLOY", 1706114134051, None)]


def searched(redis, query, *limit):
    """FT.SEARCH as the reference sends it: the rows in their order."""
    return java.rows(redis("FT.SEARCH", java.INDEX, query, "SORTBY", "updatedAt", "ASC", *limit))


@pytest.fixture
def cases(zone, primary):
    primary.cluster = zone.zone = "test-cluster"
    for id, kind, action, at, ref in CASES:
        primary.redis("HSET", primary.key(kind, id, ref), "clusterId", "test-cluster", "id", id, "payload", "payload",
                      "type", kind, "syncAction", action, "updatedAt", at)
    return primary


ALL = "@clusterId:{test\\-cluster}"


@pytest.mark.parametrize("case,query,limit,ids", [
    ("E1", "", [], ["1", "2", "3", "4", "5", "DEFAULT"]),
    ("E2", "", ["LIMIT", "0", "1"], ["1"]), ("E2", "", ["LIMIT", "1", "1"], ["2"]), ("E2", "", ["LIMIT", "2", "1"], ["3"]),
    ("E3", "@type:{API}", [], ["1", "2"]),
    ("E4", "@type:{API}@syncAction:{DEPLOY}", [], ["1"]),
    ("E5", "@type:{API}@syncAction:{DEPLOY|UNDEPLOY}", [], ["1", "2"]),
    ("E6", "@updatedAt:[1682436280051 +inf]", [], ["2", "3", "4", "5", "DEFAULT"]),
    ("E7", "@updatedAt:[-inf 1682436280051]", [], ["1"]),
    ("E8", "@updatedAt:[1682349880051 +inf]@updatedAt:[-inf 1682522700051]", [], ["2"]),
])
def test_conformance_search(cases, case, query, limit, ids):
    assert [r["id"] for r in searched(cases.redis, ALL + query, *limit)] == ids


def test_conformance_e1_to_e10_as_a_follower_reads_it(zone, cases):
    """The same data through our own reader: what is deployed, with its bytes, by keys with and without a reference.

    The payload of the cases is no JSON, so all but the licence would be set aside: here they are JSON.
    """
    for id, kind, action, at, ref in CASES:
        if kind != "LICENSE":
            cases.redis("HSET", cases.key(kind, id, ref), "payload", '"payload"')
    n = follower(zone)
    mirrored(n, 5)
    assert n.names() == ["API:1", "API_KEY:4", "DICTIONARY:3", "LICENSE:DEFAULT", "SUBSCRIPTION:5"]
    assert n.get("LICENSE", "DEFAULT") == b"payload" and n.get("SUBSCRIPTION", "5") == b'"payload"'
    assert n.names("SUBSCRIPTION", "--ref", "API:1") == ["SUBSCRIPTION:5"]


def test_conformance_e9_to_e11_search_all(cases):
    ids = lambda query, batch: sorted(r["id"] for r in java.read(cases.redis, java.aggregate(query, batch))[0])  # noqa: E731
    assert ids("*", 2) == ["1", "2", "3", "4", "5", "DEFAULT"]
    five = [r for r in java.read(cases.redis, java.aggregate("*", 2))[0] if r["id"] == "5"]
    assert five == [{"id": "5", "payload": "payload", "type": "SUBSCRIPTION", "syncAction": "DEPLOY", "updatedAt": "1687620334051"}]
    assert ids("@type:{API}@syncAction:{DEPLOY|UNDEPLOY}", 1) == ["1", "2"]
    assert ids("@updatedAt:[4102444800000 +inf]", 2) == []


def test_conformance_e12_an_api_is_undeployed_with_its_children(zone):
    """Case E12 by our writer, which has no prefix that could hit others: 10 is not a child of 1."""
    zone.zone = "test-cluster"
    for id in ("1", "10"):
        zone.write(f"apis/{id}.json", api(id))
        zone.write(f"subscriptions/s{id}.json", subscription(f"s{id}", id))
    zone.start(1)
    zone.settled(count=4)
    zone.remove("apis/1.json")
    zone.remove("subscriptions/s1.json")
    zone.settled(count=2)
    with Resp(zone.redis.socket) as r:
        def rows():
            found = searched(r, ALL + "@syncAction:{UNDEPLOY}")
            return sorted(x["id"] for x in found) == ["1", "s1"] and found
        assert until("both", rows)
        assert sorted(x["id"] for x in searched(r, ALL + "@syncAction:{DEPLOY}")) == ["10", "s10"]


def test_conformance_e13_another_cluster_is_apart(zone, cases):
    Primary(zone, "other-cluster", index=False).deploy("API", "other-api", "payload", at=1682349874051)
    assert [r["id"] for r in searched(cases.redis, ALL + "@type:{API}")] == ["1", "2"]


def test_conformance_s1_s2_the_state(zone, primary):
    """As a Java gateway wrote it, it is found and told; where there is none, there is nothing."""
    n = follower(zone)
    until("nothing", lambda: n.cache()["redis"] == "connected" and n.cache()["reads"] > 0)
    assert n.cache()["java"] == ""
    primary.redis("HSET", "distributed_sync_state:test", "clusterId", "test", "nodeId", "nodeId",
                  "nodeVersion", "nodeVersion", "from", 1683877018, "to", 1683877618)
    primary.deploy("API", "a", {"id": "a"})
    mirrored(n, 1)
    until("told", lambda: "nodeId (nodeVersion)" in n.cache()["java"])


def test_the_rights_that_the_manual_names_are_enough(zone, primary):
    primary.deploy("API", "a", {"id": "a"})
    rights = next(line for line in (ROOT / "docs" / "gravitee.md").read_text().split("\n") if "+ft.aggregate" in line)
    readme = next(line for line in (ROOT / "README.md").read_text().split("\n") if "ACL SETUSER zonesync on" in line)
    primary.redis("ACL", "SETUSER", "zonesync", "on", ">secret", *readme.split(">PASSWORD ")[1].split(), *rights.strip("`.").split())
    n = zone.node("f1", start=False, extra=FOLLOWER)
    n.config.write_text(n.config.read_text().replace(
        "type: redis", "type: redis\n  redis:\n    username: zonesync\n    password: secret"))
    n.start()
    mirrored(n, 1)
    primary.redis("FT.DROPINDEX", java.INDEX)
    primary.cycle()
    until("made again", lambda: "index_created" in n.logs("cache"))
    mirrored(n, 1)
    found = findings(n)
    assert not said(found, "index", bad=True) and not said(found, "server", "may not", bad=True)


def test_a_clock_that_goes_back_hides_nothing(zone, primary):
    primary.ahead = 3600000
    primary.cycle()
    primary.deploy("API", "a", {"id": "a", "v": 1})
    n = follower(zone)
    mirrored(n, 1)
    primary.ahead, primary.to = 0, java.now_ms()
    primary.deploy("API", "a", {"id": "a", "v": 2})
    primary.cycle()
    until("the change", lambda: json.loads(n.get("API", "a"))["v"] == 2)


def test_answers_cut_short_by_a_time_limit_are_not_taken_for_all(zone, primary):
    """The module ends a query after its time limit and says nothing; its default is to return what it has."""
    count = 20000
    for at in range(0, count, 1000):
        out = b""
        for i in range(at, at + 1000):
            args = ["HSET", primary.key("API", f"a{i}"), "clusterId", "test", "id", f"a{i}", "payload", '{"x":"' + "y" * 700 + '"}',
                    "type", "API", "syncAction", "DEPLOY", "updatedAt", str(1755700000000 + i)]
            out += b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a.encode()) for a in args)
        primary.redis.sock.sendall(out)
        for i in range(1000):
            primary.redis.reply()
    query = "@clusterId:{test}@syncAction:{DEPLOY}"
    primary.redis("FT.CONFIG", "SET", "TIMEOUT", "1")
    until("counts are cut short", lambda: primary.redis("FT.SEARCH", java.INDEX, query, "LIMIT", "0", "0")[0] < count)
    n = follower(zone)
    seen = set()
    until("it serves", lambda: seen.add((c := n.cache())["count"]) or c["serving"])
    assert seen <= {0, count}, "all or nothing"
    reads = n.cache()["reads"]
    until("some rounds", lambda: seen.add((c := n.cache())["count"]) or c["reads"] > reads + 10)
    assert seen <= {0, count}
    primary.redis("FT.CONFIG", "SET", "TIMEOUT", "500")
    mirrored(n, count)
