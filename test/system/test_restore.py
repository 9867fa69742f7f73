# SPDX-License-Identifier: Apache-2.0
"""A Redis that was restored, or lost its tail: what was withdrawn since stays withdrawn (zone-protocol 5)."""
import shutil
import signal
import subprocess
import threading

import pytest

from zone import BUILD, api, apikey, subscription, until

KEYS = 14


def fill(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    for i in range(KEYS):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", ["s"]))


def save(zone):
    zone.redis("SAVE")
    shutil.copy(zone.redis.dir / "dump.rdb", zone.redis.dir / "old.rdb")


def restore(zone):
    """Redis comes back with the older dump."""
    zone.redis.stop()
    shutil.copy(zone.redis.dir / "old.rdb", zone.redis.dir / "dump.rdb")
    zone.redis.start()


class Watch:
    """Asks each node again and again; remembers the names it answered, and those that came back."""

    def __init__(self, nodes, gone):
        self.nodes, self.gone, self.back, self.looks = nodes, set(gone), [], 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.ended.is_set():
            for n in self.nodes:
                try:
                    names = n.names("API_KEY")
                except (ConnectionError, AssertionError):
                    continue
                self.looks += 1
                self.back += [(n.name, x) for x in names if x.split(":")[1] in self.gone]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


RESET, NOT_REACHED = 3, 4  # exit codes of watch and wait


def watch(node):
    """`zonesync watch`, once it has answered."""
    p = subprocess.Popen([BUILD / "supervisor/cli/zonesync", "--socket", node.run / "control.sock", "watch",
                          "--from", f"{node.cache()['lineage']}:0"], stdout=subprocess.PIPE)
    assert p.stdout.readline()
    return p


def names_of(ids):
    return [f"k{i:02}" for i in ids]


@pytest.mark.servers()
def test_keys_revoked_since_the_dump_do_not_come_back(zone):
    fill(zone)
    zone.start(2)
    zone.settled(count=KEYS + 2)
    save(zone)
    for i in range(KEYS):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", ["s"], revoked=True))
    zone.settled(count=2)
    with Watch(zone.nodes, names_of(range(KEYS))) as w:
        restore(zone)
        zone.settled(count=2)
    assert w.looks > 0 and w.back == []


def test_what_the_guard_holds_back_is_not_taken_for_the_truth(zone):
    """All files of the keys are gone, which needs a person: until then no node goes back to the dump."""
    fill(zone)
    zone.start(2)
    zone.settled(count=KEYS + 2)
    save(zone)
    for i in range(KEYS):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", ["s"], revoked=True))
    zone.settled(count=2)
    for i in range(KEYS):
        zone.remove(f"api-keys/k{i:02}.json")
    with Watch(zone.nodes, names_of(range(KEYS))) as w:
        restore(zone)
        until("the guard holds them", lambda: zone.primary().fetcher()["guard"])
        p = zone.primary()
        for n in zone.nodes:
            until("it is behind", lambda: n.cache()["state"] == "behind" and n.status()["health"] == "degraded")
            assert f"{KEYS} names are in doubt" in n.status()["reason"] or n is p
        looks = {n.name: n.cache()["reads"] for n in zone.nodes}
        until("they look again and again", lambda: all(n.cache()["reads"] > looks[n.name] + 10 for n in zone.nodes))
        assert all(n.cache()["state"] == "behind" for n in zone.nodes)
        p.cli("resync", "--accept-deletes")
        zone.settled(count=2)
        for n in zone.nodes:
            until("all is well", lambda: n.status()["health"] == "ok")
    assert w.looks > 0 and w.back == []


def test_a_file_that_may_be_any_key_leaves_nothing_settled(zone):
    zone.guard = "off"  # most of the keys go
    fill(zone)
    zone.start(2)
    zone.settled(count=KEYS + 2)
    save(zone)
    for i in range(1, KEYS):
        zone.remove(f"api-keys/k{i:02}.json")
    zone.settled(count=3)
    with Watch(zone.nodes, names_of(range(1, KEYS))) as w:
        zone.write("api-keys/other.json", '{"id": "')
        restore(zone)
        for n in zone.nodes:
            until("it is behind", lambda: n.cache()["state"] == "behind")
        zone.write("api-keys/other.json", apikey("other", ["s"]))
        p = zone.primary()
        until("nothing in quarantine", lambda: p.fetcher()["quarantined"] == 0)
        zone.settled(count=4)
    assert w.looks > 0 and w.back == []


def test_withdrawals_are_taken_while_a_node_waits_to_switch(zone):
    """A node that may not serve the restored zone yet still loses what the new primary withdraws."""
    fill(zone)
    zone.start(2)
    zone.settled(count=KEYS + 2)
    save(zone)
    zone.write("api-keys/k00.json", apikey("k00", ["s"], revoked=True))
    zone.remove("api-keys/k01.json")
    zone.settled(count=KEYS)
    zone.write("api-keys/other.json", '{"id": "')  # nothing settles
    p = zone.primary()
    until("it is held", lambda: p.fetcher()["quarantined"] == 1)
    with Watch(zone.nodes, names_of([0])) as w:
        restore(zone)
        for n in zone.nodes:
            until("it is behind", lambda: n.cache()["state"] == "behind")
        watched = watch(zone.nodes[0])
        zone.write("api-keys/k02.json", apikey("k02", ["s"], revoked=True))
        watched.communicate(timeout=60)
        assert watched.returncode == RESET  # its log does not tell of what was taken,
        n = zone.nodes[0]
        c = n.cache()  # nor does this position, which was told before that
        r = n.cli("watch", "--from", f"{c['lineage']}:{c['revision']}", check=False)
        assert r.returncode == RESET
        for n in zone.nodes:
            until("k02 is gone", lambda: n.get("API_KEY", "k02") is None)
            assert n.cache()["state"] == "behind"
            assert n.get("API_KEY", "k03") is not None
            here = n.cache()["revision"]
            assert n.cli("wait", "--revision", here, "--timeout", 1, check=False).returncode == NOT_REACHED
            n.stop()  # what was taken outlives the process
        zone.redis.pause()
        for n in zone.nodes:
            n.start()
            until("it serves", lambda: n.get("API_KEY", "k03") is not None)
            assert n.get("API_KEY", "k02") is None and n.get("API_KEY", "k00") is None
        zone.redis.resume()
        zone.write("api-keys/other.json", apikey("other", ["s"]))
        zone.settled(count=KEYS)
    assert w.looks > 0 and w.back == []
    assert "API_KEY:k01" not in zone.nodes[0].names()


def test_what_does_not_differ_is_not_followed_while_its_polls_may_lag(zone):
    """Another history with the same names, whose next poll may read what was true before this node lost it."""
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.node("b", extra="  candidate: false")
    zone.settled(count=1)
    zone.nodes[0].stop()
    meta = zone.redis.meta()
    assert meta["lag"] == "0"
    zone.redis("HSET", "zonesync:{test}:meta", "lag", "120000")
    zone.redis("RPUSH", "zonesync:{test}:epochs", f"{int(meta['epoch']) + 1}:other 0")
    until("it is behind", lambda: n.cache()["state"] == "behind")
    zone.redis("HSET", "zonesync:{test}:meta", "lag", "0")
    until("it follows that history", lambda: n.cache()["state"] == "following" and n.cache()["proven"])
    assert n.names("API") == ["API:a"]


def test_a_refill_from_half_a_source_waits_for_a_person_at_every_node(zone):
    """What a person takes of another thing is not for it; what one says at the primary, every node hears."""
    for i in range(10):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    for i in range(3):
        zone.write(f"dictionaries/d{i}.json", {"id": f"d{i}", "key": f"d{i}", "name": "d", "environmentId": "DEFAULT"})
    zone.start(2)
    zone.settled(count=13)
    primary = zone.primary()
    for n in zone.nodes:
        n.kill("fetcher", signal.SIGSTOP)
    (zone.base / "kept").mkdir()
    for i in range(6):
        (zone.data / f"apis/a{i}.json").rename(zone.base / f"kept/a{i}.json")
    zone.redis("FLUSHALL")
    for n in zone.nodes:
        n.kill("fetcher", signal.SIGCONT)
    for n in zone.nodes:
        until("it waits for a person", lambda: "lacks more than half of a type" in n.status()["reason"])
        assert "it lacks 6 of 10 API)" in n.status()["reason"]
    primary = zone.primary()
    (zone.data / "dictionaries").rename(zone.base / "dictionaries")
    until("held", lambda: "3 of 3 DICTIONARY" in primary.fetcher()["guard"])
    primary.cli("resync", "--accept-deletes", primary.fetcher()["guard_set"])
    until("taken", lambda: zone.redis.meta()["count"] == "4")
    for n in zone.nodes:
        until("it waits for a person still", lambda: n.cache()["head_revision"] == int(zone.redis.meta()["rev"])
              and "lacks more than half of a type" in n.status()["reason"])
        assert len(n.names("API")) == 10
        here = n.cache()
        assert here["behind"] == max(here["head_revision"] - here["revision"], 0)
    primary.cli("resync", "--accept-deletes")
    zone.settled(count=4)
    assert all(len(n.names()) == 4 for n in zone.nodes)
