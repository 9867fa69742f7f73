# SPDX-License-Identifier: Apache-2.0
"""What Redis may do to us."""
import json
import re
import shutil

import pytest

from zone import api, until

pytestmark = pytest.mark.servers()


def change(zone, version):
    zone.write("apis/a.json", api("a", version=version))


def see(zone, version):
    for n in zone.nodes:
        until(f"{version} at {n.name}",
              lambda: json.loads(n.get("API", "a") or "{}").get("definition", {}).get("apiVersion") == version)


@pytest.mark.sources()
def test_redis_restarted_empty_is_refilled_unattended(zone):
    ids = zone.load_definitions()
    zone.start(2)
    lineage = zone.settled(count=len(ids))["lineage"]
    zone.redis.stop()
    for n in zone.nodes:
        assert len(n.names()) == len(ids)
    zone.redis.start()
    assert zone.settled(count=len(ids))["lineage"] != lineage


@pytest.mark.sources()
@pytest.mark.threads
def test_redis_flushed_under_our_feet(zone):
    ids = zone.load_definitions()
    zone.start(2)
    lineage = zone.settled(count=len(ids))["lineage"]
    zone.redis("FLUSHALL")
    for n in zone.nodes:
        assert len(n.names()) == len(ids)
    until("refilled", lambda: zone.redis.meta().get("lineage") not in (None, lineage))
    zone.settled(count=len(ids))


@pytest.mark.sources()
def test_a_dump_older_than_what_nodes_hold_never_goes_back(zone):
    """Restored from a backup: what was removed since must not come back at any node."""
    change(zone, "1")
    zone.write("apis/b.json", api("b"))
    zone.redis.args += ["--dbfilename", "dump.rdb"]
    zone.start(2)
    zone.settled(count=2)
    zone.redis("SAVE")
    shutil.copy(zone.redis.dir / "dump.rdb", zone.base / "old.rdb")
    zone.remove("apis/b.json")
    change(zone, "2")
    see(zone, "2")
    zone.settled(count=1)
    zone.redis.stop()
    shutil.copy(zone.base / "old.rdb", zone.redis.dir / "dump.rdb")
    zone.redis.start()
    seen = []

    def back():
        seen.extend(n.get("API", "b") for n in zone.nodes)
        return zone.redis.meta().get("caught", "").split(":")[0] == zone.redis.meta()["epoch"]
    until("the new primary has polled", back)
    zone.settled(count=1)
    assert not any(seen), "an undeployed API came back"
    see(zone, "2")


def test_redis_read_only_and_back(zone):
    change(zone, "1")
    zone.start(1)
    zone.settled(count=1)
    zone.redis("REPLICAOF", "127.0.0.1", "1")
    n = zone.nodes[0]
    until("noticed", lambda: "replica" in json.dumps(n.status()) or "READONLY" in json.dumps(n.status()))
    change(zone, "2")
    assert n.get("API", "a")
    zone.redis("REPLICAOF", "NO", "ONE")
    see(zone, "2")


@pytest.mark.sources()
def test_redis_out_of_memory_and_back(zone):
    change(zone, "1")
    zone.start(1)
    zone.settled(count=1)
    zone.redis("CONFIG", "SET", "maxmemory", "1")
    change(zone, "2")
    n = zone.nodes[0]
    until("said", lambda: "out of memory" in json.dumps(n.status()) or "OOM" in json.dumps(n.status()))
    assert n.get("API", "a")
    zone.redis("CONFIG", "SET", "maxmemory", "0")
    see(zone, "2")
    zone.settled(count=1)


def errors_of(zone):
    """How often Redis refused something."""
    return sum(int(n) for n in re.findall(r"^errorstat_\w+:count=(\d+)", zone.redis("INFO", "errorstats"), re.M))


@pytest.mark.sources()
def test_a_full_redis_takes_no_batch_and_no_lease_from_anybody(zone):
    """What a full Redis denies are batches. The lease is renewed, and can be given on."""
    lease = "zonesync:{test}:lease"
    change(zone, "1")
    zone.start(2)
    zone.settled(count=1)
    first = zone.primary()
    token = zone.redis("HGET", lease, "token")
    zone.redis("CONFIG", "SET", "maxmemory", "1")
    change(zone, "2")
    until("said", lambda: "out of memory" in first.fetcher()["error"])
    seq, refused = int(zone.redis("HGET", lease, "seq")), errors_of(zone)
    # Five renewals fill a TTL: neither its end nor a candidate that takes it for stuck has ended the lease.
    until("renewed for four TTLs", lambda: int(zone.redis("HGET", lease, "seq")) >= seq + 20)
    assert zone.redis("HGET", lease, "token") == token
    assert 0 < errors_of(zone) - refused < 20, "refused batches are tried again slowly"
    assert first.logs("fetcher").count("write_refused") == 1
    assert first.role() == "primary" and "lease_refused" not in first.logs("elector")

    other = next(n for n in zone.nodes if n is not first)
    first.stop()
    until("the other one holds it", lambda: other.role() == "primary")
    until("said", lambda: "out of memory" in other.fetcher()["error"])
    zone.redis("CONFIG", "SET", "maxmemory", "0")
    first.start()
    see(zone, "2")
    assert zone.primary() is other
    until("unsaid", lambda: not other.fetcher()["error"])


def test_redis_hangs_and_comes_back(zone):
    change(zone, "1")
    zone.start(2)
    zone.settled(count=1)
    zone.redis.pause()
    for n in zone.nodes:
        until("noticed", lambda: "down" in n.cache()["redis"])
        until("said", lambda: (s := n.status())["health"] == "degraded" and "Redis is down" in s["reason"])
        assert n.get("API", "a")
    zone.redis.resume()
    change(zone, "2")
    see(zone, "2")


def test_a_wrong_password_is_named(zone):
    change(zone, "1")
    zone.redis.args += ["--requirepass", "right"]
    zone.redis.password = "right"
    zone.redis.start()
    n = zone.node("n1", more="")
    until("said", lambda: "NOAUTH" in n.cache()["redis"])
    assert "NOAUTH" in n.status()["reason"] and "not known" in n.cli("status", check=False).stdout
    n.config.write_text(zone.config("n1").replace("type: redis", "type: redis\n  redis:\n    password: wrong"))
    n.cli("reload")
    until("said", lambda: "WRONGPASS" in n.cache()["redis"])
    n.config.write_text(zone.config("n1").replace("type: redis", "type: redis\n  redis:\n    password: right"))
    n.cli("reload")
    zone.settled(count=1)
    for f in n.log.glob("*.log"):
        assert "right" not in f.read_text() or "rights" in f.read_text()
    assert "wrong" not in n.cli("config", "show")


def test_an_eviction_policy_that_can_take_events_bars_candidacy(zone):
    change(zone, "1")
    zone.redis.args += ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    zone.start(1)
    n = zone.nodes[0]
    until("barred", lambda: "noeviction" in json.dumps(n.status()["elector"]))
    assert n.role() == "secondary"
    until("said", lambda: (s := n.status())["health"] == "degraded" and "cannot be primary" in s["reason"])
    zone.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    zone.settled(count=1)
    log = n.logs("elector")
    assert log.count("redis_unfit") <= 1 + log.count("redis_down"), "once, however often it was tried"
    until("well", lambda: n.status()["health"] == "ok")


def test_scripts_flushed_in_the_middle(zone):
    change(zone, "1")
    zone.start(1)
    zone.settled(count=1)
    zone.redis("SCRIPT", "FLUSH")
    change(zone, "2")
    see(zone, "2")


@pytest.mark.sources()
def test_a_damaged_event_is_repaired_by_the_primary(zone):
    change(zone, "1")
    zone.write("apis/b.json", api("b"))
    zone.start(2)
    zone.settled(count=2)
    key = "distributed_event:test:API:a"
    rev = zone.redis.stamp(key)[1]
    zone.redis("HSET", key, "payload", "{}")
    zone.nodes[0].cli("resync")
    until("written again", lambda: zone.redis.stamp(key)[1] != rev)
    zone.settled(count=2)
    see(zone, "1")


@pytest.mark.sources()
def test_what_a_connection_does_not_bear_is_set_aside_alone(zone):
    """Redis ends a client whose command is too large for it: the zone must not stand still because of one entity."""
    change(zone, "1")
    zone.start(2)
    zone.settled(count=1)
    zone.redis("CONFIG", "SET", "proto-max-bulk-len", str(1 << 20))
    zone.write("apis/big.json", api("big", description="x" * (3 << 19)))
    n = zone.primary()
    until("set aside", lambda: any("proto-max-bulk-len" in q["reason"] for q in n.fetcher()["quarantine"]))
    change(zone, "2")
    see(zone, "2")
    assert not any(m.get("API", "big") for m in zone.nodes)
    zone.redis("CONFIG", "SET", "proto-max-bulk-len", "512mb")
    zone.primary().cli("compare")
    until("it is there", lambda: zone.nodes[0].get("API", "big") and zone.nodes[1].get("API", "big"))
    until("and well", lambda: zone.primary().fetcher()["quarantined"] == 0)
    zone.settled(count=2)


@pytest.mark.sources("file")
def test_a_zone_that_was_put_back_is_noticed_by_a_primary_that_has_nothing_to_write(zone):
    """Not even that a poll ended well: some removals are held."""
    for i in range(10):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    zone.start(1)
    zone.settled(count=10)
    for i in range(9):
        zone.remove(f"apis/a{i}.json")
    n = zone.nodes[0]
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    token = n.fetcher()["token"]
    zone.redis("HINCRBY", "zonesync:{test}:meta", "rev", "-1")
    until("noticed", lambda: "forgot" in n.logs("fetcher") and n.fetcher()["token"] not in ("", token))
