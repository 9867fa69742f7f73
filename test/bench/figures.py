# SPDX-License-Identifier: Apache-2.0
"""The figures of a zone. Each is printed with its base and the goal of the design."""
import pathlib
import random
import socket
import statistics
import subprocess
import time

import client
import source
import zone as z
from report import line, quantiles, rate

LONG_S = 1200
CHANGES = 40
ROUNDS = 5    # of undeploys
ASKS = 20000  # lookups of one measure
UPDATES = 1000
POLL_MS = 50
MIB = 1 << 20
LARGE = 15 * MIB
LINK_EVENTS = 10000
BENCH = pathlib.Path(z.BUILD) / "test/bench/bench"


def tool(*args):
    out = subprocess.run([BENCH, *[str(a) for a in args]], capture_output=True, check=True, timeout=LONG_S)
    return {row.split()[0]: (float(row.split()[1]), float(row.split()[2]))
            for row in out.stdout.decode().splitlines()}


# --- memory ---

def memory(node):
    """(resident, private) bytes of the four processes."""
    resident = private = 0
    for pid in filter(None, [node.process.pid] + [node.pid(w) for w in ("elector", "fetcher", "cache")]):
        for row in open(f"/proc/{pid}/smaps_rollup"):
            if row.startswith("Rss:"):
                resident += int(row.split()[1]) * 1024
            elif row.startswith("Anonymous:"):  # the mapped store is a file
                private += int(row.split()[1]) * 1024
    return resident, private


def mean_payload(node, size):
    """Bytes of an entity's payload, on average."""
    one = {kind: len(node.get(kind, id)) for kind, id in (("API", "a1"), ("SUBSCRIPTION", "s1"), ("API_KEY", "k1"))}
    return (size.apis * one["API"] + size.pairs * (one["SUBSCRIPTION"] + one["API_KEY"])) / size.total


def per_entity(count, what, node, empty, size):
    resident, private = memory(node)
    payload = mean_payload(node, size)
    more = (resident - empty[0]) / size.total - payload
    line(count, f"memory of {what}, private", f"{private / MIB:.0f} MiB", f"empty {empty[1] / MIB:.0f} MiB", None,
         f"{(private - empty[1]) / size.total:.0f} bytes an entity", private)
    line(count, f"memory of {what}, resident", f"{resident / MIB:.0f} MiB",
         f"payloads {payload * size.total / MIB:.0f} MiB", None, f"{more:.0f} bytes an entity beyond it; <= 200",
         resident)


def empty_zone(count, zone):
    node = zone.node("n0")
    filled(zone, 0)
    proven(node, 0)
    empty = memory(node)
    line(count, "memory of an empty node", f"{empty[0] / MIB:.0f} MiB resident", f"private {empty[1] / MIB:.0f} MiB",
         None, "<= 32 MiB", empty[0])
    node.stop()
    zone.redis("FLUSHALL")
    return empty


# --- throughput ---

def publish(count, zone):
    f = tool("publish", zone.redis.socket, count)
    for kind, goal in (("insert", ">= 0.5"), ("overwrite", ">= 0.4")):
        fenced, plain = f[f"fenced_{kind}"][1], f[f"plain_{kind}"][1]
        line(count, f"publish, {kind}", rate(fenced), f"plain HSET {rate(plain)}", fenced / plain, goal, fenced)


def publish_behind(count, zone):
    """The same by a link, for both."""
    for fault, how, link in (("delay", {"delay_s": 0.005}, "5 ms"), ("thin", {}, "5 ms and 50 Mbit/s")):
        zone.proxy.begin(fault, **how)
        f = tool("publish", zone.proxy.port, min(count, LINK_EVENTS))
        fenced, plain = f["fenced_insert"][1], f["plain_insert"][1]
        line(count, f"publish, behind {link}", rate(fenced), f"plain HSET {rate(plain)}", fenced / plain, ">= 0.5")
        zone.redis("FLUSHALL")


def largest(count, zone):
    """Of 15 MiB, from its file to who serves it: to Redis and back; its base is the same bytes to Redis and back."""
    node = zone.node("n1")
    proven(node, 0)
    zone.proxy.begin("thin")
    text = "x" * LARGE
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", zone.proxy.port)) as s:
        s.sendall(f"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${LARGE}\r\n{text}\r\nGET large\r\n".encode())
        came = 0
        while came < LARGE:
            came += len(s.recv(MIB))
    base = time.monotonic() - begin
    begin = time.monotonic()
    zone.write("apis/large.json", z.api("large", description=text))
    z.until("it is served", lambda: len(node.get("API", "large") or b"") > LARGE, LONG_S)
    took = time.monotonic() - begin
    tries = node.logs("fetcher").count("event=promoted")
    line(count, "15 MiB by 5 ms and 50 Mbit/s", f"{took:.2f} s", f"bare SET, GET {base:.2f} s", took / base,
         f"<= 2; with a lease of {zone.ttl / 1000:.0f} s, promoted {tries} time(s)")


def filled(zone, total):
    z.until("the zone is filled", lambda: (lambda m: m.get("complete") == "1" and m.get("count") == str(total))
            (zone.redis.meta()), LONG_S)


def proven(node, total):
    z.until("proven", lambda: (lambda c: c["proven"] and c["count"] == total)(node.cache()), LONG_S)


def fetch(count, zone, size):
    base = zone.drain(tool)  # before and after, since a machine is not the same for long
    begin = time.monotonic()
    primary = zone.node("n1")
    filled(zone, size.total)
    took = time.monotonic() - begin
    base = (base + zone.drain(tool)) / 2
    line(count, f"initial fetch, {zone.NAME} -> Redis", f"{took:.2f} s", f"bare read {base:.2f} s", took / base,
         "<= 2 (of a database)", took)
    proven(primary, size.total)
    return primary


def boot_from_redis(count, zone, size):
    drain = tool("drain", zone.redis.socket, "test")["drain"][0]
    begin = time.monotonic()
    node = zone.node("n2", extra="  candidate: false")
    proven(node, size.total)
    took = time.monotonic() - begin
    drain = (drain + tool("drain", zone.redis.socket, "test")["drain"][0]) / 2
    line(count, "boot from Redis, empty node", f"{took:.2f} s", f"bare drain {drain:.2f} s", took / drain, "<= 1.5",
         took)
    return node


def boot_from_disk(count, zone, node):
    node.stop()
    path = pathlib.Path(zone.redis.socket)
    path.rename(f"{path}.away")  # Redis is out of reach
    try:
        times = [exec_to_lookup(node) for _ in range(ROUNDS)]
    finally:
        pathlib.Path(f"{path}.away").rename(path)
    line(count, "boot from disk, exec to lookup", quantiles(times), "", None, "<= 50 ms", statistics.median(times))


def exec_to_lookup(node):
    begin = time.monotonic()
    node.start(wait=False)
    while True:
        try:
            c = client.Client(node.run / "cache.sock")
            reply = c.ask(client.get("API_KEY", "k1"))
            c.close()
            if reply.code == client.OK:
                break
        except (OSError, AttributeError):
            pass
        assert time.monotonic() - begin < LONG_S
        time.sleep(0.001)
    took = (time.monotonic() - begin) * 1000
    node.stop()
    return took


# --- changes ---

class Watch:
    """Sees changes as a gateway does."""

    def __init__(self, node):
        self.client = client.Client(node.run / "cache.sock")
        self.client.send(client.watch(str(self.client.ask(client.head()).position), payloads=True))

    def until(self, seen):
        while True:
            reply = self.client.recv()
            assert reply and reply.code == client.OK, reply
            if any(seen(e) for e in reply.events):
                return


def ms_until(watches, act, seen):
    time.sleep(random.random() * POLL_MS / 1000)  # anywhere between two polls
    begin = time.monotonic()
    act()
    for w in watches:
        w.until(seen)
    return (time.monotonic() - begin) * 1000


def poll_only(zone, primary):
    """From now on the primary is told of nothing, and polls."""
    text = primary.config.read_text().replace(f"delay: {zone.delay}", f"delay: {POLL_MS}")
    primary.config.write_text(text.replace("zonesync:\n", "zonesync:\n  source:\n    notify: off\n", 1))
    passes = primary.logs("fetcher").count("pass_done")
    primary.cli("reload")
    z.until("it polls", lambda: primary.logs("fetcher").count("pass_done") > passes and
            primary.fetcher()["notify"] == "off", LONG_S)


def triggers(count, zone):
    """What they cost a writer, one row and all rows a statement; from now on they are there."""
    times = {}
    for when in ("without", "with"):
        if when == "with":
            zone.setup_notify()
            z.until("it listens", lambda: zone.nodes[0].fetcher()["notify"] == "LISTEN/NOTIFY", LONG_S)
        one, many = [], []
        for _ in range(CHANGES):
            begin = time.monotonic()
            zone.mongo.run("UPDATE keys SET paused = false WHERE id = 'k1'")
            one.append((time.monotonic() - begin) * 1000)
        for _ in range(ROUNDS):
            begin = time.monotonic()
            zone.mongo.run("UPDATE keys SET paused = false")
            many.append((time.monotonic() - begin) * 1000)
        times[when] = [statistics.median(one), statistics.median(many)]
    for i, what in enumerate(("a row", f"all {count // 2} keys")):
        base, with_ = times["without"][i], times["with"][i]
        line(count, f"UPDATE of {what}, with the triggers", f"p50 {with_:.2f} ms", f"without {base:.2f} ms", with_ / base, "", with_)


def report_changes(count, what, times, base="", ratio=None, goal_ms=0):
    line(count, what, quantiles(times), base, ratio, f"<= {goal_ms} ms", statistics.median(times))


def changes(count, zone, nodes, polled=False):
    watches = [Watch(n) for n in nodes]
    times = []
    for i in range(CHANGES):
        mark = f'"apiVersion":"v{i}{polled}"'.encode()
        times.append(ms_until(watches, lambda: zone.change(f"v{i}{polled}"),
                              lambda e: e.id == "a0" and mark in e.payload))
    if not polled:
        report_changes(count, f"change in {zone.NAME} -> every node", times, goal_ms=50)
        return
    report_changes(count, f"the same by polls of P = {POLL_MS} ms", times, goal_ms=f"{POLL_MS} + 50")
    line(count, "  less the poll", f"p50 {statistics.median(times) - POLL_MS / 2:.1f} ms", "", None,
         "<= 50 ms; less P / 2", statistics.median(times) - POLL_MS / 2)


def undeploy(count, zone, nodes, size):
    base = statistics.median(tool("redis-delete", zone.redis.socket, source.CHILDREN)["delete"][0]
                             for _ in range(ROUNDS)) * 1000
    times = []
    for _ in range(ROUNDS):
        watches = [Watch(n) for n in nodes]
        # The API goes last, after its children.
        times.append(ms_until(watches, lambda: zone.deploy_big(False), lambda e: e.id == "big" and not e.deployed))
        for n in nodes:
            assert n.cache()["count"] == size.total - source.CHILDREN - 1
        zone.deploy_big(True)
        for n in nodes:
            proven(n, size.total)
    report_changes(count, "undeploy with 1,000 children", times, f"pipelined DEL {base:.1f} ms",
                   statistics.median(times) / base, goal_ms=20)


# --- lookups ---

def lookups(count, zone, node, size):
    base = z.Redis(zone.base / "plain").start()
    try:
        tool("redis-fill", base.socket, size.pairs)
        plain = tool("redis-get", base.socket, size.pairs, ASKS)
        ask = ("gateway", node.run / "cache.sock", size.pairs, size.apis, ASKS)
        report_lookups(count, "idle", tool(*ask), plain)
        before = node.cache()["revision"]
        begin = time.monotonic()
        writer = subprocess.Popen([BENCH, "update", zone.redis.socket, "test", str(size.pairs), str(size.apis),
                                   str(UPDATES)])
        z.until("updates are applied", lambda: node.cache()["revision"] > before + UPDATES)
        report_lookups(count, "updating", tool(*ask), plain)
        assert writer.poll() is None
        applied = (node.cache()["revision"] - before) / (time.monotonic() - begin)
        writer.kill()
        writer.wait()
        line(count, "updates applied meanwhile", f"{applied:.0f}/s", "", None, f"{UPDATES}/s were asked for", applied)
    finally:
        base.stop()


def report_lookups(count, when, ours, plain):
    for what in ("resolve", "get"):
        p50, p99 = ours[f"{what}_serial"]
        base50, base99 = plain["redis_serial"]
        line(count, f"{what}, {when}", f"{p50:.0f} / {p99:.0f} us", f"GET {base50:.0f} / {base99:.0f} us", p50 / base50,
             "p50 / p99, one at a time", p50)
        many, base = ours[f"{what}_pipelined"][1], plain["redis_pipelined"][1]
        line(count, f"{what}, {when}, pipelined", rate(many), f"GET {rate(base)}", many / base, "rate", many)
