# SPDX-License-Identifier: Apache-2.0
"""What comes from outside is no UTF-8, full, gone or read-only: the node says so and goes on."""
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import pytest

from zone import api, apikey, subscription, until


def alive(node):
    return {w["name"]: (w["pid"], w["generation"]) for w in node.status()["workers"]}


@pytest.mark.sources("file")
def test_a_file_whose_name_is_no_utf8_is_listed_and_ends_nobody(zone):
    zone = zone.start()
    zone.write("apis/a.json", api("a"))
    zone.settled(count=1)
    node = zone.nodes[0]
    before = alive(node)
    (zone.data / "apis" / os.fsdecode(b"caf\xe9.json")).write_text("{ no json")
    # A path that is cut in the middle of a character where 256 bytes are all there is.
    deep = zone.data / "apis" / ("\u00e9" * 100)
    for i in (0, 1):
        (deep.with_name("x" * i + deep.name + ".json")).write_text("{ no json")
    until("all are quarantined", lambda: node.fetcher()["quarantined"] == 3)
    listed = node.cli("quarantine")
    assert "caf\\xe9.json" in listed and listed.count(".json") == 3, listed
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)
    assert alive(node) == before and "child_protocol" not in node.logs()


@pytest.mark.sources("file")
def test_documents_that_are_not_published_are_counted(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("subscriptions/s.json", subscription("s", "a"))
    zone.write("subscriptions/lost.json", subscription("lost", "nowhere"))
    zone.write("subscriptions/closed.json", subscription("closed", "nowhere", status="CLOSED"))
    zone.write("subscriptions/bare.json", {k: v for k, v in subscription("bare", "a").items() if k != "status"})
    zone.write("api-keys/k.json", apikey("k", ["s"]))
    zone.write("api-keys/orphan.json", apikey("orphan", ["who"]))
    zone.write("api-keys/revoked.json", apikey("revoked", [], revoked=True))
    for i in range(7):
        zone.write(f"api-keys/alone{i}.json", apikey(f"alone{i}", []))
    zone.start()
    zone.settled(count=3)
    n = zone.nodes[0]
    account = lambda: {(u["type"], u["reason"]): (u["count"], u["examples"]) for u in n.fetcher()["unpublished"]}
    until("counted", lambda: account() == {
        ("API_KEY", "without a subscription"): (7, [f"api-keys/alone{i}.json" for i in range(5)]),
        ("API_KEY", "of a subscription that is not known"): (1, ["api-keys/orphan.json"]),
        ("SUBSCRIPTION", "without a status"): (1, ["subscriptions/bare.json"]),
        ("SUBSCRIPTION", "of an API that is not known"): (1, ["subscriptions/lost.json"])})
    listed = n.cli("quarantine", "--all")
    assert "api-keys/orphan.json" in listed and "of an API that is not known" in listed, listed
    assert len(n.cli("quarantine", "--all", "--json").splitlines()) == 4 and not n.cli("quarantine", "--json")
    assert "not published: 7 API keys, without a subscription;" in n.cli("status", check=False).stdout
    zone.write("apis/nowhere.json", api("nowhere"))
    zone.write("subscriptions/who.json", subscription("who", "a"))
    zone.write("api-keys/alone0.json", apikey("alone0", ["s"]))
    until("fewer", lambda: {k[1]: v[0] for k, v in account().items()} == {
        "without a subscription": 6, "without a status": 1})


@pytest.mark.sources("file")
def test_what_lies_in_a_wrong_place_is_named(zone):
    zone.write("apis/a.json", api("a"))
    zone.write("api/b.json", api("b"))
    zone.write("api_keys/k.json", apikey("k", ["s"]))
    zone.write("apis/team/c.json", api("c"))
    zone.write("d.json", api("d"))
    for quiet in ("README.md", ".gitignore", "apis/.d.json.swp"):
        (zone.data / quiet).write_text("x")
    (zone.data / "apis/x.txt").write_text("{}")
    zone.start()
    zone.settled(count=1)
    n = zone.nodes[0]
    account = lambda: {(u["type"], u["reason"]): u["examples"] for u in n.fetcher()["unpublished"]}
    until("named", lambda: account() == {
        ("DIRECTORY", "whose name is that of no type"): ["api", "api_keys"],
        ("DIRECTORY", "within that of a type"): ["apis/team"],
        ("FILE", "in none of the directories of types"): ["d.json"],
        ("FILE", "whose name does not end in .json"): ["apis/x.txt"]})
    assert "2 directories, whose name" in " ".join(n.cli("status", check=False).stdout.split())
    (zone.data / "api").rename(zone.data / "shared-policy-groups")
    until("one less", lambda: account()["DIRECTORY", "whose name is that of no type"] == ["api_keys"])


@pytest.mark.sources("file")
def test_documents_of_other_environments_are_in_no_account(zone):
    for e in ("E", "F"):
        zone.write(f"environments/{e}.json", {"id": e, "hrids": [e.lower()], "name": e})
    zone.write("api-keys/here.json", apikey("here", [], environmentId="E"))
    zone.write("api-keys/there.json", apikey("there", [], environmentId="F"))
    zone.write("api-keys/nowhere.json", apikey("nowhere", [], environmentId="G"))
    bare = subscription("bare", "a", environmentId="F")
    del bare["status"]
    zone.write("subscriptions/bare.json", bare)
    zone.start(1, more="environments: e")
    n = zone.nodes[0]
    account = lambda: {(u["type"], u["reason"]): u["examples"] for u in n.fetcher()["unpublished"]}
    until("counted", lambda: account() == {
        ("API_KEY", "without a subscription"): ["api-keys/here.json"],
        ("API_KEY", "of an environment that is not known"): ["api-keys/nowhere.json"]})


class RudeRedis:
    """Answers everything with an error that is no UTF-8, or with last words and the end."""

    def __init__(self, path, words, hangs_up):
        self.words, self.hangs_up = words, hangs_up
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.listener.bind(str(path))
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    def talk(self, s):
        with s:
            try:
                if self.hangs_up:
                    s.sendall(self.words)
                    return
                while data := s.recv(65536):
                    s.sendall(self.words * data.count(b"*"))
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.mark.sources("file")
def test_a_redis_whose_errors_are_no_utf8_ends_nobody(zone):
    rude = RudeRedis(zone.redis.socket, b"-ERR h\xe9las \xff" + b"\xc3\xa9" * 200 + b"\r\n", False)
    try:
        node = zone.node("n1")
        until("all are up", lambda: {w["state"] for w in node.status()["workers"]} == {"up"})
        before = alive(node)
        until("both say what it answers", lambda: all(
            "h\\xe9las" in node.status()[who]["redis"] for who in ("cache", "elector")))
        assert alive(node) == before and "child_protocol" not in node.logs()
        node.stop()
    finally:
        rude.close()


@pytest.mark.sources("file")
def test_workers_start_and_serve_without_a_log_directory(zone):
    zone.start()
    zone.write("apis/a.json", api("a"))
    zone.settled(count=1)
    node = zone.nodes[0]
    until("well", lambda: node.status()["health"] == "ok")
    gone = node.log.rename(node.dir / "gone")
    node.log.write_text("no directory")  # for root too nothing can be opened in it
    for worker in ("cache", "fetcher", "elector"):
        pid = node.pid(worker)
        node.kill(worker)
        until(f"{worker} is back", lambda: node.pid(worker) not in (0, pid))
    until("it serves", lambda: node.get("API", "a"))
    until("it says so", lambda: node.status()["health"] == "degraded" and "log file" in node.status()["reason"])
    zone.settled(count=1)
    node.log.unlink()
    gone.rename(node.log)
    until("well again, by itself", lambda: node.status()["health"] == "ok")
    until("lines are in the file again", lambda: "event=log_reopened" in node.logs("cache"))


@pytest.mark.sources("file")
def test_a_node_starts_without_a_log_directory(zone):
    zone.redis.start()
    node = zone.node("n1", start=False)
    node.log.write_text("no directory")
    node.start()
    zone.write("apis/a.json", api("a"))
    zone.settled(count=1)
    until("it says so", lambda: node.status()["health"] == "degraded" and "log file" in node.status()["reason"])
    assert "event=log_open_failed" in (node.dir / "out").read_text()


@pytest.mark.sources("file")
def test_a_zone_of_one_has_its_primary_once_the_nonce_can_be_kept(zone):
    zone.redis.start()
    node = zone.node("n1", start=False)
    (node.dir / "state" / "nonce.new").mkdir(parents=True)
    node.start()
    until("it says so", lambda: "cannot stand for election" in node.status()["reason"])
    assert node.role() == "secondary"
    (node.dir / "state" / "nonce.new").rmdir()
    zone.primary()


@pytest.mark.sources("file")
def test_a_state_directory_that_is_removed_is_made_anew_while_clients_are_served(zone):
    zone.start()
    zone.write("apis/a.json", api("a"))
    zone.settled(count=1)
    node = zone.nodes[0]
    id_before = (node.dir / "state" / "node-id").read_text()
    pids = alive(node)
    shutil.rmtree(node.dir / "state")
    until("there is a store again", lambda: (node.dir / "state" / "store" / "CURRENT").exists())
    assert node.get("API", "a")
    assert (node.dir / "state" / "node-id").read_text() == id_before
    zone.write("apis/b.json", api("b"))
    zone.settled(count=2)
    assert alive(node) == pids and "event=dir_made_anew" in node.logs()
    node.stop()
    zone.redis.stop()
    node.start()  # from the new store alone
    until("it serves", lambda: node.get("API", "b"))


@pytest.mark.sources("file")
@pytest.mark.skipif(os.geteuid() != 0, reason="starts the node as another user")
def test_no_other_process_of_the_user_reads_what_the_daemon_holds(zone):
    node = zone.node("n1", start=False)
    os.chmod(zone.base, 0o755)
    os.chown(node.dir, 65534, 65534)
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    node.start(within=as_nobody)
    until("all are up", lambda: {w["state"] for w in node.status()["workers"]} == {"up"})
    pids = [node.process.pid, *(pid for pid, _ in alive(node).values())]
    for pid in pids:
        for what in ("environ", "fd"):
            r = subprocess.run([*as_nobody, "ls" if what == "fd" else "cat", f"/proc/{pid}/{what}"], capture_output=True)
            assert r.returncode != 0 and b"ermission denied" in r.stderr, (pid, what, r)


@pytest.mark.sources("file")
@pytest.mark.parametrize("words", [b"-ERR max number of clients reached\r\n", b"-DENIED protected mode\r\n"])
def test_what_a_redis_says_before_it_closes_is_told(zone, words):
    rude = RudeRedis(zone.redis.socket, words, True)
    try:
        node = zone.node("n1")
        until("both say so", lambda: all(
            node.status()[who]["redis"] == "down: " + words[1:].decode().strip() for who in ("cache", "elector")))
        node.stop()
    finally:
        rude.close()
