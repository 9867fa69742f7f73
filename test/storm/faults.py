# SPDX-License-Identifier: Apache-2.0
"""What is done to a zone: the schedule, made from a seed alone, and the hand that does it.

A fault is a dictionary, so that a schedule can be kept and replayed:
    at     seconds from the start            kind   see KINDS
    for    how long it lasts                 node   its number, or None
    what   a process                         r      a number for what else is to be chosen
"""
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import proxy
from checks import answers, name_of

PROCESSES = ("supervisor", "cache", "fetcher", "elector")
SIGNALS = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL, "term": signal.SIGTERM}
KINDS = {  # group: kinds and their weights
    "process": {"stop": 3, "kill": 3, "term": 2},
    "proxy": {k: 1 for k in proxy.KINDS} | {"apart": 1},
    "redis": {"flush": 1, "full-restart": 1, "empty-restart": 1, "restore": 2, "read-only": 1, "no-room": 1, "pause": 1, "damage": 3,
              "scripts": 1, "clients": 1, "lease-delete": 1, "lease-change": 1, "frozen": 1},
    "source": {"gone": 2, "part-gone": 1, "emptied": 1},
    "zone": {"zone-damage": 1},
    "failover": {"failover": 1},
}
DEFAULT = ("process", "proxy", "redis", "source")  # "zone" makes refills, of which one an hour is allowed
OF_FILES = ("part-gone", "emptied")  # a database has no such thing
NEEDS_THE_SERVER = ("full-restart", "empty-restart", "restore", "frozen")
DAMAGES = ("delete", "type", "payload", "field")
DUMP_EVERY_S = 3
DOUBTED_LEAST = 3  # of a type, where its directory is empty


def wanted(text, source):
    """Groups and kinds, by their names: kind -> (group, weight). "-name" leaves out; with nothing else, of the default."""
    names = text.split(",") if text else []
    out = {n[1:] for n in names if n.startswith("-")}
    names = [n for n in names if not n.startswith("-")] or list(DEFAULT)
    known = set(KINDS) | {k for g in KINDS.values() for k in g}
    unknown = [n for n in (*names, *out) if n not in known]
    if unknown:
        raise ValueError(f"no such faults: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return {k: (g, w) for g, kinds in KINDS.items() for k, w in kinds.items()
            if (g in names or k in names) and not {g, k} & out and (source == "file" or k not in OF_FILES)}


def schedule(seed, seconds, nodes, kinds):
    """The faults of a storm; now and then it is still for a while, so that there is something to lose."""
    rng = random.Random(f"{seed} faults")
    groups = sorted({g for g, _ in kinds.values()})
    out, at = [], 2.0
    while at < seconds:
        group = rng.choice(groups)
        of_group = {k: w for k, (g, w) in kinds.items() if g == group}
        kind = rng.choices(list(of_group), list(of_group.values()))[0]
        lasts = rng.choice([0.1, 0.4, 0.8, 1.5, 3.0, 6.0])
        out.append({"at": round(at, 2), "kind": kind, "for": round(lasts * (0.5 + rng.random()), 2),
                    "node": rng.randrange(nodes), "what": rng.choice(PROCESSES), "r": rng.randrange(1 << 30)})
        at += rng.choice([0.02, 0.1, 0.3, 0.5, 0.8, 4.0]) * (0.5 + rng.random())
    return out


def describe(f):
    where = {"process": f"{f['what']} of n{f['node'] + 1}", "proxy": f"n{f['node'] + 1}"}.get(group_of(f["kind"]), "")
    return f"{f['at']:.1f} {f['kind']} {where} {f['for']:.1f} s".replace("  ", " ")


def group_of(kind):
    return next(g for g, kinds in KINDS.items() if kind in kinds)


class Hand:
    """Does the faults of a storm, each in a thread of its own; those that cannot be together wait for no other: they are left out."""

    def __init__(self, storm):
        self.storm = storm
        self.zone, self.verdicts = storm.zone, storm.verdicts
        self.redis_lock = threading.Lock()
        self.node_locks = {n.name: threading.Lock() for n in self.zone.nodes}
        self.proxy_locks = {n.name: threading.Lock() for n in self.zone.nodes}
        self.over = threading.Event()
        self.threads = []
        self.dumps = []
        self.damaged = set()  # names: what was dumped meanwhile is damaged still
        self.last_dump = 0.0

    # --- the schedule ---

    def run(self, faults):
        for f in faults:
            while not self.over.is_set() and self.storm.elapsed() < f["at"]:
                self.keep_dump()
                self.over.wait(min(0.1, max(0.01, f["at"] - self.storm.elapsed())))
            if self.over.is_set():
                break
            t = threading.Thread(target=self.do, args=(f,), daemon=True)
            self.threads.append(t)
            t.start()

    def finish(self):
        """Ends every fault that lasts, at once."""
        self.over.set()
        for t in self.threads:
            t.join(90)
            if t.is_alive():
                self.verdicts.report("checker", "faults", "", "one of them does not end")

    def last(self, f):
        self.over.wait(f["for"])

    def do(self, f):
        group = group_of(f["kind"])
        try:
            done = getattr(self, f"do_{group}")(f)
        except Exception as e:  # noqa: B902 - the hand itself
            self.verdicts.report("checker", "faults", describe(f), repr(e))
            done = True
        self.verdicts.count(f"faults: {group}" if done else "faults left out")

    def note(self, f):
        self.verdicts.recent.append(describe(f))
        if self.storm.verbose:
            print(f"    {self.storm.elapsed():7.2f} {describe(f)}", flush=True)

    # --- processes ---

    def do_process(self, f):
        node = self.zone.nodes[f["node"]]
        if f["what"] == "supervisor":
            lock = self.node_locks[node.name]
            if not lock.acquire(blocking=False):
                return False
            try:
                return self.do_supervisor(f, node)
            finally:
                lock.release()
        pid = pid_of(node, f["what"])
        if not pid:
            return False
        self.note(f)
        excuse = self.storm.excuses[node.name]
        if f["what"] != "cache":
            if signal_to(pid, SIGNALS[f["kind"]]) and f["kind"] == "stop":
                self.last(f)
                signal_to(pid, signal.SIGCONT)
        elif f["kind"] != "stop":
            excuse.died()
            signal_to(pid, SIGNALS[f["kind"]])
        else:
            with excuse:
                signal_to(pid, signal.SIGSTOP)
                self.last(f)
                signal_to(pid, signal.SIGCONT)
                self.comes_back(node, pid)
        return True

    def comes_back(self, node, *_):
        if not answers(node, self.storm.start_s, self.storm.over):
            self.verdicts.report("lookup failed", node.name, "head", f"no answer within {self.storm.start_s} s of its return")

    def do_supervisor(self, f, node):
        self.note(f)
        excuse = self.storm.excuses[node.name]
        if f["kind"] == "stop":
            cache = pid_of(node, "cache")
            node.process.send_signal(signal.SIGSTOP)
            end = time.monotonic() + f["for"]
            while time.monotonic() < end and not self.over.is_set() and alive(cache):
                self.over.wait(0.02)
            if alive(cache):
                node.process.send_signal(signal.SIGCONT)
                return True
            with excuse:  # who would start another cache is stopped
                self.over.wait(max(0, end - time.monotonic()))
                node.process.send_signal(signal.SIGCONT)
                self.comes_back(node)
            return True
        with excuse:
            if f["kind"] == "kill":
                node.crash()
            else:
                node.stop()
            self.last(f)
            node.start(wait=False, time_scale=self.storm.time_scale)
            self.comes_back(node)
        return True

    # --- the way to Redis ---

    LONG_S = 3.0  # a command's timeout and a lease fit in

    def do_proxy(self, f):
        """`apart`: a blackhole that outlasts the lease, as of a host behind a switch that went."""
        node = self.zone.nodes[f["node"]]
        lock = self.proxy_locks[node.name]
        if not lock.acquire(blocking=False):
            return False
        try:
            self.note(f)
            p = self.storm.proxies[node.name]
            p.begin("blackhole" if f["kind"] == "apart" else f["kind"], 0.02 + f["r"] % 400 / 1000, 1 + f["r"] % 50)
            self.over.wait(f["for"] + self.LONG_S * (f["kind"] in ("apart", "hold-up")))
            p.heal()
        finally:
            lock.release()
        return True

    # --- Redis ---

    def do_redis(self, f):
        if self.storm.sentinels and f["kind"] in NEEDS_THE_SERVER:
            return False
        if not self.redis_lock.acquire(blocking=False):
            return False
        try:
            self.note(f)
            return getattr(self, "redis_" + f["kind"].replace("-", "_"))(f) is not False
        finally:
            self.redis_lock.release()

    def keep_dump(self):
        """A copy of Redis' file from time to time: what an older backup is later."""
        if self.storm.sentinels or time.monotonic() - self.last_dump < DUMP_EVERY_S or not self.redis_lock.acquire(blocking=False):
            return
        try:
            self.last_dump = time.monotonic()
            if self.zone.redis("SAVE", check=False) == "OK":
                to = self.zone.redis.dir / f"dump-{len(self.dumps)}.rdb"
                shutil.copy(self.zone.redis.dir / "dump.rdb", to)
                self.dumps.append(to)
        except subprocess.SubprocessError:
            pass
        finally:
            self.redis_lock.release()

    def ask(self, *args):
        return self.zone.redis(*args, check=False)

    def redis_flush(self, f):
        with self.storm.new_generation():
            self.ask("FLUSHALL")

    def restart(self, f, dump):
        """`dump`: the file it starts with, or None."""
        redis = self.zone.redis
        with self.storm.new_generation():
            redis.stop()
            if dump is None:
                (redis.dir / "dump.rdb").unlink(missing_ok=True)
            elif dump != redis.dir / "dump.rdb":
                shutil.copy(dump, redis.dir / "dump.rdb")
            self.over.wait(min(f["for"], 2.0))
            with self.storm.java.lock:
                self.storm.java.excused |= self.damaged
            redis.start()

    def redis_full_restart(self, f):
        self.ask("SAVE")
        self.restart(f, self.zone.redis.dir / "dump.rdb")

    def redis_empty_restart(self, f):
        self.restart(f, None)

    def redis_restore(self, f):
        if not self.dumps:
            return False
        self.restart(f, self.dumps[f["r"] % len(self.dumps)])
        return True

    def redis_read_only(self, f):
        if self.storm.sentinels:
            return False
        self.ask("REPLICAOF", "127.0.0.1", "1")
        self.last(f)
        self.ask("REPLICAOF", "NO", "ONE")
        return True

    def redis_no_room(self, f):
        self.ask("CONFIG", "SET", "maxmemory", "1")
        self.last(f)
        self.ask("CONFIG", "SET", "maxmemory", "0")

    def redis_pause(self, f):
        self.ask("CLIENT", "PAUSE", int(f["for"] * 1000), "WRITE" if f["r"] % 2 else "ALL")
        self.last(f)
        self.ask("CLIENT", "UNPAUSE")

    def redis_frozen(self, f):
        self.zone.redis.pause()
        self.last(f)
        self.zone.redis.resume()

    def redis_scripts(self, f):
        self.ask("SCRIPT", "FLUSH")

    def redis_clients(self, f):
        self.ask("CLIENT", "KILL", "TYPE", "normal")
        self.ask("CLIENT", "KILL", "TYPE", "pubsub")

    LEASE = "zonesync:{test}:lease"

    def redis_lease_delete(self, f):
        self.ask("DEL", self.LEASE)

    def redis_lease_change(self, f):
        """Another's token; a lease that does not end; one that ends now."""
        if not self.ask("EXISTS", self.LEASE) == "1":
            return
        how = f["r"] % 3
        if how == 0:
            self.ask("HSET", self.LEASE, "token", f"{int(time.time() * 1000)}:{f['r']:032x}")
        elif how == 1:
            self.ask("PERSIST", self.LEASE)
        else:
            self.ask("PEXPIRE", self.LEASE, "1")

    def redis_damage(self, f):
        rng = random.Random(f["r"])
        how = rng.choice(DAMAGES)
        keys = sorted(self.ask("KEYS", "distributed_event:*").split())
        if not keys:
            return
        with self.storm.java.lock:
            for key in rng.sample(keys, min(len(keys), rng.choice([1, 1, 3, 10]))):
                self.damaged.add(name_of(key))
                self.storm.java.excused.add(name_of(key))
                self.damage(key, how, rng)

    def damage(self, key, how, rng):
        if how in ("delete", "type"):
            self.ask("DEL", key)
        if how == "type":
            self.ask("SET", key, "no hash")
        elif how == "payload":
            self.ask("HSET", key, "payload", rng.choice(["", "{", '{"id":"x"}']))
        elif how == "field":
            self.ask("HDEL", key, rng.choice(["zs", "payload", "syncAction", "id"]))

    # --- the source ---

    def do_source(self, f):
        if not self.storm.writer.source.acquire(timeout=1):
            return False
        try:
            self.note(f)
            if f["kind"] == "gone":
                self.zone.lose_source()
                self.last(f)
                self.zone.return_source()
                return True
            return self.without_files(f)
        finally:
            self.storm.writer.source.release()

    def without_files(self, f):
        """The directory of a type, or of all, is another one for a while: it is not there, or empty. False: it holds too little."""
        data, aside = self.zone.data, self.zone.base / "aside"
        part = data / ["apis", "subscriptions", "api-keys", "dictionaries"][f["r"] % 4]
        where = part if f["kind"] == "part-gone" or f["r"] % 3 else data
        # One that held fewer may be emptied in earnest (zone-protocol 4.5), and what it held goes.
        kind = {"apis": "API:", "subscriptions": "SUBSCRIPTION:", "api-keys": "API_KEY:", "dictionaries": "DICTIONARY:"}[part.name]
        held = sum(name.startswith(kind) for name in self.storm.history.now())
        empty = f["kind"] == "emptied"
        if empty and where is not data and held < DOUBTED_LEAST:
            return False
        where.rename(aside)
        if empty:
            where.mkdir()
        self.last(f)
        if empty:
            where.rmdir()
        aside.rename(where)
        return True

    # --- what zonesync keeps in Redis for itself ---

    def do_zone(self, f):
        if not self.redis_lock.acquire(blocking=False):
            return False
        try:
            self.note(f)
            rng = random.Random(f["r"])
            key = f"zonesync:{{test}}:{rng.choice(['meta', 'log', 'epochs', 'cursor'])}"
            with self.storm.new_generation():
                self.ask("DEL", key)
                if rng.random() < 0.5:
                    self.ask("SET", key, "of a wrong type")
        finally:
            self.redis_lock.release()
        return True

    # --- Sentinel ---

    def do_failover(self, f):
        redis = self.zone.redis
        if not self.storm.sentinels or not self.redis_lock.acquire(blocking=False):
            return False
        try:
            self.note(f)
            with self.storm.new_generation():
                master = redis.master()
                master.kill()
                self.last(f)
                redis.master()
                master.start()
        finally:
            self.redis_lock.release()
        return True


def pid_of(node, worker):
    """0: there is none, or its daemon does not answer."""
    try:
        workers = json.loads(node.cli("status", "--json", check=False, timeout=3).stdout)["workers"]
        return next((w["pid"] for w in workers if w["name"] == worker), 0)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return 0


def signal_to(pid, sig):
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


def alive(pid):
    """A process that is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
