# SPDX-License-Identifier: Apache-2.0
"""Bytes of the primary's own that arrive late, held by the network until their sender has another connection."""
import os

import pytest

import resp
import servers
from behind import Behind
from zone import Zone, api, apikey, fresh, subscription, until

TIMES = int(os.environ.get("ZONESYNC_LATE", 12))  # 100 of them take some minutes


class LateZone(Behind, Zone):
    command_timeout_ms = 300


@pytest.fixture
def behind(request):
    made = fresh(request, servers.DEFAULT, LateZone)
    zone = next(made)
    zone.ttl = 10000
    zone.delay = 200
    yield zone
    zone.proxy.heal()
    next(made, None)
    zone.end_proxy()


def whole(zone):
    """Every record is what the log says of it, and the sums are those of the records: nothing took effect twice, or late."""
    with resp.Resp(zone.redis.socket) as r:
        log = r("ZRANGE", "zonesync:{test}:log", "0", "-1", "WITHSCORES")
        live = 0
        for name, score in zip(log[::2], log[1::2]):
            h = dict(zip(*[iter(r("HGETALL", b"distributed_event:test:" + name))] * 2))
            hash, rev, _, _ = resp.stamp(h[b"zs"])
            assert rev == int(score), (name, h)
            assert (hash[:1] == b"D") == (h[b"syncAction"] == b"DEPLOY"), (name, h)
            live += hash[:1] == b"D"
        assert live == int(r("HGET", "zonesync:{test}:meta", "count"))
        assert len(set(log[1::2])) == len(log) // 2


@pytest.mark.parametrize("content", ["the same", "another"])
def test_what_arrives_late_takes_no_effect(behind, content):
    """A key is revoked, or given back, in a page that is held; what reaches the zone since is that page again, or a later one."""
    zone = behind
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.start(1)
    zone.settled(count=3)
    lineage = zone.redis.meta()["lineage"]
    revoked = False
    for i in range(TIMES):
        before = int(zone.redis.meta()["rev"])
        zone.proxy.begin("hold-up")
        revoked = not revoked
        zone.write("api-keys/k.json", apikey("k", ["s"], revoked=revoked))
        until("it came by another connection", lambda: int(zone.redis.meta()["rev"]) > before)
        if content == "another":
            zone.write("apis/a.json", api("a", version=str(i + 2)))
            until("and so did the next", lambda: int(zone.redis.meta()["rev"]) > before + 1)
        zone.proxy.heal()  # the late bytes go first
        zone.settled(count=2 if revoked else 3)
        assert (zone.nodes[0].get("API_KEY", "k") is None) == revoked
        assert zone.redis.hash("distributed_event:test:API:a:API_KEY:k")["syncAction"] == ("UNDEPLOY" if revoked else "DEPLOY")
        whole(zone)
    assert zone.redis.meta()["lineage"] == lineage


def test_the_largest_entity_lands_by_a_thin_link_under_a_short_lease(behind):
    """It takes longer than the lease lives: what renews it, and what waits for an answer, must not take that for the end."""
    zone = behind
    zone.ttl = 1000
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    zone.proxy.begin("thin")
    zone.write("apis/big.json", api("big", description="x" * (15 << 20)))
    n = zone.nodes[0]
    until("it is served", lambda: len(n.get("API", "big") or b"") > 15 << 20, deadline_s=120)
    zone.write("apis/c.json", api("c"))
    zone.settled(count=3)
    whole(zone)
    assert "token_lost" not in n.logs("fetcher") and n.logs("fetcher").count("event=promoted") == 1
