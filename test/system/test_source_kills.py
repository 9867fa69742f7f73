# SPDX-License-Identifier: Apache-2.0
"""The fetcher killed again and again over a database with everything in it: the zone is as if it had not been."""
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
            return 0
    return pid


def start(zone, n=1):
    zone.redis.start()
    zone.delay = 200
    for i in range(n):
        zone.node(f"n{i + 1}", more=everything.GAMMA, time_scale=1)  # or it would be found unfit for dying so often


def equal(zone, calm, what):
    """Both have come to the same; each has seen the rows of now."""
    def same():
        a, b = zone.redis.meta(), calm.redis.meta()
        return all(a.get(k) == b.get(k) for k in ("count", "d0", "d1", "d2", "d3")) and everything.contents(zone) == everything.contents(calm)
    try:
        until(what, same)
    except AssertionError:
        a, b = everything.contents(zone), everything.contents(calm)
        raise AssertionError(f"{what}: " + "\n".join(f"{k}: {a.get(k)} != {b.get(k)}" for k in sorted(a.keys() | b.keys())
                                                       if a.get(k) != b.get(k))) from None


def test_twenty_kills_of_the_fetcher_leave_the_zone_that_none_would(zone):
    rng = random.Random(11)
    everything.fill(zone)
    start(zone, 2)
    for i in range(KILLS_OF_FILL):  # each somewhere in the first refill
        after = rng.randrange(everything.LIVE)
        until("a refill goes on", lambda: int(zone.redis.meta().get("count", 0)) >= after or zone.redis.meta().get("complete") == "1")
        kill_fetcher(zone.primary())
    calm = beside(zone)
    try:
        start(calm)
        for one in (zone, calm):
            one.settled(count=everything.LIVE)
        equal(zone, calm, "after the first refill")
        for turn in range(TURNS):
            before = int(zone.redis.meta()["rev"])
            p = zone.primary()
            everything.change(zone, turn, rng)
            after = before + rng.randrange(8)
            until("changes arrive", lambda: int(zone.redis.meta()["rev"]) >= after)
            kill_fetcher(p)
            for one in (zone, calm):
                one.settled()
            equal(zone, calm, f"turn {turn}")
        assert sum(n.logs().count("event=child_exit child=fetcher") for n in zone.nodes) >= KILLS_OF_FILL + TURNS
    finally:
        for n in calm.nodes:
            n.stop()
        calm.redis.stop()
