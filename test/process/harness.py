# SPDX-License-Identifier: Apache-2.0
"""The real zonesyncd with fake workers (test/fake), in a directory of its own.

Nothing here sleeps for a while and hopes: until() asks again until a fact is there, or
fails at its deadline and says what was there instead.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("ZONESYNC_BUILD", Path(__file__).parents[2] / "build")).resolve()
DEADLINE = float(os.environ.get("ZONESYNC_TEST_DEADLINE", "30"))
WORKERS = ("elector", "fetcher", "cache")


def until(fact, what, deadline=DEADLINE, show=None):
    """Asks until fact() is true; returns what it returned."""
    end = time.monotonic() + deadline
    while True:
        got = fact()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}\n{show() if show else ''}")
        time.sleep(0.01)


def alive(pid):
    """A process that runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    """Direct children, zombies included."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(p) for t in tasks for p in (t / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Event:
    def __init__(self, line):
        self.worker, pid, self.what, *self.args = line.split(" ")
        self.pid = int(pid)

    def __repr__(self):
        return f"{self.worker} {self.pid} {self.what} {' '.join(self.args)}"


class Notify:
    """What systemd would hear."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setblocking(False)
        self.got = []

    def messages(self):
        while True:
            try:
                self.got.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return self.got

    def close(self):
        self.sock.close()


class Daemon:
    def __init__(self):
        # Paths of sockets are short: not below pytest's own directories.
        self.dir = Path(tempfile.mkdtemp(prefix="zs-", dir="/tmp"))
        self.state = self.dir / "state"
        self.run = self.dir / "run"
        self.log = self.dir / "log"
        self.fake = self.dir / "fake"
        self.source = self.dir / "source"
        for d in (self.fake, self.source):
            d.mkdir()
        for w in WORKERS:
            (self.fake / f"zonesync-{w}").symlink_to(BUILD / "test/fake" / f"zonesync-{w}")
        self.config = self.dir / "zonesync.yml"
        self.stderr = self.dir / "stderr"
        self.proc = None
        self.env = {}
        self.time_scale = 10
        self.procs = []  # all that were started from here; ended by close()
        self.strangers = []  # processes that tests let go; ended by close()
        self.configure()

    # --- before the start ---

    def configure(self, ttl=1000, level="note", extra="", sync_delay=5000):
        self.config.write_text(f"""
zonesync:
  node: {{name: test-node}}
  zone: {{id: test-zone}}
  lease: {{ttl: {ttl}}}
  log: {{levels: {{cache: {level}}}}}
{extra}
services:
  sync: {{delay: {sync_delay}, distributed: {{enabled: true}}}}
distributed-sync: {{type: redis}}
management: {{type: file, file: {{path: {self.source}}}}}
""")

    def script(self, worker, *lines):
        (self.fake / f"{worker}.script").write_text("".join(f"{line}\n" for line in lines))

    # --- life ---

    def spawn(self, **changes):
        args = {"--config": self.config, "--state-dir": self.state, "--run-dir": self.run,
                "--log-dir": self.log, "--libexec-dir": self.fake,
                "--time-scale": self.time_scale, **changes}
        env = {k: v for k, v in os.environ.items()
               if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ZONESYNC_SOCKET")}
        env.update(self.env)
        command = [str(BUILD / "supervisor/zonesyncd")]
        for name, value in args.items():
            command += [name, str(value)]
        with open(self.stderr, "ab") as err:
            p = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=err,
                                 stderr=err)
        self.procs.append(p)
        return p

    def follow(self, *args, **more):
        """A `zonesync` that goes on until it is interrupted."""
        # A shell's background job ignores SIGINT, and so would what it starts.
        p = subprocess.Popen([str(BUILD / "supervisor/cli/zonesync"), "--socket",
                              str(self.run / "control.sock"), *args], stdout=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **more)
        self.procs.append(p)
        return p

    def start(self, wait=True):
        self.proc = self.spawn()
        if wait:
            self.until_up()
        return self

    def until_up(self, *workers):
        for w in workers or WORKERS:
            self.until(lambda: self.worker(w)["state"] == "up", f"{w} is up")

    def stop(self):
        """In order; the exit code is 0, and sanitizers found nothing."""
        self.proc.send_signal(signal.SIGTERM)
        code = self.proc.wait(DEADLINE)
        self.proc = None
        assert code == 0, self.show()
        assert "Sanitizer" not in self.stderr.read_text(), self.show()

    def close(self):
        for p in self.procs:
            if p.poll() is None:
                self.strangers += children(p.pid)
                p.kill()
                p.wait()
            if p.stdout:
                p.stdout.close()
        killed = []
        for pid in self.strangers:
            # Only processes that are still the fake workers of this very directory.
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            if command.startswith(f"{self.fake}/"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        for pid in killed:
            until(lambda: not alive(pid), f"{pid} is gone")
        shutil.rmtree(self.dir)

    # --- what it says ---

    def cli(self, *args, code=0):
        done = subprocess.run([str(BUILD / "supervisor/cli/zonesync"), "--socket",
                               str(self.run / "control.sock"), *args],
                              capture_output=True, text=True, timeout=DEADLINE,
                              env={**os.environ, "ZONESYNC_LIBEXEC_DIR": str(self.fake)})
        assert "Sanitizer" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, (args, done, self.show())
        return done

    def status(self):
        """None while it does not answer."""
        done = self.cli("status", "--json", code=None)
        return json.loads(done.stdout) if done.returncode in (0, 1) else None

    def worker(self, name):
        st = self.status()
        if st is None:
            return {"state": "?", "pid": 0, "generation": 0, "error": "", "restart_in_ms": 0}
        return next(w for w in st["workers"] if w["name"] == name)

    def events(self, worker=None, what=None):
        path = self.fake / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [e for e in map(Event, lines)
                if worker in (None, e.worker) and what in (None, e.what)]

    def order(self, worker, text):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(text if isinstance(text, bytes) else text.encode(), str(self.fake / f"{worker}.sock"))
        s.close()

    def logs(self, name="supervisor"):
        path = self.log / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def deaths(self, worker):
        st = self.status()
        return [] if st is None else [d for d in st["deaths"] if d["worker"] == worker]

    # --- waiting ---

    def until(self, fact, what, deadline=DEADLINE):
        return until(fact, what, deadline, self.show)

    def until_event(self, worker, what, n=1):
        return self.until(lambda: len(self.events(worker, what)) >= n and
                          self.events(worker, what)[n - 1], f"{worker} {what} (no. {n})")

    def until_log(self, pattern, name="supervisor"):
        return self.until(lambda: re.search(pattern, self.logs(name)), f"{pattern} in {name}.log")

    def until_death(self, worker, why=None, n=1):
        return self.until(lambda: len(self.deaths(worker)) >= n and self.deaths(worker)[n - 1],
                          f"death no. {n} of {worker}")

    def show(self):
        out = [f"--- {self.dir}"]
        for path in (self.stderr, self.fake / "events", self.log / "supervisor.log"):
            if path.exists():
                out += [f"--- {path.name}", path.read_text(errors="replace")[-3000:]]
        return "\n".join(out)
