# SPDX-License-Identifier: Apache-2.0
"""The types of entities that are no API, subscription or key, from the rows of a management database."""
import json

import pytest

import mongo as m
from test_mongo import OLD, lines, names_are, one_node, see_a_delta
from test_mongo_rows import entries, is_named
from zone import until

pytestmark = pytest.mark.sources("mongodb")

TYPES = ("DICTIONARY", "ORGANIZATION", "SHARED_POLICY_GROUP")
ACCESS_POINT = {"id": "ap", "referenceType": "ENVIRONMENT", "referenceId": "DEFAULT", "host": "h.example.org", "target": "GATEWAY",
                "status": "CREATED", "secured": True, "overriding": False}
GROUP = {"id": "cross", "environmentId": "E", "name": "Headers", "version": "2", "phase": "REQUEST", "deployedAt": OLD,
         "policies": [{"name": "h", "enabled": True, "policy": "mock", "configuration": {"n": 1}}]}
ENTITY = {"id": "u", "entityId": "api.orders", "kind": "RESOURCE", "attributes": {"owner": "a"}, "parents": [], "entityType": "Api"}
POLICY = {"id": "pol", "name": "n", "kind": "GLOBAL", "policyText": "permit(principal, action, resource);"}


def put_license(zone, organization, text, type="ORGANIZATION", updated=None):
    if zone.mongo.process is None:
        zone.mongo.start()
    id = {"referenceId": organization, "referenceType": type}
    row = {"_id": id, "license": text, "updatedAt": m.date(updated or m.now_ms()), "_class": "x"}
    zone.mongo.db["licenses"].replace_one({"_id": id}, row, upsert=True)


def put_point(zone, updated=m.NOW, **more):
    zone.row("access_points", {**ACCESS_POINT, **more}, updated)


def put_group(zone, row="spg", type="DEPLOY_SHARED_POLICY_GROUP", updated=m.NOW, cross="cross", **more):
    zone.event(row, type, json.dumps({**GROUP, "id": cross, **more}), updated=updated,
               properties={"shared_policy_group_id": cross})


def put_authz(zone, what, payload, publish="PUBLISH"):
    name = f"authz_{what}_id"
    id = payload["entityId"] if what == "entity" else payload["id"]
    zone.event(f"{name}:{id}", f"{publish}_AUTHZ_{what.upper()}", json.dumps(payload), properties={name: id})


def event(zone, name):
    """The hash of an event, as a reader gets it; the payload byte for byte."""
    key = f"distributed_event:{zone.zone}:{name}"
    fields = zone.redis("HKEYS", key).split()
    return {f: zone.redis("HGET", key, f, raw=True)[:-1].decode() for f in fields if not f.startswith("zs")}


def action(zone, name):
    return event(zone, name).get("syncAction")


def compared(zone, n):
    done = n.logs("fetcher").count("pass_done")
    zone.compare()
    until("compared", lambda: n.logs("fetcher").count("pass_done") > done)


# --- as the reference writes them ---

def put_row(zone, row):
    kind = row["kind"]
    content = {k: v for k, v in row.items() if k != "kind"}
    if kind in ("environment", "organization"):
        zone.row(kind + "s", content, None)
    elif kind == "license":
        put_license(zone, row["referenceId"], row["license"], row["referenceType"], row["updatedAt"])
    elif kind == "accesspoint":
        zone.row("access_points", content, row["updatedAt"])
    else:
        if "organization_id" in row["properties"]:
            content["id"] = row["properties"]["organization_id"]  # an organization's row is named so, storage 4
        zone.row("events_latest", content, m.now_ms())


def is_mine(row):
    return row["kind"] in ("environment", "organization", "license", "accesspoint") or \
        (row["kind"] == "event" and any(t in row["type"] for t in TYPES))


def test_rows_make_what_the_reference_makes_of_them(zone):
    rows = [d for d in lines("primary-rows.jsonl") if is_mine(d["row"])]
    assert len(rows) == 19
    for d in rows:
        if d["row"]["kind"] in ("environment", "organization"):
            put_row(zone, d["row"])
    n = one_node(zone)
    zone.settled(count=0)
    for d in rows:
        put_row(zone, d["row"])
        for want in d["events"]:
            name = want["key"].replace("distributed_event:zone-a:", "")
            if want["syncAction"] == "UNDEPLOY" and not event(zone, name):
                see_a_delta(zone, n)
                assert event(zone, name) == {}, "what never was is not withdrawn"
                continue
            got = until(f"{d['why']}: {name}",
                        lambda: (e := event(zone, name)).get("syncAction") == want["syncAction"] and e)
            assert got["id"] == want["id"] and got["type"] == want["type"] and got["clusterId"] == zone.zone
            if want["type"] == "LICENSE":
                assert got["payload"] == want["payload"]
            elif want["syncAction"] == "DEPLOY":
                assert json.loads(got["payload"]) == json.loads(want["payload"]), d["why"]
            else:
                assert json.loads(got["payload"])["id"] == want["id"], "a Java secondary needs it"
    until("the broken one is named", lambda: "events_latest/dict-3" in entries(n))


# --- changes ---

def test_an_access_point_comes_changes_and_goes(zone):
    zone.guard = "off"  # all there is goes
    n = one_node(zone)
    zone.settled(count=0)
    put_point(zone)
    put_point(zone, id="console", target="CONSOLE")
    put_point(zone, id="org", referenceType="ORGANIZATION")
    names_are(n, "ACCESS_POINT:ap")
    put_point(zone, host="other.example.org")
    until("the change", lambda: b"other.example.org" in n.get("ACCESS_POINT", "ap"))
    put_point(zone, status="DELETED", host="last.example.org")
    until("deleted", lambda: action(zone, "ACCESS_POINT:ap") == "UNDEPLOY")
    assert json.loads(event(zone, "ACCESS_POINT:ap")["payload"]) == {
        "id": "ap", "environmentId": "DEFAULT", "host": "other.example.org", "target": "GATEWAY"}, "what readers have"
    put_point(zone)
    names_are(n, "ACCESS_POINT:ap")
    put_point(zone, target="PORTAL")
    names_are(n)
    put_point(zone)
    names_are(n, "ACCESS_POINT:ap")
    zone.mongo.db["access_points"].delete_one({"_id": "ap"})
    zone.compare()
    names_are(n)


@pytest.mark.parametrize("text", ["bGlj", "bGlj\nZW5j\n", "{broken", "\u00e9\u2028\"\\\u0001", "{\"json\":1}", " "], ids=ascii)
def test_a_license_is_written_byte_for_byte(zone, text):
    put_license(zone, "DEFAULT", text)
    put_license(zone, "DEFAULT", "of the platform", "PLATFORM")
    n = one_node(zone)
    zone.settled(count=1)
    assert event(zone, "LICENSE:DEFAULT")["payload"] == text
    assert n.get("LICENSE", "DEFAULT").decode() == text
    assert n.names() == ["LICENSE:DEFAULT"]


def test_a_license_changes_and_goes(zone):
    zone.guard = "off"  # all there is goes
    put_license(zone, "DEFAULT", "one", updated=OLD)
    n = one_node(zone)
    zone.settled(count=1)
    put_license(zone, "DEFAULT", "two")
    until("the change", lambda: n.get("LICENSE", "DEFAULT") == b"two")
    put_license(zone, "DEFAULT", None)
    until("none", lambda: n.get("LICENSE", "DEFAULT") == b"")
    assert event(zone, "LICENSE:DEFAULT")["payload"] == ""
    put_license(zone, "DEFAULT", "three")
    until("the change", lambda: n.get("LICENSE", "DEFAULT") == b"three")
    zone.mongo.db["licenses"].delete_many({})
    zone.compare()
    names_are(n)
    assert event(zone, "LICENSE:DEFAULT")["syncAction"] == "UNDEPLOY"
    assert event(zone, "LICENSE:DEFAULT")["payload"] == "three", "as a Java secondary has it"


def test_many_licenses_of_one_moment_are_all_read(zone):
    """The reference reads its first page for ever (storage 8.23)."""
    at = m.now_ms() - 1000
    for i in range(250):
        put_license(zone, f"org-{i:03}", f"text {i}", updated=at)
    n = one_node(zone)
    zone.settled(count=250)
    put_license(zone, "org-100", "changed")
    until("a change among them", lambda: n.get("LICENSE", "org-100") == b"changed")


def test_licenses_and_access_points_follow_the_filters(zone):
    for e, o in (("E1", "O1"), ("E2", "O2")):
        zone.row("environments", {"id": e, "hrids": [e.lower()], "organizationId": o}, None)
        zone.row("organizations", {"id": o, "hrids": [o.lower()]}, None)
        put_license(zone, o, "of " + o, updated=OLD)
        put_point(zone, id="at-" + e, referenceId=e, updated=OLD)
    put_license(zone, "O3", "of nobody", updated=OLD)
    n = one_node(zone, more="environments: [e1]\n")
    zone.settled(count=2)
    assert n.names() == ["ACCESS_POINT:at-E1", "LICENSE:O1"]
    put_license(zone, "O2", "changed")
    put_point(zone, id="at-E2", referenceId="E2", host="changed")
    compared(zone, n)
    put_license(zone, "O1", "changed")
    until("a delta", lambda: n.get("LICENSE", "O1") == b"changed")
    assert n.names() == ["ACCESS_POINT:at-E1", "LICENSE:O1"]


def test_a_shared_policy_group_carries_the_names_of_its_environment(zone):
    zone.row("environments", {"id": "E", "hrids": ["one"], "organizationId": "O"}, None)
    zone.row("organizations", {"id": "O", "hrids": ["org"]}, None)
    put_group(zone, updated=OLD)
    n = one_node(zone)
    zone.settled(count=1)

    def names():
        p = json.loads(n.get("SHARED_POLICY_GROUP", "cross"))
        return p["environmentHrid"], p["organizationId"], p["organizationHrid"]
    assert names() == ("one", "O", "org")
    zone.row("environments", {"id": "E", "hrids": ["two"], "organizationId": "O"}, None)
    zone.compare()
    until("the new name", lambda: names() == ("two", "O", "org"))
    put_group(zone, type="UNDEPLOY_SHARED_POLICY_GROUP")
    names_are(n)
    assert json.loads(event(zone, "SHARED_POLICY_GROUP:cross")["payload"])["id"] == "cross"


def test_of_two_rows_of_one_shared_policy_group_the_newer_counts(zone):
    """Promoted from one environment to another it keeps its id."""
    put_group(zone, "a", updated=OLD, name="of a")
    put_group(zone, "b", updated=OLD + 1000, name="of b")
    n = one_node(zone)
    zone.settled(count=1)
    name = lambda: json.loads(n.get("SHARED_POLICY_GROUP", "cross"))["name"]  # noqa: E731
    assert name() == "of b"
    put_group(zone, "a", "UNDEPLOY_SHARED_POLICY_GROUP")
    names_are(n)
    compared(zone, n)
    rev = zone.redis.meta()["rev"]
    for _ in range(2):
        compared(zone, n)
    assert n.names() == [] and zone.redis.meta()["rev"] == rev, "it does not come and go"
    zone.mongo.db["events_latest"].delete_one({"_id": "a"})
    zone.compare()
    until("the one that is left", lambda: zone.compare() or name() == "of b")


def test_authorization_is_distributed_when_gamma_is_enabled(zone):
    zone.guard = "off"  # all there is goes
    put_authz(zone, "entity", ENTITY)
    put_authz(zone, "policy", POLICY)
    n = one_node(zone)
    zone.settled(count=0)
    zone.nodes.remove(n)
    n.stop()
    n = zone.node("gamma", more="gamma:\n  enabled: true\n")
    names_are(n, "AUTHZ_ENTITY:api.orders", "AUTHZ_POLICY:pol")
    assert json.loads(n.get("AUTHZ_POLICY", "pol")) == POLICY
    assert json.loads(n.get("AUTHZ_ENTITY", "api.orders")) == {k: v for k, v in ENTITY.items() if k != "id"}
    put_authz(zone, "entity", ENTITY, "UNPUBLISH")
    names_are(n, "AUTHZ_POLICY:pol")
    zone.mongo.db["events_latest"].delete_one({"_id": "authz_policy_id:pol"})
    zone.compare()
    names_are(n)


def test_dictionaries_that_run_by_themselves_are_no_dictionaries(zone):
    put = {"id": "d", "key": "k", "name": "d", "environmentId": "DEFAULT", "properties": {"a": "b"}}
    n = one_node(zone)
    zone.settled(count=0)
    zone.event("d-dynamic", "START_DICTIONARY", json.dumps(put), "dictionary_id")
    zone.event("d", "PUBLISH_DICTIONARY", json.dumps(put), "dictionary_id")
    names_are(n, "DICTIONARY:d")
    zone.event("d-dynamic", "STOP_DICTIONARY", json.dumps(put), "dictionary_id")
    see_a_delta(zone, n)
    compared(zone, n)
    assert n.names() == ["DICTIONARY:d"] and entries(n) == {}


# --- the installation ---

def metadata(zone):
    keys = zone.redis("KEYS", f"distributed_event:{zone.zone}:NODE_METADATA:*").split()
    assert len(keys) <= 1, keys
    return keys and keys[0]


def test_a_zone_has_one_node_metadata_whoever_is_its_primary(zone):
    zone.row("installation", {"id": "inst-1", "createdAt": OLD}, OLD)
    zone.delay = 200
    zone.start(2)
    zone.settled(count=1)
    key = metadata(zone)
    name = key.split(":", 2)[2]
    before = event(zone, name)
    assert json.loads(before["payload"]) == {"installationId": "inst-1"}
    first = zone.primary()
    first.kill("fetcher")
    first.stop()
    until("the other one", lambda: zone.primary().name != first.name)
    compared(zone, zone.primary())
    first.start()
    zone.settled(count=1)
    second = zone.primary()
    second.cli("stepdown")
    until("stepped down", lambda: zone.primary().name != second.name)
    compared(zone, zone.primary())
    assert metadata(zone) == key and event(zone, name) == before, "nothing was written again"


def test_node_metadata_names_organizations_of_environments_by_id(zone):
    for e, o in (("DEFAULT", "O2"), ("0f3bd5e4-0a6f-4b1c-9d54-9d5b1c0e1f11", "O1")):
        zone.row("environments", {"id": e, "organizationId": o}, None)
    zone.row("installation", {"id": "inst-1"}, OLD)
    ids = "environments: [DEFAULT, 0f3bd5e4-0a6f-4b1c-9d54-9d5b1c0e1f11]\nuseLegacyEnvironmentHrids: false\n"
    one_node(zone, more=ids)
    zone.settled(count=1)
    said = lambda: json.loads(event(zone, metadata(zone).split(":", 2)[2])["payload"])  # noqa: E731
    assert said() == {"organizationIds": ["O1", "O2"], "installationId": "inst-1"}
    zone.row("environments", {"id": "DEFAULT", "organizationId": "O3"}, None)
    zone.compare()
    until("the new one", lambda: said()["organizationIds"] == ["O1", "O3"])


# --- rows that cannot be read ---

BAD = [("access_points", "ap", {"target": "MOON"}), ("access_points", "ap", {"host": 5}), ("access_points", "ap", {"status": "GONE"}),
       ("access_points", "ap", {"referenceId": None}), ("access_points", "ap", {"updatedAt": "today"}),
       ("licenses", "DEFAULT", {"license": 5}), ("licenses", "DEFAULT", {"updatedAt": None}),
       ("events_latest", "spg", {"payload": "{"}), ("events_latest", "spg", {"payload": json.dumps({**GROUP, "policies": 5})}),
       ("events_latest", "spg", {"type": "DEPLOY_POLICY_GROUP"}), ("events_latest", "spg", {"updatedAt": "today"}),
       ("events_latest", "authz_entity_id:api.orders", {"payload": json.dumps({**ENTITY, "kind": "X"})}),
       ("events_latest", "authz_entity_id:api.orders", {"updatedAt": "today"}),
       ("events_latest", "authz_policy_id:pol", {"payload": json.dumps({**POLICY, "policyText": " "})})]


@pytest.mark.parametrize("table,id,change", BAD, ids=str)
def test_a_row_that_cannot_be_read_keeps_its_last_good_version(zone, table, id, change):
    put_point(zone, updated=OLD)
    put_license(zone, "DEFAULT", "text", updated=OLD)
    put_group(zone, updated=OLD)
    put_authz(zone, "entity", ENTITY)
    put_authz(zone, "policy", POLICY)
    n = one_node(zone, more="gamma:\n  enabled: true\n")
    zone.settled(count=5)
    names = n.names()
    key = {"referenceId": id, "referenceType": "ORGANIZATION"} if table == "licenses" else id
    before = zone.mongo.db[table].find_one({"_id": key})
    zone.mongo.db[table].update_one({"_id": key}, {"$set": {"updatedAt": m.date(m.now_ms()), **change}})
    is_named(zone, n, f"{table}/{id}")
    for _ in range(2):
        compared(zone, n)
    assert n.names() == names
    assert entries(n)[f"{table}/{id}"]
    before["updatedAt"] = m.date(m.now_ms())
    zone.mongo.db[table].replace_one({"_id": key}, before)
    until("mended", lambda: entries(n) == {})
    assert n.names() == names
