# SPDX-License-Identifier: Apache-2.0
"""Rules whose breach heals by itself sooner or later, so that nobody sees it in what is served."""
import re
import signal
import threading

import pytest

import mongo as m
import resp
from test_mongo import OLD, one_node, put_api, put_key, put_sub
from zone import api, until


class Monitor(threading.Thread):
    """What Redis does, command after command, those of scripts included."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.resp = resp.Resp(redis.socket)
        self.lines = []
        assert self.resp("MONITOR") == b"OK"
        self.start()

    def run(self):
        try:
            while True:
                self.lines.append(self.resp.reply().decode(errors="replace"))
        except (OSError, ValueError):  # closed
            pass

    def first(self, pattern):
        return next((i for i, line in enumerate(list(self.lines)) if re.search(pattern, line)), None)


@pytest.mark.sources("mongodb", "postgresql")
def test_the_cursor_passes_an_undeploy_with_its_last_batch(zone):
    """A crash before that repeats it: its children go in batches of their own, first."""
    put_api(zone, "a", updated=OLD)
    for i in range(150):  # more children than a page has records
        put_sub(zone, f"s{i}", "a", updated=OLD)
        put_key(zone, f"k{i}", [f"s{i}"], updated=OLD)
    one_node(zone)
    zone.settled(count=301)
    seen = Monitor(zone.redis)
    at = m.now_ms()
    zone.event("a", "UNPUBLISH_API", updated=at)
    until("the cursor moves", lambda: seen.first(rf'"HSET" "[^"]*cursor" "events_latest" "{at}:'))
    gone = seen.first(r'"HSET" "distributed_event:test:API:a" .*"syncAction" "UNDEPLOY"')
    moved = seen.first(rf'"HSET" "[^"]*cursor" "events_latest" "{at}:')
    assert gone is not None and gone < moved
    zone.settled(count=0)


@pytest.mark.sources()
def test_a_state_of_another_digest_is_not_taken_for_the_zones(zone):
    zone.ttl = 10000  # the primary is kept from mending it until the others looked, and no other one comes
    zone.write("apis/a.json", api("a"))
    zone.start(2)
    zone.settled(count=1)
    p = zone.primary()
    p.kill("fetcher", signal.SIGSTOP)
    zone.redis("HINCRBY", "zonesync:{test}:meta", "d0", "1")
    for n in zone.nodes:
        until("it notices", lambda: "the digest differs" in n.logs("cache"))
    p.kill("fetcher", signal.SIGCONT)
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)
