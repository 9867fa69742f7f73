# SPDX-License-Identifier: Apache-2.0
"""Who writes, and what a crash costs."""
import json
import os
import random
import signal

import pytest

from zone import api, apikey, subscription, until


def others(zone, p):
    return [n for n in zone.nodes if n is not p]


def publish(zone, name, version):
    zone.write(f"apis/{name}.json", api(name, version=version))


def see(nodes, name, version):
    for n in nodes:
        until(f"{name} {version} at {n.name}",
              lambda: json.loads(n.get("API", name) or "{}").get("definition", {}).get("apiVersion") == version)


@pytest.mark.servers()
@pytest.mark.sources()
def test_a_node_joins_while_the_source_is_down(zone):
    ids = zone.load_definitions()
    zone.start(2)
    zone.settled(count=len(ids))
    zone.lose_source()
    late = zone.node("late")
    zone.settled(nodes=[late], count=len(ids))
    until("said", lambda: any("the source is down" in n.status()["reason"] for n in zone.nodes))
    assert late.get("API", ids[0]) == zone.nodes[0].get("API", ids[0])
    zone.return_source()


@pytest.mark.servers()
@pytest.mark.sources()
def test_the_primary_crashes_and_another_takes_over_without_reading_twice(zone):
    ids = zone.load_definitions()
    zone.start(3)
    before = zone.settled(count=len(ids))
    p = zone.primary()
    p.crash()
    q = zone.primary(among=others(zone, p))
    publish(zone, "after", "1")
    see(others(zone, p), "after", "1")
    after = zone.settled(nodes=others(zone, p), count=len(ids) + 1)
    assert int(after["rev"]) == int(before["rev"]) + 1, "the take-over wrote nothing again"
    p.start()
    zone.settled(count=len(ids) + 1)
    assert zone.primary() is q


@pytest.mark.sources()
@pytest.mark.parametrize("worker", ["elector", "fetcher", "cache"])
@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_kill_of_each_worker_in_each_role(zone, worker, role):
    publish(zone, "a", "1")
    zone.start(2)
    zone.settled(count=1)
    p = zone.primary()
    n = p if role == "primary" else others(zone, p)[0]
    pid = n.pid(worker)
    n.kill(worker)
    until("another process", lambda: n.pid(worker) not in (0, pid))
    zone.primary()
    publish(zone, "a", "2")
    see(zone.nodes, "a", "2")
    zone.settled(count=1)
    assert n.status()["health"] == "ok"


@pytest.mark.servers()
@pytest.mark.sources()
@pytest.mark.parametrize("worker", ["fetcher", "elector"])
def test_a_stopped_primary_worker_is_fenced(zone, worker):
    """SIGSTOP beyond the lease, then CONT: whatever it still holds is refused."""
    publish(zone, "a", "1")
    zone.start(2)
    zone.settled(count=1)
    p = zone.primary()
    q = others(zone, p)[0]
    epoch = int(zone.redis.meta()["epoch"])
    pid = p.pid(worker)
    os.kill(pid, signal.SIGSTOP)
    publish(zone, "a", "2")
    until("a new epoch", lambda: int(zone.redis.meta()["epoch"]) > epoch)
    see([q], "a", "2")
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass  # killed at the end of its lease
    publish(zone, "a", "3")
    see(zone.nodes, "a", "3")
    zone.settled(count=1)


@pytest.mark.sources()
def test_a_fetcher_killed_with_a_large_batch_in_flight_loses_no_change(zone):
    """Forty times: many changes at once, the fetcher killed among them, revocations too."""
    count = 60
    zone.write("apis/api.json", api("api"))
    for i in range(count):
        zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", "api"))
        zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", [f"s{i}"]))
    zone.start(2, time_scale=1)  # or the fetcher would be found unfit for dying so often
    zone.settled(count=1 + 2 * count)
    rng = random.Random(7)
    for turn in range(40):
        revoked = set(rng.sample(range(count), count // 2))
        p = zone.primary()
        pid = p.pid("fetcher")
        for i in range(count):
            zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", [f"s{i}"], revoked=i in revoked, note=turn))
            if i == rng.randrange(count) and pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                pid = 0
        want = sorted(f"API_KEY:k{i}" for i in range(count) if i not in revoked)
        for n in zone.nodes:
            until(f"turn {turn} at {n.name}", lambda: n.names("API_KEY") == want)
    zone.settled(count=None)


@pytest.mark.servers()
@pytest.mark.sources()
@pytest.mark.threads
def test_a_primary_killed_in_the_middle_of_a_refill(zone):
    ids = zone.load_definitions()
    zone.start(2)
    zone.settled(count=len(ids))
    for _ in range(3):
        lineage = zone.redis.meta()["lineage"]
        zone.redis("HSET", "zonesync:{test}:meta", "complete", "0")
        p = zone.primary()
        p.cli("stepdown")
        until("a refill has begun", lambda: zone.redis.meta().get("lineage") != lineage)
        for n in zone.nodes:
            if n.role() == "primary" and n.pid("fetcher"):
                n.kill("fetcher")
        for n in zone.nodes:
            assert len(n.names()) == len(ids), "the last known good serves on"
        zone.settled(count=len(ids))


@pytest.mark.servers()
@pytest.mark.sources()
def test_stepdown_hands_over(zone):
    publish(zone, "a", "1")
    zone.start(2)
    zone.settled(count=1)
    p = zone.primary()
    p.cli("stepdown")
    q = until("the other", lambda: next((n for n in others(zone, p) if n.role() == "primary"), None))
    assert q is not p
    publish(zone, "a", "2")
    see(zone.nodes, "a", "2")
    assert "not the primary" in p.cli("stepdown", check=False).stderr
@pytest.mark.servers()
def test_a_follower_never_stands(zone):
    publish(zone, "a", "1")
    zone.start(1)
    f = zone.node("follower", extra="  candidate: false")
    zone.settled(count=1)
    zone.nodes[0].stop()
    assert f.role() == "secondary" and f.pid("elector") == 0
    assert f.get("API", "a")
    zone.nodes[0].start()
    zone.settled(count=1)


def test_a_node_without_a_source_lets_others_be_primary(zone):
    """It says so before it would be needed, and is the last resort: nobody else took the lease."""
    zone.ttl = 5000
    publish(zone, "a", "1")
    zone.redis.start()
    blind = zone.node("blind", start=False, data=zone.base / "elsewhere")
    sighted = [zone.node(f"n{i}") for i in range(2)]
    zone.settled(count=1)
    blind.start()
    until("said", lambda: blind.status()["health"] == "degraded" and "source is down" in blind.status()["reason"])
    for _ in range(3):
        p = zone.primary()
        p.cli("stepdown")
        until("the other one", lambda: p.role() == "secondary" and zone.primary(among=others(zone, p)))
    assert "lease_held" not in blind.logs("elector")
    for n in sighted:
        n.stop()
    until("the last resort", lambda: blind.role() == "primary")
    assert blind.get("API", "a")


def test_a_source_that_comes_back_is_noticed_by_who_waits(zone):
    publish(zone, "a", "1")
    zone.start(1)
    zone.settled(count=1)
    late = zone.node("late", data=zone.base / "elsewhere")
    until("said", lambda: "source is down" in late.status()["reason"])
    (zone.base / "elsewhere").symlink_to(zone.data)
    until("well", lambda: late.status()["health"] == "ok")
