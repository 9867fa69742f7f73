# SPDX-License-Identifier: Apache-2.0
"""A database with entities of every kind at once, how they change, and how they all go."""
import copy
import json

import mongo as m
from resp import Resp, stamp
from test_mongo import OLD, lines
from test_mongo_types import ENTITY, GROUP, POLICY
from zone import api, apikey, product, product_subscription, subscription

GAMMA = "gamma:\n  enabled: true\n"


def hashes(redis):
    """All events of a zone's Redis: key and fields, as bytes."""
    with Resp(redis.socket) as r:
        keys = sorted(r("KEYS", "distributed_event:*"))
        out = {}
        for key in keys:
            flat = r("HGETALL", key)
            out[key] = dict(zip(flat[::2], flat[1::2]))
    return out


def contents(zone):
    """What a zone holds, but for when it was written; of what is withdrawn, but for the last row that was seen of it."""
    def told(h):
        hash, _, _, version = stamp(h[b"zs"])
        return {"hash": hash, "version": version} if h[b"syncAction"] == b"DEPLOY" else {"hash": hash}
    return {key: {**{k: v for k, v in h.items() if k not in (b"zs", b"updatedAt")}, **told(h)} for key, h in hashes(zone.redis).items()}


def license(zone, organization, text, at=None):
    """Its row is named by two columns."""
    at = m.date(at or m.now_ms())
    if zone.SOURCE == "jdbc":
        zone.mongo.run("INSERT INTO licenses (reference_id, reference_type, license, updated_at) VALUES (%s, 'ORGANIZATION', %s, %s) "
                       "ON CONFLICT (reference_id, reference_type) DO UPDATE SET license = EXCLUDED.license, updated_at = EXCLUDED.updated_at",
                       organization, text, at)
        return
    id = {"referenceId": organization, "referenceType": "ORGANIZATION"}
    zone.mongo.db["licenses"].replace_one({"_id": id}, {"_id": id, "license": text, "updatedAt": at}, upsert=True)


def point(zone, id, at=m.NOW, **more):
    zone.row("access_points", {"id": id, "referenceType": "ENVIRONMENT", "referenceId": "DEFAULT", "host": f"{id}.example.org",
                               "target": "GATEWAY", "status": "CREATED", "secured": True, "overriding": False, **more}, at)


def event(zone, type, id, payload=None, property="api_id", at=m.NOW, name=None):
    payload = payload if payload is None or isinstance(payload, str) else json.dumps(payload)
    zone.event(name or id, type, payload, updated=at, properties={property: id, "deployment_number": str(zone.number)})


# --- all kinds ---

APIS = 60


def fill(zone, at=OLD):
    """Every kind; the number of its live events is LIVE."""
    zone.row("environments", {"id": "DEFAULT", "hrids": ["default"], "name": "d", "organizationId": "ORG"}, None)
    zone.row("organizations", {"id": "ORG", "hrids": ["org"], "name": "o"}, None)
    zone.row("installation", {"id": "inst-1", "createdAt": at}, at)
    for i in range(APIS):
        event(zone, "PUBLISH_API", f"a{i}", m.bean(api(f"a{i}")), at=at)
        zone.row("subscriptions", subscription(f"s{i}", f"a{i}", metadata={"n": str(i)}), at)
        zone.row("keys", apikey(f"k{i}", [f"s{i}"]), at)
    for i in range(4):
        event(zone, "DEPLOY_API_PRODUCT", f"p{i}", product(f"p{i}", [f"a{i + 8}", f"a{i}"]), "api_product_id", at)
        zone.row("subscriptions", product_subscription(f"ps{i}", f"p{i}"), at)
        zone.row("keys", apikey(f"pk{i}", [f"ps{i}"]), at)
        dictionary(zone, i, 0, at)
        group(zone, i, 0, at)
        entity(zone, i, 0, at)
        policy(zone, i, 0, at)
        license(zone, f"ORG-{i}", f"text {i}", at)
        point(zone, f"ap{i}", at)
    event(zone, "PUBLISH_ORGANIZATION", "ORG", {"id": "ORG", "hrids": ["org"], "name": "o", "flows": []}, "organization_id", at)


LIVE = 3 * APIS + 4 * 9 + 2  # with the organization and the node's metadata


def dictionary(zone, i, n, at=m.NOW):
    event(zone, "PUBLISH_DICTIONARY", f"d{i}", {"id": f"d{i}", "key": f"k{i}", "name": "d", "environmentId": "DEFAULT",
                                                "properties": {"n": str(n)}}, "dictionary_id", at)


def group(zone, i, n, at=m.NOW):
    event(zone, "DEPLOY_SHARED_POLICY_GROUP", f"g{i}", {**GROUP, "id": f"g{i}", "environmentId": "DEFAULT", "name": f"n{n}"},
          "shared_policy_group_id", at)


def entity(zone, i, n, at=m.NOW):
    event(zone, "PUBLISH_AUTHZ_ENTITY", f"e{i}", {**ENTITY, "entityId": f"e{i}", "attributes": {"n": n}}, "authz_entity_id", at,
          f"authz_entity_id:e{i}")


def policy(zone, i, n, at=m.NOW):
    event(zone, "PUBLISH_AUTHZ_POLICY", f"q{i}", {**POLICY, "id": f"q{i}", "name": f"n{n}"}, "authz_policy_id", at,
          f"authz_policy_id:q{i}")


def change(zone, n, rng):
    """One turn of changes: something of each kind, some withdrawn, some back; none of them hides another's traces."""
    a, b, c = rng.sample(range(APIS), 3)
    i = rng.randrange(4)
    event(zone, "PUBLISH_API", f"a{a}", m.bean(api(f"a{a}", version=str(n))))
    event(zone, "UNPUBLISH_API" if n % 2 else "PUBLISH_API", f"a{b}", m.bean(api(f"a{b}", version=str(n), plan=rng.choice(["plan-1", "other"]))))
    zone.row("subscriptions", subscription(f"s{c}", f"a{c}", status=rng.choice(["CLOSED", "ACCEPTED", "PAUSED"]), metadata={"n": str(n)}))
    zone.row("keys", apikey(f"k{a}", [f"s{a}"], revoked=rng.random() < 0.5, paused=False))
    event(zone, "DEPLOY_API_PRODUCT", f"p{i}", product(f"p{i}", rng.choice([[f"a{i + 8}", f"a{c}"], [f"a{c}"], []]), description=str(n)), "api_product_id")
    other = (i + 1) % 4
    zone.row("keys", apikey(f"pk{other}", [f"ps{other}"], revoked=rng.random() < 0.5))
    dictionary(zone, i, n)
    event(zone, "UNPUBLISH_DICTIONARY", f"d{other}", property="dictionary_id")
    group(zone, i, n)
    event(zone, "UNDEPLOY_SHARED_POLICY_GROUP", f"g{other}", property="shared_policy_group_id")
    entity(zone, i, n)
    event(zone, "UNPUBLISH_AUTHZ_ENTITY", f"e{other}", {**ENTITY, "entityId": f"e{other}"}, "authz_entity_id", name=f"authz_entity_id:e{other}")
    policy(zone, i, n)
    license(zone, f"ORG-{i}", f"text {n}")
    point(zone, f"ap{i}", host=f"h{n}.example.org")
    point(zone, f"ap{other}", status="DELETED")


# --- all vectors ---

RENAMED = ("api-v4", "api-v2", "api-ref", "dict-1", "dict-2", "spg-1", "spg-cross-1", "spg-cross-2", "sub-1", "key-1", "prod-1", "prod-2")
ROWS = {"subscription": "subscriptions", "apikey": "keys", "accesspoint": "access_points"}


def vectors(zone, may):
    """Every recorded row, each under ids of its own, with what it hangs on; `may`: (collection, row) that the database can hold.

    Returns what withdraw() withdraws.
    """
    put = []

    def row(collection, content, at):
        content = {k: v for k, v in content.items() if k not in ("kind", "subscriptionRow", "attached", "updatedAt")}
        if may(collection, content):
            zone.row(collection, content, at)
            put.append((collection, content))

    for i, line in enumerate(lines("primary-rows.jsonl")):
        kind = line["row"]["kind"]
        if kind in ("environment", "organization"):
            zone.row(kind + "s", {k: v for k, v in line["row"].items() if k != "kind"}, None)
            continue
        if kind == "license":
            license(zone, line["row"]["referenceId"], line["row"]["license"])
            continue
        text = json.dumps(line["row"])
        for id in RENAMED:
            text = text.replace(f'"{id}', f'"{id}.{i}')
        r = json.loads(text)
        if kind == "event":
            for property in ("organization_id", "api_product_id"):
                r["id"] = (r["properties"] or {}).get(property, r["id"])
            row("events_latest", {**r, "environments": ["DEFAULT"]}, line["row"]["updatedAt"])
            continue
        sub = r.get("subscriptionRow") or (r if kind == "subscription" else None)
        if sub:
            of = sub.get("referenceId") or sub["api"]
            if sub.get("referenceType") == "API_PRODUCT":
                event(zone, "PUBLISH_API", f"{of}-a", m.bean(api(f"{of}-a")), at=OLD)
                row("events_latest", {"id": of, "type": "DEPLOY_API_PRODUCT", "payload": json.dumps(product(of, [f"{of}-a"], plan=sub["plan"])),
                                      "properties": {"api_product_id": of}, "createdAt": OLD, "environments": ["DEFAULT"]}, OLD)
            else:
                row("events_latest", {"id": of, "type": "PUBLISH_API", "payload": m.bean(api(of, plan=sub["plan"])),
                                      "properties": {"api_id": of}, "createdAt": OLD, "environments": ["DEFAULT"]}, OLD)
            row("subscriptions", sub, OLD)
        if kind != "subscription":
            row(ROWS[kind], r, OLD)
    return put


AWAY = {"PUBLISH_API": "UNPUBLISH_API", "START_API": "STOP_API", "PUBLISH_DICTIONARY": "UNPUBLISH_DICTIONARY",
        "DEPLOY_SHARED_POLICY_GROUP": "UNDEPLOY_SHARED_POLICY_GROUP", "DEPLOY_API_PRODUCT": "UNDEPLOY_API_PRODUCT"}


def withdraw(zone, put):
    """Subscriptions and keys by themselves first, so that they are not only the children of what goes."""
    for collection, content in put:
        content = copy.copy(content)
        if collection == "subscriptions":
            content["status"] = "CLOSED"
        elif collection == "keys":
            content["revoked"] = True
        elif collection == "access_points":
            content["status"] = "DELETED"
        elif content["type"] in AWAY:
            content["type"] = AWAY[content["type"]]
        else:
            continue
        zone.row(collection, content)
