# SPDX-License-Identifier: Apache-2.0
"""Rows that cannot be read: each is named, its last good version stays, the rest goes on."""
import datetime
import json

import bson
import pytest

import mongo as m
from zone import api, apikey, subscription, until
from test_mongo import OLD, names_are, one_node, put_api, put_key, put_sub, see_a_delta

pytestmark = pytest.mark.sources("mongodb")

ALL = ["API:a", "API:b", "API_KEY:k", "DICTIONARY:d", "SUBSCRIPTION:s"]
DICTIONARY = {"id": "d", "key": "k", "name": "d", "environmentId": "DEFAULT", "properties": {"a": "b"}}


def fill(zone):
    put_api(zone, "a", updated=OLD)
    put_api(zone, "b", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    zone.event("d", "PUBLISH_DICTIONARY", json.dumps(DICTIONARY), "dictionary_id", updated=OLD)
    n = one_node(zone)
    zone.settled(count=5)
    return n


def damage(zone, table, id, **fields):
    """As an update by hand would: $set, and a new updatedAt unless that is what is damaged."""
    fields.setdefault("updatedAt", m.date(m.now_ms()))
    gone = {k: 1 for k, v in fields.items() if v is None}
    change = {"$set": {k: v for k, v in fields.items() if v is not None}}
    if gone:
        change["$unset"] = gone
    if not change["$set"]:
        del change["$set"]
    before = zone.mongo.db[table].find_one({"_id": id})
    assert zone.mongo.db[table].update_one({"_id": id}, change).matched_count == 1
    return before


def entries(n):
    found = [json.loads(line) for line in n.cli("quarantine", "--json").split("\n") if line]
    return {q["where"]: q["reason"] for q in found}


def is_named(zone, n, where):
    zone.compare()
    until(f"{where} is named", lambda: where in entries(n))


def log_lines(n, *events):
    return [line for line in n.logs("fetcher").splitlines() if any(f"event={e} " in line for e in events)]


def stays_and_is_mended(zone, n, table, id, before, names=ALL):
    where = f"{table}/{id}"
    is_named(zone, n, where)
    done = n.logs("fetcher").count("pass_done")
    for i in range(2):
        zone.compare()
        until("compared", lambda: n.logs("fetcher").count("pass_done") > done + i)
    see_a_delta(zone, n)
    assert n.names() == names, "its last good version stays, the rest goes on"
    # Once for each promotion: on a busy machine there may have been another one.
    times = len(log_lines(n, "promoted"))
    assert len(log_lines(n, "quarantine")) <= times and not log_lines(n, "quarantine_over"), n.logs("fetcher")
    assert len(log_lines(n, "removals_held")) <= times, n.logs("fetcher")
    before["updatedAt"] = m.date(m.now_ms())
    zone.mongo.db[table].replace_one({"_id": before["_id"]}, before)
    until("mended", lambda: entries(n) == {})
    assert n.names() == names


def test_what_is_set_aside_is_called_what_it_is(zone):
    """By its type, whatever else of it cannot be read; and no API where that cannot be read either."""
    n = fill(zone)
    kind = lambda: {q["where"]: q["type"] for q in map(json.loads, n.cli("quarantine", "--json").splitlines())}
    damage(zone, "events_latest", "d", properties="none")
    damage(zone, "events_latest", "b", type=5)
    zone.compare()
    until("both", lambda: kind() == {"events_latest/d": "DICTIONARY", "events_latest/b": "EVENT"})
    assert n.names() == ALL


EVENT = [("type", 5), ("type", ["PUBLISH_API"]), ("type", "PAUSE_API"), ("payload", 7), ("payload", "{"), ("payload", {"id": "a"}),
         ("payload", None), ("properties", "none"), ("properties", {"api_id": 9}),
         ("properties", {"api_id": "a", "deployment_number": ["x"]}), ("createdAt", "yesterday"),
         ("updatedAt", "today"), ("updatedAt", 12345), ("updatedAt", None), ("updatedAt", {"$x": 1})]


@pytest.mark.parametrize("field,value", EVENT, ids=str)
def test_an_event_of_a_wrong_type_is_set_aside(zone, field, value):
    n = fill(zone)
    before = damage(zone, "events_latest", "a", **{field: value})
    stays_and_is_mended(zone, n, "events_latest", "a", before)


SUBSCRIPTION = [("api", 5), ("api", None), ("plan", 5), ("plan", None), ("status", 5), ("status", "OPEN"), ("referenceType", "TEAM"),
                ("consumerStatus", 5), ("metadata", 5), ("startingAt", "soon"), ("endingAt", "never"),
                ("type", "PULL"), ("updatedAt", "today"), ("updatedAt", None), ("createdAt", "x"),
                ("applicationName", {"a": 1})]


@pytest.mark.parametrize("field,value", SUBSCRIPTION, ids=str)
def test_a_subscription_of_a_wrong_type_is_set_aside(zone, field, value):
    n = fill(zone)
    before = damage(zone, "subscriptions", "s", **{field: value})
    stays_and_is_mended(zone, n, "subscriptions", "s", before)


KEY = [("key", 5), ("key", None), ("subscriptions", "s"), ("subscriptions", [5]), ("revoked", "no"), ("paused", "no"),
       ("federated", 0), ("expireAt", "never"), ("updatedAt", "today"), ("updatedAt", None), ("createdAt", [1]),
       ("application", {"a": 1})]


@pytest.mark.parametrize("field,value", KEY, ids=str)
def test_a_key_of_a_wrong_type_is_set_aside(zone, field, value):
    n = fill(zone)
    before = damage(zone, "keys", "k", **{field: value})
    stays_and_is_mended(zone, n, "keys", "k", before)


@pytest.mark.parametrize("table,id", [("environments", "E"), ("organizations", "O")])
@pytest.mark.parametrize("field,value", [("hrids", "default"), ("hrids", [5]), ("hrids", {"a": "one"}), ("organizationId", 5)], ids=str)
def test_a_place_of_a_wrong_type_takes_nothing_along(zone, table, id, field, value):
    if table == "organizations" and field == "organizationId":
        return
    zone.row("organizations", {"id": "O", "hrids": ["org"], "name": "o"}, None)
    for e in ("E", "F"):
        zone.row("environments", {"id": e, "hrids": [e.lower()], "name": e, "organizationId": "O"}, None)
        zone.event(f"a{e}", "PUBLISH_API", m.bean(api(f"a{e}"), environment=e), updated=OLD, environments=[e])
        zone.row("subscriptions", subscription(f"s{e}", f"a{e}", environmentId=e), OLD)
    more = "environments: [e, f]" if table == "environments" else "organizations: org"
    n = one_node(zone, more=more)
    rev = zone.settled(count=4)["rev"]
    names, payload = n.names(), n.get("API", "aE")
    before = zone.mongo.db[table].find_one({"_id": id})
    zone.mongo.db[table].update_one({"_id": id}, {"$set": {field: value}})
    is_named(zone, n, f"{table}/{id}") if table == "environments" else zone.compare()
    for restart in (False, True):
        if restart:
            n.stop()
            n.start()
        done = n.logs("fetcher").count("pass_done")
        for i in range(3):
            n.cli("compare", check=False)
            if table == "environments":
                until("compared", lambda: n.logs("fetcher").count("pass_done") > done + i)
        assert n.names() == names
        assert n.get("API", "aE") == payload
    zone.mongo.db[table].replace_one({"_id": id}, before)
    zone.compare()
    until("mended", lambda: entries(n) == {} and n.fetcher()["source"] == "up")
    assert zone.settled(count=4)["rev"] == rev, "nothing was written"


# --- ids ---

ODD = [5, 2.5, True, bson.ObjectId("0123456789abcdef01234567"), {"a": "b"}, datetime.datetime(2020, 1, 1)]


@pytest.mark.parametrize("id", ODD, ids=lambda v: type(v).__name__)
def test_an_id_that_is_no_text_is_named_and_nothing_else(zone, id):
    n = fill(zone)
    row = zone.mongo.db["events_latest"].find_one({"_id": "a"})
    row.update(_id=id, updatedAt=m.date(m.now_ms()))
    row["properties"]["api_id"] = "c"
    row["payload"] = m.bean(api("c"))
    zone.mongo.db["events_latest"].insert_one(row)
    for table, old in (("subscriptions", "s"), ("keys", "k")):
        row = zone.mongo.db[table].find_one({"_id": old})
        row.update(_id=id, updatedAt=m.date(m.now_ms()))
        zone.mongo.db[table].insert_one(row)
    see_a_delta(zone, n)
    zone.compare()
    until("named", lambda: sorted(w.split("/")[0] for w in entries(n)) == ["events_latest", "keys", "subscriptions"])
    assert all("_id" in why for why in entries(n).values())
    names_are(n, *ALL)
    for table in ("events_latest", "subscriptions", "keys"):
        zone.mongo.db[table].delete_one({"_id": id})
    zone.compare()
    until("gone", lambda: entries(n) == {})


def test_two_rows_of_one_api_are_never_both_its_own(zone):
    n = fill(zone)
    rev = zone.settled(count=5)["rev"]
    zone.event("z", "UNPUBLISH_API")
    zone.mongo.db["events_latest"].update_one({"_id": "z"}, {"$set": {"properties.api_id": "a"}})
    zone.event("y", "PUBLISH_API", m.bean(api("a", version="9")))
    zone.mongo.db["events_latest"].update_one({"_id": "y"}, {"$set": {"properties.api_id": "a"}})
    until("named", lambda: {"events_latest/z", "events_latest/y"} <= set(entries(n)))
    zone.compare()
    see_a_delta(zone, n)
    assert n.names() == ALL and json.loads(n.get("API", "a"))["definition"]["apiVersion"] == "1"
    assert int(zone.settled(count=5)["rev"]) == int(rev) + 4
    zone.mongo.db["events_latest"].delete_many({"_id": {"$in": ["z", "y"]}})
    zone.compare()
    until("gone", lambda: entries(n) == {})


def test_a_payload_of_another_api_is_set_aside(zone):
    n = fill(zone)
    zone.event("a", "PUBLISH_API", m.bean(api("b", version="9")))
    until("named", lambda: "events_latest/a" in entries(n))
    see_a_delta(zone, n)
    assert n.names() == ALL and json.loads(n.get("API", "b"))["definition"]["apiVersion"] == "1"


def test_a_member_called_id_beside_the_id_means_nothing(zone):
    zone.mongo.start()
    row = zone.row("subscriptions", subscription("s", "a"))
    zone.mongo.db["subscriptions"].replace_one({"_id": "s"}, {"id": "other", **row, "ID": "third"})
    put_api(zone, "a")
    n = one_node(zone)
    names_are(n, "API:a", "SUBSCRIPTION:s")


def test_types_of_events_that_are_not_distributed_are_no_damage(zone):
    n = fill(zone)
    for type in ("START_DICTIONARY", "PUBLISH_API_RESULT", "PUBLISH_ORGANIZATION_LICENSE",
                 "GATEWAY_STARTED", "PUBLISH_AUTHZ_PDP", "DEBUG_API", "DEPLOY_CLUSTER"):
        zone.event(f"x-{type}", type, "{}")
    zone.compare()
    see_a_delta(zone, n)
    assert entries(n) == {} and n.names() == ALL


# --- sizes ---

def test_ids_with_a_zero_byte_stop_no_scan(zone):
    """More than a page of them: the next one must begin behind it."""
    zone.mongo.start()
    put_api(zone, "a", updated=OLD)
    row = {**subscription("", "a"), "updatedAt": m.date(OLD)}
    row.pop("id")
    zone.mongo.db["subscriptions"].insert_many([{**row, "_id": f"p\0{i:04}"} for i in range(1100)])
    put_sub(zone, "s", "a")
    n = one_node(zone)
    names_are(n, "API:a", "SUBSCRIPTION:s")
    done = n.logs("fetcher").count("pass_done")
    zone.compare()
    until("it ends", lambda: n.logs("fetcher").count("pass_done") > done)
    assert "p\\x000000" in n.logs("fetcher").replace("\\\\", "\\")
    assert n.fetcher()["quarantined"] >= 1000


def nested(levels):
    d = "x"
    for _ in range(levels):
        d = {"n": d}
    return d


@pytest.mark.parametrize("levels", [40, 95])
def test_deep_rows_are_read_or_set_aside(zone, levels):
    n = fill(zone)
    before = damage(zone, "subscriptions", "s", metadata=nested(levels))
    stays_and_is_mended(zone, n, "subscriptions", "s", before)


def test_a_row_of_nearly_16_mb_is_distributed(zone):
    put_api(zone, "a", description="x" * (15 << 20))
    put_api(zone, "b")
    zone.start(1, more="")
    zone.settled(count=2)
    assert len(zone.nodes[0].get("API", "a")) > 15 << 20


def test_a_row_above_the_limit_is_set_aside(zone):
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    n = one_node(zone, extra="  limits:\n    entity_max_bytes: 65536")
    zone.settled(count=3)
    for i, (table, id, field) in enumerate((("keys", "k", "pad"), ("subscriptions", "s", "request"),
                                            ("events_latest", "a", "payload"))):
        damage(zone, table, id, **{field: "x" * 70000})
        until("named", lambda: f"{table}/{id}" in entries(n))
        zone.compare()
        see_a_delta(zone, n)
        assert n.names() == ["API:a", "API_KEY:k", "SUBSCRIPTION:s"]
    assert len(log_lines(n, "quarantine")) <= 3 * len(log_lines(n, "promoted"))


def test_a_key_that_is_bad_for_one_subscription_is_not_cleared_by_another(zone):
    put_api(zone, "a", updated=OLD)
    put_api(zone, "b", updated=OLD)
    put_sub(zone, "s", "a")
    put_sub(zone, "closed", "b", status="CLOSED")
    put_key(zone, "k", ["s", "closed"])
    n = one_node(zone)
    zone.settled(count=4)
    before = damage(zone, "keys", "k", expireAt="never")
    stays_and_is_mended(zone, n, "keys", "k", before, ["API:a", "API:b", "API_KEY:k", "SUBSCRIPTION:s"])


def test_what_is_set_aside_and_then_deleted_is_forgotten(zone):
    n = fill(zone)
    damage(zone, "keys", "k", key=5)
    until("named", lambda: "keys/k" in entries(n))
    zone.mongo.db["keys"].delete_one({"_id": "k"})
    zone.compare()
    until("forgotten", lambda: entries(n) == {})
    zone.compare()
    until("and gone", lambda: n.get("API_KEY", "k") is None)
