# SPDX-License-Identifier: Apache-2.0
"""Which server of a URL is read from, and what stands between: a standby, one that is promoted, a Unix socket, a pooler."""
import urllib.parse

import pytest

import postgres as pg
from test_mongo import OLD, names_are, put_api, put_key, put_sub
from zone import until

pytestmark = pytest.mark.sources("postgresql")


def configure(zone, n, hosts, more="", notify="off"):
    """Has the node read from `hosts`, each a server or its address."""
    where = ",".join(h if isinstance(h, str) else f"127.0.0.1:{h.port}" for h in hosts)
    url = f"jdbc:postgresql://{where}/{zone.mongo.name}?connectTimeout=5&socketTimeout=5{more}"
    n.config.write_text(zone.config("n1", extra=f"  source:\n    notify: {notify}").replace(zone.mongo.uri, url))


def node(zone, *args, **kw):
    zone.mongo.start()
    zone.redis.start()
    zone.delay, zone.ttl = 200, 5000
    n = zone.node("n1", start=False)
    configure(zone, n, *args, **kw)
    return n.start()


def reads_from(zone, server):
    """Whether the sessions of the node are there."""
    c = server.connect(zone.mongo.name)
    cursor = c.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND datname = current_database()", (pg.READER,))
    return cursor.fetchone()[0] > 0


@pytest.fixture
def standby(zone):
    zone.mongo.start()
    s = pg.Standby(zone.mongo.server)
    yield s
    s.remove()


# --- a standby ---

def test_the_url_says_whether_a_primary_or_a_standby_is_read(zone, standby):
    put_api(zone, "a", updated=OLD)
    zone.setup_notify()
    primary = zone.mongo.server
    n = node(zone, [primary, standby], "&targetServerType=secondary", notify="auto")
    names_are(n, "API:a")
    until("a standby tells of no changes, and is polled", lambda: "recovery" in n.fetcher()["notify"])
    assert reads_from(zone, standby) and not reads_from(zone, primary)
    wishes = [([standby, primary], "primary", primary), ([standby, primary], "preferPrimary", primary),
              ([standby, primary], "any", standby), ([primary, standby], "any", primary),
              ([primary, standby], "preferSecondary", standby)]
    for i, (hosts, wish, wanted) in enumerate(wishes):
        configure(zone, n, hosts, f"&targetServerType={wish}")
        n.cli("reload")
        put_api(zone, f"a{i}")
        until(f"{wish}: read", lambda: n.get("API", f"a{i}"))
        until(wish, lambda: reads_from(zone, wanted) and not reads_from(zone, standby if wanted is primary else primary))
    standby.stop()
    put_api(zone, "b")
    until("a primary when there is no other", lambda: n.get("API", "b"))
    configure(zone, n, [primary, standby], "&targetServerType=secondary")
    n.cli("reload")
    until("none is left", lambda: n.fetcher()["source"].startswith("down"))
    assert "API:b" in n.names()


def test_a_standby_that_is_promoted_is_read_when_the_primary_is_dead(zone, standby):
    for i in range(12):
        put_api(zone, f"a{i:02}", updated=OLD)
        put_sub(zone, f"s{i:02}", f"a{i:02}")
    put_key(zone, "k", ["s03"])
    n = node(zone, [zone.mongo.server, standby], "&targetServerType=primary")
    zone.settled(count=25)
    put_api(zone, "last")
    until("read", lambda: n.get("API", "last"))
    with standby.connect(zone.mongo.name) as c:
        until("it has it too", lambda: holds(c, "last"))
    zone.mongo.kill()
    until("no primary", lambda: n.fetcher()["source"].startswith("down"))
    assert len(n.names()) == 26
    standby.promote()
    until("up", lambda: n.fetcher()["source"] == "up")
    with standby.connect(zone.mongo.name) as c:
        c.cursor().execute("UPDATE keys SET revoked = true, updated_at = timezone('UTC', now())")
    until("the key is revoked", lambda: "API_KEY:k" not in n.names())
    compared = n.logs("fetcher").count("pass_done")
    n.cli("compare")
    until("compared", lambda: n.logs("fetcher").count("pass_done") > compared)
    zone.settled(count=25)
    assert "event=removed" not in n.logs("fetcher")


def holds(connection, id):
    cursor = connection.cursor()
    cursor.execute("SELECT 1 FROM events_latest WHERE id = %s", (id,))
    return cursor.fetchone()


# --- a Unix socket ---

@pytest.mark.parametrize("more,store", [("", False), ("&sslmode=require", False), ("&sslmode=verify-full", False), ("", True)],
                         ids=["default", "require", "verify-full", "truststore"])
def test_a_unix_socket_has_no_tls_and_needs_none(zone, pki, more, store):
    put_api(zone, "a", updated=OLD)
    server = zone.mongo.server
    if store:
        zone.more_source = f"management.jdbc.truststore.type: pem\nmanagement.jdbc.truststore.path: {pki}/ca.pem\n"
    n = node(zone, [urllib.parse.quote(str(server.dir), safe="") + f":{server.port}"], more)
    until("read", lambda: n.fetcher()["source"] == "up" and n.names() == ["API:a"])
    used = zone.mongo.run("SELECT client_addr FROM pg_stat_activity WHERE usename = 'reader' AND datname = current_database()").fetchall()
    assert used and all(addr is None for addr, in used)
