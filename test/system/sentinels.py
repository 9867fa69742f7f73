# SPDX-License-Identifier: Apache-2.0
"""A master, replicas and Sentinels on loopback ports, and a zone that lives on them."""
import json
import pathlib
import signal
import subprocess

import zone as z


class Server:
    """One redis-server process, on TCP: Sentinel knows nothing else."""

    def __init__(self, base, name, *lines, sentinel=False, password=None, pki=None):
        self.dir = pathlib.Path(base) / name
        self.dir.mkdir(parents=True)
        self.port = z.free_port()
        self.password = password
        self.pki = pki  # TLS and nothing else, with the certificates there
        ports = [f"port {self.port}"]
        if pki:
            ports = ["port 0", f"tls-port {self.port}", f"tls-cert-file {pki}/server.pem", f"tls-key-file {pki}/server.key",
                     f"tls-ca-cert-file {pki}/ca.pem", "tls-auth-clients no", "tls-replication yes"]
        self.args = ["--sentinel"] if sentinel else []
        self.config = self.dir / "conf"  # Sentinel writes to it, so does REPLICAOF
        self.config.write_text("".join(f"{line}\n" for line in (
            *ports, "bind 127.0.0.1", f"dir {self.dir}", *lines)))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["redis-server", str(self.config), *self.args],
                                        stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        z.until("the server answers", lambda: self("PING", check=False) == "PONG")
        return self

    def __call__(self, *args, check=True, raw=False):
        auth = ["-a", self.password, "--no-auth-warning"] if self.password else []
        if self.pki:
            auth += ["--tls", "--cacert", str(self.pki / "ca.pem")]
        r = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *auth, *[str(a) for a in args]],
                           capture_output=True, timeout=20)
        out = r.stdout if raw else r.stdout.decode(errors="replace").strip()
        if check and not raw and r.returncode != 0:
            raise subprocess.SubprocessError(out + r.stderr.decode())  # who waits asks again
        return out

    def role(self):
        """Not "master" nor "slave" while it cannot be asked: who becomes the other drops its connections."""
        return self("ROLE", check=False).split("\n")[0]

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class Sentinels:
    """What a zone takes for its Redis: commands go to whoever is the master."""

    NAME = "zone-master"
    QUORUM = 2
    DOWN_AFTER_MS = 1000

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.socket = ""
        self.password, self.sentinel_password = "of-the-data", "of-the-sentinels"
        self.pki = None
        self.servers = []
        self.sentinels = []

    def add(self, name):
        lines = ["save ''", f"requirepass {self.password}", f"masterauth {self.password}", "repl-diskless-sync-delay 0"]
        if self.servers:
            lines.append(f"replicaof 127.0.0.1 {self.servers[0].port}")
        s = Server(self.base, name, *lines, password=self.password, pki=self.pki).start()
        self.servers.append(s)
        return s

    def start(self, replicas=1, sentinels=3):
        master = self.add("r0")
        for i in range(replicas):
            self.add(f"r{i + 1}")
        z.until("replicas are online", lambda: master("INFO", "replication").count("state=online") == replicas)
        for i in range(sentinels):
            self.sentinels.append(Server(
                self.base, f"s{i}", f"requirepass {self.sentinel_password}",
                f"sentinel sentinel-pass {self.sentinel_password}",
                f"sentinel monitor {self.NAME} 127.0.0.1 {master.port} {min(self.QUORUM, sentinels)}",
                f"sentinel auth-pass {self.NAME} {self.password}",
                f"sentinel down-after-milliseconds {self.NAME} {self.DOWN_AFTER_MS}",
                f"sentinel failover-timeout {self.NAME} 5000",
                sentinel=True, password=self.sentinel_password, pki=self.pki).start())
        for s in self.sentinels:
            z.until("the Sentinel knows the set", lambda: self.sees(s, replicas, sentinels))
        return self

    def sees(self, s, replicas, sentinels):
        flat = s("SENTINEL", "MASTER", self.NAME).split("\n")
        known = dict(zip(flat[::2], flat[1::2]))
        return known["num-slaves"] == str(replicas) and known["num-other-sentinels"] == str(sentinels - 1)

    def master(self):
        """The server that the Sentinels name, once it is one."""
        def named():
            for s in self.sentinels:
                if s.process:
                    port = s("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME).split("\n")[1]
                    for d in self.servers:
                        if str(d.port) == port and d.process and d.role() == "master":
                            return d
            return None
        return z.until("the Sentinels name a master", named)

    def __call__(self, *args, **kw):
        return self.master()(*args, **kw)

    def meta(self, zone="test"):
        """A value may have several lines."""
        script = "local m = {} local h = redis.call('HGETALL', KEYS[1]) for i = 1, #h, 2 do m[h[i]] = h[i + 1] end return cjson.encode(m)"
        return json.loads(self("EVAL", script, "1", f"zonesync:{{{zone}}}:meta").replace("[]", "{}"))

    def stop(self):
        for s in self.sentinels + self.servers:
            s.kill()


class SentinelZone(z.Zone):
    """A zone of files whose Redis is found through Sentinels."""

    def __init__(self, base, server):
        super().__init__(base, server)
        self.redis = Sentinels(self.base / "redis")
        self.named = Sentinels.NAME

    def config(self, name, extra="", more="", data=None):
        return super().config(name, extra, more, data).replace("    socket: \n", "")

    def source(self, data=None):
        nodes = "".join(f"        - {{host: 127.0.0.1, port: {s.port}}}\n" for s in self.redis.sentinels)
        return (f"  redis:\n    password: {self.redis.password}\n    sentinel:\n      master: {self.named}\n"
                f"      password: {self.redis.sentinel_password}\n      nodes:\n{nodes}" + super().source(data))
