# SPDX-License-Identifier: Apache-2.0
"""What a gateway may rely on (proto/gateway.proto), from its side of the socket."""
import json
import random
import subprocess
import time

from client import (ACTIVE, BAD_REQUEST, BUSY, KEY_EXPIRED, NOT_FOUND, OK, RESET, SUBSCRIPTION_ENDED,
                    SUBSCRIPTION_NOT_STARTED, TIMEOUT, UNAVAILABLE, UNSUPPORTED, Client, field, get, head,
                    list_, resolve_key, resolve_subscription, wait, watch)
from zone import BUILD, api, apikey, product, product_subscription, subscription, until

HOUR_MS = 3600_000


def now_ms():
    return int(time.time() * 1000)


def test_get_answers_the_payload_and_what_is_not_there(served):
    c = served.client()
    r = c.ask(get("API", "a"))
    assert (r.code, len(r.events), r.more) == (OK, 1, 0)
    e = r.events[0]
    assert (e.kind, e.id, e.ref, e.deployed, e.payload_bytes) == ("API", "a", "", 1, len(e.payload))
    assert json.loads(e.payload)["definition"] == api("a")
    assert c.ask(get("API", "b")).code == NOT_FOUND
    assert c.ask(get("NONSENSE", "b")).code == BAD_REQUEST
    (served.data / "api-keys/k.json").unlink()
    c.until("withdrawn", get("API_KEY", "k"), lambda r: r.code == NOT_FOUND)
    r = c.ask(get("API_KEY", "k", tombstones=True))
    assert (r.events[0].deployed, r.events[0].payload, r.events[0].ref) == (0, b"", "a")


def test_list_goes_by_type_and_reference_in_pages(served):
    for i in range(7):
        served.write(f"apis/p{i}.json", api(f"p{i}"))
    served.settled(count=10)
    c = served.client()
    assert [e.id for e in c.ask(list_("API")).events] == ["a"] + [f"p{i}" for i in range(7)]
    assert [(e.kind, e.id) for e in c.ask(list_(ref="a")).events] == [("SUBSCRIPTION", "s"), ("API_KEY", "k")]
    assert [e.id for e in c.ask(list_("API_KEY", ref="a")).events] == ["k"]
    assert c.ask(list_("API", ref="nowhere")).events == []
    seen, after, pages = [], "", 0
    while True:
        r = c.ask(list_(after=after, limit=3, payloads=True))
        assert len(r.events) <= 3 and all(len(e.payload) == e.payload_bytes for e in r.events)
        seen += [(e.kind, e.id) for e in r.events]
        pages, after = pages + 1, r.next
        if not after:
            break
    assert pages == 4 and len(seen) == len(set(seen)) == 10
    for bad in ("zz", "0", "a" * 5000):
        assert c.ask(list_(after=bad)).code == BAD_REQUEST
    assert c.ask(list_("nothing")).code == BAD_REQUEST


def test_a_large_payload_comes_in_chunks_beside_small_answers(served):
    served.write("apis/big.json", api("big", description="x" * (3 << 20)))
    served.settled(count=4)
    c = served.client()
    first, second = c.request(get("API", "big")), c.request(head())
    c.raw(first + second)
    parts, others = [], []
    while not parts or parts[-1].more:
        r = c.recv()
        (parts if r.id == 1 else others).append(r)
    whole = b"".join(r.events[0].payload for r in parts)
    assert len(parts) > 5 and len(whole) == parts[0].events[0].payload_bytes
    assert json.loads(whole)["definition"]["description"] == "x" * (3 << 20)
    assert [r.id for r in others or [c.recv()]] == [2]


# --- resolve ---

def test_an_api_answers_for_its_products_too_and_for_itself_first(served):
    served.write("api-products/q.json", product("q", ["a"]))
    served.write("api-products/p.json", product("p", ["a", "b"]))
    for p in ("p", "q"):
        served.write(f"subscriptions/s{p}.json", product_subscription(f"s{p}", p, clientId="c"))
        served.write(f"api-keys/k{p}.json", apikey(f"k{p}", [f"s{p}"], key="key-of-k"))
    served.settled(count=9)
    c = served.client()
    r = c.ask(resolve_key("a", "key-of-k"))
    assert [(m.active, m.api_product, m.subscription, m.plan) for m in r.resolution.matches] == \
        [(1, "", "s", "plan-1"), (1, "p", "sp", "plan-p"), (1, "q", "sq", "plan-p")]
    r = c.ask(resolve_subscription("a", "c", plan="plan-p"))
    assert [m.api_product for m in r.resolution.matches] == ["p", "q"]
    m, = c.ask(resolve_key("p", "key-of-k", kind="API_PRODUCT")).resolution.matches
    assert (m.active, m.api_product, m.key_id) == (1, "", "kp")
    r = c.ask(resolve_key("b", "key-of-k"))  # an API that is not deployed, in a product that is
    assert (r.code, r.resolution.deployed, r.resolution.matches[0].active) == (OK, 0, 0)
    (served.data / "subscriptions/s.json").unlink()
    c.until("the product's passes", resolve_key("a", "key-of-k"), lambda r: r.resolution.matches[0].api_product == "p")
    served.write("api-products/p.json", product("p", ["b"]))
    c.until("the next one", resolve_key("a", "key-of-k"), lambda r: [m.api_product for m in r.resolution.matches] == ["q"])
    (served.data / "api-products/q.json").unlink()
    c.until("nothing", resolve_key("a", "key-of-k"), lambda r: r.code == NOT_FOUND)


def test_a_key_resolves_to_its_subscription_in_one_question(served):
    c = served.client()
    r = c.ask(resolve_key("a", "key-of-k"))
    assert (r.code, r.resolution.found, r.resolution.deployed) == (OK, 1, 1)
    assert str(r.position) == str(c.ask(head()).position) and r.position.proven
    m, = r.resolution.matches
    assert (m.active, m.why, m.subscription, m.plan, m.application, m.key_id, m.expire_at_ms) == \
        (1, ACTIVE, "s", "plan-1", "app", "k", 0)
    assert m.revision > 0 and m.updated_ms > 0
    for ref, key in (("a", "key-of-K"), ("a", "k"), ("b", "key-of-k"), ("a", "x" * 5000)):
        r = c.ask(resolve_key(ref, key))
        assert (r.code, r.resolution.found, r.resolution.matches) == (NOT_FOUND, 0, [])
        assert r.resolution.deployed == (ref == "a") and r.position.revision
    # A product of that id is not deployed, so its key may not pass.
    r = c.ask(resolve_key("a", "key-of-k", kind="API_PRODUCT"))
    assert (r.resolution.deployed, r.resolution.matches[0].active) == (0, 0)
    assert c.ask(resolve_key("a", "key-of-k", kind="API")).code == OK
    for bad in (resolve_key("", "k"), resolve_key("a", ""), resolve_key("a", "k", kind="api"),
                resolve_subscription("a", ""), resolve_subscription("a", "c", kind="PLAN")):
        assert c.ask(bad).code == BAD_REQUEST


def test_a_client_resolves_to_its_subscription_of_that_plan(served):
    plans = api("a")["plans"] + [{**api("a")["plans"][0], "id": "plan-2"}]
    served.write("apis/a.json", api("a", plans=plans))
    served.write("subscriptions/s2.json", subscription("s2", "a", plan="plan-2", clientId="c"))
    served.settled(count=4)
    c = served.client()

    def ids(*args):
        r = c.ask(resolve_subscription("a", *args))
        return r.code, [m.subscription for m in r.resolution.matches]

    assert ids("c")[1] and set(ids("c")[1]) == {"s", "s2"}
    assert ids("c", "plan-1") == (OK, ["s"])
    assert ids("c", "plan-2") == (OK, ["s2"])
    assert ids("c", "plan-3") == (NOT_FOUND, [])
    assert ids("d") == (NOT_FOUND, [])
    first = ids("c")[1][0]
    served.write(f"subscriptions/{first}.json",
                 subscription(first, "a", plan="plan-1" if first == "s" else "plan-2", clientId="c",
                              endingAt=now_ms() - HOUR_MS))
    r = c.until("the one that ended comes last", resolve_subscription("a", "c"),
                lambda r: [m.active for m in r.resolution.matches] in ([1], [1, 0]))
    assert r.resolution.matches[0].subscription != first


def test_a_revoked_key_passes_nowhere_and_comes_back(served):
    c = served.client()
    served.write("api-keys/k.json", apikey("k", ["s"], revoked=True))
    r = c.until("revoked", resolve_key("a", "key-of-k"), lambda r: r.code == NOT_FOUND)
    assert r.resolution.deployed
    served.write("api-keys/k.json", apikey("k", ["s"]))
    c.until("back", resolve_key("a", "key-of-k"), lambda r: r.code == OK)
    served.write("subscriptions/s.json", subscription("s", "a", status="CLOSED", clientId="c"))
    c.until("closed", resolve_key("a", "key-of-k"), lambda r: r.code == NOT_FOUND)
    assert c.ask(resolve_subscription("a", "c")).code == NOT_FOUND


def test_another_value_of_a_key_ends_the_old_one(served):
    c = served.client()
    served.write("api-keys/k.json", apikey("k", ["s"]) | {"key": "new"})
    r = c.until("the new value", resolve_key("a", "new"), lambda r: r.code == OK)
    assert r.resolution.matches[0].key_id == "k"
    assert c.ask(resolve_key("a", "key-of-k")).code == NOT_FOUND


def test_an_undeployed_api_takes_its_keys_along(served):
    c = served.client()
    (served.data / "apis/a.json").unlink()
    r = c.until("undeployed", resolve_key("a", "key-of-k"), lambda r: not r.resolution.deployed)
    c.until("not found", resolve_key("a", "key-of-k"), lambda r: r.code == NOT_FOUND)
    c.until("nor is the client", resolve_subscription("a", "c"), lambda r: r.code == NOT_FOUND)
    served.write("apis/a.json", api("a"))
    r = c.until("deployed again", resolve_key("a", "key-of-k"), lambda r: r.code == OK)
    assert r.resolution.matches[0].active


def test_a_subscription_that_moves_takes_its_key_along(served):
    served.write("apis/b.json", api("b"))
    served.settled(count=4)
    c = served.client()
    served.write("subscriptions/s.json", subscription("s", "b", clientId="c"))
    r = c.until("at b", resolve_key("b", "key-of-k"), lambda r: r.code == OK)
    assert r.resolution.matches[0].active
    c.until("no more at a", resolve_key("a", "key-of-k"), lambda r: r.code == NOT_FOUND)
    assert c.ask(resolve_subscription("a", "c")).code == NOT_FOUND
    assert c.ask(resolve_subscription("b", "c")).code == OK


def test_times_count_by_the_clock_of_the_node(served):
    c = served.client()
    late = now_ms() + HOUR_MS
    served.write("subscriptions/s.json", subscription("s", "a", clientId="c", startingAt=1, endingAt=late + 5))
    served.write("api-keys/k.json", apikey("k", ["s"], expireAt=late))

    def match(body):
        r = c.ask(body)
        return r.resolution.matches[0] if r.code == OK else None

    key, client = resolve_key("a", "key-of-k"), resolve_subscription("a", "c")
    until("the earlier end", lambda: match(key).expire_at_ms == late)
    until("the subscription's end", lambda: match(client).expire_at_ms == late + 5)
    assert match(key).active and match(client).active
    soon = now_ms() + 3000
    served.write("api-keys/k.json", apikey("k", ["s"], expireAt=soon))
    until("it has its end", lambda: match(key) is None or match(key).expire_at_ms == soon)
    until("it ends by itself", lambda: match(key) is None or not match(key).active)
    m = match(key)
    assert m is None or m.why == KEY_EXPIRED, "or the source withdrew it"
    served.write("api-keys/k.json", apikey("k", ["s"]))
    served.write("subscriptions/s.json", subscription("s", "a", clientId="c", startingAt=late))
    until("not yet", lambda: match(client).why == SUBSCRIPTION_NOT_STARTED)
    until("nor the key", lambda: match(key).why == SUBSCRIPTION_NOT_STARTED)
    served.write("subscriptions/s.json", subscription("s", "a", clientId="c", endingAt=1000))
    until("over", lambda: match(client) is None or match(client).why == SUBSCRIPTION_ENDED)


def test_the_command_asks_the_same(served):
    n = served.node1
    assert n.cli("resolve", "key", "API:a", "key-of-k").startswith("active        yes\nsubscription  s\n")
    got = json.loads(n.cli("resolve", "subscription", "a", "c", "--plan", "plan-1", "--json"))
    assert got["active"] and got["proven"] and got["matches"][0]["subscription"] == "s"
    assert n.cli("resolve", "key", "a", "other", check=False).returncode == 1
    served.write("subscriptions/s.json",
                 subscription("s", "a", clientId="c", startingAt=now_ms() + HOUR_MS))
    until("not yet", lambda: n.cli("resolve", "key", "a", "key-of-k", check=False).returncode == 5)
    assert "not started" in n.cli("resolve", "subscription", "a", "c", check=False).stdout


# --- watch, wait ---

def test_a_watch_goes_on_without_a_gap_wherever_it_was_cut(served):
    c = served.client()
    start = str(c.ask(head()).position)
    total = 60
    for i in range(total):
        served.write("apis/a.json", api("a", version=f"v{i}"))
        if i % 10 == 0:
            c.until("seen", get("API", "a"),
                    lambda r: json.loads(r.events[0].payload)["definition"]["apiVersion"] == f"v{i}")
    served.write("apis/z.json", api("z"))
    c.until("the end", get("API", "z"), lambda r: r.code == OK)
    w = served.client()
    w.send(watch(start))
    whole = []
    while not whole or whole[-1][0].id != "z":
        whole += w.events(1)
    revisions = [e.revision for e, _ in whole]
    assert revisions == sorted(set(revisions))
    at, seen, rng = start, [], random.Random(3)
    while not seen or seen[-1].id != "z":
        w = served.client()
        w.send(watch(at))
        for _ in range(rng.randint(1, 3)):
            got = w.events(1)
            seen += [e for e, _ in got]
            at = got[-1][1]
            if seen[-1].id == "z":
                break
        w.close()
    assert [(e.revision, e.id) for e in seen] == [(e.revision, e.id) for e, _ in whole]


def test_a_watch_with_large_payloads_names_positions_that_are_safe(served):
    c = served.client()
    start = str(c.ask(head()).position)
    for i in range(3):
        served.write(f"apis/big{i}.json", api(f"big{i}", description=str(i) * 700_000))
    served.settled(count=6)
    got, at, opened = {}, start, 0
    while len(got) < 3:  # cut off after each Reply: what the position covers must be there whole
        w = served.client()
        opened += 1
        w.send(watch(at, payloads=True))
        part = b""
        while True:
            r = w.recv()
            e, = r.events
            part += e.payload
            if len(part) == e.payload_bytes:
                got[e.id] = part
                assert r.position.revision >= e.revision
                at = str(r.position)
                break
            assert r.position.revision < e.revision, "not whole yet"
        w.close()
    assert opened == 3
    for i in range(3):
        assert json.loads(got[f"big{i}"])["definition"]["description"] == str(i) * 700_000


def test_a_watch_of_another_history_is_reset(served):
    c = served.client()
    p = c.ask(head()).position
    for bad in ("0123456789abcdef:1", f"{p.lineage}:{p.revision + 1000}"):
        assert c.ask(watch(bad)).code == RESET
    assert c.ask(watch("nonsense")).code == BAD_REQUEST
    w = served.client()
    w.send(watch(f"{p.lineage}:0"))
    assert {e.id for e, _ in w.events(3)} == {"a", "s", "k"}
    served.redis("FLUSHALL")  # the primary begins a new lineage
    r = w.recv()
    while r.code == OK:
        r = w.recv()
    assert r.code == RESET and not r.more and r.position.lineage != p.lineage
    assert w.ask(get("API", "a")).code == OK, "the connection goes on"


def test_wait_answers_when_it_is_there_or_not_in_time(served):
    c = served.client()
    p = c.ask(head()).position
    assert c.ask(wait(str(p), 0)).code == OK
    assert c.ask(wait(str(p.revision), 0)).code == OK
    assert c.ask(wait("another:1", 1000)).code == RESET
    assert c.ask(wait(f"{p.lineage}:{p.revision + 100}", 1)).code == TIMEOUT
    assert c.ask(wait("x", 1)).code == BAD_REQUEST
    id = c.send(wait(f"{p.lineage}:{p.revision + 1}", 30000))
    served.write("apis/b.json", api("b"))
    r = c.recv()
    assert (r.id, r.code) == (id, OK) and r.position.revision > p.revision
    assert c.ask(get("API", "b")).code == OK
    for _ in range(64):
        c.send(wait(f"{p.lineage}:{p.revision + 100}", 30000))
    assert c.ask(wait(f"{p.lineage}:{p.revision + 100}", 30000)).code == BUSY


# --- a client in C ---

def run_c(*args, **more):
    return subprocess.Popen([BUILD / "test/client/client", *map(str, args)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **more)


def test_a_client_in_c_asks_everything(served):
    done = run_c("check", served.node1.run / "cache.sock", "a", "key-of-k", "c")
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (0, "ok\n"), err


def test_a_client_in_c_follows_revocation_undeploy_and_return(served):
    sock = served.node1.run / "cache.sock"
    start = served.client().ask(head()).position

    def follow(at, count):
        p = run_c("follow", sock, at, count)
        lines = []
        for line in p.stdout:
            lines.append(line.split())
        assert p.wait(60) == 0, p.stderr.read()
        p.stdout.close()
        p.stderr.close()
        return [x for x in lines if len(x) == 3], lines[-1][0]

    served.write("api-keys/k.json", apikey("k", ["s"], revoked=True))
    got, at = follow(start, 1)
    assert got == [["-", "API_KEY", "k"]]
    (served.data / "apis/a.json").unlink()
    got, at = follow(at, 2)
    assert got == [["-", "SUBSCRIPTION", "s"], ["-", "API", "a"]]
    served.write("apis/a.json", api("a"))
    got, at = follow(at, 2)
    assert sorted(got) == [["+", "API", "a"], ["+", "SUBSCRIPTION", "s"]]
    whole, _ = follow(f"{start.lineage}:0", 3)
    assert {x[2]: x[0] for x in whole} == {"k": "-", "a": "+", "s": "+"}


# --- the conversation ---

def test_requests_are_answered_in_order_when_pipelined(served):
    c = served.client()
    n = 5000
    c.raw(b"".join(c.request(resolve_key("a", "key-of-k" if i % 2 else "none")) for i in range(n)))
    for i in range(n):
        r = c.recv()
        assert (r.id, r.code) == (i + 1, OK if i % 2 else NOT_FOUND)


def test_a_request_of_a_later_version_is_unsupported_and_nothing_worse(served):
    c = served.client()
    assert c.ask(field(99, b"something new")).code == UNSUPPORTED
    assert c.ask(b"").code == UNSUPPORTED
    assert c.ask(head() + field(77, "a field more")).code == OK
    assert c.ask(field(7, field(2, "a") + field(3, "key-of-k") + field(40, 7))).code == OK


def test_a_node_without_data_says_so_and_refuses_nobody(zone):
    zone.redis.start()
    zone.redis.stop()
    n = zone.node("n1")
    with_data = (get("API", "a"), list_(), resolve_key("a", "k"), resolve_subscription("a", "c"))

    def client():
        try:
            return Client(n.run / "cache.sock")
        except OSError:
            return None

    c = until("it listens", client)
    assert c.ask(head()).position.lineage == ""
    for body in with_data:
        assert c.ask(body).code == UNAVAILABLE
    c.close()


def test_answers_go_on_from_the_store_when_everything_else_is_down(served):
    served.redis.stop()
    served.node1.stop()
    served.node1.start()
    c = served.client()
    r = c.ask(resolve_key("a", "key-of-k"))
    assert r.code == OK and r.resolution.matches[0].active and not r.position.proven
    assert c.ask(resolve_subscription("a", "c")).code == OK


def test_a_damaged_record_costs_no_other_and_is_mended(served):
    served.write("apis/b.json", api("b", description="mark-b-"))
    served.write("apis/c.json", api("c"))
    served.settled(count=5)
    n = served.node1
    c = served.client()
    at = c.ask(head()).position
    watcher = served.client()
    watcher.send(watch())
    until("asked", lambda: watcher.ask(head()).position)
    served.redis.pause()
    store = n.dir / "state" / "store"
    with open(store / (store / "CURRENT").read_text().strip() / "data.mdb", "r+b") as f:
        raw = f.read()
        f.seek(raw.index(b"mark-b-"))
        f.write(b"#")
    r = c.ask(list_("API"))
    assert (r.code, [e.id for e in r.events], r.left_out) == (OK, ["a", "c"], 1)
    assert (c.ask(list_("API_KEY")).left_out, c.ask(get("API", "b")).code) == (0, UNAVAILABLE)
    assert c.ask(get("API", "c")).code == OK and c.ask(resolve_key("a", "key-of-k")).resolution.found
    assert served.client().ask(watch(f"{at.lineage}:0")).code == RESET  # a gap would be worse
    r = n.cli("list", "API", check=False)
    assert r.returncode == 69 and "left out: 1 damaged" in r.stderr
    assert [line.split("\t")[1] for line in r.stdout.splitlines()] == ["a", "c"]
    for _ in range(20):
        c.ask(list_("API"))
    assert n.logs("cache").count("event=record_damaged") == 1
    served.redis.resume()
    c.until("mended", list_("API"), lambda r: [e.id for e in r.events] == ["a", "b", "c"] and not r.left_out)
    assert watcher.recv().code == RESET  # what it read may have lacked one
    assert c.ask(watch(f"{at.lineage}:{at.revision}")).code == RESET  # and so may have what was listed since
