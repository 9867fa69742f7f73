# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that speaks TLS, with keystores and truststores of every kind; rows and notices come by the same way."""
import os
import shutil

import pytest

from test_mongo import OLD, put_api
from test_notify import HOUR_MS
from test_tls import PASSWORD, TRUST, at
from zone import until

pytestmark = pytest.mark.sources("postgresql")
KEYS = {
    "pem": {"keystore.type": "pem", "keystore.path": "client-both.pem"},
    "pkcs12": {"keystore.path": "two.p12", "keystore.password": PASSWORD, "keystore.alias": "client"},
    "jks": {"keystore.type": "jks", "keystore.path": "client.jks", "keystore.password": PASSWORD,
            "keystore.keyPassword": "schlüssel", "keystore.alias": "schlüssel"},
}


@pytest.fixture
def tls(zone, pki):  # noqa: F811
    """Makes the server ask for TLS, and for a certificate of `ca` where `mutual`."""
    zone.mongo.start()
    server = zone.mongo.server
    hba = server.dir / "db" / "pg_hba.conf"
    before = hba.read_text()
    folder = server.dir / f"tls-{zone.mongo.name}"
    folder.mkdir()

    def serve(name="server", mutual=False):
        for f in (f"{name}.pem", f"{name}.key", "ca.pem"):
            shutil.copy(pki / f, folder / f)
        if server.user:
            for f in [folder, *folder.iterdir()]:
                os.chown(f, server.user["user"], server.user["group"])
        how = " clientcert=verify-ca" if mutual else ""
        hba.write_text(f"local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256{how}\n")
        zone.mongo.kill()
        server.start("-c", "ssl=on", "-c", f"ssl_cert_file={folder}/{name}.pem", "-c", f"ssl_key_file={folder}/{name}.key",
                     "-c", f"ssl_ca_file={folder}/ca.pem")
    yield serve
    hba.write_text(before)
    zone.mongo.kill()
    server.start()


def node(zone, pki, keys, host="localhost", more=""):  # noqa: F811
    """By the server's own port: the proxy of the tests speaks no TLS."""
    zone.redis.start()
    zone.delay, zone.ttl = HOUR_MS, 5000
    zone.more_source = "".join(f"management.jdbc.{k}: {v}\n" for k, v in at(pki, keys).items())
    n = zone.node("n1", start=False)
    n.config.write_text(n.config.read_text().replace(
        zone.mongo.uri, f"jdbc:postgresql://{host}:{zone.mongo.server.port}/{zone.mongo.name}?connectTimeout=2{more}"))
    return n.start()


@pytest.mark.parametrize("mutual", [False, True], ids=["server-only", "mutual"])
@pytest.mark.parametrize("kind", TRUST)
def test_a_zone_lives_by_tls(zone, tls, pki, kind, mutual):  # noqa: F811
    tls(mutual=mutual)
    zone.setup_notify()
    put_api(zone, "a")
    n = node(zone, pki, TRUST[kind] | (KEYS[kind] if mutual else {}))
    until("listening", lambda: n.fetcher()["notify"] == "LISTEN/NOTIFY")
    put_api(zone, "b", updated=OLD)
    zone.settled(count=2)
    used = zone.mongo.run("SELECT application_name, ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                          "WHERE usename = 'reader' AND datname = current_database()").fetchall()
    assert {"zonesync", "zonesync-watch"} <= {name for name, _, _ in used} and all(ssl for _, ssl, _ in used)
    assert {dn for _, _, dn in used} == {"/CN=client" if mutual else None}
    check = n.cli("config", "check", n.config, check=False)
    assert check.returncode == 0 and check.stderr == ""


@pytest.mark.parametrize("name,keys,host,says", [
    ("stranger", TRUST["jks"] | {"truststore.alias": "the-ca"}, "localhost", "certificate verify failed"),
    ("server", {}, "localhost", "certificate verify failed"),
    ("elsewhere", TRUST["pkcs12"], "localhost", "does not match"),
    ("expired", TRUST["pem"], "localhost", "certificate verify failed"),
], ids=["unknown-ca", "system", "wrong-name", "expired"])
def test_a_server_that_does_not_prove_itself_is_refused(zone, tls, pki, name, keys, host, says):  # noqa: F811
    """On this host too: a store says that TLS is meant."""
    tls(name)
    put_api(zone, "a")
    n = node(zone, pki, keys, host, "" if keys else "&sslmode=verify-full")
    until("refused", lambda: says in n.fetcher()["source"])
    assert "API:a" not in zone.redis("KEYS", "*")


@pytest.mark.parametrize("keys,says", [
    ({}, "requires a valid client certificate"),
    ({"keystore.path": "client.p12", "keystore.password": "not-the-one"}, "wrong password"),
    ({"keystore.path": "none.p12"}, "none.p12"),
], ids=["missing", "wrong-password", "no-file"])
def test_a_client_without_a_certificate_is_refused_and_mended_by_a_reload(zone, tls, pki, keys, says):  # noqa: F811
    tls(mutual=True)
    put_api(zone, "a")
    n = node(zone, pki, TRUST["pem"] | keys)
    until("refused", lambda: says in n.fetcher()["source"])
    if keys:
        check = n.cli("config", "check", n.config, check=False)
        assert check.returncode == os.EX_CONFIG and "management.jdbc.keystore: " in check.stderr
    text = n.config.read_text()
    for line in [x for x in text.splitlines() if "keystore" in x]:
        text = text.replace(line + "\n", "")
    n.config.write_text(text + "".join(f"management.jdbc.{k}: {v}\n" for k, v in at(pki, KEYS["pkcs12"]).items()))
    n.cli("reload")
    zone.settled(count=1)
    assert "not-the-one" not in n.logs("fetcher")
