# SPDX-License-Identifier: Apache-2.0
"""From the rows of a management database to every node (storage 3.5 to 3.8, 4a)."""
import json
import pathlib

import pytest

import mongo as m
import zone as z
from zone import api, apikey, product, product_subscription, subscription, until

pytestmark = pytest.mark.sources("mongodb", "postgresql")

OLD = 1755700000000  # rows that lie far behind any cursor
VECTORS = z.ROOT / "test" / "data" / "vectors"


def lines(name):
    return [json.loads(line) for line in (VECTORS / name).read_text().split("\n") if line]


def put_api(zone, id, updated=m.NOW, **kw):
    zone.event(id, "PUBLISH_API", m.bean(api(id, **kw)), updated=updated)


def put_sub(zone, id, api_id, updated=OLD, **kw):
    zone.row("subscriptions", subscription(id, api_id, **kw), updated)


def put_key(zone, id, subscriptions, updated=OLD, **kw):
    zone.row("keys", apikey(id, subscriptions, **kw), updated)


def names_are(n, *want):
    until(f"exactly {want}", lambda: n.names() == sorted(want))


def one_node(zone, **kw):
    zone.delay = 200
    zone.ttl = 5000  # or a busy machine would make promotions that are not of the test
    zone.start(1, **kw)
    return zone.nodes[0]


def see_a_delta(zone, n, tag=[0]):
    """All three tables were read once more, rows that were there before included."""
    tag[0] += 1
    for _ in range(2):  # the pass that brings the first may have begun before
        id = f"seen-{tag[0]}-{_}"
        put_api(zone, id)
        until("a delta", lambda: n.get("API", id))
        zone.event(id, "UNPUBLISH_API")
        until("a delta", lambda: n.get("API", id) is None)


# --- the same bytes ---

def plan_of(definition):
    return next((p["id"] for p in definition["plans"]
                 if p["status"].lower() in ("published", "deprecated") and "id" in p), "none")


def test_what_is_not_published_is_counted(zone):
    """Where a person would ask why; not what is revoked, closed, or of what was withdrawn."""
    put_api(zone, "a")
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    zone.event("gone", "UNPUBLISH_API", m.bean(api("gone")), updated=OLD)
    put_sub(zone, "of-gone", "gone")
    put_sub(zone, "closed", "nowhere", status="CLOSED")
    put_sub(zone, "lost", "nowhere")
    put_sub(zone, "bare", "a", status=None)
    put_key(zone, "revoked", [], revoked=True)
    put_key(zone, "of-closed", ["closed"])
    for i in range(7):
        put_key(zone, f"alone{i}", [])
    put_key(zone, "orphan", ["who"])
    n = one_node(zone)
    zone.settled(count=3)
    account = lambda: {(u["type"], u["reason"]): (u["count"], u["examples"]) for u in n.fetcher()["unpublished"]}
    until("counted", lambda: account() == {
        ("API_KEY", "without a subscription"): (7, [f"alone{i}" for i in range(5)]),
        ("API_KEY", "of a subscription that is not known"): (1, ["orphan"]),
        ("SUBSCRIPTION", "without a status"): (1, ["bare"]),
        ("SUBSCRIPTION", "of an API that is not known"): (1, ["lost"])})
    assert "not published: 1 subscription, " in n.cli("status", check=False).stdout
    assert n.names() == ["API:a", "API_KEY:k", "SUBSCRIPTION:s"]
    for i in range(7):
        put_key(zone, f"alone{i}", [], updated=m.NOW, revoked=True)
    zone.compare()
    until("fewer", lambda: len(account()) == 3)
    put_api(zone, "nowhere", updated=m.NOW)
    zone.compare()
    until("fewer still, since its API came", lambda: len(account()) == 2 and "SUBSCRIPTION:lost" in n.names())


def test_a_database_makes_the_bytes_that_files_make(zone):
    files = z.Zone(zone.base / "files")
    places = [("environments", {"id": "DEFAULT", "hrids": ["default"], "name": "d", "organizationId": "ORG"}),
              ("organizations", {"id": "ORG", "hrids": ["org"], "name": "o"})]
    rows = places + [("dictionaries", {"id": "d", "key": "k", "name": "d", "environmentId": "DEFAULT",
                                       "properties": {"a": "b"}, "deployedAt": OLD})]
    try:
        definitions = [json.loads(f.read_text()) for f in sorted(z.DEFINITIONS.glob("*.json"))]
        for i, d in enumerate(definitions):
            zone.event(d["id"], "PUBLISH_API", m.bean(d), updated=OLD + i)
            files.write(f"apis/{i:03}.json", {"definition": d, "deployedAt": OLD + i, "revision": str(zone.number),
                                              "environmentId": "DEFAULT"})
            rows.append(("subscriptions", subscription(f"s{i}", d["id"], plan_of(d), metadata={"n": str(i)})))
            rows.append(("api-keys", apikey(f"k{i}", [f"s{i}"], expireAt=OLD * 2)))
        pack = product("pack", [d["id"] for d in definitions[:3]], tags=["t"], description="\u00e9", analytics={"a": 1.50})
        rows += [("api-products", {**pack, "deployedAt": OLD}), ("subscriptions", product_subscription("ps", "pack")),
                 ("api-keys", apikey("pk", ["ps"]))]
        for folder, row in rows:
            files.write(f"{folder}/{row['id']}.json", row)
            if folder == "dictionaries":
                zone.event("d", "PUBLISH_DICTIONARY", json.dumps(row), "dictionary_id", updated=OLD)
            elif folder == "api-products":
                zone.event("pack", "DEPLOY_API_PRODUCT", json.dumps(pack), "api_product_id", updated=OLD)
            else:
                zone.row({"api-keys": "keys"}.get(folder, folder), row, None if (folder, row) in places else OLD)
        zone.start(1)
        files.start(1)
        count = 3 * len(definitions) + 1 + 3 - 2 * sum(1 for d in definitions if plan_of(d) == "none")
        zone.settled(count=count)
        files.settled(count=count)
        assert zone.nodes[0].names() == files.nodes[0].names()
        for line in zone.nodes[0].cli("list").splitlines():
            kind, id = line.split("\t")[:2]
            assert zone.nodes[0].get(kind, id) == files.nodes[0].get(kind, id), f"{kind} {id}"
    finally:
        files.close()


def opened(definition, recorded):
    """The definition as it is to be written: with the recorded plans, and its properties opened."""
    d = dict(definition)
    if isinstance(d.get("plans"), list):
        kept = [p.get("id") for p in recorded.get("plans") or []]
        d["plans"] = [p for p in d["plans"] if p.get("id") in kept]
    if "properties" in d and "properties" in recorded:
        ours = {p["key"]: p for p in recorded["properties"]} if isinstance(recorded["properties"], list) else {}
        d["properties"] = [{**p, "value": ours[p["key"]]["value"]} if p.get("key") in ours else p
                           for p in d["properties"]]
    return d


def check_payload(line, payload):
    row, want = line["row"], json.loads(line["events"][0]["payload"])
    got = json.loads(payload)
    if row.get("type", "").endswith("_API"):
        inner = json.loads(json.loads(row["payload"])["definition"])
        ours, recorded = got.pop("definition"), want.pop("definition")
        recorded = json.loads(recorded) if isinstance(recorded, str) else recorded
        for p in ours.get("properties") or []:  # whether it was encrypted is not of the tree that is compared
            p.pop("encrypted", None), p.pop("dynamic", None)
        want_definition = opened(inner, recorded)
        for p in want_definition.get("properties") or []:
            p.pop("encrypted", None), p.pop("dynamic", None)
        assert ours == want_definition, line["why"]
    if "forceDispatch" in want and "apiProductId" not in want:
        want["forceDispatch"] = True  # all are found with their APIs here, at the first pass
    assert got == want, line["why"]


def as_row(zone, line):
    row = {k: v for k, v in line["row"].items() if k != "kind"}
    updated = row.pop("updatedAt", m.NOW)
    for property in ("dictionary_id", "organization_id", "api_product_id"):
        row["id"] = row["properties"].get(property, row["id"])
    zone.row("events_latest", {**row, "environments": ["DEFAULT"], "organizations": ["DEFAULT"]}, updated)
    return row["id"]


def places_of_vectors(zone):
    for line in lines("primary-rows.jsonl"):
        row = {k: v for k, v in line["row"].items() if k != "kind"}
        if line["row"]["kind"] in ("environment", "organization"):
            zone.row(line["row"]["kind"] + "s", row, None)


def test_the_recorded_definitions_make_the_recorded_events(zone):
    want = lines("primary-definitions.jsonl")
    places_of_vectors(zone)
    for line in want:
        as_row(zone, line)
    zone.start(1)
    zone.settled(count=sum(1 for line in want if line["events"]))
    for line in want:
        for e in line["events"]:
            check_payload(line, zone.nodes[0].get(e["type"], e["id"]))


OURS = ("_API", "_DICTIONARY", "_ORGANIZATION", "_API_PRODUCT")


def test_the_recorded_rows_make_the_recorded_events(zone):
    """All at once: each line gets an id of its own."""
    places_of_vectors(zone)
    events, kept = [], 0
    for i, line in enumerate(lines("primary-rows.jsonl")):
        kind = line["row"]["kind"]
        text = json.dumps(line)
        for id in ("api-v4", "api-v2", "dict-1"):
            text = text.replace(id, f"{id}-{i}")
        line = json.loads(text)
        if kind == "event" and line["row"]["type"].endswith(OURS):
            as_row(zone, line)
        elif kind in ("subscription", "apikey") and not line["row"].get("attached"):
            row = {k: v for k, v in line["row"].items() if k not in ("kind", "subscriptionRow")}
            sub = dict(line["row"].get("subscriptionRow") or row)
            scope = sub.get("referenceId", sub.get("api"))
            sub = {k: v for k, v in sub.items() if k != "kind"}
            if sub.get("referenceType") != "API_PRODUCT":
                put_api(zone, f"{scope}.{i}", plan=sub["plan"])
            elif line["events"]:  # else it is an unknown product
                zone.write(f"api-products/{i}.json", product(f"{scope}.{i}", ["a"], plan=sub["plan"]))
            for k in ("api", "referenceId"):
                if k in sub and sub[k] == scope:
                    sub[k] = f"{scope}.{i}"
            old, sub["id"] = sub["id"], f"{sub['id']}.{i}"
            zone.row("subscriptions", sub, sub.pop("updatedAt"))
            kept += 1
            if kind == "apikey":
                row["subscriptions"] = [sub["id"] if s == old else s for s in row["subscriptions"]]
                row["id"] = f"{row['id']}.{i}"
                zone.row("keys", row, row.pop("updatedAt"))
            line["row"], text = row if kind == "apikey" else sub, json.dumps(line["events"])
            line["events"] = json.loads(text.replace(json.dumps(scope)[1:-1] + '"', f'{scope}.{i}"')
                                        .replace(f'\\"{old}\\"', f'\\"{sub["id"]}\\"'))
            for e in line["events"]:
                payload = json.loads(e["payload"]) if e.get("payload") else None
                if payload:
                    payload["id"] = line["row"]["id"]
                    for k in ("api", "apiProductId"):
                        if k in payload:
                            payload[k] = f"{scope}.{i}"
                    e["payload"] = json.dumps(payload)
                e["id"] = line["row"]["id"]
        else:
            continue
        events.append(line)
    assert kept > 10 and len(events) > 50
    zone.start(1)
    zone.settled()
    n = zone.nodes[0]
    for line in events:
        for e in line["events"]:
            got = n.get(e["type"], e["id"])
            if e["syncAction"] == "UNDEPLOY":
                assert got is None, line["why"]
            else:
                assert got is not None, line["why"]
                check_payload(line, got)
        if not line["events"] and line["note"] == "event not mapped":
            assert f"events_latest/{line['row']['id']}" in n.cli("quarantine"), line["why"]


# --- what hangs on what ---

def test_an_api_published_again_gets_its_old_subscriptions_and_keys_back(zone):
    put_api(zone, "a", updated=OLD)
    for i in range(3):
        put_sub(zone, f"s{i}", "a")
        put_key(zone, f"k{i}", [f"s{i}"])
    n = one_node(zone)
    zone.settled(count=7)
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=0)
    put_api(zone, "a")
    zone.settled(count=7)
    zone.event("a", "STOP_API", m.bean(api("a"), state="STOPPED"))
    zone.settled(count=0)
    zone.event("a", "START_API", m.bean(api("a")))
    zone.settled(count=7)
    assert n.get("API_KEY", "k2")


def test_a_subscription_found_with_its_api_is_dispatched_by_force(zone):
    """As the reference has it: with the API at the first pass and at each deployment, by itself when it changes."""
    def forced(id):
        return json.loads(n.get("SUBSCRIPTION", id))["forceDispatch"]

    plans = [{"id": p, "name": p, "security": {"type": "api-key"}, "mode": mode, "status": "published"}
             for p, mode in (("pushed", "push"), ("plan-1", "standard"))]
    put_api(zone, "a", updated=OLD, plans=plans)
    put_sub(zone, "s", "a")
    put_sub(zone, "p", "a", plan="pushed", type="PUSH")
    n = one_node(zone)
    zone.settled(count=3)
    assert forced("s") and forced("p")
    put_sub(zone, "p", "a", plan="pushed", type="PUSH", applicationName="Other", updated=m.NOW)
    put_sub(zone, "q", "a", updated=m.NOW)
    until("q", lambda: "SUBSCRIPTION:q" in n.names())
    until("p by itself", lambda: not forced("p"))
    assert not forced("q") and forced("s")
    put_api(zone, "a", version="2", plans=plans)
    until("p with its API", lambda: forced("p"))
    assert not forced("q"), "nothing is pushed there"


def test_a_plan_takes_its_subscriptions_along_and_brings_them_back(zone):
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    n = one_node(zone)
    zone.settled(count=3)
    put_api(zone, "a", plan="another")
    names_are(n, "API:a")
    put_api(zone, "a")
    names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")


def test_a_subscription_takes_its_keys_along_and_brings_them_back(zone):
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    put_key(zone, "revoked", ["s"], revoked=True)
    n = one_node(zone)
    zone.settled(count=3)
    for status in ("CLOSED", "PAUSED", "PENDING", "REJECTED"):
        put_sub(zone, "s", "a", updated=m.NOW, status=status)
        names_are(n, "API:a")
        put_sub(zone, "s", "a", updated=m.NOW)
        names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")


def test_a_key_with_two_subscriptions_of_one_api_is_of_one_that_is_open(zone):
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s1", "a", updated=OLD + 2000)
    put_sub(zone, "s2", "a", updated=OLD + 1000)
    put_key(zone, "k", ["s1", "s2"])
    n = one_node(zone)
    zone.settled(count=4)
    assert json.loads(n.get("API_KEY", "k"))["subscription"] == "s1"
    put_sub(zone, "s1", "a", updated=OLD + 3000, status="CLOSED")  # brought by a comparison
    zone.compare()
    until("of the open one", lambda: json.loads(n.get("API_KEY", "k"))["subscription"] == "s2")
    put_sub(zone, "s1", "a", updated=m.NOW)
    until("of the first again", lambda: json.loads(n.get("API_KEY", "k"))["subscription"] == "s1")
    put_sub(zone, "s1", "a", updated=m.NOW, status="CLOSED")
    until("of the open one", lambda: json.loads(n.get("API_KEY", "k"))["subscription"] == "s2")
    put_sub(zone, "s2", "a", updated=m.NOW, status="CLOSED")
    names_are(n, "API:a")


def test_a_key_shared_by_several_apis_goes_with_each_and_all_when_revoked(zone):
    for a in "ab":
        put_api(zone, a, updated=OLD)
        put_sub(zone, f"s{a}", a)
    put_key(zone, "k", ["sa", "sb"])
    n = one_node(zone)
    zone.settled(count=6)
    put_sub(zone, "sa", "a", updated=m.NOW, status="CLOSED")
    zone.settled(count=4)
    assert n.names("--ref", "API:b") == ["API_KEY:k", "SUBSCRIPTION:sb"]
    put_sub(zone, "sa", "a", updated=m.NOW)
    zone.settled(count=6)
    put_key(zone, "k", ["sa", "sb"], updated=m.NOW, revoked=True)
    names_are(n, "API:a", "API:b", "SUBSCRIPTION:sa", "SUBSCRIPTION:sb")
    put_key(zone, "k", ["sb"], updated=m.NOW)
    until("of one only", lambda: n.names("--ref", "API:b") == ["API_KEY:k", "SUBSCRIPTION:sb"])
    assert n.names("--ref", "API:a") == ["SUBSCRIPTION:sa"]


def test_paused_and_federated_keys_are_none(zone):
    put_api(zone, "a", updated=OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    put_key(zone, "federated", ["s"], federated=True)
    n = one_node(zone)
    zone.settled(count=3)
    put_key(zone, "k", ["s"], updated=m.NOW, paused=True)
    names_are(n, "API:a", "SUBSCRIPTION:s")


def test_rows_of_old_releases_name_their_api_and_subscription_another_way(zone):
    put_api(zone, "a", updated=OLD)
    zone.row("subscriptions", {**subscription("s", "old"), "referenceId": "a", "referenceType": "API"}, OLD)
    row = apikey("k", [])
    row["subscription"] = "s"
    row.pop("subscriptions")
    zone.row("keys", row, OLD)
    n = one_node(zone)
    zone.settled(count=3)
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=0)
    put_api(zone, "a")
    names_are(n, "API:a", "API_KEY:k", "SUBSCRIPTION:s")


def test_an_api_whose_row_is_gone_leaves_no_orphans(zone):
    for a in "ab":
        put_api(zone, a, updated=OLD)
        put_sub(zone, f"s{a}", a)
        put_key(zone, f"k{a}", [f"s{a}"])
    n = one_node(zone)
    zone.settled(count=6)
    zone.mongo.db["events_latest"].delete_one({"_id": "a"})
    done = n.logs("fetcher").count("pass_done")
    for i in range(3):
        zone.compare()
        until("compared", lambda: n.logs("fetcher").count("pass_done") > done + i)
    names_are(n, "API:b", "API_KEY:kb", "SUBSCRIPTION:sb")


def test_an_api_that_cannot_be_read_shields_no_closed_subscription(zone):
    put_api(zone, "a", updated=OLD)
    for i in range(2):
        put_sub(zone, f"s{i}", "a")
        put_key(zone, f"k{i}", [f"s{i}"])
    put_key(zone, "k2", ["s1"])
    n = one_node(zone)
    zone.settled(count=6)
    zone.event("a", "PUBLISH_API", "{")
    until("set aside", lambda: n.fetcher()["quarantined"] == 1)
    put_sub(zone, "s0", "a", updated=m.NOW, status="CLOSED")
    put_key(zone, "k2", ["s1"], updated=m.NOW, revoked=True)
    names_are(n, "API:a", "API_KEY:k1", "SUBSCRIPTION:s1")
    zone.compare()
    see_a_delta(zone, n)
    names_are(n, "API:a", "API_KEY:k1", "SUBSCRIPTION:s1")


# --- time ---

def cursor(zone, table):
    value = zone.redis("HGET", "zonesync:{test}:cursor", table)
    return int(value.split(":")[0]) if value else 0


def test_a_row_that_commits_late_is_found_by_the_delta_within_the_overlap(zone):
    put_api(zone, "a")
    n = one_node(zone)
    zone.settled(count=1)
    put_api(zone, "late", updated=m.now_ms() - 20000)
    until("found", lambda: n.get("API", "late"))
    put_sub(zone, "s", "late", updated=m.now_ms())
    until("found", lambda: n.get("SUBSCRIPTION", "s"))
    put_sub(zone, "t", "late", updated=m.now_ms() - 20000)
    until("found", lambda: n.get("SUBSCRIPTION", "t"))


def test_a_row_that_commits_later_than_the_overlap_is_found_by_a_comparison(zone):
    put_api(zone, "a")
    n = one_node(zone, extra="  source:\n    notify: off")
    zone.settled(count=1)
    put_api(zone, "late", updated=m.now_ms() - 600000)
    put_sub(zone, "s", "late", updated=m.now_ms() - 600000)
    see_a_delta(zone, n)
    assert n.get("API", "late") is None
    zone.compare()
    names_are(n, "API:a", "API:late", "SUBSCRIPTION:s")


def test_a_row_of_the_future_counts_and_does_not_push_the_cursor_ahead(zone):
    put_api(zone, "a")
    n = one_node(zone)
    zone.settled(count=1)
    put_api(zone, "tomorrow", updated=m.now_ms() + 86400000)
    until("it counts", lambda: n.get("API", "tomorrow"))
    see_a_delta(zone, n)
    assert cursor(zone, "events_latest") <= m.now_ms()
    put_api(zone, "today")
    until("found", lambda: n.get("API", "today"))


@pytest.mark.parametrize("value", ["99999999999999:x", "-9223372036854775808:x", "9223372036854775807:", ":", "x", ""])
def test_a_cursor_that_is_nonsense_hides_nothing(zone, value):
    put_api(zone, "a")
    n = one_node(zone)
    zone.settled(count=1)
    n.stop()
    for t in ("events_latest", "subscriptions", "keys"):
        zone.redis("HSET", "zonesync:{test}:cursor", t, value)
    put_api(zone, "b")
    n.start()
    names_are(n, "API:a", "API:b")
    put_api(zone, "c")
    until("a delta finds it", lambda: n.get("API", "c"))


# --- a resumed promotion ---

def test_a_fail_over_writes_nothing_and_reads_no_payload_again(zone):
    count = 40
    for i in range(count):
        put_api(zone, f"a{i}", updated=OLD + i * 60000)
        put_sub(zone, f"s{i}", f"a{i}", updated=OLD + i * 60000)
        put_key(zone, f"k{i}", [f"s{i}"], updated=OLD + i * 60000)
    zone.delay = 200
    zone.start(2)
    before = zone.settled(count=3 * count)
    p = zone.primary()
    until("compared", lambda: "pass_done" in p.logs("fetcher"))
    p.crash()
    zone.mongo.fail(["find"], errorCode=11600)  # so that what follows comes while nobody reads
    q = zone.primary(among=[n for n in zone.nodes if n is not p])
    put_api(zone, "new")
    put_sub(zone, "new", "a0", updated=m.NOW)
    put_key(zone, "k0", ["s0"], updated=m.NOW, revoked=True)
    zone.mongo.heal()
    until("compared", lambda: "pass_done" in q.logs("fetcher"))
    after = zone.settled(nodes=[q], count=3 * count + 1)
    assert q.get("API", "new") and q.get("SUBSCRIPTION", "new") and q.get("API_KEY", "k0") is None
    assert int(after["rev"]) == int(before["rev"]) + 3
    # The comparison and the delta look at each row in brief, a key's subscription too; only what changed is read.
    looked = 3 * count + 1 + count + 20
    assert q.fetcher()["rows"] <= looked, "payloads were read again"


def test_a_primary_that_dies_between_an_api_and_its_children_leaves_none_behind(zone):
    """The API's event is written, its subscriptions are not: whoever goes on must look at them."""
    put_api(zone, "a", updated=OLD)
    for i in range(3):
        put_sub(zone, f"s{i}", "a")
        put_key(zone, f"k{i}", [f"s{i}"])
    n = one_node(zone)
    zone.settled(count=7)
    zone.mongo.fail(["find"], errorCode=11600)
    until("down", lambda: n.fetcher()["source"].startswith("down"))
    put_api(zone, "a", plan="another")
    # The first look at events, and the row itself; then nothing.
    zone.mongo.fail(["find"], {"skip": 2, "times": 1000000}, errorCode=11600)
    until("the API is written", lambda: b"another" in n.get("API", "a"))
    n.crash()
    zone.mongo.heal()
    n.start()
    names_are(n, "API:a")


# --- filters ---

ENVIRONMENTS = [("E1", ["one"], "O1"), ("E2", ["two", "zwei"], "O1"), ("E3", ["three"], "O2")]


def three_environments(zone):
    for o in ("O1", "O2"):
        zone.row("organizations", {"id": o, "hrids": [o.lower()], "name": o}, None)
    for e, hrids, org in ENVIRONMENTS:
        zone.row("environments", {"id": e, "hrids": hrids, "name": e, "organizationId": org}, None)
        zone.event(e.lower(), "PUBLISH_API", m.bean(api(e.lower()), environment=e), environments=[e])
        zone.row("subscriptions", subscription(f"s{e}", e.lower(), environmentId=e))
        zone.row("keys", apikey(f"k{e}", [f"s{e}"], environmentId=e))
    zone.event("everybody", "PUBLISH_API", m.bean(api("everybody")), environments=[])
    row = zone.event("nobody", "PUBLISH_API", m.bean(api("nobody")))
    zone.mongo.db["events_latest"].update_one({"_id": row["_id"]}, {"$unset": {"environments": 1}})


FILTERS = {
    "environments: one": "1", "environments: [one, zwei]": "12", "organizations: o1": "12",
    "organizations: [o1, o2]\nenvironments: three": "3", "organizations: o2": "3",
    "useLegacyEnvironmentHrids: false\nenvironments: [E1, DEFAULT]": "1", "": "123",
}


@pytest.mark.parametrize("more", FILTERS, ids=lambda t: t.replace("\n", ", ") or "none")
def test_environments_and_organizations_choose_the_rows(zone, more):
    three_environments(zone)
    n = one_node(zone, more=more)
    want = ["API:everybody", "API:nobody"]
    for e in FILTERS[more]:
        want += [f"API:e{e}", f"SUBSCRIPTION:sE{e}", f"API_KEY:kE{e}"]
    names_are(n, *want)
    put_sub(zone, "more", "e1", updated=m.NOW, environmentId="E1")
    put_sub(zone, "other", "e3", updated=m.NOW, environmentId="E3")
    until("of ours", lambda: n.get("SUBSCRIPTION", "more" if "1" in FILTERS[more] else "other"))
    see_a_delta(zone, n) if not more else None
    assert ("SUBSCRIPTION:other" in n.names()) == ("3" in FILTERS[more])


@pytest.mark.parametrize("more", ["environments: nine", "organizations: o9", "organizations: o1\nenvironments: three"])
def test_a_filter_that_matches_nothing_is_an_error_and_never_no_filter(zone, more):
    three_environments(zone)
    n = one_node(zone, more=more)
    until("said", lambda: "no environment" in n.fetcher()["source"])
    assert n.cache()["count"] == 0
    for e, *_ in ENVIRONMENTS:
        zone.mongo.db["environments"].update_one({"_id": e}, {"$set": {"hrids": ["nine"], "organizationId": "O9"}})
    zone.row("organizations", {"id": "O9", "hrids": ["o9", "o1"], "name": "o"}, None)
    zone.mongo.db["environments"].update_many({}, {"$push": {"hrids": "three"}})
    until("it matches now", lambda: n.get("API", "e1"))


def test_an_environment_that_changes_its_name_is_looked_at_by_a_comparison(zone):
    three_environments(zone)
    n = one_node(zone, more="environments: [one, two]")
    until("both", lambda: n.get("API_KEY", "kE1") and n.get("API_KEY", "kE2"))
    zone.mongo.db["environments"].update_one({"_id": "E3"}, {"$set": {"hrids": ["one"]}})
    zone.mongo.db["environments"].update_one({"_id": "E2"}, {"$set": {"hrids": ["other"]}})
    zone.row("environments", {"id": "E4", "hrids": ["two"], "name": "E4", "organizationId": "O2"}, None)
    zone.compare()
    until("one comes", lambda: n.get("API_KEY", "kE3"))
    until("one goes", lambda: n.get("API", "e2") is None and n.get("API_KEY", "kE2") is None)
    assert json.loads(n.get("API", "e3"))["environmentHrid"] == "one"


@pytest.mark.sources("mongodb")
def test_collections_may_have_a_prefix(zone):
    put_api(zone, "a")
    zone.mongo.db["events_latest"].rename("gw_events_latest")
    put_api(zone, "b")
    n = one_node(zone, more="", extra="")
    names_are(n, "API:b")
    n.config.write_text(n.config.read_text().replace("  mongodb:\n", "  mongodb:\n    prefix: gw_\n"))
    n.cli("reload")
    until("of the other", lambda: n.get("API", "a"))


# --- what is older than what was withdrawn ---

def test_what_was_revoked_stays_so_where_the_next_primary_reads_what_is_older(zone):
    """A source that is a little behind shows a key as it was. One that was restored shows it again and again."""
    put_api(zone, "a", OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    put_key(zone, "closed", ["s"])
    zone.delay = 200
    zone.start(2)
    zone.settled(count=4)
    put_key(zone, "k", ["s"], updated=m.NOW, revoked=True)
    zone.settled(count=3)
    assert zone.redis.version("distributed_event:test:API:a:API_KEY:k") > str(OLD)
    old = zone.primary()
    put_key(zone, "k", ["s"])
    old.stop()
    n = zone.primary()
    zone.settled(count=3)
    see_a_delta(zone, n)
    assert n.get("API_KEY", "k") is None

    def compared():
        before = n.logs("fetcher").count("event=pass_done")
        n.cli("compare")
        until("compared", lambda: n.logs("fetcher").count("event=pass_done") > before)
        return n.get("API_KEY", "k")
    until("two comparisons in a row found it", compared)
    zone.settled(count=4)


def test_an_api_that_comes_back_brings_what_is_as_old_as_it_was(zone):
    put_api(zone, "a", OLD)
    put_sub(zone, "s", "a")
    put_key(zone, "k", ["s"])
    n = one_node(zone)
    zone.settled(count=3)
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=0)
    n.cli("compare")  # it comes across the rows of what hangs on it
    until("compared", lambda: n.logs("fetcher").count("event=pass_done") > 1)
    put_api(zone, "a")
    zone.settled(count=3)
    put_api(zone, "a", plan="plan-2")
    zone.settled(count=1)
    n.cli("compare")
    put_api(zone, "a")
    zone.settled(count=3)
    put_key(zone, "k", ["s"], updated=m.NOW, revoked=True)
    zone.settled(count=2)
    zone.event("a", "UNPUBLISH_API")
    zone.settled(count=0)
    put_api(zone, "a")
    zone.settled(count=2)
