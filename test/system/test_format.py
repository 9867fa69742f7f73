# SPDX-License-Identifier: Apache-2.0
"""The format of a zone: who meets a later one writes nothing, an older one is replaced, a minor version is nobody's matter."""
import json

import pytest

import resp
from test_redis import change, see
from zone import api, apikey, subscription, until

META = "zonesync:{test}:meta"
pytestmark = pytest.mark.sources()


def says(n, text):
    return text in json.dumps(n.status())


def test_builds_of_other_minor_versions_share_a_zone(zone):
    change(zone, "1")
    zone.start(2)
    zone.settled(count=1)
    assert zone.redis.meta()["version"] == "2.0"
    zone.redis("HSET", META, "version", "2.7", "something", "new")
    with resp.Resp(zone.redis.socket) as r:  # a mark that only they know
        raw = r("HGET", "distributed_event:test:API:a", "zs")
        hash, rev, _, version = resp.stamp(raw)
        r("HSET", "distributed_event:test:API:a", "zs", hash + b"%d z %s" % (rev, version))
    old = zone.primary()
    lineage = zone.redis.meta()["lineage"]
    change(zone, "2")
    see(zone, "2")
    old.cli("stepdown")
    until("another primary", lambda: any(n is not old and n.role() == "primary" for n in zone.nodes))
    change(zone, "3")
    see(zone, "3")
    zone.node("n3")
    zone.settled(count=1)
    see(zone, "3")
    meta = zone.redis.meta()
    assert (meta["version"], meta["something"], meta["lineage"]) == ("2.7", "new", lineage)


def test_a_later_format_is_neither_followed_nor_written(zone):
    change(zone, "1")
    zone.start(2)
    zone.settled(count=1)
    p = zone.primary()
    other = next(n for n in zone.nodes if n is not p)
    zone.redis("HSET", META, "version", "3.1")
    until("said", lambda: says(other, "3.1") and says(other, "upgrade zonesync"))
    p.stop()
    until("nobody holds the lease", lambda: zone.redis("EXISTS", "zonesync:{test}:lease") == "0")
    before = zone.redis.meta()
    until("it may not stand", lambda: next(w for w in other.status()["workers"] if w["name"] == "elector") and "event=redis_unfit" in other.logs("elector"))
    assert json.loads(other.get("API", "a"))["definition"]["apiVersion"] == "1", "what it has is served"
    assert zone.redis.meta() == before
    zone.redis("HSET", META, "version", "2.0")
    until("it stands again", lambda: other.role() == "primary")
    change(zone, "2")
    until("written", lambda: json.loads(other.get("API", "a"))["definition"]["apiVersion"] == "2")


def test_version_1_is_left_alone_while_its_primary_lives_and_replaced_then(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    lease = "zonesync:{test}:lease"
    zone.redis.start()
    zone.redis("HSET", META, "version", "1", "lineage", "one", "epoch", "5", "rev", "3", "batch", "1", "count", "1", "complete", "1",
               "caught", "5:x")
    zone.redis("RPUSH", "zonesync:{test}:epochs", "5:x 0")
    zone.redis("ZADD", "zonesync:{test}:log", "3", "API:gone")
    zone.redis("SADD", "zonesync:{test}:refs:API:a", "API:a:API_KEY:k")
    zone.redis("HSET", "distributed_event:test:API:gone", "clusterId", "test", "id", "gone", "type", "API", "syncAction", "DEPLOY",
               "payload", "{}", "updatedAt", "1755700000000", "zsRev", "3", "zsHash", "D", "zsVer", "1")
    zone.redis("HSET", lease, "token", "5:x", "seq", "1", "ttl", "60000000", "holder", "old")
    zone.redis("PEXPIRE", lease, "60000000")
    zone.guard = "off"
    n = zone.node("n1")
    until("said", lambda: says(n, "format 1,") and n.role() != "primary")
    meta = zone.redis.meta()
    assert meta["version"] == "1" and meta["lineage"] == "one"
    zone.redis("DEL", lease)
    zone.redis("PUBLISH", "zonesync:{test}:wake", "free")
    zone.settled(count=3)
    meta = zone.redis.meta()
    assert meta["version"] == "2.0" and meta["lineage"] != "one" and int(meta["epoch"]) > 5
    assert zone.redis("EXISTS", "zonesync:{test}:refs:API:a") == "0"
    assert zone.redis.hash("distributed_event:test:API:gone")["syncAction"] == "UNDEPLOY"
    assert n.names() == ["API:a", "API_KEY:k", "SUBSCRIPTION:s"]
