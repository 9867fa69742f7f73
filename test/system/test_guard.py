# SPDX-License-Identifier: Apache-2.0
"""No mass deletion on thin evidence (zone-protocol 4.5)."""
import json
import shutil
import time

import pytest

from zone import api, apikey, subscription, until


def fill(zone, count):
    for i in range(count):
        zone.write(f"apis/a{i:02}.json", api(f"a{i:02}"))
        zone.write(f"subscriptions/s{i:02}.json", subscription(f"s{i:02}", f"a{i:02}"))


def test_a_directory_that_vanishes_is_an_outage(zone):
    fill(zone, 12)
    zone.start(1)
    zone.settled(count=24)
    n = zone.nodes[0]
    (zone.data / "apis").rename(zone.base / "apis")
    until("said", lambda: "vanished" in n.fetcher()["source"])
    assert len(n.names()) == 24
    (zone.base / "apis").rename(zone.data / "apis")
    until("back", lambda: n.fetcher()["source"] == "up")
    zone.settled(count=24)


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
    for i in range(30):
        zone.remove(f"apis/a{i:02}.json")
    zone.settled(count=40)
    assert "second pass" in n.logs("fetcher")


def test_children_of_a_held_api_are_held_with_it(zone):
    fill(zone, 50)
    zone.start(1)
    zone.settled(count=100)
    n = zone.nodes[0]
    n.stop()
    for i in range(30):
        zone.remove(f"apis/a{i:02}.json")
        zone.remove(f"subscriptions/s{i:02}.json")
    zone.remove("subscriptions/s40.json")
    n.start()
    zone.settled(count=39)
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
    swap_directory(zone, 20)
    until("held", lambda: "second pass" in n.fetcher()["guard"])
    zone.write("dictionaries/e.json", {"id": "e", "key": "e", "name": "e", "environmentId": "DEFAULT"})
    until("e", lambda: n.get("DICTIONARY", "e"))
    zone.write("dictionaries/f.json", {"id": "f", "key": "f", "name": "f", "environmentId": "DEFAULT"})
    until("f", lambda: n.get("DICTIONARY", "f"))
    zone.settled(count=103)
    n.cli("resync", "--accept-deletes")
    zone.settled(count=43)


def test_a_second_look_comes_however_much_changes_meanwhile(zone):
    fill(zone, 50)
    zone.start(1)
    zone.settled(count=100)
    n = zone.nodes[0]
    for i in range(30):
        zone.remove(f"apis/a{i:02}.json")

    def write_and_look():
        zone.write("dictionaries/d.json", {"id": "d", "key": str(time.monotonic()), "name": "d", "environmentId": "DEFAULT"})
        return n.names().count("API:a00") == 0
    until("gone", write_and_look)
    zone.settled(count=41)


@pytest.mark.sources("mongodb", "postgresql")
def test_rows_that_come_back_are_waited_for(zone):
    """As when a table is restored: what is not there yet is not gone because it was not there a while ago."""
    fill(zone, 30)
    zone.delay = 60000  # it looks at all only when we ask
    zone.start(1, extra="  source:\n    notify: off")
    zone.settled(count=60)
    n = zone.nodes[0]
    events = zone.mongo.db["events_latest"]
    rows = [events.find_one({"_id": f"a{i:02}"}) for i in range(20)]
    events.delete_many({"_id": {"$in": [r["_id"] for r in rows]}})
    zone.compare()
    until("held", lambda: "20 of 30 API would be removed: waiting for a second pass" in n.fetcher()["guard"])
    since = time.monotonic()
    until("a pass would agree", lambda: time.monotonic() - since > 1.2)
    events.insert_many(rows[:5])
    zone.compare()
    until("held", lambda: "15 of 30 API would be removed: waiting for a second pass" in n.fetcher()["guard"])
    events.insert_many(rows[5:])
    zone.compare()
    until("the guard is quiet", lambda: n.fetcher()["guard"] == "")
    assert "event=removed" not in n.logs("fetcher") and len(n.names()) == 60


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
