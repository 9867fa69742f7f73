# SPDX-License-Identifier: Apache-2.0
"""What a follower does with a log that has holes."""
import pytest

from zone import api, until

pytestmark = pytest.mark.servers()


@pytest.mark.sources()
def test_a_new_node_reaches_a_head_whose_last_tombstone_was_purged(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("apis/b.json", api("b"))
    zone.start(1)
    zone.settled(count=2)
    zone.remove("apis/b.json")
    rev = zone.settled(count=1)["rev"]
    # A day later: the primary purged the tombstone, which had the newest revision.
    zone.redis("ZREM", "zonesync:{test}:log", "API:b")
    zone.redis("DEL", "distributed_event:test:API:b")
    zone.redis("HSET", "zonesync:{test}:meta", "horizon", rev)
    n = zone.node("n2")
    until("it serves", lambda: n.get("API", "a"))
    zone.settled(count=1)


def test_an_empty_zone_is_answered_as_empty(zone):
    zone.start(1)
    zone.settled(count=0)
    assert zone.nodes[0].names() == []
