# SPDX-License-Identifier: Apache-2.0
"""The technical API: what it says, to whom, and what it withstands."""
import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading

import pytest
import yaml

from zone import api, until

USER = ("ops", "s3cret: with:colons")
TIMEOUT_S = 30
CLIENTS_MAX = 128  # HTTP_CLIENTS_MAX
IDLE_1S = {"core": {"http": {"idleTimeout": 1000}}}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = str(path)

    def connect(self):
        self.sock = unix_socket(self.path)


def unix_socket(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(TIMEOUT_S)
    s.connect(str(path))
    return s


def http_socket(n):
    return n.run / "http.sock"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def connect(n):
    """To wherever the node says it listens."""
    url = until("it listens", lambda: n.cache()["http"])
    if url.startswith("unix:"):
        return UnixConnection(url[5:])
    host, port = re.fullmatch(r"http://\[?(.+?)\]?:(\d+)", url).groups()
    return http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)


def ask(n, path, method="GET", headers=(), body=None):
    """(status, headers, body) of one request on its own connection."""
    with contextlib.closing(connect(n)) as c:
        with contextlib.suppress(BrokenPipeError):  # answered before the body was sent
            c.request(method, path, body=body, headers=dict(headers))
        r = c.getresponse()
        return r.status, r.headers, r.read()


def get(n, path, headers=()):
    status, head, body = ask(n, path, headers=headers)
    assert head["Content-Type"] == "application/json"
    return status, json.loads(body)


def raw(n, data, close=True):
    """What comes back for these bytes, to the end."""
    with unix_socket(http_socket(n)) as s:
        out = b""
        with contextlib.suppress(ConnectionError):  # refused before all was read
            s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while part := s.recv(65536):
                out += part
        return out


def tcp(auth="basic", users=(USER,), host=None, port=0, more=()):
    """The lines of a configuration behind `services:`; more of the same maps."""
    h = {"port": port, "authentication": {"type": auth, "users": dict(users)}, **dict(more)}
    if host:
        h["host"] = host
    return {"core": {"http": h}}


def with_http(zone, name, services, **kw):
    c = yaml.safe_load(zone.config(name, **kw))
    c["services"].update(services)
    return yaml.safe_dump(c)


def node(zone, services, name="n1", **kw):
    n = zone.node(name, start=False, **kw)
    n.config.write_text(with_http(zone, name, services, **kw))
    return n


# --- what it says ---------------------------------------------------------------------------


def test_probes_follow_the_life_of_a_node(zone):
    zone.write("apis/a.json", api("a"))
    n = zone.node("n1")  # Redis is not there yet
    until("it listens", lambda: n.cache()["http"])
    assert get(n, "/_node/health") == (200, {"http-server": {"healthy": True}})
    assert get(n, "/_node/health?probes=http-server") == (200, {"http-server": {"healthy": True}})
    status, body = get(n, "/_node/health?probes=http-server,sync-process")
    assert status == 500 and body["http-server"] == {"healthy": True}
    assert body["sync-process"]["healthy"] is False and body["sync-process"]["message"] == "not ready"
    status, body = get(n, "/_node/sync")
    assert status == 503
    assert body["initialDone"] is False and body["counter"] == 0 and body["nextSyncTime"] == -1
    assert body["lastOnError"] is True and body["lastErrorMessage"] and body["totalOnErrors"] > 0
    assert body["lineage"] == "" and body["lastAppliedAt"] is None
    assert get(n, "/_node/apis") == (200, [])
    assert get(n, "/_node/apis/a")[0] == 404

    zone.redis.start()
    zone.settled(count=1)
    ready = get(n, "/_node/health?probes=http-server,sync-process,redis-repository")
    assert ready == (200, {"http-server": {"healthy": True}, "sync-process": {"healthy": True, "stale": False},
                           "redis-repository": {"healthy": True}})
    status, body = get(n, "/_node/sync")
    meta = zone.redis.meta()
    assert status == 200
    assert list(body)[:6] == ["initialDone", "counter", "nextSyncTime", "lastOnError", "lastErrorMessage",
                              "totalOnErrors"]
    assert body["initialDone"] is True and body["counter"] > 0 and body["nextSyncTime"] > 1700000000000
    assert body["lastOnError"] is False and body["lastErrorMessage"] is None
    assert (body["lineage"], body["revision"], body["headRevision"]) == (meta["lineage"], int(meta["rev"]),
                                                                        int(meta["rev"]))
    assert body["count"] == 1 and body["proven"] is True and len(body["digest"]) == 32
    assert body["state"] == "following" and body["generation"] >= 1 and body["lastAppliedAt"] > 1700000000000
    until("reads are counted", lambda: get(n, "/_node/sync")[1]["counter"] > body["counter"])

    zone.redis.stop()
    until("Redis is missed", lambda: get(n, "/_node/health?probes=redis-repository")[0] == 500)
    status, body = get(n, "/_node/health?probes=http-server,sync-process")
    assert status == 200, "the last known good serves on"
    assert body["sync-process"]["healthy"] is True and body["sync-process"]["stale"] is True
    assert "down" in body["sync-process"]["reason"]
    assert get(n, "/_node/health")[0] == 200
    status, body = get(n, "/_node/sync")
    assert status == 200 and body["initialDone"] and body["lastOnError"] and not body["proven"]
    assert get(n, "/_node/apis/a")[1]["definition"] == api("a")

    n.stop()
    assert not http_socket(n).exists()
    n.start()
    until("ready from its disk", lambda: get(n, "/_node/health?probes=http-server,sync-process")[0] == 200)
    assert get(n, "/_node/sync")[1]["nextSyncTime"] == -1
    assert get(n, "/_node/apis/a")[1]["definition"] == api("a")


def test_apis_are_listed_and_read(zone):
    apis = {"orders": api("orders", version="7", name="Orders \"x\" \u00e4\n"), "a b/c?d%e": api("a b/c?d%e"),
            "\u00fc": api("\u00fc"), "long": api("long", name="n" * 5000)}
    for i, a in enumerate(apis.values()):
        zone.write(f"apis/{i}.json", a)
    zone.load_definitions()
    zone.start(1)
    zone.settled()
    n = zone.nodes[0]
    status, got = get(n, "/_node/apis")
    assert status == 200 and [a["id"] for a in got] == sorted((a["id"] for a in got), key=lambda s: s.encode())
    assert {"API:" + a["id"] for a in got} == set(n.names("API"))
    by_id = {a["id"]: a for a in got}
    for id, a in apis.items():
        assert by_id[id]["version"] == a["apiVersion"] and by_id[id].get("name") == (None if id == "long" else a["name"])
        assert by_id[id]["revision"] > 0
        path = "/_node/apis/" + "".join(f"%{b:02X}" for b in id.encode())
        status, _, body = ask(n, path)
        assert status == 200 and body == n.get("API", id) and json.loads(body)["definition"] == a
    for a in got:
        d = json.loads(n.get("API", a["id"]))["definition"]
        assert a.get("version") == d.get("apiVersion", d.get("version"))
        assert set(a) <= {"id", "name", "version", "revision"}
    (zone.data / "apis/0.json").unlink()
    until("it is gone", lambda: get(n, "/_node/apis/orders")[0] == 404)
    assert "orders" not in [a["id"] for a in get(n, "/_node/apis")[1]]


def test_the_node_and_what_is_not_there(zone):
    zone.start(1)
    n = zone.nodes[0]
    for path in ("/_node", "/_node/"):
        status, body = get(n, path)
        assert status == 200 and body["name"] == "n1" and body["metadata"]["zone"] == "test"
        assert body["id"] and body["version"]["product"] == "zonesync"
    for path in ("/", "/_nod", "/_node/x", "/_node/health/x", "/_node//sync", "/_node/apis/a/b", "/_node/apis/none"):
        status, body = get(n, path)
        assert status == 404 and body["http_status"] == 404 and body["message"], path
    for path in ("/_node/apis/%", "/_node/apis/%4", "/_node/apis/%zz", "/_node/apis/a%00", "/_node/apis/%ff",
                 "/_node/health?probes=%00"):
        assert get(n, path)[0] == 400, path
    status, body = get(n, "/_node/health?probes=http-server,nonsense,nonsense,cpu")
    assert status == 500 and body == {"http-server": {"healthy": True},
                                      "nonsense": {"healthy": False, "message": "probe not found"},
                                      "cpu": {"healthy": False, "message": "probe not found"}}
    assert ask(n, "/_node/health?probes=cpu,cpu")[2].count(b"cpu") == 1
    assert get(n, "/_node/health?probes=")[0] == 200
    assert get(n, "/_node/health?probes=http%2Dserver")[0] == 200
    assert get(n, "/_node/health?probes=" + ",".join(map(str, range(100))))[0] == 400
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        status, head, _ = ask(n, "/_node/health", method=method)
        assert status == 405 and head["Allow"] == "GET, HEAD", method
    assert raw(n, b"POST /_node/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000).startswith(
        b"HTTP/1.1 405 ")
    assert ask(n, "/_node/sync", body=b"x")[0] == 413
    for path in ("/_node/health", "/_node/apis", "/_node/nothing"):
        assert ask(n, path, method="HEAD")[2] == b""
        assert ask(n, path, method="HEAD")[0] == ask(n, path)[0]


def test_a_connection_serves_many_requests(zone):
    zone.start(1)
    n = zone.nodes[0]
    with contextlib.closing(connect(n)) as c:
        c.connect()
        first = c.sock
        for _ in range(50):
            c.request("GET", "/_node/health")
            assert c.getresponse().read()
            c.request("HEAD", "/_node/sync")
            assert c.getresponse().read() == b""
            c.request("GET", "/_node/apis")
            assert c.getresponse().read() == b"[]\n"
        assert c.sock is first
    head, body = raw(n, b"HEAD /_node/apis HTTP/1.1\r\nHost: x\r\n\r\n", close=False).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 ") and body == b""
    one = b"GET /_node/health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /_node/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    out = raw(n, one * 20 + last, close=False)
    assert out.count(b"HTTP/1.1 200") == 20 and out.count(b"HTTP/1.1 404") == 1
    old = raw(n, b"GET /_node/apis HTTP/1.0\r\n\r\n", close=False)
    assert b" 200 OK\r\n" in old.split(b"\r\n\r\n")[0] + b"\r\n" and b"chunked" not in old
    assert json.loads(old.split(b"\r\n\r\n", 1)[1]) == []


# --- to whom --------------------------------------------------------------------------------


def test_tcp_asks_for_a_user(zone):
    zone.redis.start()
    zone.write("apis/a.json", api("a"))
    n = node(zone, tcp(users=(USER, ("second", "x")))).start()
    zone.settled(count=1)
    assert re.fullmatch(r"http://localhost:\d+", n.cache()["http"])
    assert n.cache()["http"] in n.cli("status", check=False).stdout
    assert not http_socket(n).exists()
    right = basic(*USER)
    assert get(n, "/_node/health", right)[0] == 200
    assert get(n, "/_node/apis/a", right)[1]["definition"] == api("a")
    assert get(n, "/_node/sync", basic("second", "x"))[0] == 200
    wrong = [{}, basic("ops", "wrong"), basic("ops", ""), basic("", USER[1]), basic("nobody", USER[1]),
             basic("OPS", USER[1]), basic("second", USER[1]), basic("ops", USER[1] + "x"), basic("ops", USER[1][:-1]),
             {"Authorization": "Basic"}, {"Authorization": "Basic !!!"}, {"Authorization": "Basic b3Bz"},
             {"Authorization": "Bearer " + right["Authorization"][6:]}, {"Authorization": ""},
             {"Authorization": "Basic " + "A" * 9000},
             {"Authorization": "Basic " + base64.b64encode(b"ops\0:s3cret: with:colons").decode()}]
    for headers in wrong:
        for path in ("/_node/health", "/_node/apis/a", "/_node/none"):
            status, head, body = ask(n, path, headers=headers)
            assert status == 401, headers
            assert head["WWW-Authenticate"] == 'Basic realm="gravitee.io"' and b"definition" not in body
    assert ask(n, "/_node/health", method="POST", body=b"x")[0] == 401
    until("it is in the log", lambda: "http_unauthorized" in n.logs("cache"))
    assert n.logs("cache").count("http_unauthorized") == 1, "once a minute, not once a request"
    shown = n.cli("config", "show", check=False).stdout
    assert "ops=********" in shown
    for text in (shown, n.cli("status", check=False).stdout, n.cli("status", "--json", check=False).stdout,
                 n.logs("supervisor"), n.logs("cache"), (n.dir / "out").read_text()):
        assert "s3cret" not in text


def test_without_authentication_tcp_serves_no_definitions(zone):
    zone.redis.start()
    zone.write("apis/a.json", api("a"))
    n = node(zone, tcp(auth="none", users=(), host="::1")).start()
    zone.settled(count=1)
    assert n.cache()["http"].startswith("http://[::1]:")
    for path in ("/_node", "/_node/health", "/_node/sync", "/_node/apis"):
        assert get(n, path)[0] == 200
    for path in ("/_node/apis/a", "/_node/apis/%61", "/_node/apis/none"):
        status, body = get(n, path)
        assert status == 403 and "authentication.type" in body["message"]
        assert "definition\"" not in json.dumps(body)


def test_the_unix_socket_is_for_owner_and_group(zone):
    zone.start(1)
    n = zone.nodes[0]
    assert os.stat(http_socket(n)).st_mode & 0o777 == 0o660
    assert get(n, "/_node/sync", basic("any", "body"))[0] in (200, 503)


def test_it_can_be_turned_off(zone):
    zone.redis.start()
    n = node(zone, {"core": {"http": {"enabled": False, "port": 0}}}).start()
    until("the cache reports", lambda: n.cache()["state"])
    assert n.cache()["http"] == "" and not http_socket(n).exists()


def test_a_port_that_is_taken_ends_the_start_and_says_so(zone):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        n = node(zone, tcp(port=s.getsockname()[1]))
        n.start(wait=False)
        assert n.process.wait(timeout=30) != 0
        n.process = None
    text = (n.dir / "out").read_text()
    assert "services.core.http" in text and "Address already in use" in text


def test_users_change_with_a_reload_and_the_listener_with_a_restart(zone):
    zone.redis.start()
    n = node(zone, tcp()).start()
    url = until("it listens", lambda: n.cache()["http"])
    n.config.write_text(with_http(zone, "n1", tcp(users=(("new", "pw"),))))
    assert "restarting cache" in n.cli("reload")
    until("the new user", lambda: get(n, "/_node/health", basic("new", "pw"))[0] == 200)
    assert get(n, "/_node/health", basic(*USER))[0] == 401
    assert n.cache()["http"] == url
    n.config.write_text(with_http(zone, "n1", {}))
    assert "services.core.http: enabled, host and port change when the daemon is restarted" in n.cli("reload")
    assert "restart_needed" in n.logs()
    until("nobody may ask any more", lambda: get(n, "/_node/health", basic("new", "pw"))[0] == 401)
    n.stop()
    n.start()
    until("the Unix socket", lambda: n.cache()["http"] == f"unix:{http_socket(n)}")
    assert get(n, "/_node/health")[0] == 200


# --- what it withstands ---------------------------------------------------------------------


def test_nonsense_is_refused_and_forgotten(zone):
    zone.redis.start()
    n = node(zone, IDLE_1S).start()  # half a request and its end at once: the idle timeout's business
    zone.settled(count=0)
    host = b"Host: x\r\n"
    pid = n.pid("cache")
    assert b" 431 " in raw(n, b"GET /_node/health HTTP/1.1\r\n" + host + b"X: " + b"a" * 70000 + b"\r\n\r\n")
    assert b" 431 " in raw(n, b"GET /_node/health HTTP/1.1\r\n" + host + b"A: b\r\n" * 20000 + b"\r\n")
    assert b" 414 " in raw(n, b"GET /_node/apis/" + b"a" * 5000 + b" HTTP/1.1\r\n" + host + b"\r\n")
    assert b" 200 " not in raw(n, b"GET /_node/apis/" + b"a" * 70000 + b" HTTP/1.1\r\n" + host + b"\r\n")
    hostile = [b"\0" * 1000, b"\xff" * 100000, b"GET", b"GET /_node/health", b"\r\n\r\n\r\n", b" \n \n", b"{}\r\n\r\n",
               b"GET /_node/health HTTP/9.9\r\n" + host + b"\r\n", b"GET /_node/health FTP/1.1\r\n\r\n",
               b"GET  HTTP/1.1\r\n" + host + b"\r\n",
               b"GET /_node/health HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
               b"GET /_node/health HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999\r\n\r\n",
               b"POST /_node/health HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
               b"GET /_node/health HTTP/1.1\r\n" + host + b"Content-Length: 40\r\n\r\nGET /_node/sync HTTP/1.1\r\nHost: x\r\n\r\n",
               os.urandom(100000)]
    for data in hostile:
        out = raw(n, data)
        assert b" 200 " not in out and b"healthy" not in out and b"counter" not in out, data[:60]
    assert get(n, "/_node/health?probes=http-server,sync-process")[0] == 200
    assert n.pid("cache") == pid, "the same process all the time"


def test_half_requests_are_cut_off_after_the_idle_timeout(zone):
    zone.redis.start()
    n = node(zone, IDLE_1S).start()
    until("it listens", lambda: n.cache()["http"])
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(unix_socket(http_socket(n))) for _ in range(20)]
        stop = threading.Event()

        def drip():  # a byte now and then: never idle, never whole
            for byte in b"GET /_node/health HTTP/1.1\r\nX: " + b"a" * 10000:
                if stop.wait(0.1):
                    return
                for s in slow[:10]:
                    with contextlib.suppress(OSError):
                        s.send(bytes([byte]))

        t = threading.Thread(target=drip)
        t.start()
        try:
            for s in slow:
                with contextlib.suppress(ConnectionError):
                    assert s.recv(1) in (b"", b"H")
        finally:
            stop.set()
            t.join()
        assert get(n, "/_node/health")[0] == 200


def test_a_crowd_of_silent_clients_keeps_nobody_out(zone):
    zone.start(1)
    zone.settled(count=0)
    n = zone.nodes[0]
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS_MAX + 70):
            stack.enter_context(unix_socket(http_socket(n)))
        assert get(n, "/_node/health")[0] == 200
        assert n.names() == [], "gateways notice nothing"
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(contextlib.closing(UnixConnection(http_socket(n)))) for _ in range(CLIENTS_MAX + 70)]
        for c in busy:
            c.request("GET", "/_node/health")
        for c in busy:
            assert c.getresponse().status == 200


def test_a_large_definition_is_read_slowly_while_others_are_served(zone):
    big = api("big", description="x" * (10 << 20))
    zone.write("apis/big.json", big)
    zone.write("apis/a.json", api("a"))
    zone.start(1)
    zone.settled(count=2)
    n = zone.nodes[0]
    want = n.get("API", "big")
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(unix_socket(http_socket(n))) for _ in range(12)]
        for s in stalled:
            s.sendall(b"GET /_node/apis/big HTTP/1.1\r\nHost: x\r\n\r\n")
        heads = [s.recv(12) for s in stalled]
        assert b"HTTP/1.1 503" in heads, "what is held for slow readers is bounded"
        assert b"HTTP/1.1 200" in heads
        assert n.get("API", "a") and get(n, "/_node/apis/a")[0] == 200 and len(get(n, "/_node/apis")[1]) == 2
        # Whoever stalls holds no old state of the store.
        zone.write("apis/a.json", api("a", version="2"))
        until("the change", lambda: get(n, "/_node/apis/a")[1]["definition"]["apiVersion"] == "2")
        zone.write("apis/big.json", api("big", description="small"))
        until("the change", lambda: len(n.get("API", "big")) < 1 << 20)
        s = stalled[heads.index(b"HTTP/1.1 200")]
        out = b""
        while b"\r\n\r\n" not in out or len(out.split(b"\r\n\r\n", 1)[1]) < len(want):
            part = s.recv(1 << 16)
            assert part
            out += part
        assert out.split(b"\r\n\r\n", 1)[1] == want, "the one that was asked for, whole"
    zone.write("apis/big.json", big)
    until("what they held is free again", lambda: len(ask(n, "/_node/apis/big")[2]) == len(want))
    for _ in range(8):  # more than may be held at a time
        status, _, body = ask(n, "/_node/apis/big")
        assert status == 200 and len(body) == len(want)


@pytest.mark.threads
def test_a_long_listing_is_read_slowly_while_apis_change(zone):
    count = 1500
    for i in range(count):
        zone.write(f"apis/{i:04}.json", api(f"api-{i:04}", name="n" * 500))
    zone.start(1)
    zone.settled(count=count)
    n = zone.nodes[0]
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(contextlib.closing(connect(n))) for _ in range(40)]
        for c in stalled:
            c.request("GET", "/_node/apis")
        assert {c.getresponse().status for c in stalled} == {200, 503}, "how many go on at once is bounded"
        assert n.get("API", "api-0001")
    until("those who went count no more", lambda: get(n, "/_node/apis")[0] == 200)
    with contextlib.closing(connect(n)) as c:
        c.request("GET", "/_node/apis")
        r = c.getresponse()
        head = r.read(1000)
        zone.write("apis/0000.json", api("api-0000", version="2"))
        (zone.data / f"apis/{count - 1:04}.json").unlink()
        until("the changes", lambda: n.get("API", f"api-{count - 1:04}") is None)
        got = json.loads(head + r.read())
    ids = [a["id"] for a in got]
    assert ids == sorted(set(ids)) and ids[:count - 1] == [f"api-{i:04}" for i in range(count - 1)]


def test_connections_wait_while_the_cache_is_killed(zone):
    zone.write("apis/a.json", api("a"))
    zone.redis.start()
    for name, services in (("unix", {}), ("tcp", tcp())):
        n = node(zone, services, name=name).start()
        zone.settled([n], count=1)
        headers = basic(*USER)
        with contextlib.closing(connect(n)) as c:
            old = n.pid("cache")
            os.kill(old, signal.SIGSTOP)
            c.request("GET", "/_node/apis/a", headers=headers)  # accepted by nobody yet
            os.kill(old, signal.SIGKILL)
            assert c.getresponse().status == 200
        assert until("another cache", lambda: n.pid("cache") not in (0, old))
        # An orderly end must leave the listener alone, too.
        n.cli("restart", "cache")
        with contextlib.closing(connect(n)) as c:
            c.request("GET", "/_node/health?probes=sync-process", headers=headers)
            assert c.getresponse().status == 200
        n.stop()
