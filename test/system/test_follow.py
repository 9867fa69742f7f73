# SPDX-License-Identifier: Apache-2.0
"""What a follower does with a log that has holes."""
import socket
import subprocess
import threading
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


class Between(threading.Thread):
    """Before Redis, for one node: acts once, when so many bytes of answers have passed."""

    def __init__(self, zone, after, act):
        super().__init__(daemon=True)
        self.path = zone.base / "between.sock"
        self.target = str(zone.redis.socket)
        self.left, self.act, self.begun, self.acted = after, act, False, False
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, client):
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            server.connect(self.target)
            threading.Thread(target=self.relay, args=(client, server), daemon=True).start()
            self.relay(server, client, True)
        except OSError:
            client.close()

    def relay(self, source, target, counted=False):
        try:
            while data := source.recv(65536):
                target.sendall(data)
                self.left -= len(data) if counted else 0
                if self.left <= 0 and not self.begun:
                    self.begun = True
                    how = self.act()
                    self.acted = True
                    if how == "cut":
                        break
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def flush(zone):
    zone.redis("FLUSHALL")


def restart(zone):
    zone.redis.stop()
    zone.redis.start()


def cut(zone):
    return "cut"


def remove_one(zone):
    zone.remove("apis/a7.json")
    until("removed", lambda: zone.redis.meta()["count"] == str(BIG_APIS - 1))


BIG_APIS = 40
BIG_PAYLOAD = "x" * 300000  # three to a page


@pytest.mark.parametrize("act", [flush, restart, cut, remove_one])
def test_what_happens_in_the_middle_of_a_resync_leaves_no_hole_in_it(zone, act):
    for i in range(BIG_APIS):
        zone.write(f"apis/a{i}.json", api(f"a{i}", description=BIG_PAYLOAD))
    zone.start(1)
    n1 = zone.nodes[0]
    lineage = zone.settled(count=BIG_APIS)["lineage"]
    with Between(zone, BIG_APIS * len(BIG_PAYLOAD) // 3, lambda: act(zone)) as between:
        n2 = zone.node("n2", start=False, extra="  candidate: false")
        n2.config.write_text(n2.config.read_text().replace(str(zone.redis.socket), str(between.path)))
        n2.start()
        until("it happened", lambda: between.acted)
        left = BIG_APIS - (act is remove_one)
        meta = zone.settled(count=left)
        assert n1.names() == n2.names() and len(n2.names()) == left
        for name in n2.names():
            assert n1.get(*name.split(":")) == n2.get(*name.split(":"))
        assert (meta["lineage"] != lineage) == (act in (flush, restart))
        # It goes on where the zone is still the same.
        assert (n2.logs("cache").count("event=resync_begin") > 1) == (act in (flush, restart))
        assert ("event=redis_down" in n2.logs("cache")) == (act in (restart, cut))
        assert n2.logs("cache").count("event=resync_done") == 1
        assert "suspect" not in n2.logs("cache")
        n2.stop()
