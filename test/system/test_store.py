# SPDX-License-Identifier: Apache-2.0
"""The local store through crashes, outages and damage."""
import json
import os
import pathlib
import shutil
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
    zone.guard = "off"  # six of seven go
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


def stopped_with_data(zone):
    """A node that was filled and stopped, with Redis gone and no source: what it serves is its own."""
    ids = zone.load_definitions()
    zone.start(1)
    zone.settled(count=len(ids))
    n = zone.nodes[0]
    n.stop()
    zone.redis.stop()
    zone.lose_source()
    return n, ids, n.dir / "state" / "store"


def truncated(current):
    current.write_text("")


def flipped(current):
    raw = bytearray(current.read_bytes())
    raw[0] ^= 1
    current.write_bytes(raw)


def directory(current):
    current.unlink()
    current.mkdir()
    (current / "x").write_text("2")


def link(current):
    current.unlink()
    current.symlink_to("/etc/hostname")


def half_built(current):
    """CURRENT names what a crash in a resync left: it opens, and passes every check."""
    whole = current.parent / current.read_text().strip()
    half = current.parent / str(int(whole.name) + 1)
    shutil.copytree(whole, half)
    (half / "SEALED").unlink()
    current.write_text(half.name + "\n")


@pytest.mark.parametrize("damage", [lambda c: c.unlink(), truncated, flipped, directory, link, half_built,
                                    lambda c: c.write_text("18446744073709551615\n"),
                                    lambda c: c.write_bytes(b"\0" * 1_000_000)],
                         ids=["removed", "truncated", "flipped", "directory", "link", "half-built", "missing",
                              "huge"])
def test_a_damaged_current_costs_nothing(zone, damage):
    n, ids, store = stopped_with_data(zone)
    damage(store / "CURRENT")
    n.start()
    for i in ids:
        until("served from the store", lambda i=i: n.get("API", i))
    assert "store_recovered" in n.logs("cache")
    assert not list(store.glob("damaged-*"))


# Root may read everything, unless these are taken from it.
MORTAL = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.getuid() == 0 else []


@pytest.mark.parametrize("what", ["CURRENT", "data.mdb"])
def test_a_store_that_may_not_be_read_is_waited_for(zone, what):
    n, ids, store = stopped_with_data(zone)
    path = store / what if what == "CURRENT" else store / (store / "CURRENT").read_text().strip() / what
    path.chmod(0)
    n.start(within=MORTAL, time_scale=10)
    until("tried twice", lambda: n.logs("cache").count("Permission denied") > 1)
    path.chmod(0o600)
    until("served from the store", lambda: n.get("API", ids[0]))
    assert not list(store.glob("damaged-*"))


def test_too_little_address_space_names_the_cure(zone):
    n, ids, store = stopped_with_data(zone)
    n.start()
    pages = pathlib.Path(f"/proc/{n.pid('cache')}/statm").read_text().split()[0]
    n.stop()
    # Enough for all but the map.
    limit = int(pages) * os.sysconf("SC_PAGE_SIZE") - zone.map_bytes // 2
    n.start(within=["prlimit", f"--as={limit}"], time_scale=10)
    line = until("told", lambda: [x for x in n.logs("cache").splitlines() if "RLIMIT_AS" in x])[-1]
    assert "LimitAS=" in line and "zonesync.store.map_bytes" in line
    n.stop()
    n.start()
    until("served from the store", lambda: n.get("API", ids[0]))


def test_a_damaged_record_is_owed_until_it_is_mended(zone):
    """The next generation cannot be made at first; health says so until it was."""
    zone.write("apis/a.json", api("a", description="mark-a-"))
    zone.write("apis/b.json", api("b"))
    zone.start(1)
    zone.settled(count=2)
    n = zone.nodes[0]
    store = n.dir / "state/store"
    now = int((store / "CURRENT").read_text())
    obstacle = store / str(now + 1) / "data.mdb"
    obstacle.mkdir(parents=True)
    (obstacle / "x").write_text("in the way")
    with open(store / str(now) / "data.mdb", "r+b") as f:
        raw = f.read()
        f.seek(raw.index(b"mark-a-"))
        f.write(b"#")
    assert n.get("API", "a") is None
    until("a try that failed", lambda: "event=follow_failed" in n.logs("cache"))
    zone.write("apis/b.json", api("b", version="2"))
    see([n], "2", "b")  # it goes on, and is not well
    assert n.status()["health"] == "degraded"
    shutil.rmtree(obstacle)
    until("mended", lambda: n.get("API", "a"))
    until("well", lambda: n.status()["health"] == "ok")


def test_a_zone_that_is_filled_anew_or_older_is_not_well(zone):
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.node("n2", extra="  candidate: false")
    zone.settled(count=1)
    zone.nodes[0].stop()
    assert n.status()["health"] == "ok"
    zone.redis("HSET", "zonesync:{test}:meta", "complete", "0")
    until("a refill that nobody ends", lambda: "filled anew" in n.status()["reason"])
    assert n.status()["health"] == "degraded" and n.get("API", "a")
    zone.redis("HSET", "zonesync:{test}:meta", "complete", "1")
    until("well", lambda: n.status()["health"] == "ok")
    epochs = zone.redis("LRANGE", "zonesync:{test}:epochs", "0", "-1").split()
    zone.redis("DEL", "zonesync:{test}:epochs")
    zone.redis("RPUSH", "zonesync:{test}:epochs", "5:older 0")
    until("an older epoch", lambda: "older primary" in n.status()["reason"])
    assert n.status()["health"] == "degraded" and epochs
