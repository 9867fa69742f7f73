# SPDX-License-Identifier: Apache-2.0
"""The checker itself: bad histories are told, good ones are not."""
import pathlib
import sys
import types

import pytest

TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / d) for d in ("storm", "client", "process", "system")]

import checks  # noqa: E402
import faults  # noqa: E402
import truth  # noqa: E402

LEASE, META, TURN = (f"zonesync:{{test}}:{x}" for x in ("lease", "meta", "turn"))


@pytest.fixture
def seen():
    v = checks.Verdicts(lambda text: None)
    v.kinds = lambda: sorted(kind for kind, _ in v.bad)
    return v


def reader(seen, *numbers):
    h = truth.History()
    for n in numbers:
        h.add("API_KEY:k", n)
    return checks.Reader(h, seen, "n1")


@pytest.mark.parametrize("says", [
    [1, 1, 2, None, 5], [None, 1, 5], [2, 2, 5, 5], [None, None, None, 5], [1, None, 5], [5]])
def test_a_reader_that_goes_forward_is_good(seen, says):
    r = reader(seen, 1, 2, None, 5)
    assert all(r.saw("API_KEY:k", n) for n in says) and not seen.bad


@pytest.mark.parametrize("says,kind", [
    ([2, 1], "older"), ([1, None, 2], "withdrawn and back"), ([1, 5, None], "lost"), ([1, 3], "never written"), ([5, 2], "withdrawn and back")])
def test_a_reader_that_goes_back_is_told(seen, says, kind):
    r = reader(seen, 1, 2, None, 5)
    assert not all([r.saw("API_KEY:k", n) for n in says])
    assert seen.kinds() == [kind]


def test_a_name_that_comes_back_with_its_old_number_is_good_once_the_source_said_so(seen):
    """A key goes and comes with its API."""
    r = reader(seen, 1, None)
    assert r.saw("API_KEY:k", 1) and r.saw("API_KEY:k", None)
    r.history.add("API_KEY:k", 1)
    assert r.saw("API_KEY:k", 1) and not seen.bad


def audit(seen, *lines):
    a = checks.Audit(types.SimpleNamespace(verdicts=seen, generation=0))
    for at, source, *args in lines:
        a.line(b"+%.6f [0 %s] " % (at, source.encode()) + b" ".join(b'"%s"' % str(x).encode() for x in args))
    return seen.kinds()


def acquired(at, token):
    return [(at, "lua", "DEL", LEASE), (at, "lua", "HSET", LEASE, "token", token, "seq", 1), (at, "lua", "PEXPIRE", LEASE, 2000),
            (at, "lua", "HSET", META, "epoch", 1, "batch", 0)]


def written(at, token, number):
    return [(at, "unix:r.sock", "SET", TURN, f"{token}:7", "PX", 20000), (at, "unix:r.sock", "WATCH", TURN, META),
            (at, "unix:r.sock", "HSET", META, "batch", number, "rev", number)]


def test_writes_under_the_lease_are_good(seen):
    assert audit(seen, *acquired(1, "1:a"), *written(1.1, "1:a", 1), *written(1.2, "1:a", 2), *acquired(4, "2:b"), *written(4, "2:b", 1)) == []
    assert seen.seen["effective writes"] == 3


@pytest.mark.parametrize("hand", [("DEL", LEASE), ("HSET", LEASE, "token", "9:x")])
def test_a_lease_that_a_fault_changes_under_a_write_makes_no_second_writer(seen, hand):
    turn, watch, write = written(1.1, "1:a", 1)
    assert audit(seen, *acquired(1, "1:a"), turn, watch, (1.2, "unix:r.sock", *hand), write) == []


@pytest.mark.parametrize("kind,then", [
    ("two writers", written(1.2, "1:a", 2)[:2] + acquired(1.3, "2:b") + written(1.2, "1:a", 2)[2:]),
    ("two writers", written(1.2, "0:z", 1)),
    ("two writers", acquired(1.2, "2:b") + written(1.3, "1:a", 2)),
    ("two writers", [(1.2, "unix:r.sock", "DEL", LEASE)] + written(1.3, "1:a", 2)),
    ("two writers", [(1.2, "unix:r.sock", "HSET", LEASE, "token", "9:x")] + written(1.3, "1:a", 2)),
    ("two writers", written(3.1, "1:a", 2)),
    ("written twice", written(1.2, "1:a", 1))])
def test_a_write_that_had_no_right_to_is_told(seen, kind, then):
    assert kind in audit(seen, *acquired(1, "1:a"), *written(1.1, "1:a", 1), *then)


HASH = {"clusterId": "test", "id": "k", "type": "API_KEY", "syncAction": "DEPLOY", "updatedAt": "1", "zs": "D",
        "payload": '{"expireAt":%d,"active":true}' % (truth.BASE_MS + 2)}


def java(seen):
    h = truth.History()
    for n in (1, 2, None):
        h.add("API_KEY:k", n)
    return checks.Java(types.SimpleNamespace(verdicts=seen, history=h))


@pytest.mark.parametrize("hash", [{**HASH, "payload": "{"}, {**HASH, "payload": ""}, {k: v for k, v in HASH.items() if k != "type"}])
def test_a_hash_that_no_reader_could_read_is_told(seen, hash):
    java(seen).judge("API_KEY:k", hash)
    assert seen.kinds() == ["hash"]


def test_a_revoked_key_that_is_deployed_again_is_told(seen):
    j = java(seen)
    j.judge("API_KEY:k", HASH)
    j.judge("API_KEY:k", {**HASH, "syncAction": "UNDEPLOY"})
    assert not seen.bad
    j.judge("API_KEY:k", HASH)
    assert seen.kinds() == ["withdrawn and back"]


def test_what_a_fault_damaged_is_passed_over_until_it_is_whole(seen):
    j = java(seen)
    j.excused.add("API_KEY:k")
    j.judge("API_KEY:k", {**HASH, "payload": "{"})
    assert not seen.bad
    j.judge("API_KEY:k", HASH)
    assert not seen.bad and not j.excused
    j.judge("API_KEY:k", {**HASH, "payload": "{"})
    assert seen.kinds() == ["hash"]


def test_a_schedule_is_made_from_its_seed_alone():
    kinds = faults.wanted("", "file")
    assert faults.schedule(7, 30, 3, kinds) == faults.schedule(7, 30, 3, kinds) != faults.schedule(8, 30, 3, kinds)
    assert {f["kind"] for f in faults.schedule(7, 3600, 3, kinds)} == set(kinds)
    assert "emptied" not in faults.wanted("", "postgres")
    assert "damage" in kinds and "damage" not in faults.wanted("-damage,-process", "file") and set(faults.wanted("proxy,-cut", "file")) < set(kinds)
    with pytest.raises(ValueError):
        faults.wanted("flood", "file")
