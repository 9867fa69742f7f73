# SPDX-License-Identifier: Apache-2.0
"""What Redis or a source refuses is told, harms nothing that is served, and is over when it is granted."""
import pytest

import resp
from zone import api, apikey, subscription, until

SUSPECT = "zonesync:{test}:suspect"


def fill(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))


def test_a_suspect_that_is_nothing_of_ours_is_let_go(zone):
    """Any reader may name one; a name that nobody has would be asked for at each pass, for ever."""
    fill(zone)
    zone.start(1)
    lineage = zone.settled(count=3)["lineage"]
    n = zone.nodes[0]
    strange = ["API:nobody", "API:a:API_KEY:nobody", "no name at all", "", "API:a\nb", "x" * 5000]
    with resp.Resp(zone.redis.socket) as r:
        r("SADD", SUSPECT, *strange)
        r("SADD", SUSPECT, b"\xff\xfe")

    def gone():
        zone.write("apis/b.json", api("b", version=str(gone.turn)))  # a pass, at which suspects are asked for
        gone.turn += 1
        return zone.redis("EXISTS", SUSPECT) == "0"
    gone.turn = 1
    until("let go", gone)
    zone.settled(count=4)
    assert zone.redis.meta()["lineage"] == lineage
    assert "event=repair" not in n.logs("fetcher"), "nothing was read again for them"


@pytest.mark.parametrize("right", ["hget", "evalsha"])
def test_an_office_that_may_not_read_is_taken_when_it_may(zone, right):
    """What it should know before it writes it may not read: it writes nothing, says why, and serves."""
    fill(zone)
    zone.start(1)
    zone.settled(count=3)
    n = zone.nodes[0]
    n.stop()
    before = zone.redis.meta()
    zone.redis("ACL", "SETUSER", "default", f"-{right}")
    zone.write("apis/b.json", api("b"))
    n.start()
    until("told", lambda: (st := n.status())["health"] != "ok" and "NOPERM" in str(st))
    assert n.names() == ["API:a", "API_KEY:k", "SUBSCRIPTION:s"] and n.get("API", "a")
    zone.redis("ACL", "SETUSER", "default", f"+{right}")
    zone.settled(count=4)
    meta = zone.redis.meta()
    assert meta["lineage"] == before["lineage"], "nothing is begun anew for it"
    until("well", lambda: n.status()["health"] == "ok")


def test_a_connection_string_that_is_none_is_told_and_not_tried_again(zone):
    """Its form is right, so the check of the configuration lets it pass; the driver does not."""
    fill(zone)
    zone.redis.start()
    n = zone.node("n1", start=False)
    right = n.config.read_text()
    n.config.write_text(right[:right.index("management:")] + "management:\n  type: mongodb\n  mongodb:\n"
                        "    uri: 'mongodb://user:hunter2@h.invalid/gravitee?tls=maybe'\n")
    n.start()
    until("given up", lambda: "event=child_given_up child=fetcher" in n.logs())
    assert "status=78 signal=0" in n.logs() and n.logs().count("child_exit child=fetcher") == 1
    assert 'management.mongodb.uri: Unsupported value for \\"tls\\"' in n.logs("fetcher")
    told = n.cli("status", check=False).stdout + n.cli("status", "--json", check=False).stdout
    assert "hunter2" not in told + n.logs("fetcher") + n.logs()
    assert n.status()["health"] != "ok"
    n.config.write_text(right)
    n.cli("reload")
    zone.settled(count=3)
    until("well", lambda: n.status()["health"] == "ok")
