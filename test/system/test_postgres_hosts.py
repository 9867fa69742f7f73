# SPDX-License-Identifier: Apache-2.0
"""Which server of a URL is read from, and what stands between: a standby, one that is promoted, a Unix socket, a pooler."""
import os
import shutil
import signal
import subprocess
import urllib.parse

import psycopg2
import pytest

import postgres as pg
from test_mongo import OLD, names_are, put_api, put_key, put_sub
from test_notify import HOUR_MS
from zone import free_port, until

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
    assert zone.redis.meta()["lag"] == "120000"
    wishes = [([standby, primary], "primary", primary), ([standby, primary], "preferPrimary", primary),
              ([standby, primary], "any", standby), ([primary, standby], "any", primary),
              ([primary, standby], "preferSecondary", standby)]
    for i, (hosts, wish, wanted) in enumerate(wishes):
        configure(zone, n, hosts, f"&targetServerType={wish}")
        n.cli("reload")
        put_api(zone, f"a{i}")
        until(f"{wish}: read", lambda: n.get("API", f"a{i}"))
        until(wish, lambda: reads_from(zone, wanted) and not reads_from(zone, standby if wanted is primary else primary))
        until("followers know", lambda: zone.redis.meta()["lag"] == ("0" if wanted is primary else "120000"))
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


# --- a pooler ---

class Pooler:
    """A pgbouncer in front of a server."""

    def __init__(self, server):
        self.dir, self.server, self.port = server.dir / f"pool-{os.urandom(3).hex()}", server, free_port()
        self.dir.mkdir()
        self.mode("transaction")
        if server.user:
            os.chown(self.dir, server.user["user"], server.user["group"])
        self.process = subprocess.Popen(
            [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", self.dir / "ini"], stdout=subprocess.DEVNULL,
            stderr=open(self.dir / "out", "ab"), cwd=self.dir, **server.user)
        until("it answers", lambda: self.connect("template"))

    def mode(self, mode):
        (self.dir / "ini").write_text(
            f"[databases]\n* = host={self.server.dir} port={self.server.port} user={pg.READER}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n")

    def connect(self, database):
        try:
            return psycopg2.connect(host="127.0.0.1", port=self.port, user=pg.READER, dbname=database)
        except psycopg2.Error as e:
            return ValueError(e)

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)


@pytest.fixture
def pooler(zone):
    zone.mongo.start()
    p = Pooler(zone.mongo.server)
    yield p
    p.stop()


def test_a_pooler_that_shares_sessions_is_refused_and_one_that_does_not_is_fine(zone, pooler):
    put_api(zone, "a", updated=OLD)
    zone.setup_notify()
    n = node(zone, [pooler], notify="auto")
    until("said", lambda: "pool_mode=session" in n.fetcher()["source"])
    cursor = pooler.connect(zone.mongo.name).cursor()
    for name, value in (("default_transaction_read_only", "off"), ("statement_timeout", "0")):
        cursor.execute(f"SHOW {name}")
        assert cursor.fetchone() == (value,), "nobody else has our settings"
    cursor.connection.close()
    pooler.mode("session")
    pooler.process.send_signal(signal.SIGHUP)
    names_are(n, "API:a")
    until("told", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")
    for i in range(4):  # the pids that it makes up are negative every other time
        n.cli("restart", "fetcher")
        until("told", lambda: n.logs("fetcher").count("event=notify by=LISTEN/NOTIFY") == i + 2)
    assert "syntax error" not in n.logs("fetcher")
    zone.delay = HOUR_MS
    configure(zone, n, [pooler], notify="auto")
    n.cli("reload")
    until("told", lambda: n.logs("fetcher").count("event=notify by=LISTEN/NOTIFY") == 6)
    put_api(zone, "b", updated=OLD)
    until("read when it was told", lambda: n.get("API", "b"))


# --- a node that may be promoted ---

def test_a_standby_says_hello_and_reads_nothing(zone):
    put_api(zone, "a", updated=OLD)
    zone.mongo.start()
    zone.delay, zone.ttl = 200, 5000
    zone.start(1)
    zone.settled(count=1)
    p = pg.Proxy(("127.0.0.1", zone.mongo.server.port))
    n = zone.node("n2", start=False)
    configure(zone, n, [f"127.0.0.1:{p.port}"])
    n.start()
    until("it said hello", lambda: n.fetcher()["source"] == "up" and n.status()["health"] == "ok")
    asked = []
    for id in "bc":
        put_api(zone, id)
        until("others read", lambda: n.get("API", id))
        asked.append(p.asked)
    assert asked[0] == asked[1] < 5, "a greeting, and no rows"
    zone.nodes[0].stop()
    until("it is promoted", lambda: n.role() == "primary" and p.asked > asked[0])
    p.stop()


def test_a_standby_whose_database_is_down_lets_others_be_primary(zone):
    put_api(zone, "a", updated=OLD)
    zone.mongo.start()
    zone.delay, zone.ttl = 200, 5000
    zone.start(2)
    blind = zone.node("blind", start=False)
    configure(zone, blind, [f"127.0.0.1:{free_port()}"])
    blind.start()
    zone.settled(count=1)
    until("said", lambda: blind.status()["health"] == "degraded" and "source is down" in blind.status()["reason"])
    sighted = zone.nodes[:2]
    p = zone.primary()
    p.crash()
    q = zone.primary(among=[n for n in sighted if n is not p])
    put_api(zone, "b")
    until("written", lambda: blind.get("API", "b"))
    assert "lease_held" not in blind.logs("elector") and q.role() == "primary"
