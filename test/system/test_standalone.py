# SPDX-License-Identifier: Apache-2.0
"""One node without Redis: the fetcher hands its batches to the cache."""
import json
import os
import shutil
import signal

import pytest

from gateway import parse
from publisher import Publisher
from zone import Node, api, apikey, product, product_subscription, subscription, until


def alone(zone, name="n1", start=True, redis=False):
    """A standalone node over the zone's source; `redis`: a node of the zone instead."""
    config = zone.config(name)
    if not redis:
        config = config.replace("      enabled: true", "      enabled: false").replace("distributed-sync:\n  type: redis\n", "")
    if not zone.nodes or zone.nodes[0].name != name:
        zone.nodes.append(Node(zone.base, name, config))
    node = next(n for n in zone.nodes if n.name == name)
    node.config.write_text(config)
    return node.start() if start else node


def settled(n, count):
    return until(f"{count} entities, proven", lambda: (c := n.cache())["proven"] and c["count"] == count and c)


@pytest.mark.threads
@pytest.mark.sources()
def test_a_node_alone_does_what_a_zone_does(zone):
    if zone.SOURCE == "mongodb":
        zone.mongo.start()
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    n = alone(zone)
    settled(n, 3)
    st = n.status()
    assert (st["mode"], st["role"], st["health"]) == ("standalone", "standalone", "ok")
    r = n.cli("restart", "elector", check=False)
    assert r.returncode == 1 and "it runs no elector" in r.stderr and n.pid("elector") == 0
    assert json.loads(n.get("API", "a"))["definition"] == api("a")
    zone.write("apis/a.json", api("a", version="2"))
    until("the change", lambda: json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "2")
    zone.write("api-keys/k.json", apikey("k", ["s"], revoked=True))
    until("revoked", lambda: n.names() == ["API:a", "SUBSCRIPTION:s"])
    zone.write("apis/b.json", api("b"))  # a source that brings nothing at all would be doubted
    settled(n, 3)
    zone.remove("apis/a.json")
    until("undeployed with its children", lambda: n.names() == ["API:b"])
    assert n.stop() == 0


@pytest.mark.sources()
def test_products_come_and_go_with_all_that_hangs_on_them(zone):
    if zone.SOURCE == "mongodb":
        zone.mongo.start()
    zone.write("apis/a.json", api("a", plans=[]))  # no plan of its own
    zone.write("apis/b.json", api("b"))
    zone.write("subscriptions/s.json", subscription("s", "b"))
    zone.write("api-products/p.json", product("p", ["a", "b"]))
    zone.write("subscriptions/ps.json", product_subscription("ps", "p"))
    zone.write("api-keys/pk.json", apikey("pk", ["ps"]))
    n = alone(zone)
    settled(n, 6)
    assert "API product   p\n" in n.cli("resolve", "key", "a", "key-of-pk")
    zone.write("api-products/p.json", product("p", ["b"]))
    until("an API less", lambda: n.get("API", "a") is None)
    settled(n, 5)
    zone.remove("api-products/p.json")
    until("undeployed with its children", lambda: n.names() == ["API:b", "SUBSCRIPTION:s"])
    assert n.cli("resolve", "key", "b", "key-of-pk", check=False).returncode == 1


@pytest.mark.sources()
def test_restarts_write_nothing_anew(zone):
    if zone.SOURCE == "mongodb":
        zone.mongo.start()
    for i in range(30):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    n = alone(zone)
    before = settled(n, 30)
    for worker in ("fetcher", "cache", "fetcher"):
        old = n.pid(worker)
        n.kill(worker)
        until(f"another {worker}", lambda: n.pid(worker) not in (0, old) and n.fetcher()["state"] == "steady")
        assert settled(n, 30)["revision"] == before["revision"]
    n.crash()
    n.start()
    after = settled(n, 30)
    assert (after["revision"], after["lineage"]) == (before["revision"], before["lineage"])
    assert n.logs("fetcher").count("event=refill ") == 1


def test_the_source_and_all_else_gone_it_answers_from_disk(zone):
    zone.write("apis/a.json", api("a"))
    n = alone(zone)
    settled(n, 1)
    n.stop()
    zone.data.rename(zone.base / "gone")
    n.start()
    assert json.loads(n.get("API", "a"))["definition"] == api("a")
    until("it says that the source is down", lambda: n.fetcher()["source"].startswith("down"))
    assert not n.cache()["proven"]
    (zone.base / "gone").rename(zone.data)
    settled(n, 1)


@pytest.mark.threads
def test_a_fetcher_that_dies_in_a_refill_leaves_the_old_state_serving(zone):
    for i in range(50):
        zone.write(f"apis/a{i}.json", api(f"a{i}", description="x" * 2000))
    n = alone(zone)
    old = settled(n, 50)
    n.stop()
    # Other tags: another mapping, so everything is written anew; nothing is left of an API without them.
    n.config.write_text(n.config.read_text() + "tags: t\n")
    zone.write("apis/tagged.json", api("tagged", tags=["t"]))
    n.start(wait=False)
    for _ in range(5):
        pid = until("a fetcher", lambda: n.pid("fetcher"))
        os.kill(pid, signal.SIGKILL)
        until("it is gone", lambda: n.pid("fetcher") != pid)
        assert n.get("API", "a1") or n.get("API", "tagged")
    until("the refill was done at last", lambda: n.names() == ["API:tagged"])
    assert n.cache()["lineage"] != old["lineage"]


@pytest.mark.sources()
def test_what_was_revoked_before_a_refill_does_not_come_back_with_it(zone):
    if zone.SOURCE == "mongodb":
        zone.mongo.start()
    for i in "ab":
        zone.write(f"apis/{i}.json", api(i))
        zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", i))
        zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", [f"s{i}"]))
    n = alone(zone)
    old = settled(n, 6)
    n.stop()
    n.config.write_text(n.config.read_text() + "api:\n  properties:\n    encryption:\n      secret: 0123456789abcdef\n")
    zone.write("api-keys/ka.json", apikey("ka", ["sa"], revoked=True))
    zone.remove("apis/b.json")
    n.start()
    until("a refill", lambda: n.cache()["lineage"] != old["lineage"])
    settled(n, 2)
    assert n.names() == ["API:a", "SUBSCRIPTION:sa"]


def test_another_mode_is_another_history_and_loses_nothing_meanwhile(zone):
    zone.write("apis/a.json", api("a"))
    n = alone(zone)
    first = settled(n, 1)
    n.stop()
    zone.redis.start()
    alone(zone, redis=True)
    second = settled(n, 1)
    assert second["lineage"] == zone.redis.meta()["lineage"] != first["lineage"]
    n.stop()
    alone(zone)
    assert n.get("API", "a"), "what the zone made serves"
    until("a history of its own", lambda: n.cache()["lineage"] not in (first["lineage"], second["lineage"]))
    settled(n, 1)


def test_large_entities_go_through_in_chunks(zone):
    zone.write("apis/big.json", api("big", description="x" * (12 << 20)))
    for i in range(3):
        zone.write(f"apis/b{i}.json", api(f"b{i}", description="y" * (3 << 20)))
    n = alone(zone)
    settled(n, 4)
    assert len(n.get("API", "big")) > 12 << 20


def test_the_guard_and_quarantine_work_here_too(zone):
    for i in range(40):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    n = alone(zone)
    settled(n, 40)
    zone.write("apis/a1.json", "{")
    until("set aside", lambda: n.fetcher()["quarantined"] == 1)
    shutil.move(zone.data / "apis", zone.base / "apis")
    (zone.data / "apis").mkdir()
    until("held back", lambda: "held back" in n.fetcher()["guard"])
    assert len(n.names()) == 40
    n.cli("resync", "--accept-deletes")
    until("gone", lambda: n.names() == [])


@pytest.mark.sources("mongodb")
def test_a_refill_in_the_middle_of_its_work_leaves_cursors_to_resume_from(zone):
    def cursors():
        with Publisher(n) as p:
            return {c[1][0]: c[2][0] for c in map(parse, p.hello()[4])}

    zone.mongo.start()
    zone.mongo.db["installation"].insert_one({"_id": "one"})
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    n = alone(zone)
    old = settled(n, 3)
    before = cursors()
    settled(n, 3)
    zone.mongo.db["installation"].delete_one({"_id": "one"})
    zone.mongo.db["installation"].insert_one({"_id": "two"})
    n.cli("compare")
    until("another history", lambda: n.cache()["lineage"] != old["lineage"])
    settled(n, 3)
    assert cursors() == {**before, b"installation": b"two"}
    settled(n, 3)


def test_a_full_store_takes_the_change_that_makes_room(zone):
    zone.guard = "off"  # six of seven go
    zone.write("apis/a.json", api("a"))
    zone.map_bytes = 64 << 20
    n = alone(zone)
    settled(n, 1)
    for i in range(6):
        zone.write(f"apis/big{i}.json", api(f"big{i}", description="x" * (14 << 20)))
    until("said", lambda: "MDB_MAP_FULL" in n.status()["reason"])
    assert json.loads(n.get("API", "a"))["definition"] == api("a")
    for i in range(6):
        zone.remove(f"apis/big{i}.json")
    zone.write("apis/a.json", api("a", version="2"))
    until("the change", lambda: json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "2", 120)
    settled(n, 1)
    until("all is well again", lambda: n.status()["health"] == "ok")


def test_a_resync_builds_the_store_anew(zone):
    for i in range(20):
        zone.write(f"apis/a{i}.json", api(f"a{i}"))
    n = alone(zone)
    old = settled(n, 20)
    n.cli("resync")
    until("another history", lambda: n.cache()["lineage"] != old["lineage"])
    new = settled(n, 20)
    assert (new["digest"], new["generation"]) == (old["digest"], old["generation"] + 1)
    zone.write("apis/more.json", api("more"))
    settled(n, 21)


def test_a_reload_from_one_mode_to_the_other(zone):
    zone.redis.start()
    zone.write("apis/a.json", api("a"))
    n = alone(zone)
    settled(n, 1)
    alone(zone, start=False, redis=True)
    n.cli("reload")
    until("primary of its zone", lambda: n.role() == "primary")
    until("in step with it", lambda: n.cache()["lineage"] == zone.redis.meta()["lineage"] and n.cache()["proven"])
    alone(zone, start=False)
    n.cli("reload")
    until("alone again", lambda: n.role() == "standalone" and n.cache()["proven"])
    assert n.get("API", "a")


def test_the_socket_between_fetcher_and_cache_comes_back(zone):
    zone.write("apis/a.json", api("a"))
    n = alone(zone)
    settled(n, 1)
    (n.run / "local.sock").unlink()
    until("it is there again", lambda: (n.run / "local.sock").exists())
    n.kill("fetcher")
    zone.write("apis/b.json", api("b"))
    settled(n, 2)
