# SPDX-License-Identifier: Apache-2.0
"""A zone whose Redis speaks TLS, with keystores and truststores of every kind."""
import os
import shutil

import pytest

from mongo import MongoZone
from zone import ROOT, Zone, api, free_port, fresh, subscription, until

PASSWORD = "storepass"
PREFIX = "distributed-sync.redis"


class TlsZone(Zone):
    """Nodes come by TLS; the tests themselves by Redis' Unix socket."""

    def __init__(self, base, server):
        super().__init__(base, server)
        self.port = free_port()
        self.tls = {}

    def serve(self, pki, name="server", mutual=False, ca="ca"):
        self.redis.args = ["--tls-port", str(self.port), "--tls-cert-file", str(pki / f"{name}.pem"),
                           "--tls-key-file", str(pki / f"{name}.key"), "--tls-ca-cert-file", str(pki / f"{ca}.pem"),
                           "--tls-auth-clients", "yes" if mutual else "no"]
        self.redis.start()

    def config(self, name, **kw):
        text = super().config(name, **kw).replace(f"    socket: {self.redis.socket}\n", "")
        keys = {"host": "localhost", "port": self.port, "ssl": "true", **self.tls}
        return text + "".join(f"{PREFIX}.{k}: {v}\n" for k, v in keys.items())

    def write_config(self, node):
        node.config.write_text(self.config(node.name))


@pytest.fixture
def zone(request, server):
    yield from fresh(request, server, TlsZone)


TRUST = {
    "pem": {"truststore.type": "pem", "truststore.path": "ca.pem"},
    "pkcs12": {"truststore.type": "pkcs12", "truststore.path": "trust.p12", "truststore.password": PASSWORD},
    "jks": {"truststore.type": "JKS", "truststore.path": "trust.jks", "truststore.password": PASSWORD},
}
KEYS = {
    "pem": {"keystore.type": "pem", "keystore.certificates": "[{{cert: {pki}/client.pem, key: {pki}/client.key}}, "
                                                             "{{cert: {pki}/second.pem, key: {pki}/second.key}}]"},
    "pkcs12": {"keystore.type": "pkcs12", "keystore.path": "two.p12", "keystore.password": PASSWORD,
               "keystore.alias": "client"},
    "jks": {"keystore.type": "jks", "keystore.path": "client.jks", "keystore.password": PASSWORD,
            "keystore.keyPassword": "schlüssel", "keystore.alias": "schlüssel"},
}


def at(pki, keys):
    """Paths below the directory of the fixtures."""
    return {k: f"{pki}/{v}" if k.endswith(".path") else v.format(pki=pki) for k, v in keys.items()}


def redis_of(node):
    return node.cache()["redis"]


@pytest.mark.parametrize("mutual", [False, True], ids=["server-only", "mutual"])
@pytest.mark.parametrize("kind", TRUST)
def test_a_zone_lives_by_tls(zone, pki, kind, mutual):
    zone.serve(pki, mutual=mutual)
    zone.tls = at(pki, TRUST[kind]) | (at(pki, KEYS[kind]) if mutual else {})
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    nodes = [zone.node("n1"), zone.node("n2")]
    zone.settled(count=2)
    zone.write("apis/b.json", api("b"))
    zone.settled(count=3)
    for n in nodes:
        assert n.names() == ["API:a", "API:b", "SUBSCRIPTION:s"]
        assert n.status()["warnings"] == []
    assert "tls=0" not in zone.redis("CLIENT", "LIST", "TYPE", "PUBSUB")
    check = nodes[0].cli("config", "check", nodes[0].config, check=False)
    assert check.returncode == 0, check.stderr


def test_a_wrong_password_is_told_and_mended_by_a_reload(zone, pki):
    zone.serve(pki, mutual=True)
    good = at(pki, TRUST["jks"]) | at(pki, KEYS["pkcs12"])
    zone.tls = good | {"keystore.password": "not-the-one"}
    zone.write("apis/a.json", api("a"))
    node = zone.node("n1")
    until("the error is in the status", lambda: "two.p12: wrong password" in redis_of(node))
    until("and in the log", lambda: "two.p12: wrong password" in node.logs("elector"))
    check = node.cli("config", "check", node.config, check=False)
    assert check.returncode == os.EX_CONFIG and "distributed-sync.redis.keystore: " in check.stderr and "wrong password" in check.stderr
    zone.tls = good
    zone.write_config(node)
    node.cli("reload")
    zone.settled(count=1)
    for worker in ("supervisor", "elector", "fetcher", "cache"):
        assert "not-the-one" not in node.logs(worker)
    assert {d["signal"] for d in node.status()["deaths"]} <= {0, 9}, "nobody crashed"


def test_a_certificate_that_is_over_is_found_before_it_counts(zone, pki):
    zone.tls = {"keystore.type": "pem",
                "keystore.certificates": f"[{{cert: {pki}/expired.pem, key: {pki}/expired.key}}]"}
    node = zone.node("n1", start=False)
    check = node.cli("config", "check", node.config, check=False)
    assert check.returncode == os.EX_CONFIG
    assert "distributed-sync.redis.keystore: the certificate expired" in check.stderr
    assert check.stderr.count("expired") == 1, "what three workers say is said once"


def test_an_unknown_authority_is_told_and_mended_by_the_file_alone(zone, pki):
    zone.serve(pki)
    store = zone.base / "trust.pem"
    shutil.copy(pki / "other.pem", store)
    zone.tls = {"truststore.type": "pem", "truststore.path": store}
    zone.write("apis/a.json", api("a"))
    node = zone.node("n1")
    until("told", lambda: "not accepted" in redis_of(node) and "the reference accepts any" in redis_of(node))
    shutil.copy(pki / "ca.pem", store)
    node.cli("reload")
    zone.settled(count=1)


@pytest.mark.parametrize("name,words", [("expired", "certificate has expired"), ("elsewhere", "not for `localhost`")])
def test_a_server_that_is_not_the_one_is_told(zone, pki, name, words):
    zone.serve(pki, name)
    zone.tls = at(pki, TRUST["pkcs12"])
    zone.write("apis/a.json", api("a"))
    node = zone.node("n1")
    until("told", lambda: words in redis_of(node))
    assert zone.redis("DBSIZE") == "0"
    zone.redis.stop()
    zone.serve(pki)
    zone.settled(count=1)


def test_a_rotated_authority_needs_its_file_only(zone, pki):
    """The server changes to another authority; connections that stand go on, new ones read the new file."""
    store = zone.base / "trust.pem"
    shutil.copy(pki / "ca.pem", store)
    zone.serve(pki)
    zone.tls = {"truststore.type": "pem", "truststore.path": store}
    zone.write("apis/a.json", api("a"))
    node = zone.node("n1")
    zone.settled(count=1)
    pids = [node.pid(w) for w in ("elector", "fetcher", "cache")]
    shutil.copy(pki / "both.pem", store)
    node.cli("reload")
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)
    zone.redis("CONFIG", "SET", "tls-cert-file", pki / "stranger.pem", "tls-key-file", pki / "stranger.key")
    zone.redis("CLIENT", "KILL", "TYPE", "normal")
    zone.redis("CLIENT", "KILL", "TYPE", "pubsub")
    zone.write("apis/c.json", api("c"))
    zone.settled(count=3)
    assert pids == [node.pid(w) for w in ("elector", "fetcher", "cache")]


def test_trust_without_verification_warns_at_each_start(zone, pki):
    zone.serve(pki, "stranger")
    zone.tls = {"trustAll": "true"}
    zone.write("apis/a.json", api("a"))
    node = zone.node("n1")
    zone.settled(count=1)
    assert "trustAll: is true" in node.status()["warnings"][0]
    assert "whoever answers is taken for Redis" in " ".join(node.cli("status").split())
    node.stop()
    node.start()
    zone.settled(count=1)
    assert node.logs().count("whoever answers is taken for Redis") == 2


def test_a_user_of_the_documented_rights_is_enough(zone, pki):
    rights = next(line for line in (ROOT / "README.md").read_text().splitlines() if "ACL SETUSER zonesync" in line)
    zone.serve(pki, mutual=True)
    zone.redis(*rights.replace("PASSWORD", "geheim").split())
    zone.tls = at(pki, TRUST["pkcs12"]) | at(pki, KEYS["jks"]) | {"username": "zonesync", "password": "geheim"}
    zone.write("apis/a.json", api("a"))
    zone.node("n1")
    zone.settled(count=1)


class MongoTlsZone(MongoZone):
    """The database comes by TLS: directly, since the replica set's own list says no name of a certificate."""

    def secure(self, pki, keys, mutual=False, host="localhost"):
        self.keys = keys
        self.mongo.args += ["--tls-cert-file", str(pki / "server.pem"), "--tls-key-file", str(pki / "server.key")]
        if mutual:
            self.mongo.args += ["--tls-ca-file", str(pki / "ca.pem"), "--tls-require-client-cert"]
        options = "retryReads=false&socketTimeoutMS=2000&connectTimeoutMS=2000&serverSelectionTimeoutMS=1000"
        own = f"&tls=true&tlsCAFile={pki}/ca.pem&tlsCertificateKeyFile={pki}/client-both.pem"
        self.mongo.uri = f"mongodb://{host}:{self.mongo.port}/gravitee?directConnection=true&{options}"
        self.node_uri, self.mongo.uri = self.mongo.uri, self.mongo.uri + own

    def source(self, data=None):
        lines = "".join(f"    {k}: {v}\n" for k, v in {"sslEnabled": "true", **self.keys}.items())
        return f"management:\n  type: mongodb\n  mongodb:\n    uri: {self.node_uri}\n{lines}"


@pytest.fixture
def mongo_zone(request, server):
    yield from fresh(request, server, MongoTlsZone)


MONGO_TRUST = {
    "pem": {"truststore.type": "pem", "truststore.path": "ca.pem"},
    "pkcs12": {"truststore.path": "trust.p12", "truststore.password": PASSWORD},
    "jks": {"truststore.type": "jks", "truststore.path": "trust.jks", "truststore.password": PASSWORD},
}
MONGO_KEYS = {
    "pem": {"keystore.type": "pem", "keystore.path": "client-both.pem"},
    "pkcs12": {"keystore.type": "pkcs12", "keystore.path": "client.p12", "keystore.password": PASSWORD},
    "jks": {"keystore.path": "client.jks", "keystore.password": PASSWORD, "keystore.keyPassword": "schlüssel"},
}


@pytest.mark.parametrize("mutual", [False, True], ids=["server-only", "mutual"])
@pytest.mark.parametrize("kind", MONGO_TRUST)
def test_a_database_is_read_by_tls(mongo_zone, pki, kind, mutual):
    mongo_zone.secure(pki, at(pki, MONGO_TRUST[kind] | (MONGO_KEYS[kind] if mutual else {})), mutual)
    mongo_zone.write("apis/a.json", api("a"))
    mongo_zone.start()
    mongo_zone.settled(count=1)
    assert mongo_zone.nodes[0].status()["warnings"] == []


def test_the_older_names_of_a_keystore_work(mongo_zone, pki):
    keys = {"keystore": f"{pki}/client.jks", "keystorePassword": PASSWORD, "keyPassword": "schlüssel"}
    mongo_zone.secure(pki, keys | at(pki, MONGO_TRUST["pem"]), mutual=True)
    mongo_zone.write("apis/a.json", api("a"))
    mongo_zone.start()
    mongo_zone.settled(count=1)


@pytest.mark.parametrize("keys,words", [
    ({"truststore.path": "trust.p12", "truststore.password": "wrong"}, "truststore: "),
    ({"truststore.path": "other.pem"}, "certificate verify failed"),
    ({}, "certificate verify failed"),
], ids=["password", "authority", "system"])
def test_a_database_that_does_not_prove_itself_is_not_read(mongo_zone, pki, keys, words):
    mongo_zone.secure(pki, at(pki, keys))
    mongo_zone.write("apis/a.json", api("a"))
    mongo_zone.start()
    node = mongo_zone.nodes[0]
    until("told", lambda: words in node.fetcher()["source"] + node.fetcher()["error"])
    assert mongo_zone.redis.meta().get("complete") != "1"
    mongo_zone.keys = at(pki, MONGO_TRUST["pkcs12"])
    node.config.write_text(mongo_zone.config(node.name))
    node.cli("reload")
    mongo_zone.settled(count=1)


def test_a_database_of_another_name_is_read_only_when_allowed(mongo_zone, pki):
    mongo_zone.secure(pki, at(pki, MONGO_TRUST["jks"]), host="127.0.0.2")
    mongo_zone.mongo.uri = mongo_zone.mongo.uri.replace("127.0.0.2", "127.0.0.1")
    mongo_zone.mongo.args += ["--host", "0.0.0.0"]
    mongo_zone.write("apis/a.json", api("a"))
    mongo_zone.start()
    node = mongo_zone.nodes[0]
    until("told", lambda: "verify failed" in node.fetcher()["source"] or "mismatch" in node.fetcher()["source"])
    mongo_zone.keys["sslInvalidHostNameAllowed"] = "true"
    node.config.write_text(mongo_zone.config(node.name))
    node.cli("reload")
    mongo_zone.settled(count=1)
    assert "sslInvalidHostNameAllowed: is true" in node.status()["warnings"][0]
