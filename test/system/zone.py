# SPDX-License-Identifier: Apache-2.0
"""Real nodes, real Redis, real files: what the system tests are made of.

Everything waits on events with one deadline and ends only processes it started.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import resp
import servers

BUILD = pathlib.Path(os.environ.get("ZONESYNC_BUILD", "build")).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT / "test" / "data" / "api-definitions"
DEADLINE_S = float(os.environ.get("ZONESYNC_DEADLINE_S", "40"))  # more where a sanitizer slows all down
POLL_S = 0.02


def free_port():
    """One of loopback, below those that the system gives to connections: a server that is started anew has to find it free still."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(first // 3, first)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def until(what, check, deadline_s=DEADLINE_S):
    """Asks `check` until it answers something true; fails with what was seen last."""
    end = time.monotonic() + deadline_s
    seen = None
    while time.monotonic() < end:
        try:
            seen = check()
        except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as e:
            seen = e
        if seen and not isinstance(seen, Exception):
            return seen
        time.sleep(POLL_S)
    raise AssertionError(f"not within {deadline_s} s: {what}; last seen: {seen}")


class Redis:
    """A Redis of our own on a Unix socket; `server`: its name in servers.py."""

    def __init__(self, base, server=servers.DEFAULT):
        self.dir = pathlib.Path(base)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.socket = self.dir / "r.sock"
        self.args = []
        self.command = servers.command(server)
        self.process = None
        self.password = None

    def start(self, *more):
        if self.process and self.process.poll() is None:
            return self  # another at the same socket would take half of those who connect
        self.process = subprocess.Popen(
            [*self.command, "--port", "0", "--unixsocket", str(self.socket), "--save", "",
             "--dir", str(self.dir), *self.args, *more],
            stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        until("Redis answers", lambda: self("PING", check=False).startswith(("PONG", "NOAUTH")))
        return self

    def __call__(self, *args, check=True, raw=False):
        cmd = ["redis-cli", "-s", str(self.socket)]
        if self.password:
            cmd += ["-a", self.password, "--no-auth-warning"]
        r = subprocess.run(cmd + [str(a) for a in args], capture_output=True, timeout=20)
        out = r.stdout if raw else r.stdout.decode(errors="replace").strip()
        if check and not raw and r.returncode != 0:
            raise subprocess.SubprocessError(out + r.stderr.decode())  # who waits asks again
        return out

    def hash(self, key):
        """Empty where there is none. Not by redis-cli: a digest is any bytes, and one of them may end a line."""
        try:
            with resp.Resp(self.socket) as r:
                if self.password:
                    r("AUTH", self.password)
                flat = [v.decode(errors="replace") for v in r("HGETALL", key)]
        except resp.Error:
            return {}
        return dict(zip(flat[::2], flat[1::2]))

    def stamp(self, key):
        """Of an event: (hash, revision, marks, version)."""
        with resp.Resp(self.socket) as r:
            return resp.stamp(r("HGET", key, "zs"))

    def version(self, key):
        """Of what an event was made from."""
        return self.stamp(key)[3].decode()

    def meta(self, zone="test"):
        return self.hash(f"zonesync:{{{zone}}}:meta")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class Node:
    """One zonesyncd with its directories."""

    def __init__(self, base, name, config):
        self.dir = pathlib.Path(base) / name
        self.name = name
        self.run = self.dir / "run"
        self.log = self.dir / "log"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.config = self.dir / "zonesync.yml"
        self.config.write_text(config)
        self.process = None
        self.libexec = self.dir / "libexec"
        if not self.libexec.exists():
            self.libexec.mkdir()
            for w in ("elector", "fetcher", "cache"):
                (self.libexec / f"zonesync-{w}").symlink_to(BUILD / "workers" / w / f"zonesync-{w}")

    def start(self, wait=True, time_scale=100, within=()):
        """`within`: a command line that ends by running what is behind it."""
        self.process = subprocess.Popen(
            [*within, BUILD / "supervisor" / "zonesyncd", "--config", self.config, "--state-dir", self.dir / "state",
             "--run-dir", self.run, "--log-dir", self.log, "--libexec-dir", self.libexec, "--time-scale", str(time_scale)],
            stdout=open(self.dir / "out", "ab"), stderr=subprocess.STDOUT)
        if wait:
            until(f"{self.name} answers", lambda: self.status(), 20)
        return self

    def cli(self, *args, check=True, text=True, timeout=60):
        r = subprocess.run([BUILD / "supervisor" / "cli" / "zonesync", "--socket", self.run / "control.sock",
                            *[str(a) for a in args]], capture_output=True, timeout=timeout,
                           env={**os.environ, "ZONESYNC_LIBEXEC_DIR": str(self.libexec)})
        if check:
            assert r.returncode == 0, f"{args}: {r.returncode} {r.stdout!r} {r.stderr!r}"
        if not text:
            return r.stdout
        r.stdout, r.stderr = r.stdout.decode(), r.stderr.decode()
        return r.stdout if check else r

    def status(self):
        return json.loads(self.cli("status", "--json", check=False).stdout)

    def cache(self):
        return self.status()["cache"]

    def fetcher(self):
        return self.status()["fetcher"]

    def role(self):
        return self.status()["role"]

    def pid(self, worker):
        for w in self.status()["workers"]:
            if w["name"] == worker:
                return w["pid"]
        return 0

    def kill(self, worker, sig=signal.SIGKILL):
        os.kill(self.pid(worker), sig)

    def get(self, kind, id):
        """The payload's bytes, or None."""
        r = subprocess.run([BUILD / "supervisor" / "cli" / "zonesync", "--socket", self.run / "control.sock",
                            "get", kind, id], capture_output=True, timeout=30)
        return r.stdout if r.returncode == 0 else None

    def names(self, *args):
        r = self.cli("list", *args, check=False)
        if r.returncode == os.EX_UNAVAILABLE:  # restarting, or no data yet: until() asks again
            raise ConnectionError(r.stderr)
        assert r.returncode == 0, r.stderr
        return sorted(line.split("\t")[0] + ":" + line.split("\t")[1] for line in r.stdout.splitlines())

    def logs(self, worker="supervisor"):
        path = self.log / f"{worker}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def crash(self):
        """kill -9 of the supervisor; its workers end as zone-protocol 8 says."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not stop: {self.logs()[-2000:]}")
        self.process = None
        return code


CONFIG = """
zonesync:
  node:
    name: {name}
  zone:
    id: {zone}
  redis:
    socket: {socket}
    command_timeout: 2000
  lease:
    ttl: {ttl}
  follow:
    poll_min: 200
    poll_max: 400
  store:
    map_bytes: {map_bytes}
  guard:
    mode: {guard}
    agree: 1000
{extra}
services:
  sync:
    distributed:
      enabled: true
    delay: {delay}
distributed-sync:
  type: redis
{source}
{more}
"""


class Zone:
    """A Redis, a directory of files, and nodes."""

    SOURCE = "file"

    def __init__(self, base, server=servers.DEFAULT):
        self.base = pathlib.Path(base)
        self.data = self.base / "data"
        self.data.mkdir(parents=True)
        self.redis = Redis(self.base / "redis", server)
        self.nodes = []
        self.ttl = 1000
        self.delay = 500
        self.zone = "test"
        self.map_bytes = 8 << 30
        self.guard = "hold"

    def config(self, name, extra="", more="", data=None):
        return CONFIG.format(name=name, zone=self.zone, socket=self.redis.socket, ttl=self.ttl, delay=self.delay,
                             map_bytes=self.map_bytes, guard=self.guard,
                             source=self.source(data), extra=extra, more=more)

    def source(self, data=None):
        return f"management:\n  type: file\n  file:\n    path: {data or self.data}\n"

    def node(self, name, start=True, time_scale=100, **kw):
        n = Node(self.base, name, self.config(name, **kw))
        self.nodes.append(n)
        return n.start(time_scale=time_scale) if start else n

    def start(self, count=1, **kw):
        self.redis.start()
        for i in range(count):
            self.node(f"n{i + 1}", **kw)
        return self

    def write(self, path, content):
        """Writes a document whole, as editors and deploy tools do: beside, then renamed."""
        target = self.data / path
        target.parent.mkdir(parents=True, exist_ok=True)
        tmp = target.parent / ("." + target.name + ".new")
        if isinstance(content, (dict, list)):
            content = json.dumps(content)
        tmp.write_bytes(content if isinstance(content, bytes) else content.encode())
        tmp.rename(target)
        return target

    def compare(self):
        """Files are compared as a whole by themselves."""

    def lose_source(self):
        self.data.rename(self.base / "gone")

    def return_source(self):
        (self.base / "gone").rename(self.data)

    def remove(self, path):
        (self.data / path).unlink()

    def load_definitions(self):
        (self.data / "apis").mkdir(exist_ok=True)
        for f in sorted(DEFINITIONS.glob("*.json")):
            shutil.copy(f, self.data / "apis" / f.name)
        return [json.loads(f.read_text())["id"] for f in sorted(DEFINITIONS.glob("*.json"))]

    def primary(self, among=None):
        def one():
            found = [n for n in (among or self.nodes) if n.process and n.role() == "primary"]
            return found[0] if len(found) == 1 else None
        return until("one primary", one)

    def settled(self, nodes=None, count=None, caught=True):
        """All nodes proven at the zone's head, with that many entities."""
        def check():
            meta = self.redis.meta(self.zone)
            for n in nodes or [n for n in self.nodes if n.process]:
                c = n.cache()
                if not (c["proven"] and str(c["revision"]) == meta["rev"] and c["lineage"] == meta["lineage"]):
                    return None
                if count is not None and c["count"] != count:
                    return None
            if count in (0, None) and meta.get("complete") == "empty" and meta["count"] == "0":  # the source holds nothing, and never did
                return meta
            if meta.get("complete") != "1" or (caught and not meta.get("caught")):  # not said while removals are held
                return None
            return meta
        return until(f"settled at {count}", check)

    def close(self):
        for n in self.nodes:
            if n.process:
                n.process.send_signal(signal.SIGCONT)
                n.stop()
        self.abandon()

    def abandon(self):
        """Ends the servers, whatever happened."""
        self.redis.stop()


def fresh(request, server, kind=None):
    """What a fixture yields from: a Zone, of that kind, in a directory of its own, and its end."""
    # Socket paths have at most 107 bytes: pytest's own directories are too deep for them.
    base = pathlib.Path(tempfile.mkdtemp(prefix="zs-"))
    zn = (kind or Zone)(base, server)
    yield zn
    try:
        zn.close()
        bad = sanitizer_reports(base)
        assert not bad, "\n".join(bad)
    finally:
        zn.abandon()
        for n in zn.nodes:
            if n.process:
                n.process.kill()
        if getattr(request.node, "failed", False):
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)


def sanitizer_reports(base):
    bad = []
    for f in list(pathlib.Path(base).rglob("*.log")) + list(pathlib.Path(base).rglob("out")):
        text = f.read_text(errors="replace")
        for word in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "check failed"):
            if word in text:
                bad.append(f"{f}: {text[text.index(word):][:1500]}")
                break
    return bad


def api(id, version="1", plan="plan-1", security="api-key", **more):
    """A small v4 API with one published plan."""
    d = {"id": id, "name": id, "type": "proxy", "apiVersion": version, "definitionVersion": "4.0.0",
         "listeners": [{"type": "http", "entrypoints": [{"type": "http-proxy"}], "paths": [{"path": f"/{id}/"}]}],
         "endpointGroups": [], "flows": [],
         "plans": [{"id": plan, "name": plan, "security": {"type": security, "configuration": {}},
                    "mode": "standard", "status": "published", "flows": []}]}
    d.update(more)
    return d


def subscription(id, api_id, plan="plan-1", status="ACCEPTED", **more):
    return {"id": id, "api": api_id, "plan": plan, "application": "app", "applicationName": "App", "status": status,
            "environmentId": "DEFAULT", "createdAt": 1755700000000, "updatedAt": 1755700000000, **more}


def apikey(id, subscriptions, **more):
    return {"id": id, "key": f"key-of-{id}", "application": "app", "subscriptions": subscriptions,
            "environmentId": "DEFAULT", "createdAt": 1755700000000, "updatedAt": 1755700000000, **more}


def product(id, apis, plan="plan-p", security="api-key", **more):
    """An API product with one published plan."""
    return {"id": id, "name": id, "version": "1", "apiIds": apis, "environmentId": "DEFAULT",
            "plans": [{"id": plan, "name": plan, "security": {"type": security, "configuration": {}},
                       "mode": "standard", "status": "published", "flows": []}], **more}


def product_subscription(id, product_id, plan="plan-p", **more):
    row = subscription(id, None, plan, referenceType="API_PRODUCT", referenceId=product_id, **more)
    del row["api"]
    return row
