# SPDX-License-Identifier: Apache-2.0
"""From a file to every node."""
import json
import os
import shutil
import signal

import pytest

import sentinels
from zone import api, apikey, subscription, until, DEFINITIONS, ROOT


@pytest.mark.threads
@pytest.mark.servers()
@pytest.mark.sources()
def test_a_document_reaches_every_node_and_its_removal_too(zone):
    zone.write("apis/orders.json", api("orders"))
    zone.write("apis/stays.json", api("stays"))
    zone.start(3)
    zone.settled(count=2)
    for n in zone.nodes:
        assert json.loads(n.get("API", "orders"))["definition"] == api("orders")
    zone.write("apis/orders.json", api("orders", version="2"))
    for n in zone.nodes:
        until("the change", lambda: json.loads(n.get("API", "orders"))["definition"]["apiVersion"] == "2")
    zone.remove("apis/orders.json")
    for n in zone.nodes:
        until("the removal", lambda: n.get("API", "orders") is None)
    zone.settled(count=1)


@pytest.mark.sources()
def test_all_published_definitions_are_equal_byte_for_byte_at_every_node(zone):
    ids = zone.load_definitions()
    zone.start(3)
    zone.settled(count=len(ids))
    for f in sorted(DEFINITIONS.glob("*.json")):
        doc = json.loads(f.read_text())
        payloads = {n.get("API", doc["id"]) for n in zone.nodes}
        payloads.add(zone.redis("HGET", f"distributed_event:test:API:{doc['id']}", "payload", raw=True)[:-1])
        assert len(payloads) == 1, f.name
        got = json.loads(payloads.pop())["definition"]
        doc["plans"] = [p for p in doc["plans"] if p["status"].lower() in ("published", "deprecated")]
        assert got == doc


@pytest.mark.threads
@pytest.mark.servers()
@pytest.mark.sources()
def test_children_follow_their_api(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.start(2)
    zone.settled(count=3)
    n = zone.nodes[1]
    assert n.names("--ref", "API:a") == ["API_KEY:k", "SUBSCRIPTION:s"]
    assert json.loads(n.get("API_KEY", "k"))["plan"] == "plan-1"
    zone.write("api-keys/k.json", apikey("k", ["s"], revoked=True))
    until("revoked", lambda: n.get("API_KEY", "k") is None)
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    until("back", lambda: n.get("API_KEY", "k"))
    zone.write("subscriptions/s.json", subscription("s", "a", status="CLOSED"))
    until("closed with its key", lambda: n.names() == ["API:a"])
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.settled(count=3)
    zone.write("apis/stays.json", api("stays"))  # a source that brings nothing at all needs a person
    zone.settled(count=4)
    zone.remove("apis/a.json")
    until("undeployed with its children", lambda: n.names() == ["API:stays"])
    zone.write("apis/a.json", api("a"))
    zone.settled(count=4)
    zone.write("apis/a.json", api("a", plan="another"))
    until("the plan is gone, and what hung on it", lambda: n.names() == ["API:a", "API:stays"])


def test_a_broken_document_is_set_aside_and_stops_nothing(zone):
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    zone.write("apis/a.json", '{"id": "a", ')
    zone.write("apis/b.json", api("b"))
    until("b", lambda: n.get("API", "b"))
    q = until("a in quarantine", lambda: json.loads(n.cli("quarantine", "--json")))
    assert "apis/a.json" in json.dumps(q)
    assert n.get("API", "a"), "its last good version stays"
    zone.write("apis/c.json", "[" * 100000)
    zone.write("apis/d.json", b'{"id":"d\xff"}')
    until("three in quarantine", lambda: n.fetcher()["quarantined"] == 3)
    zone.write("apis/a.json", api("a", version="9"))
    until("mended", lambda: json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "9")
    until("two left", lambda: n.fetcher()["quarantined"] == 2)


def test_what_no_gateway_could_read_leaves_the_last_good_version(zone):
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    before = n.get("API", "a")
    zone.write("apis/a.json", api("a", version="2", endpointGroups=[{"endpoints": [{"name": "e", "weight": "heavy"}]}]))
    zone.write("apis/b.json", {"id": "b", "name": "b", "gravitee": "2.0.0", "proxy": {"context_path": "/", "groups": [{"name": "g"}, {"name": "g"}]}})
    until("both are named", lambda: n.fetcher()["quarantined"] == 2)
    said = n.cli("quarantine")
    assert "endpointGroups[0].endpoints[0].weight is not an integer" in said, said
    assert "proxy.groups[1] has the name of another" in said, said
    assert n.get("API", "a") == before and n.names() == ["API:a"]
    zone.write("apis/a.json", api("a", version="3", endpointGroups=[{"endpoints": [{"name": "e", "weight": "5"}]}]))
    until("mended", lambda: json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "3")


def test_two_files_with_one_id_the_first_by_path_counts(zone):
    zone.write("apis/b.json", api("x", version="b"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    zone.write("apis/a.json", api("x", version="a"))
    until("a counts", lambda: json.loads(n.get("API", "x"))["definition"]["apiVersion"] == "a")
    until("b is named", lambda: "apis/b.json" in n.cli("quarantine"))
    zone.remove("apis/a.json")
    until("b counts", lambda: json.loads(n.get("API", "x"))["definition"]["apiVersion"] == "b")
    until("nobody is named", lambda: n.fetcher()["quarantined"] == 0)


def test_two_files_that_swap_their_content_lose_neither(zone):
    zone.write("apis/a.json", api("x"))
    zone.write("apis/b.json", api("y"))
    zone.start(1)
    zone.settled(count=2)
    n = zone.nodes[0]
    n.kill("fetcher", signal.SIGSTOP)
    zone.write("apis/a.json", api("y", version="2"))
    zone.write("apis/b.json", api("x", version="2"))
    n.kill("fetcher", signal.SIGCONT)
    for id in ("x", "y"):
        until(id, lambda: json.loads(n.get("API", id))["definition"]["apiVersion"] == "2")
    zone.settled(count=2)
    assert "removed" not in n.logs("fetcher")


@pytest.mark.sources()
def test_a_subscription_that_moves_to_an_unknown_api_leaves_the_old_one(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.start(1)
    zone.settled(count=3)
    n = zone.nodes[0]
    zone.write("subscriptions/s.json", subscription("s", "nowhere"))
    zone.compare()
    until("neither it nor its key is left", lambda: n.names() == ["API:a"])


def test_files_of_other_editors_are_read(zone):
    """With a byte order mark, in UTF-16: as the configuration, and what it says is the same."""
    zone.write("apis/a.json", b"\xef\xbb\xbf" + json.dumps(api("a")).encode())
    zone.write("apis/b.json", json.dumps(api("b", name="Größe"), ensure_ascii=False).encode("utf-16"))
    zone.write("apis/c.json", b"\xfe\xff" + json.dumps(api("c")).encode("utf-16-be"))
    zone.write("apis/d.json", b"\xff\xfe{")
    zone.start(1)
    zone.settled(count=3)
    assert "Größe".encode() in zone.nodes[0].get("API", "b")
    until("told", lambda: "save it as UTF-8" in json.dumps(zone.nodes[0].fetcher()["quarantine"]))


def test_a_row_of_events_is_no_definition_and_is_told_so(zone):
    zone.write("apis/a.json", {"_id": "a", "type": "PUBLISH_API", "payload": json.dumps(api("a")), "environments": ["DEFAULT"]})
    zone.write("apis/b.json", api("b"))
    zone.start(1)
    zone.settled(count=1)
    until("told", lambda: "it is a row of events_latest; write" in json.dumps(zone.nodes[0].fetcher()["quarantine"]))


def test_a_half_written_file_is_read_again_before_it_is_judged(zone):
    zone.start(1)
    n = zone.nodes[0]
    zone.settled(count=0)
    text = json.dumps(api("slow"))
    path = zone.data / "apis" / "slow.json"
    path.parent.mkdir(exist_ok=True)
    zone.write("apis/other.json", api("other"))
    until("apis is watched", lambda: n.get("API", "other"))
    with open(path, "w") as f:
        f.write(text[:50])
        f.flush()
        os.fsync(f.fileno())
        zone.write("apis/other.json", api("other", version="2"))
        until("a pass saw it", lambda: json.loads(n.get("API", "other"))["definition"]["apiVersion"] == "2")
        f.write(text[50:])
    until("whole", lambda: n.get("API", "slow"))
    assert "quarantine" not in n.logs("fetcher").replace("quarantined=0", "")


@pytest.mark.sources()
def test_environment_names_reach_the_envelope(zone):
    zone.write("environments/e.json", {"id": "DEFAULT", "hrids": ["default"], "name": "d", "organizationId": "ORG"})
    zone.write("organizations/o.json", {"id": "ORG", "hrids": ["org"], "name": "o"})
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    got = json.loads(n.get("API", "a"))
    assert (got["environmentHrid"], got["organizationId"], got["organizationHrid"]) == ("default", "ORG", "org")
    zone.write("environments/e.json", {"id": "DEFAULT", "hrids": ["new"], "name": "d", "organizationId": "ORG"})
    until("renamed", lambda: json.loads(n.get("API", "a"))["environmentHrid"] == "new")


@pytest.mark.servers()
@pytest.mark.sources()
def test_a_large_entity_reaches_everybody_who_asks(zone):
    zone.write("apis/big.json", api("big", description="x" * (9 << 20)))
    zone.start(2)
    zone.settled(count=1)
    for n in zone.nodes:
        assert len(n.get("API", "big")) > 9 << 20
    zone.write("apis/big.json", api("big", description="y" * (12 << 20)))
    until("the change", lambda: b"yyyy" in zone.nodes[1].get("API", "big"))
    assert len(zone.nodes[1].get("API", "big")) > 12 << 20


def test_a_host_with_an_address_where_nobody_listens(zone):
    """As `localhost` is ::1 first, and many servers listen on 127.0.0.1 only."""
    server = sentinels.Server(zone.base / "redis", "tcp", "save ''").start()
    zone.write("apis/a.json", api("a"))
    hosts = zone.base / "hosts"
    hosts.write_text("::1 two.test\n127.0.0.1 two.test\n")
    n = zone.node("n1", start=False)
    n.config.write_text(n.config.read_text().replace(f"    socket: {zone.redis.socket}\n", "").replace(
        "  type: redis\n", f"  type: redis\n  redis: {{host: two.test, port: {server.port}}}\n"))
    inside = ["unshare", "-rm", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$0" "$@"']
    try:
        n.start(within=inside)
        until("it serves", lambda: n.names() == ["API:a"])
    finally:
        n.stop()
        server.kill()


@pytest.mark.sources("file")
def test_the_samples_are_a_zone_that_works(zone):
    shutil.copytree(ROOT / "conf" / "samples", zone.data, dirs_exist_ok=True)
    zone.start(1)
    n = zone.nodes[0]
    zone.settled()
    until("all kinds", lambda: {k.split(":")[0] for k in n.names()} == {
        "ACCESS_POINT", "API", "API_KEY", "API_PRODUCT", "DICTIONARY", "NODE_METADATA",
        "SHARED_POLICY_GROUP", "SUBSCRIPTION"})
    assert n.fetcher()["quarantined"] == 0
    assert "shop-orders" in n.cli("resolve", "key", "orders", "a-key-for-trying-things-out")
    assert "API product   basics\n" in n.cli("resolve", "key", "echo", "another-key-for-trying-things-out")


def test_a_key_with_very_many_subscriptions_holds_up_nobody(zone):
    """What a key costs grows with its subscriptions, not with their square."""
    zone.ttl = 5000  # or a busy machine would make promotions that are not of the test
    ids = [f"s{i}" for i in range(50000)]
    zone.write("apis/a.json", api("a"))
    zone.write("apis/b.json", api("b"))
    for id in ids[:1000]:
        zone.write(f"subscriptions/{id}.json", subscription(id, "a"))
    zone.write("api-keys/k.json", apikey("k", ids))
    zone.start(1)
    zone.settled(count=1003)
    n = zone.nodes[0]
    zone.write("apis/a.json", api("a", plan="another"))
    until("all that hung on the plan is gone", lambda: len(n.names()) == 2)
    zone.write("apis/a.json", api("a"))
    zone.write("apis/b.json", api("b", version="2"))
    until("b", lambda: json.loads(n.get("API", "b"))["definition"]["apiVersion"] == "2")
    until("the key is back", lambda: len(n.names()) == 1003)


def forced(n, id):
    return json.loads(n.get("SUBSCRIPTION", id))["forceDispatch"]


def test_a_subscription_found_with_its_api_is_dispatched_by_force(zone):
    """As the reference has it: with the API at the first pass and at each deployment, by itself when it changes."""
    plans = [{"id": p, "name": p, "security": {"type": "api-key"}, "mode": mode, "status": "published"}
             for p, mode in (("pushed", "push"), ("plan-1", "standard"))]
    push = {"type": "PUSH", "configuration": "{}"}
    zone.write("apis/a.json", api("a", plans=plans))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("subscriptions/p.json", subscription("p", "a", plan="pushed", **push))
    zone.start(1)
    zone.settled(count=3)
    n = zone.nodes[0]
    assert forced(n, "s") and forced(n, "p")
    zone.write("subscriptions/p.json", subscription("p", "a", plan="pushed", applicationName="Other", **push))
    zone.write("subscriptions/q.json", subscription("q", "a"))
    until("q", lambda: "SUBSCRIPTION:q" in n.names())
    until("p by itself", lambda: not forced(n, "p"))
    assert not forced(n, "q") and forced(n, "s")
    zone.write("apis/a.json", api("a", version="2", plans=plans))
    until("p with its API", lambda: forced(n, "p"))
    assert not forced(n, "q"), "nothing is pushed there"


def test_an_id_of_a_megabyte_costs_the_fetcher_nothing(zone):
    """It is told, cut, with each sign of life."""
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=1)
    n = zone.nodes[0]
    zone.write("subscriptions/x.json", {**subscription("s", "a"), "id": "x" * 1_100_000})
    until("it is told", lambda: n.fetcher()["quarantined"] == 1)
    assert len(n.fetcher()["quarantine"][0]["id"]) < 1000
    zone.write("apis/b.json", api("b"))
    until("published", lambda: n.get("API", "b"))
    assert "event=supervisor_send_failed" not in n.logs("fetcher")
