# SPDX-License-Identifier: Apache-2.0
"""What the cache of a node alone takes from a publisher, and from one that errs."""
import json
import socket
import struct
import time

import pytest

from gateway import field, parse
from publisher import BEGIN, END, LOST, OK, REFUSED, Publisher, put
from zone import until
from test_standalone import alone


@pytest.fixture
def node(zone):
    """A node alone without a fetcher: the test is its publisher."""
    n = alone(zone, start=False)
    libexec = n.libexec
    (libexec / "zonesync-fetcher").unlink()
    (libexec / "zonesync-fetcher").symlink_to("/bin/false")
    n.start()
    until("the cache is up", lambda: (n.run / "local.sock").exists() and n.cache())
    n.cache_pid = n.pid("cache")
    return n


def unhurt(n, *names):
    """The same process still serves that."""
    assert n.names() == sorted(f"API:{x}" for x in names)
    assert n.pid("cache") == n.cache_pid
    assert "check failed" not in n.logs("cache")


def filled(n, *names):
    with Publisher(n) as p:
        p.hello()
        assert p.page(1, BEGIN, *(put(x) for x in names), END, fields=[("mapping", "m")]) == OK


def test_pages_are_applied_once_and_in_order(node):
    with Publisher(node) as p:
        assert 2 not in p.hello(), "there is nothing yet"
        assert p.page(1, BEGIN, put("a"), END) == OK
        assert p.page(1, put("again")) == LOST
        assert p.page(3, put("lost")) == LOST
        assert p.page(2, put("b")) == OK
        state = p.hello()
        assert state[2] == [b"lineage-of-a-test"]
        unhurt(node, "a", "b")


def test_a_page_is_for_the_revision_and_the_lineage_that_are_there(node):
    with Publisher(node) as p:
        p.hello()
        assert p.page(1, BEGIN, put("a")) == OK
        assert p.page(2, put("b"), base=0) == LOST, "the refill is further"
        assert p.page(2, END, put("b")) == OK
        assert p.page(3, put("c"), base=1) == LOST
        assert p.page(3, put("c"), base=3) == LOST
        assert p.page(3, put("c"), was=b"another") == LOST
        assert p.page(3, put("c")) == OK
    with Publisher(node) as p:
        assert p.hello()[5] == [3]
        assert p.page(1, put("d"), base=2) == LOST
        assert p.page(1, put("d", keep=True)) == REFUSED, "nothing is behind what serves"
        unhurt(node, "a", "b", "c")


def test_a_new_publisher_ends_the_one_before_and_counts_from_one(node):
    filled(node, "a")
    with Publisher(node) as first:
        token = first.hello()[1]
        assert first.page(1, put("b")) == OK
        with Publisher(node) as second:
            assert second.hello()[1] != token
            assert first.closed()
            assert second.page(1, put("c")) == OK
    unhurt(node, "a", "b", "c")


def test_nothing_is_written_into_what_no_refill_of_ours_made(node):
    with Publisher(node) as p:
        p.hello()
        assert p.page(1, put("a")) is None
    filled(node, "b")
    unhurt(node, "b")


def test_a_refill_ends_only_where_it_began(node):
    filled(node, "a", "b")
    with Publisher(node) as p:  # none was begun at all
        p.hello()
        assert p.page(1, END) is None
    with Publisher(node) as p:  # one that dies
        p.hello()
        assert p.page(1, BEGIN, put("half")) == OK
    with Publisher(node) as p:  # and another that takes what is left of it for its own
        p.hello()
        assert p.page(1, END) is None
    unhurt(node, "a", "b")
    with Publisher(node) as p:
        p.hello()
        assert p.page(1, put("c")) == OK
        assert p.page(2, BEGIN, put("whole")) == OK
        assert p.page(3, END) == OK
    unhurt(node, "whole")


def test_what_is_left_of_a_dead_refill_gives_its_room_back(node):
    def generations():
        return [d for d in (node.dir / "state" / "store").iterdir() if d.is_dir()]

    filled(node, "a")
    with Publisher(node) as p:
        p.hello()
        assert p.page(1, BEGIN, put("half")) == OK
        assert len(generations()) == 2
    until("only what serves is there", lambda: len(generations()) == 1)
    filled(node, "b")
    unhurt(node, "b")


@pytest.mark.parametrize("bad", [
    put(""), put("x", hash=b"X" + bytes(16)), put("x", hash=b"D"), put("x", hash=b""), put("x", hash=b"D" + bytes(17)),
    put("x", kind="NONSENSE"), put("x", kind=""), put(b"\xff"), put("x", ref=b"\xff"), put("x", version=b"\xff"), b"",
])
def test_a_malformed_page_is_refused_whole(node, bad):
    filled(node, "a")
    with Publisher(node) as p:
        p.hello()
        assert p.page(1, put("good"), bad) is None
    unhurt(node, "a")


def test_what_is_no_request_closes_the_connection(node):
    filled(node, "a")
    for raw in (b"\xff" * 20, b"", b"\x0a\x00"):
        with Publisher(node) as p:
            p.send_raw(raw)
            assert p.closed()
    with Publisher(node) as p:  # whole chunks of nonsense
        p.send(b"\xff" * 20)
        assert p.closed()
    with Publisher(node) as p:  # more than it may ask at once
        try:
            for _ in range(10000):
                p.send(b"\x1a\x02\x08\x01")
        except OSError:
            pass
    unhurt(node, "a")


def test_names_come_in_pages_that_take_no_long_read(node):
    big = b"x" * (900 << 10)
    filled(node, "a")
    with Publisher(node) as p:
        p.hello()
        for i in range(20):
            assert p.page(i + 1, put(f"big{i}", payload=big)) == OK
        after, seen = 0, []
        while True:
            page = p.names(after)
            names = [parse(x) for x in page.get(1, [])]
            assert 0 < len(names) <= 6
            seen += [x[1][0] for x in names]
            after = names[-1][2][0]
            if page.get(2):
                break
        assert seen == [b"API:a"] + [b"API:big%d" % i for i in range(20)]


def test_a_fetcher_without_a_cache_says_so_once(zone):
    n = alone(zone, start=False)
    libexec = n.libexec
    (libexec / "zonesync-cache").unlink()
    (libexec / "zonesync-cache").symlink_to("/bin/false")
    n.start()
    # It tries again after 50, 100, 200, ... ms.
    until("some tries", lambda: next(w for w in n.status()["workers"] if w["name"] == "fetcher")["uptime_ms"] > 2000)
    assert n.logs("fetcher").count("event=cache_down") == 1
    assert "cache" in n.fetcher()["error"]


def test_a_fetcher_that_is_hung_up_on_comes_back_less_often(zone):
    n = alone(zone, start=False)
    libexec = n.libexec
    (libexec / "zonesync-cache").unlink()
    (libexec / "zonesync-cache").symlink_to("/bin/false")
    n.start()
    came = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind(str(n.run / "local.sock"))
        s.listen(1)
        s.settimeout(30)
        while len(came) < 6:
            peer, _ = s.accept()
            came.append(time.monotonic())
            with peer:
                peer.recv(4096)
                state = field(1, field(1, "0:x"))
                peer.sendall(struct.pack(">I", len(state)) + state)
                peer.recv(4096)  # it is up, and asks
    gaps = [b - a for a, b in zip(came, came[1:])]
    assert gaps[4] > gaps[0] + gaps[1]


def test_a_damaged_record_is_mended_by_a_refill(zone):
    from zone import api
    for i in range(30):
        zone.write(f"apis/a{i}.json", api(f"a{i}", description=f"mark-{i}-"))
    n = alone(zone)
    old = until("all", lambda: (c := n.cache())["proven"] and c["count"] == 30 and c)
    n.stop()
    store = next((n.dir / "state").rglob("CURRENT"))
    data = store.parent / store.read_text().strip() / "data.mdb"
    raw = data.read_bytes()
    assert b"mark-7-" in raw
    data.write_bytes(raw.replace(b"mark-7-", b"mark-#-"))
    zone.write("apis/a9.json", "{")  # cannot be read: the last good version is to be kept
    n.start()
    until("another history", lambda: n.cache()["lineage"] != old["lineage"] and n.cache()["proven"])
    assert n.cache()["count"] == 30
    assert json.loads(n.get("API", "a7"))["definition"]["description"] == "mark-7-"
    assert json.loads(n.get("API", "a9"))["definition"]["description"] == "mark-9-"
    assert n.logs("fetcher").count("event=refill ") == 2
