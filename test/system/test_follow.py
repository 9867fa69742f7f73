# SPDX-License-Identifier: Apache-2.0
"""What a follower does with a log that has holes."""
import subprocess
import time

import pytest

from zone import api, until

pytestmark = pytest.mark.servers()


@pytest.mark.sources()
def test_a_new_node_reaches_a_head_whose_last_tombstone_was_purged(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("apis/b.json", api("b"))
    zone.start(1)
    zone.settled(count=2)
    zone.remove("apis/b.json")
    rev = zone.settled(count=1)["rev"]
    # A day later: the primary purged the tombstone, which had the newest revision.
    zone.redis("ZREM", "zonesync:{test}:log", "API:b")
    zone.redis("DEL", "distributed_event:test:API:b")
    zone.redis("HSET", "zonesync:{test}:meta", "horizon", rev)
    n = zone.node("n2")
    until("it serves", lambda: n.get("API", "a"))
    zone.settled(count=1)


@pytest.mark.sources("file", "mongodb")
def test_a_node_away_for_longer_than_tombstones_are_kept_compares_itself(zone):
    for id in ("a", "b", "c"):
        zone.write(f"apis/{id}.json", api(id))
    zone.ttl = 5000
    zone.start(1, extra="  reconcile:\n    interval: 10000\n  tombstone:\n    retention: 3600000")
    n1 = zone.nodes[0]
    n2 = zone.node("n2", extra="  candidate: false")
    zone.settled(count=3)
    n2.stop()
    zone.remove("apis/b.json")
    zone.remove("apis/c.json")
    zone.settled(count=1)
    now = int(zone.redis("HGET", "distributed_event:test:API:b", "updatedAt"))
    zone.redis("HSET", "distributed_event:test:API:b", "updatedAt", now - 2 * 3600000)  # two hours pass
    zone.redis("HSET", "distributed_event:test:API:c", "updatedAt", now - 1800000)      # half an hour
    until("forgotten", lambda: zone.redis("EXISTS", "distributed_event:test:API:b") == "0")
    assert zone.redis("EXISTS", "distributed_event:test:API:c") == "1"
    n2.start()
    until("it compares itself", lambda: "resync_begin" in n2.logs("cache"))
    zone.settled(count=1)
    assert n1.names() == n2.names() == ["API:a"]


def test_an_empty_zone_is_answered_as_empty(zone):
    zone.start(1)
    zone.settled(count=0)
    assert zone.nodes[0].names() == []


def calls(zone, command):
    """How often, since CONFIG RESETSTAT; those of scripts count too."""
    found = [line for line in zone.redis("INFO", "commandstats").split() if line.startswith(f"cmdstat_{command}:")]
    return int(found[0].split("calls=")[1].split(",")[0]) if found else 0


def wakes_of_a_refill(zone, count=500):
    """Wakes whoever waits, as each batch does, and lets it look once more. Seconds that took."""
    begin = time.monotonic()
    subprocess.run(["redis-cli", "-s", zone.redis.socket], input=b"PUBLISH zonesync:{test}:wake 7\n" * count,
                   stdout=subprocess.DEVNULL, check=True, timeout=60)
    before = calls(zone, "evalsha")
    until("it looked", lambda: calls(zone, "evalsha") > before)
    return time.monotonic() - begin


def test_who_waits_for_a_refill_reads_no_events(zone):
    for id in ("a", "b", "c"):
        zone.write(f"apis/{id}.json", api(id))
    zone.start(1)
    zone.settled(count=3)
    zone.nodes[0].stop()
    n = zone.node("n2", start=False, extra="  candidate: false")
    for empty in (True, False):
        zone.redis("HSET", "zonesync:{test}:meta", "complete", 0)
        if empty:
            n.start()
        until("it waits", lambda: n.cache()["state"] == "waiting" and
              zone.redis("PUBSUB", "NUMSUB", "zonesync:{test}:wake").split()[-1] == "1")
        zone.redis("CONFIG", "RESETSTAT")
        took = wakes_of_a_refill(zone)
        assert calls(zone, "zrangebyscore") == 0
        # Half of what lies between two looks: timers are not exact, and a slow machine has the time to look.
        assert calls(zone, "evalsha") <= 4 + took / 0.025
        zone.redis("HSET", "zonesync:{test}:meta", "complete", 1)
        zone.redis("PUBLISH", "zonesync:{test}:wake", 7)
        zone.settled([n], count=3)
    assert n.names() == ["API:a", "API:b", "API:c"]
    assert n.logs("cache").count("event=resync_begin") == 1  # what it held was of this history
