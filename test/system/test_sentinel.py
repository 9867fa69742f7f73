# SPDX-License-Identifier: Apache-2.0
"""A zone whose Redis is found through Sentinels, and what a failover of theirs does to it."""
import pytest
import sentinels
import zone as z


@pytest.fixture
def zone(request, server):
    yield from z.fresh(request, server, sentinels.SentinelZone)


def holds(zone, ids):
    """Every node is, in the end, at the zone's head with just these APIs: there may have been as many before."""
    for n in zone.nodes:
        z.until(f"{n.name} holds {ids}", lambda: n.names("API") == sorted(f"API:{i}" for i in ids))
    zone.settled(count=len(ids))


def test_the_master_is_found_with_passwords_on_both_levels(zone):
    zone.write("apis/a.json", z.api("a"))
    zone.start(2)
    holds(zone, ["a"])
    assert zone.redis("HGET", "distributed_event:test:API:a", "syncAction") == "DEPLOY"
    assert zone.primary().status()["elector"]["redis"] == "connected"


def test_changes_go_on_arriving_through_a_failover(zone):
    zone.write("apis/a0.json", z.api("a0"))
    zone.start(2)
    holds(zone, ["a0"])
    old = zone.redis.master()
    zone.redis.sentinels[0]("SENTINEL", "FAILOVER", zone.redis.NAME)
    ids = ["a0"]

    def moved():
        ids.append(f"a{len(ids)}")
        zone.write(f"apis/{ids[-1]}.json", z.api(ids[-1]))
        return len(ids) > 20 and zone.redis.master() is not old
    z.until("the Sentinels chose another master", moved)
    holds(zone, ids)
    z.until("the old one is a replica", lambda: old.role() == "slave")


def told_to_move(zone, n):
    """The processes of a node that left a master because a Sentinel said so, and for no other reason."""
    return [w for w in ("elector", "fetcher", "cache") if "the Sentinels have made another server the master" in n.logs(w)]


def connected(server, listening=False):
    """The names under which nodes are connected to it, or of those that listen there."""
    return {line.split(" name=")[1].split(" ")[0] for line in server("CLIENT", "LIST").split("\n")
            if " name=zonesync" in line and (not listening or " sub=1 " in line)}


def keep_on_as_a_master(server):
    """It can be told nothing by the Sentinels, and closes no connection: so is one cut off from them, and from nobody else."""
    server("ACL", "SETUSER", "default", "-slaveof", "-replicaof")


def test_a_node_leaves_a_master_that_goes_on_answering_when_it_is_told(zone):
    zone.write("apis/a.json", z.api("a"))
    zone.start(1)
    holds(zone, ["a"])
    n = zone.nodes[0]
    old = zone.redis.master()
    keep_on_as_a_master(old)
    zone.redis.sentinels[0]("SENTINEL", "FAILOVER", zone.redis.NAME)
    z.until("it was told", lambda: len(told_to_move(zone, n)) == 3)
    z.until("it left", lambda: not connected(old))
    assert old.role() == "master"
    zone.write("apis/b.json", z.api("b"))
    holds(zone, ["a", "b"])
    assert zone.redis.master() is not old
    assert zone.redis("EXISTS", "distributed_event:test:API:b") == "1"
    assert old("EXISTS", "distributed_event:test:API:b") == "0"


def test_a_sentinel_that_is_gone_is_not_the_only_one_listened_to(zone):
    """The one that was asked first dies, and another one tells of the new master."""
    zone.write("apis/a.json", z.api("a"))
    zone.start(1)
    holds(zone, ["a"])
    n = zone.nodes[0]
    old = zone.redis.master()
    keep_on_as_a_master(old)
    first, second = zone.redis.sentinels[:2]
    z.until("the first one is listened to", lambda: len(connected(first, listening=True)) >= 3)
    first.kill()
    z.until("another one is listened to", lambda: sum(len(connected(s, listening=True)) for s in zone.redis.sentinels[1:]) >= 3)
    second("SENTINEL", "FAILOVER", zone.redis.NAME)
    z.until("it was told", lambda: len(told_to_move(zone, n)) == 3)
    z.until("it left", lambda: not connected(old))
    zone.write("apis/b.json", z.api("b"))
    holds(zone, ["a", "b"])
    assert old("EXISTS", "distributed_event:test:API:b") == "0"


def test_a_master_that_dies_is_replaced_and_nothing_is_lost(zone):
    zone.write("apis/a.json", z.api("a"))
    zone.write("apis/b.json", z.api("b"))
    zone.start(2)
    holds(zone, ["a", "b"])
    old = zone.redis.master()
    old.kill()
    zone.write("apis/c.json", z.api("c"))
    zone.remove("apis/b.json")
    holds(zone, ["a", "c"])
    assert zone.redis.master() is not old


def test_writes_that_a_failover_lost_are_written_again(zone):
    zone.write("apis/a.json", z.api("a"))
    zone.write("apis/revoked.json", z.api("revoked"))
    zone.start(2)
    holds(zone, ["a", "revoked"])
    lineage = zone.redis.meta()["lineage"]
    old = zone.redis.master()
    replica = next(s for s in zone.redis.servers if s is not old)
    # The replica loses its master, so that what is acknowledged from now on is gone with it.
    replica("CONFIG", "SET", "masterauth", "wrong")
    replica("CLIENT", "KILL", "TYPE", "master")
    z.until("the replica is cut off", lambda: "master_link_status:down" in replica("INFO", "replication"))
    zone.remove("apis/revoked.json")
    zone.write("apis/new.json", z.api("new"))
    holds(zone, ["a", "new"])
    old.kill()
    z.until("the replica is the master", lambda: replica.role() == "master")
    holds(zone, ["a", "new"])
    assert zone.redis.master() is replica
    assert zone.redis.meta()["lineage"] == lineage


def by_tls(zone, authority):
    """What a node says in its configuration for it."""
    return (f"distributed-sync.redis.ssl: true\ndistributed-sync.redis.truststore.type: pem\n"
            f"distributed-sync.redis.truststore.path: {authority}\n")


def test_a_failover_by_tls_with_passwords_on_both_levels(zone, pki):
    """Master, replica and Sentinels have no other port; a node that trusts another authority says so, and why."""
    zone.redis.pki = pki
    zone.write("apis/a.json", z.api("a"))
    zone.start(2, more=by_tls(zone, pki / "ca.pem"))
    holds(zone, ["a"])
    stranger = zone.node("stranger", more=by_tls(zone, pki / "other.pem"))
    for part in ("elector", "cache"):
        z.until("told", lambda: "not accepted" in stranger.status()[part]["redis"])
    told = stranger.status()["elector"]["redis"]
    assert "Sentinel" in told and "the reference accepts any" in told
    assert stranger.cache()["count"] == 0
    stranger.stop()
    zone.nodes.remove(stranger)
    old = zone.redis.master()
    old.kill()
    zone.write("apis/b.json", z.api("b"))
    zone.remove("apis/a.json")
    holds(zone, ["b"])
    assert zone.redis.master() is not old
    assert all(n.status()["warnings"] == [] for n in zone.nodes)


def test_a_sentinel_that_is_down_does_not_matter(zone):
    zone.write("apis/a.json", z.api("a"))
    zone.redis.start()
    zone.redis.sentinels[0].kill()
    zone.node("n1")
    holds(zone, ["a"])


def says(zone, text):
    z.until(f"status says {text}", lambda: text in zone.nodes[0].status()["elector"]["redis"])


def test_no_sentinel_at_all_is_told(zone):
    zone.redis.start(replicas=0, sentinels=1)
    zone.redis.sentinels[0].kill()
    zone.node("n1")
    says(zone, "none of 1 Sentinels answers")
    zone.redis.sentinels[0].start()
    zone.settled(count=0)


def test_a_name_the_sentinels_do_not_know_is_told(zone):
    zone.redis.start(replicas=0, sentinels=1)
    zone.named = "nobody"
    zone.node("n1")
    says(zone, "the Sentinels know no master `nobody`")


def test_a_wrong_password_of_the_sentinels_is_told(zone):
    zone.redis.start(replicas=0, sentinels=1)
    at = zone.redis.sentinels[0].port
    zone.redis.sentinel_password = "wrong"
    zone.node("n1")
    says(zone, "WRONGPASS")
    says(zone, f"127.0.0.1:{at}")
    says(zone, "see distributed-sync.redis.sentinel.password")


def test_a_server_that_is_no_master_is_not_used(zone):
    """A Sentinel names it for a while: one that watches what is a replica."""
    zone.redis.start(replicas=0, sentinels=0)
    replica = zone.redis.add("r1")
    zone.redis.sentinels.append(sentinels.Server(
        zone.redis.base, "s0", f"requirepass {zone.redis.sentinel_password}",
        f"sentinel monitor {zone.redis.NAME} 127.0.0.1 {replica.port} 1",
        f"sentinel auth-pass {zone.redis.NAME} {zone.redis.password}",
        sentinel=True, password=zone.redis.sentinel_password).start())
    zone.node("n1")
    says(zone, "a server that is no master yet: slave")
