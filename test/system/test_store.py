# SPDX-License-Identifier: Apache-2.0
"""The local store through crashes, outages and damage."""
import json
import os
import signal

import pytest

from zone import api, apikey, subscription, until


def see(nodes, version, name="a"):
    for n in nodes:
        until(f"{version} at {n.name}",
              lambda: json.loads(n.get("API", name) or "{}").get("definition", {}).get("apiVersion") == version)


@pytest.mark.sources()
def test_every_node_restarted_with_redis_and_the_source_down(zone):
    ids = zone.load_definitions()
    zone.start(3)
    zone.settled(count=len(ids))
    want = zone.nodes[0].names()
    for n in zone.nodes:
        n.stop()
    zone.redis.stop()
    zone.lose_source()
    for n in zone.nodes:
        n.start()
        until("served at once", lambda: n.get("API", ids[0]))
        assert n.names() == want
    zone.return_source()
    zone.redis.start()
    zone.settled(count=len(ids))


def test_a_cache_that_restarts_keeps_its_clients_waiting_not_failing(zone):
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    for _ in range(5):
        pid = n.pid("cache")
        os.kill(pid, signal.SIGKILL)
        assert n.get("API", "a") or n.get("API", "a"), "one reconnect is allowed"
        until("another", lambda: n.pid("cache") not in (0, pid))


@pytest.mark.parametrize("damage", ["truncated", "garbage", "CURRENT lost", "CURRENT nonsense", "flipped"])
def test_a_damaged_store_is_set_aside_and_rebuilt_unattended(zone, damage):
    ids = zone.load_definitions()
    zone.start(1)
    zone.settled(count=len(ids))
    n = zone.nodes[0]
    n.stop()
    store = n.dir / "state" / "store"
    data = store / (store / "CURRENT").read_text().strip() / "data.mdb"
    if damage == "truncated":
        os.truncate(data, data.stat().st_size // 2)
    elif damage == "garbage":
        data.write_bytes(b"\xff" * data.stat().st_size)
    elif damage == "CURRENT lost":
        (store / "CURRENT").unlink()
    elif damage == "CURRENT nonsense":
        (store / "CURRENT").write_text("x\n")
    else:
        raw = bytearray(data.read_bytes())
        for at in range(20 * 4096 + 100, len(raw), 4096):
            raw[at] ^= 0xff
        data.write_bytes(raw)
        # Of the bytes that were hit some are free room: what is read is right or refused.
    n.start()
    until("resync", lambda: n.cli("resync", check=False).returncode == 0)  # the cache may be restarting
    zone.settled(count=len(ids))
    assert n.get("API", ids[0])


@pytest.mark.sources()
def test_an_undeploy_is_never_resurrected(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.start(2)
    zone.settled(count=3)
    zone.write("api-keys/k.json", apikey("k", ["s"], revoked=True))
    zone.settled(count=2)
    for n in zone.nodes:
        until("revoked", lambda: n.get("API_KEY", "k") is None)
    for step in ("fetcher", "elector", "cache"):
        for n in zone.nodes:
            n.kill(step)
        zone.settled(count=2)
        assert all(n.get("API_KEY", "k") is None for n in zone.nodes)
    zone.primary().crash()
    left = [n for n in zone.nodes if n.process]
    zone.primary(among=left)
    zone.settled(nodes=left, count=2)
    assert all(n.get("API_KEY", "k") is None for n in left)
    zone.redis("FLUSHALL")
    zone.settled(nodes=left, count=2)
    assert all(n.get("API_KEY", "k") is None for n in left)


def test_a_full_map_keeps_the_last_known_good_and_says_so(zone):
    zone.write("apis/a.json", api("a", version="1"))
    zone.map_bytes = 64 << 20
    zone.start(1)
    n = zone.nodes[0]
    zone.settled(count=1)
    for i in range(6):
        zone.write(f"apis/big{i}.json", api(f"big{i}", description="x" * (14 << 20)))
    until("said", lambda: "MDB_MAP_FULL" in n.status()["reason"])
    assert json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "1"
    for i in range(6):
        zone.remove(f"apis/big{i}.json")
    zone.write("apis/a.json", api("a", version="2"))
    see([n], "2")


def test_an_unwritable_directory_is_refused_with_its_name(zone):
    zone.redis.start()
    n = zone.node("n1", start=False)
    (n.dir / "state").write_text("a file where a directory should be")
    n.start(wait=False)
    assert n.process.wait(20) != 0
    n.process = None
    assert str(n.dir / "state") in (n.dir / "out").read_text()


def test_a_position_can_be_waited_for_and_a_change_watched(zone):
    import subprocess
    from zone import BUILD
    zone.write("apis/a.json", api("a", version="1"))
    zone.start(2)
    meta = zone.settled(count=1)
    n = next(x for x in zone.nodes if x.role() != "primary")
    position = f"{meta['lineage']}:{int(meta['rev']) + 1}"
    watch = subprocess.Popen([BUILD / "supervisor/cli/zonesync", "--socket", n.run / "control.sock", "watch",
                              "--from", f"{meta['lineage']}:0"], stdout=subprocess.PIPE)
    assert b"API" in watch.stdout.readline()
    wait = subprocess.Popen([BUILD / "supervisor/cli/zonesync", "--socket", n.run / "control.sock", "wait",
                             "--revision", position, "--timeout", "30"], stdout=subprocess.PIPE)
    zone.write("apis/b.json", api("b"))
    assert wait.wait(30) == 0
    assert b"b" in watch.stdout.readline()
    watch.kill()
    watch.wait()
    r = n.cli("wait", "--revision", "0123:5", "--timeout", "5", check=False)
    assert r.returncode == 3, "another lineage"
    r = n.cli("wait", "--revision", str(int(meta["rev"]) + 999), "--timeout", "1", check=False)
    assert r.returncode == 4, "not in time"
