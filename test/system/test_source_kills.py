# SPDX-License-Identifier: Apache-2.0
"""The fetcher killed again and again over a database with everything in it: the zone is as if it had not been."""
import json
import os
import random
import signal

import pytest

import everything
from zone import until

pytestmark = pytest.mark.sources("mongodb", "postgresql")
KILLS_OF_FILL, TURNS = 8, 12


def beside(zone):
    """Another zone of the same database and the same name in a Redis of its own, whose nodes nobody kills."""
    calm = type(zone)(zone.base / "calm")
    calm.mongo = zone.mongo
    return calm


def kill_fetcher(n):
    pid = n.pid("fetcher")
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def start(zone, count):
    zone.delay = 200
    zone.ttl = 5000  # Redis is held up for a while
    for i in range(count):
        zone.node(f"n{i + 1}", more=everything.GAMMA, time_scale=1)  # or it would be found unfit for dying so often


def kill_in_the_first_refill(zone, rng, times):
    """Each time only what comes before one of the events may be written: there the refill stops until its fetcher is dead."""
    numbers = sorted(range(everything.APIS), key=str)  # as the tables are read
    names = [form.format(i) for form in ("API:a{0}", "API:a{0}:SUBSCRIPTION:s{0}", "API:a{0}:API_KEY:k{0}") for i in numbers]
    stops = sorted(rng.sample(range(len(names)), times))
    event = "distributed_event:test:"
    others = ["~zonesync:*", "~distributed_sync*", "%R~distributed_event:*", f"~{event}[B-Z]*", f"~{event}AC*", f"~{event}AU*",
              f"~{event}API_*", "~distributed_event:test:zonesync-probe"]

    def allow(at):
        zone.redis("ACL", "SETUSER", "default", "resetkeys", *others, *[f"~{event}{n}" for n in names[:at]])
    refusals = lambda: sum(n.logs("fetcher").count("event=write_refused") for n in zone.nodes)  # noqa: E731
    allow(stops[0])
    start(zone, 2)
    for i in range(times):
        until("it stops there", lambda: refusals() > i)
        assert zone.redis.meta()["complete"] == "0"
        kill_fetcher(zone.primary())
        if i + 1 < times:
            allow(stops[i + 1])
    zone.redis("ACL", "SETUSER", "default", "~*")


def kill_in_a_delta(zone, rng, turn):
    """Somewhere among the changes; or when they were read, while Redis has them at best in its buffers."""
    before = int(zone.redis.meta()["rev"])
    p = zone.primary()
    if turn % 2:
        zone.redis.pause()
        rows = p.fetcher()["rows"] + rng.randrange(10)
        everything.change(zone, turn, rng)
        until("they are read", lambda: p.fetcher()["rows"] > rows or p.role() != "primary")
        kill_fetcher(p)
        zone.redis.resume()
        return
    everything.change(zone, turn, rng)
    after = before + rng.randrange(8)
    until("they arrive", lambda: int(zone.redis.meta()["rev"]) >= after)
    kill_fetcher(p)


def contents(zone):
    """But for how a subscription was found, with its API or by itself: that depends on when the fetcher died."""
    out = everything.contents(zone)
    for h in out.values():
        if h[b"type"] == b"SUBSCRIPTION":
            h.pop("hash")
            h[b"payload"] = {k: v for k, v in json.loads(h.get(b"payload", b"{}")).items() if k != "forceDispatch"}
    return out


def equal(zone, calm, what):
    """Both have come to the same; each has seen the rows of now."""
    def same():
        return zone.redis.meta().get("count") == calm.redis.meta().get("count") and contents(zone) == contents(calm)
    try:
        until(what, same)
    except AssertionError:
        a, b = contents(zone), contents(calm)
        raise AssertionError(f"{what}: " + "\n".join(f"{k}: {a.get(k)} != {b.get(k)}" for k in sorted(a.keys() | b.keys())
                                                       if a.get(k) != b.get(k))) from None


def test_twenty_kills_of_the_fetcher_leave_the_zone_that_none_would(zone):
    rng = random.Random(11)
    everything.fill(zone)
    zone.redis.start()
    kill_in_the_first_refill(zone, rng, KILLS_OF_FILL)
    calm = beside(zone)
    try:
        calm.redis.start()
        start(calm, 1)
        for one in (zone, calm):
            one.settled(count=everything.LIVE)
        equal(zone, calm, "after the first refill")
        for turn in range(TURNS):
            kill_in_a_delta(zone, rng, turn)
            for one in (zone, calm):
                one.settled()
            equal(zone, calm, f"turn {turn}")
        assert sum(n.logs().count("event=child_exit child=fetcher") for n in zone.nodes) >= KILLS_OF_FILL + TURNS
    finally:
        for n in calm.nodes:
            n.stop()
        calm.redis.stop()
