# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments, again and again, while the source changes and gateways ask.

ZONESYNC_KILLS: how many, and a fifth of that where nodes must agree after each; test/run --soak asks for 500. ZONESYNC_LOOKUP_S: the longest
that a lookup may take (zone-protocol 8 says 1, which a sanitized build on a busy machine cannot promise).
"""
import json
import os
import random
import threading
import time

import pytest

from client import NOT_FOUND, OK, Client, get, head, list_, resolve_key
from resp import Resp
from zone import DEADLINE_S, api, apikey, subscription, until

KILLS = int(os.environ.get("ZONESYNC_KILLS", "25"))
KILLS_OF_ANYTHING = max(min(KILLS, 25), KILLS // 5)
LOOKUP_S = float(os.environ.get("ZONESYNC_LOOKUP_S", DEADLINE_S))
APIS = 20
KEYS = 10
LOST = (OSError, AssertionError, AttributeError)  # of client.py, when there is no answer, or half of one


def torn_proof(id, version):
    """An API whose every part says which version it is of."""
    return api(id, version=str(version), description=f"{version:08d}" * 1500)


def version_of(payload):
    d = json.loads(payload)["definition"]
    version = int(d["apiVersion"])
    assert d == torn_proof(d["id"], version), f"{d['id']} is torn"
    return version


class Background(threading.Thread):
    """Calls step() until stop(), which fails with what step() failed with."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.failed = None

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
        except BaseException as e:  # noqa: B902 - handed to stop()
            self.failed = e

    def stop(self):
        self.over.set()
        self.join(DEADLINE_S)
        if self.failed:
            raise self.failed


class Lookups(Background):
    """A gateway that asks without a pause; a lost connection is made anew once per question."""

    def __init__(self, node):
        super().__init__()
        self.node = node
        self.rng = random.Random(3)
        self.client = None
        self.newest = {}
        self.asked = self.reconnects = 0
        self.slowest = 0.0

    def once(self, body):
        if self.client is None:
            self.client = Client(self.node.run / "cache.sock")
            self.client.sock.settimeout(LOOKUP_S)
        try:
            return self.client.ask_all(body)
        except LOST:
            self.client.close()
            self.client = None
            raise

    def ask(self, body):
        start = time.monotonic()
        try:
            r = self.once(body)
        except LOST:
            self.reconnects += 1
            r = self.once(body)
        self.asked += 1
        took = time.monotonic() - start
        self.slowest = max(self.slowest, took)
        assert took < LOOKUP_S, f"a lookup took {took:.2f} s"
        return r

    def step(self):
        id = f"a{self.rng.randrange(APIS)}"
        r = self.ask(get("API", id))
        assert r[0].code == OK, f"{id}: {r[0]}"
        version = version_of(b"".join(e.payload for x in r for e in x.events))
        assert version >= self.newest.get(id, 0), f"{id} went back"
        self.newest[id] = version
        r = self.ask(resolve_key("a0", f"key-of-k{self.rng.randrange(KEYS)}"))
        assert r[0].code in (OK, NOT_FOUND), r[0]


class Digests(Background):
    """Count and digest of the zone at each revision where a look found it."""

    def __init__(self, redis):
        super().__init__()
        self.resp = Resp(redis.socket)
        self.at = {}

    def step(self):
        rev, count, *lanes = self.resp("HMGET", "zonesync:{test}:meta", "rev", "count", "d0", "d1", "d2", "d3")
        if None not in (rev, count, *lanes):
            self.at[int(rev)] = (int(count), "".join(f"{int(x):08x}" for x in lanes))
        self.over.wait(0.002)


class Changes(Background):
    """Writes APIs and revokes keys, one document after the other."""

    def __init__(self, zone):
        super().__init__()
        self.zone = zone
        self.rng = random.Random(5)
        self.version = {f"a{i}": 0 for i in range(APIS)}
        self.revoked = {f"k{i}": False for i in range(KEYS)}
        self.next = 0

    def step(self):
        if self.rng.random() < 0.7:
            id = self.rng.choice(sorted(self.version))
            self.next += 1
            self.version[id] = self.next
            self.zone.write(f"apis/{id}.json", torn_proof(id, self.next))
        else:
            id = self.rng.choice(sorted(self.revoked))
            self.revoked[id] = not self.revoked[id]
            self.zone.write(f"api-keys/{id}.json", apikey(id, ["s"], revoked=self.revoked[id]))
        self.over.wait(self.rng.random() * 0.05)


def position(node):
    c = Client(node.run / "cache.sock")
    try:
        return c.ask(head()).position
    finally:
        c.close()


@pytest.mark.threads
def test_kills_of_the_cache_lose_no_lookup_and_tear_nothing(zone):
    """What is on disk after each kill is verified whole, and is what the zone was at that revision."""
    for i in range(APIS):
        zone.write(f"apis/a{i}.json", torn_proof(f"a{i}", 0))
    zone.write("subscriptions/s.json", subscription("s", "a0"))
    for i in range(KEYS):
        zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", ["s"]))
    zone.delay = 100
    zone.start(1, time_scale=1)
    zone.settled(count=APIS + KEYS + 1)
    n = zone.nodes[0]
    work = [Lookups(n), Digests(zone.redis), Changes(zone)]
    lookups, digests, changes = work
    for w in work:
        w.start()
    rng = random.Random(11)
    revision = known = 0
    try:
        for turn in range(KILLS):
            pid = until("a cache", lambda: n.pid("cache"))
            if rng.random() < 0.1:
                n.cli("resync", check=False)
            changes.over.wait(rng.random() * 0.3)  # a random moment
            (n.dir / "state" / "store" / "DOUBT").touch()  # the next open checks every record and index
            os.kill(pid, 9)
            until("the next cache", lambda: n.pid("cache") not in (0, pid))
            p = until("an answer", lambda: position(n))
            assert p.revision >= revision, f"turn {turn}: it went back"
            revision = p.revision
            if p.revision in digests.at:
                known += 1
                assert (p.count, p.digest) == digests.at[p.revision], f"turn {turn}: no state the zone ever had"
            for w in work:
                assert not w.failed, f"turn {turn}: {w.failed!r}"
    finally:
        for w in work:
            w.stop()
    print(f"{KILLS} kills, {known} of them at a known revision; {lookups.asked} lookups, "
          f"{lookups.reconnects} reconnects, slowest {lookups.slowest:.3f} s; {changes.next} changes")
    assert known > KILLS / 3 and lookups.reconnects > KILLS / 3
    zone.settled(count=APIS + 1 + sum(not r for r in changes.revoked.values()))
    for id, version in changes.version.items():
        assert version_of(n.get("API", id)) == version
    assert n.names("API_KEY") == sorted(f"API_KEY:{k}" for k, r in changes.revoked.items() if not r)
    assert "store_set_aside" not in n.logs("cache")


class Watcher(Background):
    """Reads all of a node's state over and over: nothing buried comes back, no version goes back."""

    def __init__(self, node):
        super().__init__()
        self.node = node
        self.buried = set()
        self.newest = {}
        self.state = {}

    def listing(self):
        c = Client(self.node.run / "cache.sock")
        try:
            after, payloads = "", {}
            while True:
                page = c.ask_all(list_(payloads=True, after=after))
                if page[0].code != OK:
                    return None
                for e in (e for r in page for e in r.events):  # a large payload comes in chunks
                    name = f"{e.kind}:{e.id}"
                    payloads[name] = payloads.get(name, b"") + e.payload
                after = page[-1].next
                if not after:
                    return payloads
        finally:
            c.close()

    def step(self):
        buried = set(self.buried)
        try:
            payloads = self.listing()
        except LOST:  # killed just now
            payloads = None
        if payloads is None:
            self.over.wait(0.01)
            return
        found = {k: version_of(v) if k.startswith("API:") else 0 for k, v in payloads.items()}
        back = buried & set(found)
        assert not back, f"{self.node.name}: {sorted(back)} came back"
        for name, version in found.items():
            assert version >= self.newest.get(name, 0), f"{self.node.name}: {name} went back"
            self.newest[name] = version
        self.state = found


def test_kills_of_anything_lose_no_update_and_raise_no_dead(zone):
    version = {f"a{i}": 0 for i in range(APIS)}
    for id in version:
        zone.write(f"apis/{id}.json", torn_proof(id, 0))
    zone.delay = 100
    zone.guard = "off"  # more goes in these minutes than in a day of others
    zone.start(2, time_scale=1)
    zone.settled(count=APIS)
    watchers = [Watcher(n) for n in zone.nodes]
    for w in watchers:
        w.start()
    rng = random.Random(13)
    moment = threading.Event()
    doomed = None
    kills = {}
    try:
        for turn in range(1, KILLS_OF_ANYTHING + 1):
            removed = doomed
            if removed:  # its key and subscription go with it
                zone.remove(f"apis/{removed}.json")
                del version[removed]
            for id in rng.sample(sorted(version), 5):
                version[id] = turn
                zone.write(f"apis/{id}.json", torn_proof(id, turn))
            doomed = f"doomed{turn}"
            version[doomed] = turn
            zone.write(f"apis/{doomed}.json", torn_proof(doomed, turn))
            zone.write(f"subscriptions/s{turn}.json", subscription(f"s{turn}", doomed))
            zone.write(f"api-keys/k{turn}.json", apikey(f"k{turn}", [f"s{turn}"]))
            moment.wait(rng.random() * 0.4)
            n = rng.choice(zone.nodes)
            what = rng.choice(["supervisor", "elector", "fetcher", "cache"])
            kills[what] = kills.get(what, 0) + 1
            if what == "supervisor":
                n.crash()
                n.start(time_scale=1)
            else:
                pid = n.pid(what)
                if pid:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
            want = {f"API:{id}": v for id, v in version.items()} | {f"SUBSCRIPTION:s{turn}": 0, f"API_KEY:k{turn}": 0}
            for w in watchers:
                until(f"turn {turn}, {what} of {n.name}: all of it at {w.node.name}",
                      lambda: w.failed or w.state == want)
                assert not w.failed, f"turn {turn}, {what} of {n.name}: {w.failed!r}"
                if removed:
                    w.buried |= {f"API:{removed}", f"SUBSCRIPTION:s{turn - 1}", f"API_KEY:k{turn - 1}"}
    finally:
        for w in watchers:
            w.stop()
    print(f"kills: {kills}")
    zone.settled(count=len(version) + 2)
    for n in zone.nodes:
        assert "store_set_aside" not in n.logs("cache")
