# SPDX-License-Identifier: Apache-2.0
"""The recorded data of the reference through every source, into Redis and out of a follower."""
import json
import time

import pytest

import everything
import zone as z
from test_mongo import lines
from test_postgres import columns_of, fits
from zone import until


# --- as trees whose numbers are texts ---

class Number(str):
    """Not equal to a text of the same digits."""

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def members(pairs):
    """An object; with all its members where names repeat."""
    return dict(pairs) if len(dict(pairs)) == len(pairs) else pairs


def tree(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=members)


def opened(definition, recorded):
    """The input's tree with the plans and the decrypted properties that the reference kept."""
    d = dict(definition)
    if isinstance(d.get("plans"), list):
        kept = [p.get("id") for p in recorded.get("plans") or []]
        d["plans"] = [p for p in d["plans"] if p.get("id") in kept]
        assert len(d["plans"]) == len(kept)
    assert not any(p.get("encrypted") is True for p in d.get("properties") or [])
    return d


def text_of(line):
    return (z.DEFINITIONS / line["file"]).read_text()


@pytest.mark.sources("file", "mongodb", "postgresql")
def test_each_definition_comes_out_of_a_follower_as_it_went_in(zone):
    """All 114 of them, member by member: the envelope as recorded, the definition as the input has it."""
    want = [line for line in lines("primary-definitions.jsonl") if line["events"]]
    assert len(want) == 114
    zone.write("environments/e.json", {"id": "DEFAULT", "hrids": ["default"], "name": "d", "organizationId": "DEFAULT"})
    zone.write("organizations/o.json", {"id": "DEFAULT", "hrids": ["default"], "name": "o"})
    for line in want:
        row = {k: v for k, v in line["row"].items() if k != "kind"}
        if zone.SOURCE == "file":
            zone.write(f"apis/{line['file']}", '{"definition":%s,"deployedAt":%d,"revision":"%s","environmentId":"DEFAULT"}' % (
                text_of(line), row["createdAt"], row["properties"]["deployment_number"]))
        else:
            zone.row("events_latest", {**row, "environments": ["DEFAULT"]}, row["updatedAt"])
    zone.start(2)
    zone.settled(count=len(want))
    follower = next(n for n in zone.nodes if n is not zone.primary())
    for line in want:
        e = line["events"][0]
        got, recorded = tree(follower.get(e["type"], e["id"])), tree(e["payload"])
        ours, theirs = got.pop("definition"), recorded.pop("definition")
        assert got == recorded, line["file"]
        assert ours == opened(tree(text_of(line)), theirs), line["file"]


# --- what passes through ---

ODD = ('"z":1e400,"price":0.10,"big":12345678901234567890,"exp":1E+2,"neg":-0,"long":3.14159265358979323846264338327950288,'
       '"Big":1,"big ":2,"b\\u0069gger":3,"dup":1,"dup":2.0,"esc":"\\/\\u00e9é\\ud83d\\ude00","deep":{"a":[1.0,{"b":1e-400}],"":null}')
V4 = '"id":"%s","name":"n","definitionVersion":"4.0.0","type":"%s","plans":[{"id":"plan-1","status":"published","flows":[],%s}],%s'
V2 = '"id":"%s","name":"n","gravitee":"2.0.0","proxy":{"virtual_hosts":[{"path":"/x"}],%s},"plans":[{"id":"plan-1","status":"PUBLISHED"}],%s'
KINDS = ["proxy", "message", "native", "edge", "llm-proxy", "mcp-proxy", "a2a-proxy", "authz", "v2"]


def definition(kind):
    """The text of one with numbers that no double holds and members that nobody knows."""
    id = f"of-{kind}"
    return "{" + (V2 % (id, ODD, ODD) if kind == "v2" else V4 % (id, kind, ODD, ODD)) + "}"


def put_definition(zone, kind):
    text = definition(kind)
    if zone.SOURCE == "file":
        zone.write(f"apis/{kind}.json", text)
        return
    version = '"2.0.0"' if kind == "v2" else f'"4.0.0","type":"{kind}"'
    zone.event(f"of-{kind}", "PUBLISH_API", '{"id":"of-%s","environmentId":"DEFAULT","lifecycleState":"STARTED","definitionVersion":%s,'
               '"definition":%s}' % (kind, version, json.dumps(text)))


@pytest.mark.sources("file", "mongodb", "postgresql")
def test_every_kind_of_api_passes_byte_for_byte(zone):
    for kind in KINDS:
        put_definition(zone, kind)
    zone.start(2)
    zone.settled(count=len(KINDS))
    follower = next(n for n in zone.nodes if n is not zone.primary())
    for kind in KINDS:
        payload = follower.get("API", f"of-{kind}").decode()
        assert definition(kind) in payload, kind
        assert zone.redis("HGET", f"distributed_event:test:API:of-{kind}", "payload", raw=True)[:-1].decode() == payload
    assert follower.status()["health"] == "ok" and zone.primary().fetcher()["quarantined"] == 0


# --- what a Java secondary must never meet ---

TYPES = {"API", "SUBSCRIPTION", "API_KEY", "API_PRODUCT", "DICTIONARY", "ORGANIZATION", "LICENSE", "ACCESS_POINT",
         "SHARED_POLICY_GROUP", "NODE_METADATA", "AUTHZ_ENTITY", "AUTHZ_POLICY"}
NEEDED = {"clusterId", "id", "type", "syncAction", "updatedAt"}
OURS = {"zs"}
ENUMS = {"consumerStatus": {"STARTED", "STOPPED", "FAILURE"}, "type": {"STANDARD", "PUSH"}}
NAMED = {"API": lambda p: p["definition"]["id"], "AUTHZ_ENTITY": lambda p: p["entityId"], "NODE_METADATA": None, "LICENSE": None,
         "ORGANIZATION": lambda p: p["definition"]["id"]}


def flaws(fields, now):
    """Why a Java secondary would not take or not notice this hash; empty when it would."""
    missing = NEEDED - fields.keys()
    if missing:
        return [f"without {missing}"]
    out = []
    if fields["type"] not in TYPES:
        out.append("its type")
    if fields["syncAction"] not in ("DEPLOY", "UNDEPLOY"):
        out.append("its action")
    if not (fields["updatedAt"].isdigit() and 1600000000000 < int(fields["updatedAt"]) <= now):
        out.append("its time")
    payload = fields.get("payload")
    withdrawn_by_id = fields["syncAction"] == "UNDEPLOY" and fields["type"] in ("API", "API_PRODUCT", "ORGANIZATION", "LICENSE")
    if payload is None:
        return out + ([] if withdrawn_by_id else ["no payload"])
    if fields["type"] == "LICENSE":
        return out
    try:
        p = json.loads(payload)
    except ValueError:
        return out + ["its payload is no JSON"]
    if not isinstance(p, dict):
        return out + ["its payload is no object"]
    if fields["type"] == "SUBSCRIPTION":
        out += [k for k, known in ENUMS.items() if p.get(k) is not None and p[k] not in known]
    return out


def test_the_rule_refuses_each_recorded_hash_that_a_java_secondary_refuses():
    """So that the next test looks for what it should."""
    told = {True: 0, False: 0}
    for line in lines("reader.jsonl"):
        fields, why = line["fields"], line["why"]
        found = flaws(fields, int(time.time() * 1000))
        outcome = line["incremental"]["outcome"]
        fine = outcome == "ok" or (fields.get("type"), fields.get("syncAction")) == ("ORGANIZATION", "UNDEPLOY")
        if fine and why.endswith("as the reference writes it"):
            assert found == [], why
        if not fine and line["key"].startswith("distributed_event:"):
            assert found, why
        told[bool(found)] += 1
    assert told[True] > 25 and told[False] > 40


def key_of(fields, zone):
    """The key that the fields say (storage 1.1)."""
    kind, id = fields["type"], fields["id"]
    if kind in ("SUBSCRIPTION", "API_KEY"):
        p = json.loads(fields["payload"])
        kind = f"API:{p.get('apiProductId') or p['api']}:{kind}"
    return f"distributed_event:{zone}:{kind}:{id}"


def check(zone):
    """Every hash of the zone; how many of each type and action there are."""
    seen = {}
    now = int(time.time() * 1000) + 1000
    for key, raw in everything.hashes(zone.redis).items():
        fields = {k.decode(): v if k == b"zs" else v.decode() for k, v in raw.items()}
        assert flaws(fields, now) == [], (key, fields)
        assert NEEDED | OURS <= fields.keys() <= NEEDED | OURS | {"payload"}, (key, fields)
        assert fields["clusterId"] == zone.zone and key.decode() == key_of(fields, zone.zone), (key, fields)
        named = NAMED.get(fields["type"], lambda p: p["id"])
        if named and fields.get("payload"):
            assert named(json.loads(fields["payload"])) == fields["id"], (key, fields)
        kind = fields["type"], fields["syncAction"]
        seen[kind] = seen.get(kind, 0) + 1
    return seen


@pytest.mark.sources("mongodb", "postgresql")
def test_no_hash_that_a_java_secondary_could_not_read_is_ever_written(zone):
    """A zone of all recorded rows and all kinds, then with most of it withdrawn."""
    def may(collection, row):
        if zone.SOURCE == "mongodb" or collection == "access_points":
            return True
        return fits(collection, row)

    everything.fill(zone)
    put = everything.vectors(zone, lambda c, r: may(c, {k: v for k, v in r.items() if c == "access_points" or k in columns_of(c)}))
    zone.delay = 200
    zone.zone = "Zone-a:b"
    zone.start(1, more="gamma:\n  enabled: true\n")
    count = int(zone.settled()["count"])
    seen = check(zone)
    assert {k for k, action in seen if action == "DEPLOY"} == TYPES and sum(seen.values()) >= count > 150
    everything.withdraw(zone, put)
    for i in range(4):
        everything.event(zone, "UNPUBLISH_AUTHZ_ENTITY", f"e{i}", {**everything.ENTITY, "entityId": f"e{i}"}, "authz_entity_id", name=f"authz_entity_id:e{i}")
        everything.event(zone, "UNPUBLISH_AUTHZ_POLICY", f"q{i}", {**everything.POLICY, "id": f"q{i}"}, "authz_policy_id", name=f"authz_policy_id:q{i}")
    left = {"ORGANIZATION", "LICENSE", "NODE_METADATA"}  # they stay
    until("all kinds withdrawn", lambda: {k for k, action in check(zone) if action == "UNDEPLOY"} == TYPES - left)
    zone.compare()
    zone.settled()
    check(zone)
