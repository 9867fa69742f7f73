# SPDX-License-Identifier: Apache-2.0
"""No mass deletion on thin evidence (zone-protocol 4.5)."""
import json
import shutil
import signal
import time

import pytest

from mongo import bean
from zone import api, apikey, product, subscription, until


DICTIONARY = {"id": "d", "key": "d", "name": "d", "environmentId": "DEFAULT"}


def fill(zone, count):
    for i in range(count):
        zone.write(f"apis/a{i:02}.json", api(f"a{i:02}"))
        zone.write(f"subscriptions/s{i:02}.json", subscription(f"s{i:02}", f"a{i:02}"))


def test_a_directory_that_vanishes_removes_nothing_until_a_person_says_so(zone):
    fill(zone, 2)
    zone.write("dictionaries/d.json", DICTIONARY)
    zone.start(1)
    zone.settled(count=5)
    n = zone.nodes[0]
    (zone.data / "subscriptions").rename(zone.base / "subscriptions")
    until("said", lambda: "data/subscriptions is missing" in n.fetcher()["guard"])
    assert n.status()["health"] == "degraded" and len(n.names()) == 5
    n.kill("fetcher")
    until("said by one that never saw it", lambda: "data/subscriptions is missing" in n.fetcher()["guard"])
    assert len(n.names()) == 5
    (zone.base / "subscriptions").rename(zone.data / "subscriptions")
    until("back", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=5)
    assert n.status()["health"] == "ok", n.status()["reason"]


def test_an_empty_directory_removes_nothing_until_a_person_says_so(zone):
    fill(zone, 12)
    zone.start(2)
    zone.settled(count=24)
    n = zone.primary()
    shutil.move(zone.data / "apis", zone.base / "apis")
    (zone.base / "empty").mkdir()
    (zone.base / "empty").rename(zone.data / "apis")
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    assert n.status()["health"] == "degraded"
    rows = n.fetcher()["rows_read"] if "rows_read" in n.fetcher() else n.fetcher()["rows"]
    zone.write("dictionaries/d.json", {"id": "d", "key": "d", "name": "d", "environmentId": "DEFAULT"})
    zone.settled(count=25)
    n.cli("stepdown")
    p = until("another primary, of the same mind",
              lambda: next((x for x in zone.nodes if x is not n and x.role() == "primary"), None))
    until("held back there too", lambda: "accept-deletes" in p.fetcher()["guard"])
    assert len(p.names()) == 25 and rows >= 0
    p.cli("resync", "--accept-deletes")
    zone.settled(count=1)
    until("the guard is quiet", lambda: p.fetcher()["guard"] == "")


def test_a_source_that_holds_something_else_removes_nothing_until_a_person_says_so(zone):
    """As much as there was, and none of it: a wrong database, or directory."""
    fill(zone, 13)
    zone.start(1)
    zone.settled(count=26)
    n = zone.nodes[0]
    other = zone.base / "other"
    other.mkdir()
    for i in range(15):
        (other / f"x{i}.json").write_text(json.dumps(api(f"x{i}")))
    (zone.data / "apis").rename(zone.base / "apis")
    other.rename(zone.data / "apis")
    until("held back", lambda: "accept-deletes" in n.fetcher()["guard"])
    zone.settled(count=41)
    rows = n.fetcher()["rows"]
    n.cli("compare")
    until("compared", lambda: n.fetcher()["rows"] > rows)
    assert "13 of 28 API" in n.fetcher()["guard"] and len(n.names()) == 41
    n.cli("resync", "--accept-deletes")
    zone.settled(count=15)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")


def test_many_removals_need_a_second_pass_that_agrees(zone):
    fill(zone, 50)
    zone.start(1)
    zone.settled(count=100)
    n = zone.nodes[0]
    for i in range(20):
        zone.remove(f"apis/a{i:02}.json")
    zone.settled(count=60)
    assert "second pass" in n.logs("fetcher")


def test_keys_that_only_absent_subscriptions_had_wait_with_them(zone):
    """A few keys may go at once, but not before it is known that their subscriptions are gone."""
    fill(zone, 60)
    for i in range(40):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", [f"s{i:02}"]))
    zone.start(1)
    zone.settled(count=160)
    n = zone.nodes[0]
    n.stop()
    (zone.base / "kept").mkdir()
    for i in range(32, 47):
        (zone.data / f"subscriptions/s{i:02}.json").rename(zone.base / f"kept/s{i:02}.json")
    n.config.write_text(n.config.read_text().replace("agree: 1000", "agree: 3600000"))
    n.start()
    text = until("judged", lambda: n.fetcher()["guard"])
    assert "15 of 60 SUBSCRIPTION would be removed" in text and "8 of 40 API_KEY would be removed" in text
    assert len(n.names()) == 160
    for f in (zone.base / "kept").iterdir():
        f.rename(zone.data / "subscriptions" / f.name)
    zone.settled(count=160)
    assert "event=removed" not in n.logs("fetcher")


def test_apis_that_only_missing_products_had_wait_with_them(zone):
    for i in range(45):
        zone.write(f"apis/a{i:02}.json", api(f"a{i:02}"))
    for i in range(5):
        zone.write(f"apis/p{i}.json", api(f"p{i}", plans=[]))
        zone.write(f"api-products/p{i}.json", product(f"pr{i}", [f"p{i}"]))
    zone.start(1)
    zone.settled(count=55)
    n = zone.nodes[0]
    (zone.data / "api-products").rename(zone.base / "api-products")
    text = held_by(n)
    assert "5 of 5 API_PRODUCT would be removed: held back" in text
    assert "5 of 50 API would be removed: held back" in text and len(n.names()) == 55
    (zone.base / "api-products").rename(zone.data / "api-products")
    zone.settled(count=55)


def test_polls_go_on_after_an_api_went_with_its_files(zone):
    """Followers that resync wait for them."""
    fill(zone, 4)
    for i in range(4):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", [f"s{i:02}"]))
    zone.start(1)
    zone.settled(count=12)
    n = zone.nodes[0]
    n.stop()
    for path in ("apis/a00.json", "subscriptions/s00.json", "api-keys/k00.json"):
        zone.remove(path)
    n.start()
    zone.settled(count=9)
    assert n.fetcher()["guard_set"] == ""
    polls = int(zone.redis.meta()["polls"])
    until("polls", lambda: int(zone.redis.meta()["polls"]) > polls + 2)


def test_children_of_a_held_api_are_held_with_it(zone):
    fill(zone, 50)
    zone.start(1)
    zone.settled(count=100)
    n = zone.nodes[0]
    n.stop()
    for i in range(20):
        zone.remove(f"apis/a{i:02}.json")
        zone.remove(f"subscriptions/s{i:02}.json")
    zone.remove("subscriptions/s40.json")
    n.start()
    zone.settled(count=59)
    gone = [x for x in n.logs("fetcher").splitlines() if "removed" in x and "SUBSCRIPTION" in x]
    assert len(gone) == 1 and "s40" in gone[0], "the others went with their APIs"


def swap_directory(zone, keep):
    new = zone.base / "new"
    new.mkdir()
    for i in range(keep):
        shutil.copy(zone.data / f"apis/a{i:02}.json", new)
    (zone.data / "apis").rename(zone.base / "old")
    new.rename(zone.data / "apis")


def test_a_pass_that_looks_at_one_file_agrees_with_nothing(zone):
    zone.delay = 60000
    fill(zone, 50)
    zone.write("dictionaries/d.json", {"id": "d", "key": "d", "name": "d", "environmentId": "DEFAULT"})
    zone.start(1)
    zone.settled(count=101)
    n = zone.nodes[0]
    swap_directory(zone, 30)
    until("held", lambda: "second pass" in n.fetcher()["guard"])
    zone.write("dictionaries/e.json", {"id": "e", "key": "e", "name": "e", "environmentId": "DEFAULT"})
    until("e", lambda: n.get("DICTIONARY", "e"))
    zone.write("dictionaries/f.json", {"id": "f", "key": "f", "name": "f", "environmentId": "DEFAULT"})
    until("f", lambda: n.get("DICTIONARY", "f"))
    zone.settled(count=103)
    n.cli("resync", "--accept-deletes")
    zone.settled(count=63)


def test_a_second_look_comes_however_much_changes_meanwhile(zone):
    fill(zone, 50)
    zone.start(1)
    zone.settled(count=100)
    n = zone.nodes[0]
    for i in range(20):
        zone.remove(f"apis/a{i:02}.json")

    def write_and_look():
        zone.write("dictionaries/d.json", {"id": "d", "key": str(time.monotonic()), "name": "d", "environmentId": "DEFAULT"})
        return n.names().count("API:a00") == 0
    until("gone", write_and_look)
    zone.settled(count=61)


@pytest.mark.sources("mongodb", "postgresql")
def test_rows_that_come_back_are_waited_for(zone):
    """As when a table is restored: what is not there yet is not gone because it was not there a while ago."""
    fill(zone, 60)
    zone.delay = 60000  # it looks at all only when we ask
    zone.start(1, extra="  source:\n    notify: off")
    zone.settled(count=120)
    n = zone.nodes[0]
    events = zone.mongo.db["events_latest"]
    rows = [events.find_one({"_id": f"a{i:02}"}) for i in range(25)]
    events.delete_many({"_id": {"$in": [r["_id"] for r in rows]}})
    zone.compare()
    until("held", lambda: "25 of 60 API would be removed: waiting for a second pass" in n.fetcher()["guard"])
    since = time.monotonic()
    until("a pass would agree", lambda: time.monotonic() - since > 1.2)
    events.insert_many(rows[:5])
    zone.compare()
    until("held", lambda: "20 of 60 API would be removed: waiting for a second pass" in n.fetcher()["guard"])
    events.insert_many(rows[5:])
    zone.compare()
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    assert "event=removed" not in n.logs("fetcher") and len(n.names()) == 120


@pytest.mark.sources()
def test_what_disappeared_while_nobody_was_primary_is_withdrawn(zone):
    fill(zone, 12)
    zone.write("api-keys/k.json", apikey("k", ["s03"]))
    zone.start(2)
    zone.settled(count=25)
    for n in zone.nodes:
        n.stop()
    zone.remove("apis/a00.json")
    zone.remove("subscriptions/s03.json")
    for n in zone.nodes:
        n.start()
    zone.settled(count=21)
    names = zone.nodes[1].names()
    assert "API:a00" not in names and "SUBSCRIPTION:s00" not in names
    assert "SUBSCRIPTION:s03" not in names and "API_KEY:k" not in names


@pytest.mark.sources()
def test_another_configuration_is_another_zone_content_and_is_refilled(zone):
    zone.write("apis/a.json", api("a", tags=["eu"]))
    zone.write("apis/b.json", api("b", tags=["us"]))
    zone.start(1)
    lineage = zone.settled(count=2)["lineage"]
    n = zone.nodes[0]
    n.config.write_text(zone.config("n1") + "\ntags: eu\n")
    n.cli("reload")
    until("another lineage", lambda: zone.redis.meta()["lineage"] != lineage)
    zone.settled(count=1)
    assert n.names() == ["API:a"]
    n.config.write_text(zone.config("n1") + "\ntags: [eu\n")
    r = n.cli("reload", check=False)
    assert r.returncode == 78 and "zonesync.yml" in r.stdout + r.stderr
    assert n.names() == ["API:a"], "the old configuration stays"
    assert json.loads(n.get("API", "a"))


def test_a_second_call_for_a_refill_within_the_hour_reads_nothing_again(zone):
    zone.write("dictionaries/d.json", {"id": "d", "key": "0", "name": "d", "environmentId": "DEFAULT"})
    zone.start(1)
    lineage = zone.settled(count=1)["lineage"]
    n = zone.nodes[0]

    def change(i):
        zone.write("dictionaries/d.json", {"id": "d", "key": str(i), "name": "d", "environmentId": "DEFAULT"})
        until(f"change {i}", lambda: f'"key":"{i}"' in n.get("DICTIONARY", "d").decode().replace("\\", "").replace(" ", ""))
        zone.settled(count=1)
    zone.redis("SADD", "zonesync:{test}:suspect", "*")
    change(1)
    until("refilled", lambda: zone.redis.meta()["lineage"] != lineage)
    zone.settled(count=1)
    zone.redis("SADD", "zonesync:{test}:suspect", "*")
    before = n.logs("fetcher").count("pass_done")
    for i in range(2, 8):
        change(i)
    assert n.logs("fetcher").count("pass_done") <= before + 1
    assert zone.redis("SMEMBERS", "zonesync:{test}:suspect") == "*", "it is heard when the hour is over"


def restart(zone, change):
    """A fetcher that never saw the source as it was: `change` is made while nobody looks."""
    n = zone.primary()
    n.stop()
    change()
    n.start()
    return n


def hidden(zone, path="."):
    """The mount is gone, its mount point is there."""
    source = zone.data / path
    source.rename(zone.base / "hidden")
    source.mkdir()


def unhidden(zone, path="."):
    (zone.data / path).rmdir()
    (zone.base / "hidden").rename(zone.data / path)


def held_by(n):
    return until("held back", lambda: "held back" in n.fetcher()["guard"] and n.fetcher()["guard"])


def settled_again(zone, n, count):
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=count)
    assert n.status()["health"] == "ok" and "event=removed" not in n.logs("fetcher")


def test_a_fetcher_that_starts_on_an_empty_mount_point_removes_nothing(zone):
    """Eight of a type, which may all go when one deletes them one by one."""
    fill(zone, 8)
    zone.start(1)
    zone.settled(count=16)
    n = restart(zone, lambda: hidden(zone))
    text = held_by(n)
    assert "the source brings nothing" in text and "8 of 8 API" in text
    assert n.status()["health"] == "degraded" and len(n.names()) == 16
    until("the zone says it", lambda: zone.redis.meta()["held"] == text)
    unhidden(zone)
    settled_again(zone, n, 16)
    until("the zone says nothing more", lambda: zone.redis.meta()["held"] == "")


@pytest.mark.parametrize("count", [3, 10])
def test_a_fetcher_that_starts_without_the_directory_of_a_type_removes_none_of_it(zone, count):
    fill(zone, count)
    zone.start(1)
    zone.settled(count=2 * count)
    n = restart(zone, lambda: (zone.data / "subscriptions").rename(zone.base / "s"))
    assert f"{count} of {count} SUBSCRIPTION" in held_by(n)
    assert len(n.names()) == 2 * count
    (zone.base / "s").rename(zone.data / "subscriptions")
    settled_again(zone, n, 2 * count)


def test_a_directory_that_comes_back_during_a_look_at_everything_is_there(zone):
    """Its files are as they were: they are met in that look, and nothing of them is held, or goes."""
    fill(zone, 4)
    for i in range(6):
        zone.write(f"dictionaries/d{i}.json", {**DICTIONARY, "id": f"d{i}", "key": f"d{i}"})
    zone.start(1)
    zone.settled(count=14)
    n = zone.nodes[0]
    for i in range(3):
        done = n.logs("fetcher").count("event=pass_done")
        (zone.data / "dictionaries").rename(zone.base / "dictionaries")
        n.cli("compare")
        until("it looks", lambda i=i: n.logs("fetcher").count("event=compare") > i)
        (zone.base / "dictionaries").rename(zone.data / "dictionaries")
        until("it looked", lambda done=done: n.logs("fetcher").count("event=pass_done") > done)
        until("nothing is held", lambda: n.fetcher()["guard"] == "")
        zone.settled(count=14)
    assert "event=removed" not in n.logs("fetcher")


def test_another_tree_with_a_dictionary_in_it_removes_nothing(zone):
    fill(zone, 1)
    zone.write("dictionaries/d.json", DICTIONARY)
    zone.start(1)
    zone.settled(count=3)

    def another():
        hidden(zone)
        zone.write("dictionaries/d.json", DICTIONARY)
    n = restart(zone, another)
    assert "no API, API product, subscription or key at all" in held_by(n)
    assert len(n.names()) == 3
    shutil.rmtree(zone.data)
    (zone.base / "hidden").rename(zone.data)
    settled_again(zone, n, 3)


def mirror(tree, target):
    """As rsync --delete does it: what is not there goes, file by file, then comes what is."""
    for path in sorted(target.glob("*/*.json")):
        if not (tree / path.relative_to(target)).exists():
            path.unlink()
    for path in sorted(tree.glob("*/*.json")):
        copy = target / path.relative_to(tree)
        if not copy.exists():
            shutil.copy(path, copy)


def test_an_rsync_of_the_wrong_tree_removes_nothing(zone):
    """39 of 42, a second after, and one pass after another sees the same."""
    fill(zone, 42)
    zone.start(1)
    zone.settled(count=84)
    n = zone.nodes[0]
    wrong = zone.base / "wrong"
    for path in ("apis", "subscriptions"):
        (wrong / path).mkdir(parents=True)
    for i in range(3):
        shutil.copy(zone.data / f"apis/a{i:02}.json", wrong / "apis")
    (wrong / "subscriptions" / "x.json").write_text(json.dumps(subscription("x", "a01")))
    kept = zone.base / "kept"
    shutil.copytree(zone.data, kept)
    mirror(wrong, zone.data)
    assert "39 of 42 API would be removed: held back" in held_by(n)
    for _ in range(2):
        before = n.logs("fetcher").count("pass_done")
        n.cli("compare")
        until("compared", lambda: n.logs("fetcher").count("pass_done") > before)
    assert "39 of 42 API would be removed: held back" in n.fetcher()["guard"]
    mirror(kept, zone.data)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=84)


def test_removals_add_up_over_passes_and_processes(zone):
    """Four of twelve go at once; so would the next four, and the last ones."""
    fill(zone, 12)
    zone.start(2)
    zone.settled(count=24)
    n = zone.primary()
    for i in range(4):
        zone.remove(f"apis/a{i:02}.json")
    zone.settled(count=16)
    assert zone.redis.version("distributed_event:test:API:a00") == "absent"
    n.cli("stepdown")
    p = until("another primary",
              lambda: next((x for x in zone.nodes if x is not n and x.role() == "primary"), None))
    for i in range(4, 8):
        zone.remove(f"apis/a{i:02}.json")
    assert "4 of 8 API would be removed: held back" in held_by(p)
    p = restart(zone, lambda: None)
    p = zone.primary()
    assert "4 of 8 API would be removed: held back" in held_by(p)
    zone.settled(count=16)


def test_a_person_takes_the_set_that_was_shown_and_no_other(zone):
    fill(zone, 12)
    zone.start(2)
    zone.settled(count=24)
    n = zone.primary()
    for i in range(7):
        zone.remove(f"apis/a{i:02}.json")
    held_by(n)
    shown = n.fetcher()["guard_set"]
    assert shown.startswith("7-") and shown in n.fetcher()["guard"]
    zone.remove("apis/a07.json")
    until("another set", lambda: n.fetcher()["guard_set"].startswith("8-"))
    r = n.cli("resync", "--accept-deletes", shown, check=False)
    assert r.returncode != 0 and "another set by now" in r.stderr
    assert n.cli("resync", "--accept-deletes", "8-0000000000000000", check=False).returncode != 0
    assert len(n.names()) == 24
    n.cli("resync", "--accept-deletes", n.fetcher()["guard_set"])
    zone.settled(count=8)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    meta = zone.redis.meta()
    assert meta["accepted"] == f"{meta['lineage']} 8 -"
    zone.remove("apis/a08.json")  # what a person took does not count any more
    zone.settled(count=6)
    assert n.cli("resync", "--accept-deletes", check=False).returncode != 0, "nothing is held back"


def test_what_was_taken_and_is_there_again_is_asked_for_another_time(zone):
    fill(zone, 12)
    zone.start(1)
    zone.settled(count=24)
    n = zone.nodes[0]
    (zone.data / "apis").rename(zone.base / "apis")
    held_by(n)
    n.kill("fetcher", signal.SIGSTOP)
    n.cli("resync", "--accept-deletes")
    (zone.base / "apis").rename(zone.data / "apis")
    n.kill("fetcher", signal.SIGCONT)
    until("it found them", lambda: "event=acceptance_lapsed" in n.logs("fetcher"))
    zone.settled(count=24)
    meta = zone.redis.meta()
    assert meta["accepted"] == f"{meta['lineage']} 0 -"
    (zone.data / "apis").rename(zone.base / "apis")
    held_by(n)
    assert len(n.names()) == 24


def test_what_was_taken_outlives_the_primary_that_heard_it(zone):
    fill(zone, 12)
    zone.start(2)
    zone.settled(count=24)
    n = zone.primary()
    for i in range(7):
        zone.remove(f"apis/a{i:02}.json")
    held_by(n)
    count, digest = n.fetcher()["guard_set"].split("-")
    lineage = zone.redis.meta()["lineage"]
    zone.redis("HSET", "zonesync:{test}:meta", "accepted", f"{lineage} {count} {digest}")
    n.cli("stepdown")
    zone.settled(count=10)


def test_a_redis_that_forgot_all_is_not_refilled_with_nothing(zone):
    """Without persistence, while the mount of the source is late: a node serves on, and says so."""
    fill(zone, 8)
    zone.start(1)
    zone.settled(count=16)
    n = zone.nodes[0]
    hidden(zone)
    zone.redis.stop()
    zone.redis.start()
    until("refilled with nothing", lambda: zone.redis.meta().get("complete") == "empty")
    until("said", lambda: "this node's own store holds 16" in n.fetcher()["guard"])
    assert n.status()["health"] == "degraded" and len(n.names()) == 16
    unhidden(zone)
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    zone.settled(count=16)
    assert n.status()["health"] == "ok", n.status()["reason"]


def test_a_zone_that_begins_with_nothing_is_complete_when_something_comes(zone):
    zone.start(1)
    until("refilled with nothing", lambda: zone.redis.meta().get("complete") == "empty")
    fill(zone, 2)
    zone.settled(count=4)


def test_a_file_in_the_middle_of_a_checkout_is_not_gone(zone):
    """It comes back within the second in which it is looked for."""
    fill(zone, 3)
    zone.start(1)
    zone.settled(count=6)
    n = zone.nodes[0]
    path = zone.data / "apis" / "a00.json"
    rows = n.fetcher()["rows"]
    since = time.monotonic()
    path.rename(zone.base / "away")
    until("looked for", lambda: n.fetcher()["rows"] > rows)
    (zone.base / "away").rename(path)
    within = time.monotonic() - since < 0.9
    zone.write("dictionaries/d.json", DICTIONARY)
    zone.settled(count=7)
    zone.write("apis/a01.json", api("a01", version="2"))
    until("went on", lambda: b'"2"' in n.get("API", "a01"))
    assert "event=removed" not in n.logs("fetcher") or not within  # a slow machine is no proof


def test_a_guard_that_is_off_is_named(zone):
    zone.guard = "off"
    fill(zone, 8)
    zone.start(1)
    zone.settled(count=16)
    n = zone.nodes[0]
    assert any("zonesync.guard.mode" in w for w in n.status()["warnings"])
    hidden(zone)
    until("all gone", lambda: n.names() == [])


def one_environment(zone, other):
    for i in range(6):
        zone.write(f"apis/a{i}.json", api(f"a{i}", environmentId="prod"))
        zone.write(f"apis/b{i}.json", api(f"b{i}", environmentId=other))
        zone.write(f"subscriptions/s{i}.json", subscription(f"s{i}", f"a{i}", environmentId="prod"))


def configure(zone, n, text):
    n.config.write_text(zone.config(n.name) + "\n" + text + "\n")
    n.cli("reload")


def describe(zone, *environments):
    for one in environments:
        zone.write(f"environments/{one}.json", {"id": one, "hrids": [one], "name": one, "organizationId": "ORG"})


@pytest.mark.parametrize("environments", ["prodd", "[prod, stagin]"])
@pytest.mark.parametrize("by_ids", [False, True], ids=["by hrids", "by ids that documents name"])
def test_an_environment_that_the_source_does_not_have_removes_nothing(zone, environments, by_ids):
    one_environment(zone, "staging")
    more = "\nuseLegacyEnvironmentHrids: false" if by_ids else ""
    if not by_ids:
        describe(zone, "prod", "staging")
    zone.start(1)
    zone.settled(count=18)
    n = zone.nodes[0]
    configure(zone, n, f"environments: {environments}{more}")
    text = held_by(n)
    assert "the source has no environment" in text and len(n.names()) == 18
    assert n.status()["health"] == "degraded"
    configure(zone, n, f"environments: [prod, staging]{more}")
    settled_again(zone, n, 18)
    assert len(n.names()) == 18


def test_an_environment_without_apis_is_there(zone):
    one_environment(zone, "staging")
    describe(zone, "prod", "staging", "next")
    zone.start(1)
    zone.settled(count=18)
    n = zone.nodes[0]
    configure(zone, n, "environments: [prod, staging, next]")
    until("another process", lambda: "config_changed" in n.logs())
    zone.remove("apis/b0.json")
    zone.settled(count=17)


@pytest.mark.sources("mongodb", "postgresql")
def test_an_environment_that_the_database_does_not_have_removes_nothing(zone):
    for one in ("prod", "staging"):
        zone.row("environments", {"id": one, "hrids": [one], "name": one, "organizationId": "ORG"}, None)
    for i in range(6):
        zone.event(f"a{i}", "PUBLISH_API", bean(api(f"a{i}")), environments=["prod" if i < 4 else "staging"])
    zone.start(1)
    zone.settled(count=6)
    n = zone.nodes[0]
    configure(zone, n, "environments: [prod, stagin]")
    text = held_by(n)
    assert "the source has no environment stagin" in text and "2 of 6 API" in text
    assert len(n.names()) == 6
    configure(zone, n, "environments: [prod, staging]")
    settled_again(zone, n, 6)


@pytest.mark.sources("mongodb", "postgresql")
def test_another_installation_removes_nothing_until_a_person_says_so(zone):
    """However little it lacks; and the next primary knows of it."""
    zone.mongo.start()
    zone.mongo.db["installation"].insert_one({"_id": "i1"})
    fill(zone, 12)
    zone.start(2)
    zone.settled(count=25)  # and what the nodes are told of the installation
    n = zone.primary()
    zone.mongo.db["installation"].delete_one({"_id": "i1"})
    zone.mongo.db["installation"].insert_one({"_id": "i2"})
    zone.mongo.db["events_latest"].delete_one({"_id": "a00"})
    zone.compare()
    assert "the zone was made from installation i1, this is i2" in held_by(n)
    n.cli("stepdown")
    p = until("another primary",
              lambda: next((x for x in zone.nodes if x is not n and x.role() == "primary"), None))
    assert "the zone was made from installation i1, this is i2" in held_by(p)
    assert "API:a00" in p.names()
    zone.redis("HSET", "zonesync:{test}:meta", "complete", "0")  # a refill that its primary did not finish
    p.kill("fetcher")
    until("the next one knows, too", lambda: zone.redis.meta()["complete"] == "1"
          and "the zone was made from installation i1, this is i2" in zone.primary().fetcher()["guard"])
    p = zone.primary()
    assert "API:a00" in p.names()
    p.cli("resync", "--accept-deletes")
    zone.settled(count=23)
    zone.compare()
    until("forgotten", lambda: zone.redis("HGET", "zonesync:{test}:cursor", "installation") == "i2")


@pytest.mark.sources("postgresql")
@pytest.mark.parametrize("table, id", [("events_latest", "a00"), ("subscriptions", "s00"), ("keys", "k00")])
def test_a_row_that_a_scan_slips_past_is_asked_for(zone, table, id):
    """A view that shows it to nobody who does not ask for ids."""
    zone.mongo.start()
    fill(zone, 2)
    for i in range(2):
        zone.write(f"api-keys/k{i:02}.json", apikey(f"k{i:02}", [f"s{i:02}"]))
    zone.start(1)
    zone.settled(count=6)
    n = zone.nodes[0]
    names = n.names()
    zone.mongo.run(f"ALTER TABLE {table} RENAME TO all_rows")
    zone.mongo.run(f"CREATE VIEW {table} AS SELECT * FROM all_rows WHERE id <> '{id}' OR current_query() LIKE '%%\"id\" = ANY%%'")
    assert zone.mongo.run(f"SELECT count(*) FROM {table}").fetchone() == (1,)
    zone.compare()
    until("it was compared", lambda: n.logs("fetcher").count("event=pass_done") == 2)
    assert n.names() == names and n.fetcher()["guard"] == "" and "event=removed" not in n.logs("fetcher")
    zone.mongo.run(f"DELETE FROM all_rows WHERE id = '{id}'")
    zone.compare()
    until("gone", lambda: not any(id in x for x in n.names()))


@pytest.mark.sources("file")
def test_a_file_that_was_away_before_an_outage_is_not_gone_with_its_directory(zone):
    """It is missed a second time, and long after the first: but in between there was nothing to look at."""
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    for i in range(5):
        zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", ["s"]))
    n = zone.start(1).nodes[0]
    zone.settled(count=7)
    key = zone.data / "api-keys" / "k0.json"
    aside, keys = zone.base / "k0.json", zone.base / "api-keys"
    key.rename(aside)
    zone.write("api-keys/k5.json", apikey("k5", ["s"]))
    until("it is missed", lambda: n.get("API_KEY", "k5"))
    zone.lose_source()
    until("the source is gone", lambda: "down" in n.fetcher()["source"])
    removed = n.logs("fetcher").count("removed")  # on a machine that took a second for this
    aside.rename(zone.base / "gone" / "api-keys" / "k0.json")
    (zone.base / "gone" / "api-keys").rename(keys)
    began = n.status()["uptime_ms"]
    until("longer than a missing file may be away", lambda: n.status()["uptime_ms"] > began + 1000)
    zone.return_source()
    until("the source is back", lambda: n.fetcher()["source"] == "up")
    keys.rename(zone.data / "api-keys")
    zone.settled(count=8)
    assert n.logs("fetcher").count("removed") == removed


@pytest.mark.sources("file")
def test_a_zone_filled_while_a_directory_is_away_takes_nothing_of_it_from_those_who_serve(zone):
    """Two of a type are few enough to go in earnest; but its place is not there, and the primary says so."""
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    for i in range(2):
        zone.write(f"api-keys/k{i}.json", apikey(f"k{i}", ["s"]))
    zone.start(2)
    zone.settled(count=4)
    keys = zone.base / "api-keys"
    (zone.data / "api-keys").rename(keys)
    zone.redis("FLUSHALL")
    until("filled anew", lambda: "API_KEY:*" in zone.redis.meta().get("unread", "").split())
    for n in zone.nodes:
        until("it waits", lambda: "whose place was missing" in n.status()["reason"])
        assert "it lacks 2 of 2 API_KEY)" in n.status()["reason"]
        assert n.get("API_KEY", "k0") and n.get("API_KEY", "k1")
    keys.rename(zone.data / "api-keys")
    zone.settled(count=4)
    for n in zone.nodes:
        until("well", lambda: n.status()["health"] == "ok")
