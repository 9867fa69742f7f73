# SPDX-License-Identifier: Apache-2.0
"""What cannot be read proves nothing: it stays, and so does what hangs on it."""
import pytest

from zone import api, apikey, subscription, until

OFTEN = "  reconcile:\n    interval: 10000"
ALL = ["API:a", "API_KEY:k", "SUBSCRIPTION:s"]


def fill(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("api-keys/k.json", apikey("k", ["s"]))


def passes(n):
    return n.logs("fetcher").count("pass_done")


def another_pass(n):
    before = passes(n)  # the reconcile interval is short
    until("another full pass", lambda: passes(n) > before)


def restarted(zone, path):
    fill(zone)
    zone.start(1, extra=OFTEN)
    zone.settled(count=3)
    n = zone.nodes[0]
    n.stop()
    zone.write(path, '{"id": "')
    before = passes(n)
    n.start()
    until("a full pass", lambda: passes(n) > before)
    until("quarantine", lambda: n.fetcher()["quarantined"] > 0)
    zone.settled()
    assert n.names() == ALL


@pytest.mark.sources()
def test_an_api_that_is_broken_at_a_promotion_stays_with_its_children(zone):
    restarted(zone, "apis/a.json")


@pytest.mark.sources()
def test_a_subscription_that_is_broken_at_a_promotion_stays_with_its_key(zone):
    restarted(zone, "subscriptions/s.json")


@pytest.mark.servers()
@pytest.mark.sources()
def test_a_key_that_is_broken_at_a_promotion_stays(zone):
    restarted(zone, "api-keys/k.json")


@pytest.mark.sources()
def test_what_breaks_under_a_primary_outlives_the_next_full_pass(zone):
    fill(zone)
    zone.start(1, extra=OFTEN)
    zone.settled(count=3)
    n = zone.nodes[0]
    for i, path in enumerate(("api-keys/k.json", "subscriptions/s.json", "apis/a.json")):
        zone.write(path, '{"id": "')
        until("quarantine", lambda: n.fetcher()["quarantined"] == i + 1)
        another_pass(n)
        zone.settled()
        assert n.names() == ALL


FILTER = "environments: prod"
PROD = {"id": "DEFAULT", "hrids": ["prod"], "name": "p", "organizationId": "ORG"}


def filtered(zone):
    zone.write("environments/e.json", PROD)
    for i in range(12):
        zone.write(f"apis/a{i:02}.json", api(f"a{i:02}"))
        zone.write(f"subscriptions/s{i:02}.json", subscription(f"s{i:02}", f"a{i:02}"))
    zone.write("api-keys/k.json", apikey("k", ["s00"]))
    zone.start(1, more=FILTER)
    zone.settled(count=25)
    return zone.nodes[0]


def test_an_environment_that_is_broken_at_a_promotion_takes_nothing_along(zone):
    n = filtered(zone)
    n.stop()
    zone.write("environments/e.json", '{"id": "')
    before = passes(n)
    n.start()
    until("a full pass", lambda: passes(n) > before)
    until("quarantine", lambda: n.fetcher()["quarantined"] > 0)
    zone.settled(count=25)
    zone.write("environments/e.json", PROD)
    until("nothing in quarantine", lambda: n.fetcher()["quarantined"] == 0)
    zone.settled(count=25)


def test_an_environment_that_vanishes_or_changes_its_name_needs_a_person(zone):
    n = filtered(zone)
    zone.remove("environments/e.json")
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    zone.settled(count=25)
    zone.write("environments/e.json", PROD)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=25)
    zone.write("environments/e.json", {**PROD, "hrids": ["test"]})
    until("held back", lambda: "the source has no environment prod" in n.fetcher()["guard"])
    zone.settled(count=25)
    zone.write("environments/e.json", PROD)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=25)


@pytest.mark.servers()
def test_a_key_that_is_no_hash_stops_nothing(zone):
    """Somebody's string where an event should be: it is lost, is written anew, and the rest goes on."""
    for id in ("a", "b"):
        zone.write(f"apis/{id}.json", api(id))
    zone.start(1, extra=OFTEN)
    zone.settled(count=2)
    for id in ("b", "c"):
        zone.redis("DEL", f"distributed_event:test:API:{id}")
        zone.redis("SET", f"distributed_event:test:API:{id}", "in the way")
    zone.nodes[0].kill("fetcher")  # the next one has to learn what the zone holds
    zone.write("apis/a.json", api("a", version="2"))
    zone.write("apis/c.json", api("c"))
    late = zone.node("late", extra=OFTEN)
    zone.settled(count=3)
    assert late.names() == ["API:a", "API:b", "API:c"]
    assert zone.redis.hash("distributed_event:test:API:b")["syncAction"] == "DEPLOY"
