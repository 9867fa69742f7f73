# SPDX-License-Identifier: Apache-2.0
"""Clients that break the rules of gateway.proto: what becomes of them, and that nobody else notices."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest

from client import (BAD_REQUEST, BUSY, NOT_FOUND, OK, SLOW, Client, field, frame, get, head, list_, resolve_key, wait,
                    watch)
from zone import api, until

CLIENTS_MAX = 1024  # workers/cache/serve/serve.h


def lives(zone, pid):
    """The same cache still answers another client."""
    assert zone.client().ask(resolve_key("a", "key-of-k")).code == OK
    assert zone.node1.pid("cache") == pid


JUNK = {
    "a length of 4 GiB": struct.pack(">I", 0xFFFFFFFF),
    "a length over the limit": struct.pack(">I", (64 << 10) + 1) + b"x" * 100,
    "no protobuf": frame(b"\xff" * 40),
    "a member longer than its message": frame(b"\x12\xff\xff\xff\xff\x0f"),
    "all bytes": frame(bytes(reversed(range(256))) * 8),
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_what_is_no_request_ends_the_connection_with_the_reason(served, junk):
    pid = served.node1.pid("cache")
    c = served.client()
    c.raw(c.request(head()) + junk + c.request(head()))
    got = c.rest()
    assert [(r.id, r.code) for r in got] == [(1, OK), (0, BAD_REQUEST)], got
    assert got[1].error
    lives(served, pid)


def test_half_a_frame_holds_up_nobody(served):
    pid = served.node1.pid("cache")
    halves = []
    for i in range(20):
        c = served.client()
        whole = c.request(get("API", "a"))
        c.raw(whole[:1 + i % (len(whole) - 1)])
        halves.append((c, whole[1 + i % (len(whole) - 1):]))
    lives(served, pid)
    for c, rest in halves:  # none was forgotten
        c.raw(rest)
        assert c.recv().code == OK
    lives(served, pid)


def test_text_that_is_not_utf8_is_refused_and_the_connection_goes_on(served):
    c = served.client()
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a\xf4\x90\x80\x80"):
        assert c.ask(field(7, field(2, "a") + field(3, bad))).code == BAD_REQUEST
        assert c.ask(get("API", bad)).code == BAD_REQUEST
    assert c.ask(resolve_key("a", "key\0-of-k")).code == NOT_FOUND
    assert c.ask(head()).code == OK


def test_a_flood_of_requests_without_reading_is_cut_off_as_slow(served):
    pid = served.node1.pid("cache")
    c = served.client()
    flood = b"".join(c.request(list_(payloads=True)) for _ in range(500))
    stop = threading.Event()

    def pour():
        try:
            while not stop.is_set():
                c.raw(flood)
        except OSError:
            pass

    thread = threading.Thread(target=pour)
    thread.start()
    until("cut off", lambda: "event=client_cut_off" in served.node1.logs("cache"))
    lives(served, pid)
    got = c.rest()  # it reads at last: everything that was queued, and why it ends
    stop.set()
    c.close()
    thread.join()
    lives(served, pid)
    assert got[-1].code == SLOW and all(r.code == OK for r in got[:-1])


def test_a_reader_that_asks_for_too_much_at_once_is_told(served):
    served.write("apis/a.json", api("a", description="x" * 200_000))
    c = served.client()
    c.until("it is large", get("API", "a"), lambda r: len(r.events[0].payload) > 200_000)
    c.raw(b"".join(c.request(get("API", "a")) for _ in range(100)))  # 20 MB of answers
    got = c.rest()
    assert (got[-1].id, got[-1].code) == (0, SLOW) and got[-1].error
    assert all(r.code == OK for r in got[:-1])
    assert 2 << 20 <= sum(len(r.events[0].payload) for r in got[:-1]) <= 4 << 20


def test_a_watcher_that_stalls_is_cut_off_with_the_reason_and_slows_nobody(served):
    pid = served.node1.pid("cache")
    start = str(served.client().ask(head()).position)
    stalled, idle, reader = served.client(), served.client(), served.client()
    stalled.send(watch(start, payloads=True))
    reader.send(watch(start, payloads=True))
    idle.send(watch())  # has nothing to read: it must stay
    seen = []

    def read_on():
        while True:
            r = reader.recv()
            if r is None:
                return
            seen.append(r)

    thread = threading.Thread(target=read_on)
    thread.start()
    for i in range(8):
        served.write(f"apis/big{i}.json", api(f"big{i}", description=str(i) * 250_000))
    until("the reader has all", lambda: sum(len(r.events) for r in seen) >= 8)
    assert "event=client_cut_off" not in served.node1.logs("cache"), "not before its time"
    until("cut off", lambda: "event=client_cut_off" in served.node1.logs("cache"))
    served.write("apis/a.json", api("a", version="last"))
    until("the reader goes on", lambda: any(e.id == "a" for r in seen for e in r.events))
    got = stalled.rest()
    assert (got[-1].id, got[-1].code) == (0, SLOW) and got[-1].error, got[-1]
    assert all(r.code == OK and r.more for r in got[:-1])
    again = served.client()  # from where it stopped, without a gap
    again.send(watch(str(got[-2].position)))
    have = {e.id for r in got[:-1] for e in r.events}
    while "a" not in have:
        have |= {e.id for e in again.recv().events}
    assert have == {"a"} | {f"big{i}" for i in range(8)}
    assert {e.id for r in [idle.recv()] for e in r.events} <= have
    lives(served, pid)
    assert len(re.findall("event=client_cut_off", served.node1.logs("cache"))) == 1
    reader.close()
    thread.join()


def test_a_thousand_connections_are_served_and_one_too_many_is_told(served):
    pid = served.node1.pid("cache")
    crowd = []
    try:
        while len(crowd) < CLIENTS_MAX:
            crowd.append(Client(served.node1.run / "cache.sock"))
            crowd[-1].send(head())
        assert all(c.recv().code == OK for c in crowd)
        for _ in range(5):
            c = Client(served.node1.run / "cache.sock")
            got = c.rest()
            assert [(r.id, r.code) for r in got] == [(0, BUSY)]
            c.close()
        for c in crowd:
            c.send(resolve_key("a", "key-of-k"))
        assert all(c.recv().code == OK for c in crowd)
    finally:
        for c in crowd:
            c.close()

    def again():
        c = served.client()
        try:
            c.send(head())
            return c.recv().code == OK
        except OSError:
            return False

    until("room again", again)
    assert served.node1.pid("cache") == pid
    assert served.node1.logs("cache").count("event=clients_full") == 1


@pytest.mark.parametrize("limit,clients", [("256:4096", CLIENTS_MAX), ("400:400", 228)])
def test_the_limit_of_open_files_is_shared_out_and_the_daemon_keeps_its_part(zone, limit, clients):
    zone.redis.start()
    node = zone.node("n1", start=False)
    node.start(within=["prlimit", f"--nofile={limit}"])
    zone.write("apis/a.json", api("a"))
    zone.settled(count=1)
    crowd = []
    try:
        while len(crowd) < clients:
            crowd.append(Client(node.run / "cache.sock"))
            crowd[-1].send(head())
        assert all(c.recv().code == OK for c in crowd)
        assert [(r.id, r.code) for r in Client(node.run / "cache.sock").rest()] == [(0, BUSY)]
        generation = node.cache()["generation"]
        node.cli("resync")
        until("the store was made anew", lambda: node.cache()["generation"] > generation)
        zone.redis("CLIENT", "KILL", "TYPE", "normal")
        zone.write("apis/b.json", api("b"))
        zone.settled(count=2)
        assert ("event=few_descriptors" in node.logs("cache")) == (clients < CLIENTS_MAX)
    finally:
        for c in crowd:
            c.close()


FLOOD = """
import socket, sys
while True:
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.close()
"""


def memory_kb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


@pytest.mark.parametrize("sock", ["cache.sock", "control.sock"])
def test_who_connects_and_leaves_in_a_loop_takes_nothing_from_others(served, sock):
    node = served.node1
    pids = node.pid("cache"), node.process.pid
    before = [memory_kb(p) for p in pids]
    standing = served.client()
    standing.ask(head())
    floods = [subprocess.Popen([sys.executable, "-c", FLOOD, node.run / sock]) for _ in range(2)]
    try:
        for _ in range(40):
            assert standing.ask(resolve_key("a", "key-of-k")).code == OK
            assert served.client().ask(resolve_key("a", "key-of-k")).code == OK
        for _ in range(10):
            assert node.cli("get", "API", "a")
        assert all(p.poll() is None for p in floods)
        assert (node.pid("cache"), node.process.pid) == pids
        # What was closed is freed meanwhile: not 64 KiB for each of 100,000. (AddressSanitizer keeps 256 MiB.)
        grown = [memory_kb(p) - b for p, b in zip(pids, before)]
        assert max(grown) < 400 << 10, grown
    finally:
        for p in floods:
            p.kill()
            p.wait()


def test_clients_that_leave_in_the_middle_leave_nothing_behind(served):
    pid = served.node1.pid("cache")
    served.write("apis/big.json", api("big", description="x" * (4 << 20)))
    served.settled(count=4)
    p = served.client().ask(head()).position
    for i in range(60):
        c = Client(served.node1.run / "cache.sock")
        c.raw(c.request(get("API", "big")) + c.request(watch(f"{p.lineage}:0", payloads=True)) +
              c.request(wait(f"{p.lineage}:{p.revision + 9}", 60000)) + c.request(list_(payloads=True)))
        if i % 3 == 0:
            c.recv()
        elif i % 3 == 1:
            c.sock.shutdown(socket.SHUT_WR)
        c.close()
    served.write("apis/z.json", api("z"))
    served.settled(count=5)
    lives(served, pid)

    def sockets():
        fds = os.listdir(f"/proc/{pid}/fd")
        return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in fds) if fds else 0

    before = sockets()
    more = [served.client() for _ in range(10)]
    for c in more:
        c.ask(head())
    assert sockets() <= before + 10
    for c in more:
        c.close()
    until("their sockets are gone", lambda: sockets() <= before)


def test_random_bytes_never_end_the_cache(served):
    pid = served.node1.pid("cache")
    rng = random.Random(7)
    sample = [resolve_key("a", "key-of-k"), get("API", "a"), list_(limit=2, payloads=True), watch("x:1"), wait("1", 5)]
    for _ in range(300):
        c = Client(served.node1.run / "cache.sock")
        try:
            for _ in range(5):
                body = bytearray(field(1, 1) + rng.choice(sample))
                for _ in range(rng.randint(0, 4)):
                    body[rng.randrange(len(body))] = rng.randrange(256)
                c.raw(frame(bytes(body)))
            c.sock.shutdown(socket.SHUT_WR)
            c.rest()
        except OSError:
            pass
        c.close()
    lives(served, pid)


def test_a_stopped_client_is_no_reason_to_wait_at_the_end(served):
    c = served.client()
    c.send(watch(payloads=True))
    c.raw(b"".join(c.request(list_(payloads=True)) for _ in range(200)))
    served.node1.process.send_signal(signal.SIGTERM)
    assert served.node1.process.wait(20) == 0
    served.node1.process = None


def anonymous_bytes(pid):
    """Memory of its own, without the store's file."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) << 10


def whole(c, id):
    """The definition that comes in the chunks of one event."""
    got, size = b"", 1
    while len(got) < size:
        r = c.recv()
        assert (r.id, r.code) == (id, OK)
        got, size = got + r.events[0].payload, r.events[0].payload_bytes
    return json.loads(got)["definition"]


def served_beside(zone, other, pid):
    """Another client is answered until one of the crowd is cut off; the memory that took."""
    most = 0
    while "event=client_cut_off" not in zone.node1.logs("cache"):
        assert other.ask(resolve_key("a", "key-of-k")).code == OK
        assert other.ask(get("API", "a")).code == OK
        most = max(most, anonymous_bytes(pid))
    return most


@pytest.mark.parametrize("how", ["get", "watch"])
def test_a_crowd_that_does_not_read_large_answers_costs_little_and_slows_nobody(served, how):
    big = "x" * (14 << 20)
    pid = served.node1.pid("cache")
    reader, other = served.client(), served.client()
    crowd = [served.client() for _ in range(40 if how == "get" else 80)]
    if how == "watch":
        for c in crowd:
            c.send(watch(payloads=True))
    served.write("apis/big.json", api("big", description=big))
    before = anonymous_bytes(pid)
    served.settled(count=4)
    if how == "get":
        for c in crowd:
            c.raw(b"".join(c.request(get("API", "big")) for _ in range(4)))
    large = reader.send(get("API", "big"))
    watching = reader.send(watch(payloads=True))
    most = served_beside(served, other, pid)
    assert most - before < 600 << 20, "a sanitizer keeps some of what was freed"
    # Who reads gets it whole, as soon as others were cut off for not reading.
    assert whole(reader, large)["description"] == big
    served.write("apis/big.json", api("big", description=big + "y"))
    assert whole(reader, watching)["description"] == big + "y"
    lives(served, pid)


def test_a_crowd_that_leaves_small_answers_unread_is_bounded_as_a_whole(served):
    served.write("apis/a.json", api("a", description="x" * 200_000))
    other = served.client()
    other.until("it is large", get("API", "a"), lambda r: len(r.events[0].payload) > 200_000)
    pid = served.node1.pid("cache")
    before = anonymous_bytes(pid)
    crowd = [served.client() for _ in range(400)]
    for c in crowd:
        c.raw(b"".join(c.request(get("API", "a")) for _ in range(9)))  # 1.8 MB: each alone is within its limit
    most = served_beside(served, other, pid)
    assert most - before < 600 << 20, "all of it is 720 MB"
    lives(served, pid)


def test_who_asks_for_large_answers_without_end_is_told_at_once(served):
    served.write("apis/big.json", api("big", description="x" * (14 << 20)))
    served.settled(count=4)
    c = served.client()
    c.raw(b"".join(c.request(get("API", "big")) for _ in range(2000)))
    codes = {}
    while len(codes) < 2000:
        r = c.recv()
        if not r.more:
            codes[r.id] = r.code
    assert [id for id, code in codes.items() if code == OK] == [1, 2, 3, 4]
    assert {code for id, code in codes.items() if id > 4} == {BUSY}
