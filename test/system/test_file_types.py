# SPDX-License-Identifier: Apache-2.0
"""The types of entities that are no API, subscription or key, from files: bare, or as rows of the management database."""
import json
import signal

import pytest

import java
from resp import Resp
from test_mongo import lines, names_are
from test_mongo_rows import entries
from test_mongo_types import ACCESS_POINT, ENTITY, GROUP, OLD, POLICY, action, event, is_mine, metadata
from test_standalone import alone
from zone import until

FOLDERS = {"DICTIONARY": "dictionaries", "ORGANIZATION": "organizations", "SHARED_POLICY_GROUP": "shared-policy-groups",
           "ACCESS_POINT": "access-points", "LICENSE": "licenses"}
GAMMA = "gamma:\n  enabled: true\n"
POINT = {"id": "ap", "environmentId": "DEFAULT", "host": "h.example.org", "target": "GATEWAY"}
BARE = {"shared-policy-groups/g.json": GROUP, "access-points/a.json": POINT, "authz-entities/e.json": ENTITY,
        "authz-policies/p.json": POLICY, "licenses/l.json": {"id": "DEFAULT", "license": "bGlj"}, "installation/i.json": {"id": "inst-1"},
        "dictionaries/d.json": {"id": "d", "key": "k", "name": "d", "environmentId": "DEFAULT", "properties": {"a": "b"}}}
SOME = ["ACCESS_POINT:ap", "AUTHZ_ENTITY:api.orders", "AUTHZ_POLICY:pol", "DICTIONARY:d", "LICENSE:DEFAULT",
        "SHARED_POLICY_GROUP:cross"]


def fill(zone, **kw):
    zone.delay = 200
    zone.ttl = 5000
    for path, content in BARE.items():
        zone.write(path, content)
    zone.start(1, **kw)
    return zone.nodes[0]


def without_metadata(n):
    return [name for name in n.names() if not name.startswith("NODE_METADATA")]


def test_rows_make_what_the_reference_makes_of_them(zone):
    """One row a file; a later row of one entity takes the place of the earlier."""
    zone.guard = "off"  # all of it goes
    zone.delay = 200
    zone.start(1)
    n = zone.nodes[0]
    zone.settled(count=0)
    rows = [d for d in lines("primary-rows.jsonl") if is_mine(d["row"])]
    assert len(rows) == 19
    for d in rows:
        row = {k: v for k, v in d["row"].items() if k != "kind"}
        kind = d["row"]["kind"]
        if kind in ("environment", "organization"):
            zone.write(f"{kind}s/{row['id']}.json", row)
            continue
        if "dict-3" == row.get("id"):
            zone.write("dictionaries/dict-3.json", row)
            until("the broken one is named", lambda: "dictionaries/dict-3.json" in entries(n))
        for want in d["events"]:
            name = want["key"].replace("distributed_event:zone-a:", "")
            before = event(zone, name)
            zone.write(f"{FOLDERS[want['type']]}/{want['id']}.json" if want["type"] != "ORGANIZATION" else
                       f"organizations/event-{want['id']}.json", {**row, "id": row.get("id", want["id"])})
            if want["syncAction"] == "UNDEPLOY" and not before:
                continue
            got = until(f"{d['why']}: {name}",
                        lambda: (e := event(zone, name)).get("syncAction") == want["syncAction"] and e)
            assert got["id"] == want["id"] and got["type"] == want["type"]
            if want["type"] == "LICENSE":
                assert got["payload"] == want["payload"]
            elif want["syncAction"] == "DEPLOY":
                assert json.loads(got["payload"]) == json.loads(want["payload"]), d["why"]
            else:
                assert json.loads(got["payload"])["id"] == want["id"], "a Java secondary needs it"


def test_bare_documents_come_change_and_go(zone):
    zone.guard = "off"  # all of it goes
    n = fill(zone, more=GAMMA)
    until("all of them", lambda: without_metadata(n) == SOME)
    assert entries(n) == {}
    assert n.get("LICENSE", "DEFAULT") == b"bGlj"
    assert json.loads(n.get("ACCESS_POINT", "ap")) == POINT
    assert json.loads(n.get("SHARED_POLICY_GROUP", "cross"))["definition"] == GROUP
    assert json.loads(n.get("AUTHZ_POLICY", "pol")) == POLICY
    assert json.loads(event(zone, metadata(zone).split(":", 2)[2])["payload"]) == {"installationId": "inst-1"}
    zone.write("licenses/l.json", {"referenceId": "DEFAULT", "license": "{\"no\": json\n"})
    until("the change", lambda: n.get("LICENSE", "DEFAULT") == b"{\"no\": json\n")
    zone.write("access-points/a.json", {**ACCESS_POINT, "status": "DELETED"})
    until("deleted", lambda: action(zone, "ACCESS_POINT:ap") == "UNDEPLOY")
    for path in BARE:
        if path != "access-points/a.json":
            zone.remove(path)
    until("all gone", lambda: n.names() == [])


@pytest.mark.servers("redis8")
def test_a_java_secondary_gets_each_of_them_and_what_to_withdraw(zone):
    zone.guard = "off"  # all of it goes
    n = fill(zone, more=GAMMA)
    until("all of them", lambda: without_metadata(n) == SOME and metadata(zone))
    kinds = [name.split(":")[0] for name in n.names()]
    with Resp(zone.redis.socket, 3) as r:
        def read(kind, *actions):
            return java.read(r, java.aggregate(java.query(zone.zone, kind, actions)))[0]
        deployed = {k: until(f"{k} in the index", lambda: read(k, "DEPLOY")) for k in kinds}
        assert all(len(rows) == 1 and rows[0]["payload"] for rows in deployed.values())
        for path in BARE:
            zone.remove(path)
        until("all gone", lambda: n.names() == [])
        for k in kinds:
            rows = until(f"{k} withdrawn", lambda: read(k, "UNDEPLOY"))
            assert [x["payload"] for x in rows] == [x["payload"] for x in deployed[k]]
            assert read(k, "DEPLOY") == []


def test_a_node_alone_has_them_too(zone):
    for path, content in BARE.items():
        zone.write(path, content)
    zone.write("licenses/l.json", {"id": "DEFAULT", "license": "{no json"})
    n = alone(zone)
    until("all of them", lambda: without_metadata(n) == [name for name in SOME if "AUTHZ" not in name])
    assert n.get("LICENSE", "DEFAULT") == b"{no json"
    names = n.names()
    n.stop()
    alone(zone)
    until("after a restart", lambda: n.cache()["proven"] and n.names() == names)
    zone.remove("licenses/l.json")
    until("gone", lambda: "LICENSE:DEFAULT" not in n.names())


def test_node_metadata_is_one_key_across_restarts(zone):
    n = fill(zone)
    until("it is there", lambda: metadata(zone))
    key, before = metadata(zone), event(zone, metadata(zone).split(":", 2)[2])
    for _ in range(2):
        n.stop()
        n.start()
        until("promoted", lambda: n.role() == "primary" and "pass_done" in n.logs("fetcher"))
        zone.settled()
    assert metadata(zone) == key and event(zone, key.split(":", 2)[2]) == before
    zone.write("installation/j.json", {"id": "inst-2"})
    until("it is named", lambda: "installation/j.json" in entries(n))
    assert metadata(zone) == key


def test_authorization_is_nothing_unless_gamma_is_enabled(zone):
    n = fill(zone)
    until("the others", lambda: without_metadata(n) == [name for name in SOME if "AUTHZ" not in name])
    assert entries(n) == {}


def test_filters_choose_by_environment_and_organization(zone):
    for e, o in (("E1", "O1"), ("E2", "O2")):
        zone.write(f"environments/{e}.json", {"id": e, "hrids": [e.lower()], "organizationId": o})
        zone.write(f"organizations/{o}.json", {"id": o, "hrids": [o.lower()]})
        zone.write(f"licenses/{o}.json", {"id": o, "license": "of " + o})
        zone.write(f"access-points/{e}.json", {**POINT, "id": "at-" + e, "environmentId": e})
        zone.write(f"shared-policy-groups/{e}.json", {**GROUP, "id": "of-" + e, "environmentId": e})
    zone.delay = 200
    zone.start(1, more="environments: [e1]\n")
    names_are(zone.nodes[0], "ACCESS_POINT:at-E1", "LICENSE:O1", "SHARED_POLICY_GROUP:of-E1")
    zone.write("environments/E2.json", {"id": "E2", "hrids": ["e1"], "organizationId": "O2"})
    names_are(zone.nodes[0], "ACCESS_POINT:at-E1", "ACCESS_POINT:at-E2", "LICENSE:O1", "LICENSE:O2",
              "SHARED_POLICY_GROUP:of-E1", "SHARED_POLICY_GROUP:of-E2")


def test_dictionaries_that_run_by_themselves_are_no_dictionaries(zone):
    n = fill(zone)
    until("all of them", lambda: "DICTIONARY:d" in n.names())
    row = {"id": "x-dynamic", "type": "START_DICTIONARY", "properties": {"dictionary_id": "x"}, "createdAt": OLD, "updatedAt": OLD,
           "payload": json.dumps({"id": "x", "name": "x"})}
    zone.write("dictionaries/x-dynamic.json", row)
    zone.write("dictionaries/y.json", {**row, "id": "y", "type": "PUBLISH_DICTIONARI"})
    until("a type that is none", lambda: list(entries(n)) == ["dictionaries/y.json"])
    zone.write("dictionaries/z.json", {**row, "id": "api", "type": "UNPUBLISH_API", "properties": {"api_id": "api"}})
    until("of another directory", lambda: sorted(entries(n)) == ["dictionaries/y.json", "dictionaries/z.json"])
    assert "DICTIONARY:x" not in n.names()


def test_a_broken_environment_keeps_what_gateways_are_told_of_the_installation(zone):
    """Whose organizations the installation has is not known then, nor its name from a broken document."""
    zone.write("environments/e.json", {"id": "e", "hrids": ["DEFAULT"], "organizationId": "o"})
    n = fill(zone, more=GAMMA + "useLegacyEnvironmentHrids: false\nenvironments: [e]\n")
    until("all of them", lambda: without_metadata(n) and metadata(zone))
    names = n.names()
    assert any(x.startswith("NODE_METADATA") for x in names)
    n.kill("fetcher", signal.SIGSTOP)
    zone.write("environments/e.json", "{broken")
    n.kill("fetcher")
    until("another fetcher", lambda: n.logs("fetcher").count("event=pass_done") > 1 and "environments/e.json" in entries(n))
    assert n.names() == names


BAD = {"shared-policy-groups/g.json": {**GROUP, "policies": 5}, "access-points/a.json": {**POINT, "target": "MOON"},
       "authz-entities/e.json": {**ENTITY, "kind": "X"}, "authz-policies/p.json": {**POLICY, "policyText": ""},
       "licenses/l.json": {"id": "DEFAULT", "license": 5}, "installation/i.json": {"name": "x"},
       "dictionaries/d.json": {"id": "d", "properties": 5}}


@pytest.mark.parametrize("path", BAD)
def test_a_document_that_cannot_be_read_keeps_its_last_good_version(zone, path):
    n = fill(zone, more=GAMMA)
    until("all of them", lambda: without_metadata(n) == SOME)
    names = n.names()
    zone.write(path, BAD[path])
    until("it is named", lambda: entries(n).get(path))
    assert n.names() == names
    n.kill("fetcher")
    until("another fetcher", lambda: n.logs("fetcher").count("event=pass_done") > 1 and path in entries(n))
    assert n.names() == names
    zone.write(path, BARE[path])
    until("mended", lambda: entries(n) == {})
    assert n.names() == names
