# SPDX-License-Identifier: Apache-2.0
"""The reference's search index: kept where the server can, and what a Java secondary reads by it."""
import json

import pytest

import java
from resp import Error, Resp
from zone import api, apikey, subscription, until

SHAPE = [("clusterId", "TAG"), ("type", "TAG"), ("syncAction", "TAG"), ("updatedAt", "NUMERIC")]
JAVA = ["FT.CREATE", java.INDEX, "ON", "HASH", "PREFIX", "1", "distributed_event:", "SCHEMA", "clusterId", "TAG",
        "type", "TAG", "syncAction", "TAG", "updatedAt", "NUMERIC", "SORTABLE"]
searched = pytest.mark.servers("redis8")


def info(zone):
    """FT.INFO by its names, but for what grows; None without an index."""
    with Resp(zone.redis.socket, 3) as r:
        try:
            i = r("FT.INFO", java.INDEX)
        except Error:
            return None
    return {k: i[k] for k in (b"index_definition", b"attributes", b"index_options")}


def indexed(zone):
    """How many events the index holds, when it is up to date."""
    with Resp(zone.redis.socket, 3) as r:
        try:
            i = r("FT.INFO", java.INDEX)
        except Error:
            return None
    return None if i[b"indexing"] else i[b"num_docs"]


def fill(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.write("dictionaries/d.json", {"id": "d", "name": "d", "environmentId": "DEFAULT", "properties": {"x": "é,|y"}})


@searched
def test_the_index_is_the_references_and_comes_back_after_a_flush(zone):
    fill(zone)
    zone.start(2)
    zone.settled(count=4)
    p = zone.primary()
    made = until("an index", lambda: info(zone))
    assert p.logs("fetcher").count("index_created") == 1
    until("said", lambda: p.fetcher()["index"] == "created")
    until("all in it", lambda: indexed(zone) == 4)
    zone.redis("FT.DROPINDEX", java.INDEX)
    zone.redis(*JAVA)
    assert info(zone) == made, "as the reference would have made it"
    zone.redis("FLUSHALL")
    assert info(zone) is None
    until("back", lambda: info(zone)) == made
    zone.settled(count=4)
    until("all in it again", lambda: indexed(zone) == 4)


@searched
def test_an_index_that_was_dropped_is_made_at_the_next_comparison(zone):
    fill(zone)
    zone.start(1, extra="  reconcile:\n    interval: 10000")
    zone.settled(count=4)
    zone.redis("FT.DROPINDEX", java.INDEX)
    until("back", lambda: info(zone))
    until("all in it", lambda: indexed(zone) == 4)


@searched
@pytest.mark.parametrize("shape", [
    [*JAVA[:-2], "TEXT"],
    [*JAVA[:8], "type", "TAG"],
    [*JAVA[:6], "another:", *JAVA[7:]],
    [*JAVA[:7], "FILTER", "@type=='API'", *JAVA[7:]],
], ids=["type", "fields", "prefix", "filter"])
def test_an_index_of_another_shape_is_left_alone_and_told(zone, shape):
    fill(zone)
    zone.redis.start()
    zone.redis(*shape)
    before = info(zone)
    assert before
    zone.node("n1")
    zone.settled(count=4)
    n = zone.nodes[0]
    until("warned", lambda: "index_unfit" in n.logs("fetcher"))
    assert info(zone) == before


@searched
def test_one_that_a_java_gateway_made_is_taken_as_it_is(zone):
    fill(zone)
    zone.redis.start()
    zone.redis(*JAVA)
    n = zone.node("n1")
    zone.settled(count=4)
    until("said", lambda: n.fetcher()["index"] == "there")
    assert "index_" not in n.logs("fetcher")


@searched
def test_no_index_when_it_is_off(zone):
    fill(zone)
    zone.redis.start()
    n = zone.node("n1")
    n.stop()
    zone.redis("FLUSHALL")
    n.config.write_text(n.config.read_text().replace("    command_timeout", "    search_index: off\n    command_timeout"))
    n.start()
    zone.settled(count=4)
    n.cli("compare")
    assert info(zone) is None and n.fetcher()["index"] == ""


# As README and zonesyncd(8) have them.
README_USER = ("~distributed_event:* ~distributed_sync_state:* ~zonesync:* &zonesync:* "
               "+@read +@write +@scripting +@transaction +@pubsub +@connection +info +time")
INDEX_KEY = f"~{java.INDEX}"


@searched
@pytest.mark.parametrize("more,word", [
    (f"{INDEX_KEY} +ft.info +ft.create", "created"),
    ("", "NOPERM"),
    (f"{INDEX_KEY} +ft.info -ft.create", "NOPERM"),
], ids=["with", "without", "half"])
def test_rights_for_the_index_are_needed_for_the_index_alone(zone, more, word):
    fill(zone)
    zone.redis.start()
    zone.redis("ACL", "SETUSER", "zonesync", "on", ">secret", *README_USER.split(), *more.split())
    n = zone.node("n1", start=False)
    n.config.write_text(n.config.read_text().replace("type: redis", "type: redis\n  redis:\n    username: zonesync\n    password: secret"))
    n.start()
    zone.settled(count=4)
    until("said", lambda: word in n.fetcher()["index"])
    assert bool(info(zone)) == (word == "created")
    assert n.logs("fetcher").count("index_unfit") == (word == "NOPERM")


@pytest.mark.servers("redis6", "redis7", "valkey")
def test_a_server_without_the_module_needs_none(zone):
    fill(zone)
    zone.start(1)
    zone.settled(count=4)
    n = zone.nodes[0]
    until("said", lambda: n.fetcher()["index"] == "no search module")
    assert "index_" not in n.logs("fetcher") and n.status()["health"] == "ok"


@searched
@pytest.mark.sources()
@pytest.mark.parametrize("version", [2, 3])
def test_recorded_commands_of_a_java_secondary_are_answered(zone, version):
    """Its first read, then one for changes: an API undeployed with its children, a dictionary changed."""
    zone.zone = "zone-a"
    zone.guard = "off"  # the only API goes
    fill(zone)
    zone.start(1)
    zone.settled(count=4)
    until("all in the index", lambda: indexed(zone) == 4)
    n = zone.nodes[0]

    def replay(redis, incremental):
        """What each query found, by type."""
        found = {}
        for c in java.recorded():
            if c[0] != "FT.AGGREGATE":
                if c[0] != "hello":
                    redis(*c)
            elif ("UNDEPLOY" in c[2] or "+inf" in c[2]) == incremental:
                for row in java.read(redis, c)[0]:
                    assert set(row) <= {"id", "payload", "type", "syncAction", "updatedAt"}
                    found[row["type"] + ":" + row["id"]] = row
        return found

    with Resp(zone.redis.socket, version) as redis:
        first = replay(redis, incremental=False)
        assert sorted(first) == ["API:a", "API_KEY:k", "DICTIONARY:d", "SUBSCRIPTION:s"]
        for name, row in first.items():
            kind, id = name.split(":")
            assert row["syncAction"] == "DEPLOY"
            assert row["payload"].encode() == n.get(kind, id)
        state = redis("HGETALL", "distributed_sync_state:zone-a")
        state = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2]))
        assert state[b"clusterId"] == b"zone-a" and state[b"from"] == b"-1"
        assert set(state) == {b"clusterId", b"nodeId", b"nodeVersion", b"from", b"to"}
        to = int(state[b"to"])
        assert all(int(row["updatedAt"]) <= to + java.SLACK_MS for row in first.values())

        zone.remove("apis/a.json")
        zone.write("dictionaries/d.json", {"id": "d", "name": "d", "environmentId": "DEFAULT", "properties": {"x": "2"}})
        zone.settled(count=1)
        until("the change", lambda: json.loads(n.get("DICTIONARY", "d"))["properties"]["x"] == "2")
        changed = replay(redis, incremental=True)
        assert sorted(changed) == sorted(first), "tombstones are seen"
        assert [changed[k]["syncAction"] for k in sorted(changed)] == ["UNDEPLOY", "UNDEPLOY", "DEPLOY", "UNDEPLOY"]
        # reader.jsonl: without a payload a secondary would not notice these.
        assert all(changed[k].get("payload") for k in ("SUBSCRIPTION:s", "API_KEY:k"))
        assert json.loads(changed["DICTIONARY:d"]["payload"])["properties"] == {"x": "2"}
        assert sorted(replay(redis, incremental=False)) == ["DICTIONARY:d"]


@searched
@pytest.mark.parametrize("version", [2, 3])
def test_more_than_a_page_comes_whole_and_windows_are_kept(zone, version):
    count = 2200
    zone.write("apis/a.json", api("a"))
    for i in range(count):
        zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", "a"))
    zone.start(1)
    zone.settled(count=count + 1)
    until("all in the index", lambda: indexed(zone) == count + 1)
    with Resp(zone.redis.socket, version) as redis:
        found, pages = java.read(redis, java.aggregate(java.query("test", "SUBSCRIPTION")))
        assert pages == 3 and sorted(r["id"] for r in found) == sorted(f"s{i}" for i in range(count))
        last = max(int(r["updatedAt"]) for r in found)
        since = last + 1 + java.SLACK_MS
        both = ("DEPLOY", "UNDEPLOY")
        assert java.read(redis, java.aggregate(java.query("test", "SUBSCRIPTION", both, since=since)))[0] == []
        zone.remove("subscriptions/s7.json")
        zone.settled(count=count)
        late, _ = java.read(redis, java.aggregate(java.query("test", "SUBSCRIPTION", both, since=since)))
        assert [(r["id"], r["syncAction"]) for r in late] == [("s7", "UNDEPLOY")]
        early, _ = java.read(redis, java.aggregate(java.query("test", "SUBSCRIPTION", to=last - java.SLACK_MS)))
        assert len(early) == count - 1


@searched
@pytest.mark.parametrize("version", [2, 3])
def test_zones_with_names_that_need_escaping_are_read_apart(zone, version):
    names = ["my-zone", "my-zone-2", "cluster/a b|c?d:e", "(x) [y] {z @t:\"q\" \\ ~&%$#!^*+=;'<>."]
    zone.redis.start()
    for i, name in enumerate(names):
        data = zone.base / f"data{i}"
        (data / "apis").mkdir(parents=True)
        (data / "apis" / "a.json").write_text(json.dumps(api(f"api{i}")))
        zone.zone = json.dumps(name)
        zone.node(f"n{i}", data=data)
    until("all in the index", lambda: indexed(zone) == len(names))
    with Resp(zone.redis.socket, version) as redis:
        for i, name in enumerate(names):
            found, _ = java.read(redis, java.aggregate(java.query(name, "API")))
            assert [r["id"] for r in found] == [f"api{i}"], name
