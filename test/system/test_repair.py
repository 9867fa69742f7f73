# SPDX-License-Identifier: Apache-2.0
"""What is lost or damaged in Redis behind everybody's back is found, mended once, and counted once."""
import shutil
import struct

import pytest

import resp
from zone import api, apikey, subscription, until

LOG = "zonesync:{test}:log"
SUSPECT = "zonesync:{test}:suspect"
KEY = "API:a:API_KEY:k"


def event(name):
    return f"distributed_event:test:{name}"


DAMAGE = {
    "deleted": lambda r: r("DEL", event(KEY)),
    "of a wrong type": lambda r: [r("DEL", event(KEY)), r("SET", event(KEY), "text")],
    "another hash": lambda r: stamped(r, lambda s: b"Dsixteen bytes..." + s[17:]),
    "no stamp": lambda r: r("HDEL", event(KEY), "zs"),
    "half a stamp": lambda r: stamped(r, lambda s: s[:17]),
    "another revision": lambda r: stamped(r, lambda s: s[:17] + b"99999  x"),
    "another payload": lambda r: r("HSET", event(KEY), "payload", "{}"),
    "another type": lambda r: r("HSET", event(KEY), "type", "API"),
    "no member of the log": lambda r: r("ZREM", LOG, KEY),
    "other sums": lambda r: r("HSET", "zonesync:{test}:meta", "count", "7", "d2", "12345"),
}


def stamped(r, change):
    with resp.Resp(r.socket) as c:
        c("HSET", event(KEY), "zs", change(c("HGET", event(KEY), "zs")))


def stored(zone):
    """Of each name in the log: its score and its fields, by the protocol: a hash is any bytes."""
    with resp.Resp(zone.redis.socket) as r:
        log = r("ZRANGE", LOG, "0", "-1", "WITHSCORES")
        names = dict(zip([n.decode() for n in log[::2]], log[1::2]))
        out = {}
        for name, score in names.items():
            try:
                flat = r("HGETALL", event(name))
            except resp.Error:
                flat = []
            h = dict(zip([f.decode() for f in flat[::2]], flat[1::2]))
            out[name] = (int(score), h)
            stamp = resp.stamp(h.get("zs"))
            if stamp:
                h["hash"], h["rev"], _, h["version"] = stamp
    return out


def sums(zone):
    """Count and digest of what stands there."""
    count, lanes = 0, [0, 0, 0, 0]
    for score, h in stored(zone).values():
        if h.get("hash", b"")[:1] == b"D" and h["rev"] == score:
            count += 1
            lanes = [(a + b) % 2**32 for a, b in zip(lanes, struct.unpack(">4I", h["hash"][1:]))]
    return [str(n) for n in (count, *lanes)]


def is_whole(zone, before):
    """The same events as before, each whole, and sums that are theirs."""
    now = stored(zone)
    if set(now) != set(before):
        return None
    for name, (score, h) in now.items():
        was = before[name][1]
        if h.get("rev") != score or any(h.get(f) != was[f] for f in ("hash", "payload", "type", "id", "syncAction")):
            return None
    meta = zone.redis.meta()
    return sums(zone) == [meta[f] for f in ("count", "d0", "d1", "d2", "d3")]


def fill(zone):
    for id in "abc":
        zone.write(f"apis/{id}.json", api(id))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_mended_and_counted_once(zone, what):
    fill(zone)
    zone.start(2)
    zone.settled(count=5)
    before = stored(zone)
    DAMAGE[what](zone.redis)
    other = next(n for n in zone.nodes if n.role() != "primary")
    other.stop()
    shutil.rmtree(other.dir / "state" / "store")
    other.start()  # it has to read everything, and finds it
    if what in ("no member of the log", "other sums"):
        zone.primary().cli("compare")  # as it does by itself every now and then
        zone.redis("SADD", SUSPECT, "*")  # or when one that cannot reach the digest says so
    until("mended", lambda: is_whole(zone, before))
    zone.settled(count=5)
    until("no suspects", lambda: zone.redis("EXISTS", SUSPECT) == "0")
    # A word that came late may lead to a refill, which finds a subscription with its API once more.
    until("and counted once", lambda: sums(zone) == [zone.redis.meta()[f] for f in ("count", "d0", "d1", "d2", "d3")])
    assert zone.redis.meta()["lineage"] and zone.nodes[0].get("API_KEY", "k") == zone.nodes[1].get("API_KEY", "k")


def test_what_changes_over_a_lost_hash_is_counted_once(zone):
    """Nobody noticed the loss: the change comes first."""
    fill(zone)
    zone.start(1)
    lineage = zone.settled(count=5)["lineage"]
    n = zone.nodes[0]
    zone.redis("DEL", event("API:b"), event(KEY))
    zone.write("apis/b.json", api("b", "2"))
    zone.remove("api-keys/k.json")
    until("the change is there", lambda: b'"apiVersion' in (n.get("API", "b") or b"") and stored(zone)["API:b"][1])
    zone.settled(count=4)
    meta = zone.redis.meta()
    assert sums(zone) == [meta[f] for f in ("count", "d0", "d1", "d2", "d3")]
    assert meta["lineage"] == lineage and n.logs("cache").count("event=resync_begin") == 1
    assert stored(zone)[KEY][1]["syncAction"] == b"UNDEPLOY"


def test_children_that_were_lost_leave_with_their_api(zone):
    fill(zone)
    zone.start(1)
    lineage = zone.settled(count=5)["lineage"]
    zone.redis("DEL", event(KEY))
    zone.remove("apis/a.json")
    until("the sums are right", lambda: sums(zone) == [zone.redis.meta()[f] for f in ("count", "d0", "d1", "d2", "d3")]
          and zone.redis.meta()["count"] == "2")
    zone.settled(count=2)
    assert zone.redis.meta()["lineage"] == lineage


def test_a_damaged_tombstone_is_mended(zone):
    fill(zone)
    zone.start(1)
    zone.settled(count=5)
    zone.remove("api-keys/k.json")
    zone.settled(count=4)
    assert stored(zone)[KEY][1]["version"] == b"absent"
    before = stored(zone)
    zone.redis("HSET", event(KEY), "type", "API", "zs", "broken")
    zone.redis("SADD", SUSPECT, KEY)
    zone.write("apis/c.json", api("c", "2"))  # a pass, at which suspects are asked for
    until("mended", lambda: stored(zone)[KEY][1].get("type") == b"API_KEY" and zone.redis("EXISTS", SUSPECT) == "0")
    now = stored(zone)[KEY]
    assert now[0] > before[KEY][0] and now[1]["hash"] == before[KEY][1]["hash"] and now[1]["version"] == b"absent"
    zone.settled(count=4)


def test_a_refill_keeps_what_cannot_be_read(zone):
    fill(zone)
    zone.start(1)
    lineage = zone.settled(count=5)["lineage"]
    n = zone.nodes[0]
    payload = n.get("API", "b")
    zone.write("apis/b.json", "{")
    until("set aside", lambda: n.fetcher()["quarantined"] == 1)
    zone.redis("SADD", SUSPECT, "*")
    until("refilled", lambda: zone.redis.meta()["lineage"] != lineage)
    zone.settled(count=5)
    assert n.get("API", "b") == payload


@pytest.mark.parametrize("key", ["meta", "log", "cursor", "epochs", "lease", "suspect", "turn", "nodes"])
@pytest.mark.parametrize("live", [True, False])
def test_a_key_of_the_zones_own_of_a_wrong_type_is_made_anew(zone, key, live):
    """A lease, too, or nobody would ever be primary again; whether nodes run meanwhile or not."""
    zone.write("apis/a.json", api("a"))
    zone.start(2)
    zone.settled(count=1)
    name = "zonesync:{test}:" + key
    if not live:
        for n in zone.nodes:
            n.stop()
    was = zone.redis("TYPE", name).strip()
    zone.redis("DEL", name)
    if was == "string":
        zone.redis("LPUSH", name, "x")
    else:
        zone.redis("SET", name, "of a wrong type")
    if not live:
        for n in zone.nodes:
            n.start()
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)
    until("well", lambda: all(n.status()["health"] == "ok" for n in zone.nodes))
