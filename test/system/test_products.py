# SPDX-License-Identifier: Apache-2.0
"""API products: their subscriptions and keys, and the APIs that only they make eligible (storage 3.6)."""
import json

import pytest

import mongo as m
from zone import api, apikey, product, product_subscription, subscription, until

OLD = 1755700000000  # rows that lie far behind any cursor
KIDS = ["API_KEY:pk", "SUBSCRIPTION:ps"]


def names_are(n, *want):
    until(f"exactly {want}", lambda: n.names() == sorted(want))


def one_node(zone, **kw):
    zone.delay = 200
    zone.ttl = 5000  # or a busy machine would make promotions that are not of the test
    zone.start(1, **kw)
    return zone.nodes[0]


def fill(zone, apis=("a",), **kw):
    """An API with a subscription and a key of its own, and a product with the same."""
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.write("api-products/p.json", product("p", list(apis), **kw))
    zone.write("subscriptions/ps.json", product_subscription("ps", "p", clientId="c"))
    zone.write("api-keys/pk.json", apikey("pk", ["ps"]))


OWN = ["API:a", "SUBSCRIPTION:s", "API_KEY:k"]
ALL = [*OWN, "API_PRODUCT:p", *KIDS]


def event(zone, name):
    return zone.redis.hash(f"distributed_event:test:{name}")


@pytest.mark.servers()
@pytest.mark.sources()
def test_a_product_brings_its_subscriptions_and_keys_and_takes_nobody_elses(zone):
    fill(zone)
    zone.start(2)
    zone.settled(count=6)
    n = zone.nodes[1]
    assert n.names() == sorted(ALL)
    # As the reference names and writes them: the type of the reference is always API.
    got = event(zone, "API:p:SUBSCRIPTION:ps")
    assert (got["id"], got["type"], got["syncAction"]) == ("ps", "SUBSCRIPTION", "DEPLOY")
    payload = json.loads(got["payload"])
    assert payload["apiProductId"] == "p" and "api" not in payload and payload["plan"] == "plan-p"
    assert json.loads(event(zone, "API:p:API_KEY:pk")["payload"])["api"] == "p"
    assert json.loads(n.get("API_PRODUCT", "p"))["apiIds"] == ["a"]
    assert n.names("--ref", "API_PRODUCT:p") == KIDS
    # A change and a revocation reach everyone.
    zone.write("subscriptions/ps2.json", product_subscription("ps2", "p"))
    zone.write("api-keys/pk.json", apikey("pk", ["ps"], revoked=True))
    names_are(n, *OWN, "API_PRODUCT:p", "SUBSCRIPTION:ps", "SUBSCRIPTION:ps2")
    zone.write("api-keys/pk.json", apikey("pk", ["ps"]))
    names_are(n, *ALL, "SUBSCRIPTION:ps2")
    zone.write("subscriptions/ps.json", product_subscription("ps", "p", status="CLOSED"))
    names_are(n, *OWN, "API_PRODUCT:p", "SUBSCRIPTION:ps2")
    zone.write("subscriptions/ps.json", product_subscription("ps", "p"))
    names_are(n, *ALL, "SUBSCRIPTION:ps2")
    zone.remove("api-products/p.json")
    names_are(n, *OWN)
    for name in ("API:p:SUBSCRIPTION:ps", "API:p:API_KEY:pk", "API_PRODUCT:p"):
        assert event(zone, name)["syncAction"] == "UNDEPLOY"
    zone.write("api-products/p.json", product("p", ["a"]))
    names_are(n, *ALL, "SUBSCRIPTION:ps2")


@pytest.mark.sources()
def test_a_product_without_an_api_or_without_the_plan_has_no_subscriptions(zone):
    fill(zone)
    n = one_node(zone)
    names_are(n, *ALL)
    zone.write("api-products/p.json", product("p", []))
    names_are(n, *OWN, "API_PRODUCT:p")
    zone.write("api-products/p.json", product("p", ["a"]))
    names_are(n, *ALL)
    zone.write("api-products/p.json", product("p", ["a"], plan="another"))
    names_are(n, *OWN, "API_PRODUCT:p")
    zone.write("api-products/p.json", product("p", ["a"]))
    names_are(n, *ALL)


@pytest.mark.parametrize("why", ["tags", "plans"])
@pytest.mark.sources()
def test_an_api_that_only_a_product_makes_eligible_comes_and_goes_with_it(zone, why):
    more = {"tags": {"tags": ["us"]}, "plans": {"plans": []}}[why]
    zone.write("apis/a.json", api("a", tags=["eu"]))
    zone.write("apis/b.json", api("b", **more))
    zone.write("apis/c.json", api("c", **more))
    n = one_node(zone, more="tags: eu")
    names_are(n, "API:a")
    zone.write("api-products/p.json", product("p", ["b"]))
    names_are(n, "API:a", "API:b", "API_PRODUCT:p")
    zone.write("api-products/p.json", product("p", ["c", "b"]))
    names_are(n, "API:a", "API:b", "API:c", "API_PRODUCT:p")
    zone.write("api-products/q.json", product("q", ["c", "a"]))
    names_are(n, "API:a", "API:b", "API:c", "API_PRODUCT:p", "API_PRODUCT:q")
    zone.write("api-products/p.json", product("p", ["a"]))
    names_are(n, "API:a", "API:c", "API_PRODUCT:p", "API_PRODUCT:q")
    # Without plans a product makes nothing eligible; closed ones are none.
    closed = product("q", ["c", "a"])
    closed["plans"][0]["status"] = "closed"
    zone.write("api-products/q.json", closed)
    names_are(n, "API:a", "API_PRODUCT:p", "API_PRODUCT:q")
    zone.write("api-products/q.json", product("q", ["c"]))
    names_are(n, "API:a", "API:c", "API_PRODUCT:p", "API_PRODUCT:q")
    zone.remove("api-products/q.json")
    names_are(n, "API:a", "API_PRODUCT:p")
    assert n.fetcher()["quarantined"] == 0


@pytest.mark.sources()
def test_an_api_that_stops_is_undeployed_though_a_product_has_it(zone):
    zone.write("apis/b.json", api("b", tags=["us"]))
    zone.write("api-products/p.json", product("p", ["b"]))
    n = one_node(zone, more="tags: eu")
    names_are(n, "API:b", "API_PRODUCT:p")
    zone.remove("apis/b.json")
    names_are(n, "API_PRODUCT:p")


@pytest.mark.sources()
def test_a_refill_comes_to_the_same(zone):
    """Whatever the order in which rows are met."""
    for id in ("a", "m", "z"):
        zone.write(f"apis/{id}.json", api(id, tags=["us"]))
        zone.write(f"subscriptions/s{id}.json", subscription(f"s{id}", id))
    zone.write("api-products/n.json", product("n", ["a", "z"]))
    zone.write("subscriptions/ps.json", product_subscription("ps", "n"))
    want = ["API:a", "API:z", "SUBSCRIPTION:sa", "SUBSCRIPTION:sz", "API_PRODUCT:n", "SUBSCRIPTION:ps"]
    n = one_node(zone, more="tags: eu")
    names_are(n, *want)
    lineage = zone.settled(count=6)["lineage"]
    rev = zone.redis.meta()["rev"]
    done = n.logs("fetcher").count("pass_done")
    zone.compare() if zone.SOURCE == "mongodb" else n.cli("compare")
    until("compared", lambda: n.logs("fetcher").count("pass_done") > done)
    assert zone.settled(count=6)["rev"] == rev, "a comparison finds nothing to do"
    n.config.write_text(n.config.read_text().replace("tags: eu", "tags: [eu, fr]"))  # another mapping
    n.cli("reload")
    until("refilled", lambda: zone.redis.meta()["lineage"] != lineage and zone.redis.meta()["complete"] == "1")
    zone.settled(count=6)
    assert n.names() == sorted(want)


@pytest.mark.sources()
def test_a_node_that_was_away_comes_to_the_same(zone):
    fill(zone)
    zone.write("apis/b.json", api("b", tags=["us"]))
    zone.start(2)
    zone.settled(count=7)
    n = next(x for x in zone.nodes if x is not zone.primary())
    n.stop()
    zone.write("api-products/p.json", product("p", ["b"]))
    zone.write("api-keys/pk.json", apikey("pk", ["ps"], revoked=True))
    zone.write("api-products/q.json", product("q", ["a"]))
    zone.write("subscriptions/qs.json", product_subscription("qs", "q"))
    p = zone.primary()
    names_are(p, *OWN, "API:b", "API_PRODUCT:p", "SUBSCRIPTION:ps", "API_PRODUCT:q", "SUBSCRIPTION:qs")
    zone.remove("api-products/p.json")
    names_are(p, *OWN, "API:b", "API_PRODUCT:q", "SUBSCRIPTION:qs")
    n.start()
    zone.settled(count=6)
    assert n.names() == p.names()


def resolved(n, ref, key="key-of-pk"):
    r = n.cli("resolve", "key", ref, key, "--json", check=False)
    return r.returncode, json.loads(r.stdout)["matches"] if r.stdout else []


@pytest.mark.sources()
def test_a_call_of_an_api_passes_by_its_product(zone):
    fill(zone, apis=["a", "b"])
    zone.write("apis/b.json", api("b"))
    n = one_node(zone)
    names_are(n, *ALL, "API:b")
    for ref in ("a", "API:b"):
        code, matches = resolved(n, ref)
        assert code == 0 and [(m["subscription"], m["api_product"]) for m in matches] == [("ps", "p")]
    assert resolved(n, "API_PRODUCT:p")[1][0]["api_product"] == ""
    assert "API product   p\n" in n.cli("resolve", "key", "a", "key-of-pk")
    assert "API product   p\n" in n.cli("resolve", "subscription", "a", "c", "--plan", "plan-p")
    assert "API product" not in n.cli("resolve", "key", "a", "key-of-k")
    zone.write("api-products/p.json", product("p", ["b"]))
    until("it leaves", lambda: resolved(n, "a") == (1, []))
    assert resolved(n, "b")[0] == 0
    zone.remove("api-products/p.json")
    until("it is gone", lambda: resolved(n, "b") == (1, []))
    zone.write("api-products/p.json", product("p", ["b"]))
    until("it is back", lambda: resolved(n, "b")[0] == 0)
    zone.write("subscriptions/ps.json", product_subscription("ps", "p", status="PAUSED"))
    until("paused", lambda: resolved(n, "b")[0] != 0)


# --- files ---

@pytest.mark.sources("file")
def test_an_api_and_a_product_of_one_id_are_not_mixed_up(zone):
    """Whoever was there first stays, over restarts too; the other is named."""
    fill(zone)
    n = one_node(zone)
    names_are(n, *ALL)
    zone.write("api-products/x.json", product("a", ["b"]))
    until("named", lambda: "api-products/x.json" in n.cli("quarantine"))
    zone.write("apis/y.json", api("p"))
    until("named", lambda: "apis/y.json" in n.cli("quarantine"))
    assert n.names() == sorted(ALL)
    rev = zone.settled(count=6)["rev"]
    n.stop()
    n.start()
    until("compared", lambda: n.logs("fetcher").count("pass_done") > 1 and n.cli("quarantine").count("too") == 2)
    assert zone.settled(count=6)["rev"] == rev
    zone.remove("api-products/x.json")
    zone.remove("api-products/p.json")
    names_are(n, *OWN, "API:p")
    assert n.cli("quarantine").count("too") == 0


@pytest.mark.sources("file")
def test_products_that_vanish_are_held_and_what_they_made_eligible_too(zone):
    for i in range(12):
        zone.write(f"apis/a{i}.json", api(f"a{i}", tags=["us"]))
        zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", f"a{i}"))
        zone.write(f"api-products/p{i}.json", product(f"p{i}", [f"a{i}"]))
    n = one_node(zone, more="tags: eu")
    zone.settled(count=36)
    (zone.data / "api-products").rename(zone.base / "aside")  # at once: one by one they would go
    (zone.data / "api-products").mkdir()
    until("held", lambda: "accept-deletes" in n.fetcher()["guard"])
    n.cli("compare")
    zone.settled(count=36)
    zone.write("api-products/p0.json", product("p0", [f"a{i}" for i in range(12)]))
    until("only the products", lambda: "11 of 12 API_PRODUCT would be removed" in n.fetcher()["guard"])
    n.cli("resync", "--accept-deletes")
    names_are(n, "API_PRODUCT:p0", *[f"API:a{i}" for i in range(12)], *[f"SUBSCRIPTION:s{i}" for i in range(12)])


@pytest.mark.sources("file")
def test_what_vanished_products_made_eligible_is_held_by_who_has_just_started(zone):
    """It knows no more than that the zone holds products which the source does not have."""
    for i in range(2):  # few enough to go at once
        zone.write(f"apis/a{i}.json", api(f"a{i}", tags=["us"]))
        zone.write(f"api-products/p{i}.json", product(f"p{i}", [f"a{i}"]))
    zone.write("apis/eu.json", api("eu", tags=["eu"]))
    n = one_node(zone, more="tags: eu")
    zone.settled(count=5)
    n.stop()
    (zone.data / "api-products").rename(zone.base / "aside")
    n.start()
    until("held", lambda: "2 of 2 API_PRODUCT would be removed" in n.fetcher()["guard"])
    assert len(n.names()) == 5
    (zone.base / "aside").rename(zone.data / "api-products")
    until("not any more", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=5)
    zone.write("apis/a0.json", api("a0", tags=["us"], version="2"))
    zone.write("api-products/p0.json", product("p0", ["eu"]))
    names_are(n, "API:a1", "API:eu", "API_PRODUCT:p0", "API_PRODUCT:p1")


@pytest.mark.sources("file")
def test_a_product_that_cannot_be_read_withdraws_nothing(zone):
    zone.write("apis/b.json", api("b", tags=["us"]))
    zone.write("api-products/p.json", product("p", ["b"]))
    zone.write("subscriptions/s.json", subscription("s", "b"))
    n = one_node(zone, more="tags: eu")
    want = ["API:b", "API_PRODUCT:p", "SUBSCRIPTION:s"]
    names_are(n, *want)
    zone.write("api-products/p.json", "{")
    for restart in (False, True):
        if restart:
            n.stop()
            n.start()
        done = n.logs("fetcher").count("pass_done")
        n.cli("compare", check=False)
        until("named", lambda: "api-products/p.json" in n.cli("quarantine"))
        until("compared", lambda: n.logs("fetcher").count("pass_done") > done)
        zone.settled(count=3)
        assert n.names() == sorted(want)
    zone.write("api-products/p.json", product("p", ["b"]))
    until("mended", lambda: n.fetcher()["quarantined"] == 0)
    zone.settled(count=3)


# --- a database ---

def put_product(zone, id, apis, updated=m.NOW, **kw):
    zone.event(id, "DEPLOY_API_PRODUCT", json.dumps(product(id, apis, **kw)), "api_product_id", updated=updated)


def put_api(zone, id, updated=m.NOW, **kw):
    zone.event(id, "PUBLISH_API", m.bean(api(id, **kw)), updated=updated)


def fill_db(zone, count=1, updated=OLD):
    """Each product makes one API eligible; both have a subscription, that of the product has a key."""
    for i in range(count):
        put_api(zone, f"b{i}", updated, tags=["us"])
        put_product(zone, f"p{i}", [f"b{i}"], updated)
        zone.row("subscriptions", subscription(f"s{i}", f"b{i}"), updated)
        zone.row("subscriptions", product_subscription(f"ps{i}", f"p{i}"), updated)
        zone.row("keys", apikey(f"pk{i}", [f"ps{i}"]), updated)


def fill_names(*numbers):
    return [name.format(i) for i in numbers
            for name in ("API:b{}", "API_PRODUCT:p{}", "SUBSCRIPTION:s{}", "SUBSCRIPTION:ps{}", "API_KEY:pk{}")]


def compared(zone, n, times=1):
    for _ in range(times):
        done = n.logs("fetcher").count("pass_done")
        zone.compare()
        until("compared", lambda: n.logs("fetcher").count("pass_done") > done)


@pytest.mark.sources("mongodb")
def test_a_change_that_only_a_comparison_finds_judges_the_apis_too(zone):
    put_api(zone, "b", OLD, tags=["us"])
    put_api(zone, "c", OLD, tags=["us"])
    zone.row("subscriptions", subscription("sb", "b"), OLD)
    zone.row("subscriptions", subscription("sc", "c"), OLD)
    put_api(zone, "z", tags=["eu"])  # the cursor is far ahead of what follows
    n = one_node(zone, more="tags: eu")
    zone.settled(count=1)
    put_product(zone, "p", ["b"], OLD)
    compared(zone, n)
    names_are(n, "API:z", "API:b", "SUBSCRIPTION:sb", "API_PRODUCT:p")
    put_product(zone, "p", ["c"], OLD + 1)
    compared(zone, n)
    names_are(n, "API:z", "API:c", "SUBSCRIPTION:sc", "API_PRODUCT:p")
    zone.event("p", "UNDEPLOY_API_PRODUCT", property="api_product_id", updated=OLD + 2)
    compared(zone, n)
    names_are(n, "API:z")


@pytest.mark.sources("mongodb")
def test_what_changed_while_no_primary_ran_is_judged_by_the_next(zone):
    fill_db(zone, 2)
    put_api(zone, "c", OLD, tags=["us"])
    n = one_node(zone, more="tags: eu")
    names_are(n, *fill_names(0, 1))
    n.stop()
    put_product(zone, "p0", ["c"])
    zone.mongo.db["events_latest"].delete_one({"_id": "p1"})
    n.start()
    names_are(n, "API:c", "API_PRODUCT:p0", "SUBSCRIPTION:ps0", "API_KEY:pk0")


@pytest.mark.sources("mongodb")
def test_a_fail_over_with_products_writes_nothing_and_reads_few_rows(zone):
    fill_db(zone, 8)
    for i in range(60):
        put_api(zone, f"a{i:02}", OLD, tags=["eu"])
    zone.delay = 200
    zone.start(2, more="tags: eu")
    before = zone.settled(count=100)
    p = zone.primary()
    until("compared", lambda: "pass_done" in p.logs("fetcher"))
    p.crash()
    q = zone.primary(among=[n for n in zone.nodes if n is not p])
    until("compared", lambda: "pass_done" in q.logs("fetcher"))
    assert zone.settled(nodes=[q], count=100)["rev"] == before["rev"]
    put_product(zone, "p0", ["b0", "a00"])
    until("the next change", lambda: b"a00" in q.get("API_PRODUCT", "p0"))
    zone.event("p1", "UNDEPLOY_API_PRODUCT", property="api_product_id")
    until("its API is gone", lambda: q.get("API", "b1") is None)
    zone.settled(nodes=[q], count=95)


@pytest.mark.sources("mongodb")
def test_rows_of_products_that_vanish_are_held_and_what_they_made_eligible_too(zone):
    fill_db(zone, 12)
    n = one_node(zone, more="tags: eu")
    zone.settled(count=60)
    zone.mongo.db["events_latest"].delete_many({"type": "DEPLOY_API_PRODUCT"})
    compared(zone, n)
    until("held", lambda: "accept-deletes" in n.fetcher()["guard"])
    compared(zone, n, 2)
    n.stop()
    n.start()
    until("held", lambda: "accept-deletes" in n.fetcher()["guard"])
    compared(zone, n)
    zone.settled(count=60)
    for i in range(11):
        put_product(zone, f"p{i}", [f"b{i}"])
    until("they are back", lambda: n.fetcher()["rows"] and zone.redis("HGET", "zonesync:{test}:cursor", "members"))
    compared(zone, n)
    names_are(n, *fill_names(*range(11)))


@pytest.mark.parametrize("field,value", [("payload", "{"), ("payload", 5), ("properties", 5),
                                         ("payload", '{"id":"p0","apiIds":[5]}'), ("payload", '{"id":"p0","plans":5}')], ids=str)
@pytest.mark.sources("mongodb")
def test_a_products_row_that_cannot_be_read_withdraws_nothing(zone, field, value):
    fill_db(zone)
    put_api(zone, "c", OLD, tags=["us"])
    n = one_node(zone, more="tags: eu")
    names_are(n, *fill_names(0))
    rev = zone.settled(count=5)["rev"]
    before = zone.mongo.db["events_latest"].find_one({"_id": "p0"})
    zone.mongo.db["events_latest"].update_one({"_id": "p0"}, {"$set": {field: value, "updatedAt": m.date(m.now_ms())}})
    for restart in (False, True):
        if restart:
            n.stop()
            n.start()
        put_api(zone, "b0", tags=["us"])  # it is looked at again, by a delta
        until("named", lambda: "events_latest/p0" in n.cli("quarantine"))
        compared(zone, n, 2)
        assert n.names() == sorted(fill_names(0))
    before["updatedAt"] = m.date(m.now_ms())
    zone.mongo.db["events_latest"].replace_one({"_id": "p0"}, before)
    until("mended", lambda: n.fetcher()["quarantined"] == 0)
    compared(zone, n)
    zone.settled(count=5)
    assert n.names() == sorted(fill_names(0)) and int(zone.redis.meta()["rev"]) > int(rev)


@pytest.mark.parametrize("questions", range(1, 9))
@pytest.mark.sources("mongodb")
def test_a_primary_that_dies_in_the_middle_of_a_products_deploy_loses_nothing(zone, questions):
    """After so many questions to the database: whoever goes on must look at what is left."""
    fill_db(zone, 2)
    put_api(zone, "c", OLD, tags=["us"])
    zone.row("subscriptions", subscription("sc", "c"), OLD)
    n = one_node(zone, more="tags: eu")
    names_are(n, *fill_names(0, 1))
    zone.mongo.fail(["find"], errorCode=11600)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    put_product(zone, "p0", ["c"], plan="another")  # loses b0 and its subscription, gains c
    put_product(zone, "new", ["b0"])
    zone.row("subscriptions", product_subscription("new", "new"), OLD)
    zone.row("keys", apikey("new", ["new"]), OLD)
    zone.event("p1", "UNDEPLOY_API_PRODUCT", property="api_product_id")
    asked = zone.mongo.db.command("serverStatus")["opcounters"]["query"]
    zone.mongo.fail(["find"], {"skip": questions, "times": 1000000}, errorCode=11600)
    until("it got so far", lambda: zone.mongo.db.command("serverStatus")["opcounters"]["query"] > asked + questions)
    n.kill("fetcher")
    zone.mongo.heal()
    names_are(n, "API:c", "SUBSCRIPTION:sc", "API_PRODUCT:p0", "API:b0", "SUBSCRIPTION:s0", "API_PRODUCT:new",
              "SUBSCRIPTION:new", "API_KEY:new")
    compared(zone, n)
    zone.settled(count=8)


@pytest.mark.parametrize("how", ["error", "close"])
@pytest.mark.parametrize("nth", range(10))
@pytest.mark.sources("mongodb")
def test_a_delta_with_products_that_fails_once_loses_nothing(zone, nth, how):
    fill_db(zone, 2)
    put_api(zone, "c", OLD, tags=["us"])
    n = one_node(zone, more="tags: eu")
    names_are(n, *fill_names(0, 1))
    until("compared", lambda: "pass_done" in n.logs("fetcher"))
    zone.mongo.fail(["hello", "isMaster", "find"], errorCode=11600)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    put_product(zone, "p0", ["c"])
    put_product(zone, "p1", ["b1"], plan="another")
    zone.mongo.fail_after(nth, how)
    names_are(n, "API:c", "API_PRODUCT:p0", "SUBSCRIPTION:ps0", "API_KEY:pk0", "API:b1", "SUBSCRIPTION:s1", "API_PRODUCT:p1")


@pytest.mark.sources("mongodb")
def test_an_api_whose_row_becomes_a_products_leaves_nothing_behind(zone):
    """One row cannot be both: what was the API's goes, the product's stays."""
    put_api(zone, "x", OLD)
    zone.row("subscriptions", subscription("s", "x"), OLD)
    n = one_node(zone)
    names_are(n, "API:x", "SUBSCRIPTION:s")
    put_product(zone, "x", ["y"])
    zone.row("subscriptions", product_subscription("ps", "x"), OLD)
    until("the product", lambda: n.get("API_PRODUCT", "x"))
    compared(zone, n, 2)
    names_are(n, "API_PRODUCT:x", "SUBSCRIPTION:ps")
