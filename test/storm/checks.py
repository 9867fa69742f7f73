# SPDX-License-Identifier: Apache-2.0
"""What is looked at all the while, and judged: the nodes' answers, the hashes as a Java reader sees them, the order of writes."""
import collections
import itertools
import re
import socket
import threading
import time

import resp
from client import NOT_FOUND, OK, UNAVAILABLE, Client, get, head, list_, resolve_key
from truth import number_of

LOST = (OSError, AssertionError, AttributeError)  # of client.py, when there is no answer, or half of one
FIELDS = ("clusterId", "id", "type", "syncAction", "payload", "updatedAt", "zs")


class Verdicts:
    """Bad observations, told once of each kind and reader; and how much was looked at."""

    def __init__(self, say=print):
        self.lock = threading.Lock()
        self.say = say
        self.begun = time.monotonic()
        self.bad = {}  # (kind, who) -> {name: times}
        self.first = {}  # (kind, who) -> text
        self.seen = collections.Counter()  # what was looked at: lookups, hashes, writes...
        self.recent = collections.deque(maxlen=6)  # faults

    def report(self, kind, who, name, text):
        with self.lock:
            names = self.bad.setdefault((kind, who), {})
            names[name] = names.get(name, 0) + 1
            if (kind, who) not in self.first:
                self.first[kind, who] = f"{name} {text} [at {time.monotonic() - self.begun:.1f} s, after: {'; '.join(self.recent)}]"
                self.say(f"BAD {kind}: {who}: {self.first[kind, who]}")

    def total(self):
        return sum(len(names) for names in self.bad.values())

    def summary(self):
        for (kind, who), names in sorted(self.bad.items()):
            yield f"bad: {kind}: {who}: {len(names)} of them, {sum(names.values())} times; first: {self.first[kind, who]}"

    def count(self, what, n=1):
        with self.lock:
            self.seen[what] += n


class Reader:
    """One reader's way through the histories: it may jump ahead, never go back, and sees nothing that never was.

    For each entity the least step at which the reader can be: an observation is good when a step from there on says the same.
    """

    def __init__(self, history, verdicts, who):
        self.history, self.verdicts, self.who = history, verdicts, who
        self.floor = {}

    def forget(self):
        self.floor = {}

    def saw(self, name, number):
        """`number` None: it is not there, or withdrawn. Answers whether that is good."""
        steps = self.history.of(name)
        floor = self.floor.get(name, 0)
        for at in range(floor, len(steps)):
            if steps[at][0] == number:
                self.floor[name] = at
                return True
        was = steps[floor][0]
        if number is None:
            kind = "lost"
        elif number not in [n for n, _ in steps]:
            kind = "never written"
        elif any(n is None for n, _ in steps[steps_at(steps, number):floor + 1]):
            kind = "withdrawn and back"
        else:
            kind = "older"
        self.verdicts.report(kind, self.who, name, f"{number} after {was}, the source says {steps[-1][0]}")
        return False


def steps_at(steps, number):
    return next(i for i, (n, _) in enumerate(steps) if n == number)


class Excuse:
    """When nobody can ask that a node answers: its cache is stopped, or its daemon is not there."""

    def __init__(self):
        self.lock = threading.Lock()
        self.active = 0
        self.ended = 0.0
        self.deaths = collections.deque(maxlen=50)  # of the cache

    def __enter__(self):
        with self.lock:
            self.active += 1

    def __exit__(self, *_):
        with self.lock:
            self.active -= 1
            self.ended = time.monotonic()

    def died(self):
        self.deaths.append(time.monotonic())

    def covers(self, begun):
        """A lookup since `begun`; one reconnect helps against one death, not against two."""
        with self.lock:
            return self.active > 0 or self.ended >= begun or sum(d >= begun - 1 for d in self.deaths) >= 2


class Lag(threading.Thread):
    """How late this process itself was, so that a busy machine is not blamed on a node."""

    STEP_S = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.late = collections.deque(maxlen=500)

    def run(self):
        while not self.over.is_set():
            before = time.monotonic()
            time.sleep(self.STEP_S)
            late = time.monotonic() - before - self.STEP_S
            if late > 0.05:
                self.late.append((before, late))

    def since(self, begun):
        return sum(late for at, late in list(self.late) if at + late >= begun)


class Looker(threading.Thread):
    """Calls step() until stop(); an exception of it is a bad observation of its own."""

    def __init__(self, storm, who):
        super().__init__(daemon=True)
        self.storm, self.verdicts, self.who = storm, storm.verdicts, who
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                self.step()
            except Exception as e:  # noqa: B902 - the checker itself
                self.verdicts.report("checker", self.who, "", repr(e))
                self.over.wait(0.2)

    def stop(self):
        self.over.set()
        self.join(60)


class Gateway(Looker):
    """Asks one node without a pause, as a gateway does."""

    def __init__(self, storm, node):
        super().__init__(storm, node.name)
        self.node, self.excuse = node, storm.excuses[node.name]
        self.reader = Reader(storm.history, storm.verdicts, node.name)
        self.rng = storm.rng(f"lookups of {node.name}")
        self.client = None
        self.slowest = 0.0

    def once(self, body):
        if self.client is None:
            self.client = Client(self.node.run / "cache.sock")
            self.client.sock.settimeout(self.storm.lookup_s)
        try:
            return self.client.ask_all(body)
        except LOST:
            self.client.close()
            self.client = None
            raise

    def ask(self, body, what):
        """The replies, or None when that is excused or was reported."""
        begun = time.monotonic()
        try:
            try:
                replies = self.once(body)
            except LOST:
                self.verdicts.count("reconnects")
                replies = self.once(body)
        except LOST as e:
            self.over.wait(0.01)
            if self.excuse.covers(begun):
                self.verdicts.count("excused lookups")
            else:
                self.verdicts.report("lookup failed", self.who, what, repr(e))
            return None
        took = time.monotonic() - begun
        self.verdicts.count("lookups")
        if not self.excuse.covers(begun):
            took -= self.storm.lag.since(begun)
            self.slowest = max(self.slowest, took)
            if took > self.storm.lookup_s:
                self.verdicts.report("lookup slow", self.who, what, f"{took:.2f} s")
        if replies[0].code not in (OK, NOT_FOUND):
            self.verdicts.report("lookup refused", self.who, what, f"{replies[0].code} {replies[0].error}")
            return None
        return replies

    def event(self, name, payload):
        kind = name.split(":")[0]
        try:
            number = number_of(kind, payload)
        except (ValueError, KeyError, TypeError) as e:
            self.verdicts.report("torn", self.who, name, f"{e!r} in {payload[:200]!r}")
            return
        self.reader.saw(name, number)

    def get(self, name):
        kind, id = name.split(":")
        replies = self.ask(get(kind, id), name)
        if replies is None:
            return
        if replies[0].code == NOT_FOUND:
            self.reader.saw(name, None)
        else:
            self.event(name, b"".join(e.payload for r in replies for e in r.events))

    def resolve(self, i):
        """An active key is one that is not withdrawn; what else it is, get() sees."""
        replies = self.ask(resolve_key(f"a{i}", f"key-of-k{i}"), f"resolve k{i}")
        if replies is None or replies[0].resolution is None:
            return
        active = any(m.active for m in replies[0].resolution.matches)
        name = f"API_KEY:k{i}"
        steps = self.storm.history.of(name)
        floor = self.reader.floor.get(name, 0)
        if active and all(n is None for n, _ in steps[floor:]):
            self.verdicts.report("withdrawn and back", self.who, f"resolve k{i}", f"it passes; the source says {steps[-1][0]}")

    def walk(self):
        after, payloads = "", {}
        while True:
            replies = self.ask(list_(payloads=True, after=after), "list")
            if replies is None:
                return
            for e in (e for r in replies for e in r.events):
                name = f"{e.kind}:{e.id}"
                payloads[name] = payloads.get(name, b"") + e.payload
            after = replies[-1].next
            if not after:
                break
        for name, payload in payloads.items():
            self.event(name, payload)

    def step(self):
        dice = self.rng.random()
        names = self.storm.names
        if dice < 0.02:
            self.walk()
        elif dice < 0.2:
            self.resolve(self.rng.randrange(self.storm.writer.APIS))
        else:
            self.get(self.rng.choice(names))
        self.over.wait(0.004)


def answers(node, within_s, over):
    """Waits for any answer; False: none came."""
    end = time.monotonic() + within_s
    while time.monotonic() < end and not over.is_set():
        try:
            c = Client(node.run / "cache.sock")
            c.sock.settimeout(1)
            try:
                if c.ask(head()).code in (OK, UNAVAILABLE):
                    return True
            finally:
                c.close()
        except LOST:
            time.sleep(0.02)
    return over.is_set()


def name_of(key):
    """distributed_event:ZONE:API:a:API_KEY:k -> API_KEY:k"""
    return ":".join(key.split(":")[-2:])


class Java(Looker):
    """Reads the hashes as a gateway in Java would. What a fault did to Redis itself, `generation` tells, is no fault of ours:
    from there on it reads anew; and a key that was damaged is passed over until it is whole again."""

    def __init__(self, storm):
        super().__init__(storm, "java")
        self.reader = Reader(storm.history, storm.verdicts, "java")
        self.generation = -1
        self.lock = threading.Lock()  # held while a fault damages what is looked at here
        self.excused = set()

    def judge(self, name, h):
        """Of a hash: whether it is good."""
        missing = [f for f in FIELDS if f not in h]
        if name in self.excused:
            if missing or self.number(name, h, quiet=True) is ...:
                return
            self.excused.discard(name)
            self.reader.floor.pop(name, None)
        if missing:
            self.verdicts.report("hash", self.who, name, f"without {', '.join(missing)}")
            return
        number = self.number(name, h)
        if number is not ...:
            self.reader.saw(name, number)

    def number(self, name, h, quiet=False):
        """... when it cannot be read."""
        if h["syncAction"] != "DEPLOY":
            return None
        try:
            return number_of(h["type"], h["payload"])
        except (ValueError, KeyError, TypeError, AssertionError) as e:
            if not quiet:
                self.verdicts.report("hash", self.who, name, f"{e!r} in {h['payload'][:200]!r}")
            return ...

    def look(self, r, key):
        generation = self.storm.generation
        flat = self.hash(r, key)
        if not flat or generation != self.storm.generation or generation % 2:
            return
        if generation != self.generation:
            self.generation = generation
            self.reader.forget()
        self.verdicts.count("hashes")
        self.judge(name_of(key.decode()), dict(zip(flat[::2], flat[1::2])))

    def deployed(self):
        """All that such a reader would find deployed: name -> number."""
        out = {}
        with resp.Resp(self.storm.redis_socket()) as r:
            for key in r("KEYS", "distributed_event:*"):
                flat = self.hash(r, key)
                h = dict(zip(flat[::2], flat[1::2]))
                if h.get("syncAction") == "DEPLOY":
                    out[name_of(key.decode())] = self.number("", h, quiet=True)
        return out

    def hash(self, r, key):
        try:
            return [v.decode(errors="replace") for v in r("HGETALL", key)]
        except resp.Error:  # of a wrong type: a fault did that
            return []

    def step(self):
        try:
            with resp.Resp(self.storm.redis_socket()) as r:
                r.sock.settimeout(5)
                for key in r("KEYS", "distributed_event:*"):
                    with self.lock:
                        self.look(r, key)
        except (OSError, resp.Error):
            pass  # it is down: a fault did that
        self.over.wait(0.1)


TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"')


class Audit(Looker):
    """Every write that took effect, in Redis' own order: its token was the lease's when its attempt began, nobody acquired
    another since, and its number is the next of that token. What a fault does to the lease in between is no second writer."""

    def __init__(self, storm, zone_id="test"):
        super().__init__(storm, "writes")
        z = f"zonesync:{{{zone_id}}}:".encode()
        self.lease_key, self.meta, self.epochs = z + b"lease", z + b"meta", z + b"epochs"
        self.turn_key = z + b"turn"
        self.generation = -1
        self.forget()

    def forget(self):
        self.token = None  # of the lease; None: not known, b"": there is none
        self.until = float("inf")
        self.newest = b""
        self.number = {}  # token -> last
        self.turn = self.lease_then = None
        self.acquired = b""

    def line(self, line):
        """One of MONITOR's."""
        if b"zonesync" not in line:
            return
        at = float(line[1:line.index(b" ")])
        args = [m.group(1) for m in itertools.islice(TEXT.finditer(line), 60)]
        if b" lua]" in line[:60]:
            self.inner(at, args)
            if args[0].upper() == b"HSET" and args[1] == self.lease_key and b"token" in args:
                self.acquired = self.token
            return
        command = args[0].upper()
        if command == b"SET" and args[1] == self.turn_key:
            self.turn = args[2].rsplit(b":", 1)[0]  # whose page may take effect next: it is watched
            self.lease_then = self.token if at <= self.until + 0.02 else b"over"
        elif command == b"HSET" and args[1] == self.meta and args[2] == b"batch" and b"rev" in args and self.turn:
            self.write(self.turn, int(args[3]), at)
        elif self.lease_key in args[1:3]:
            self.inner(at, args)  # a fault's own hand

    def inner(self, at, args):
        command, key = args[0].upper(), args[1]
        if key == self.lease_key and command == b"HSET" and b"token" in args:
            self.token = args[args.index(b"token") + 1]
        elif key == self.lease_key and command in (b"DEL", b"UNLINK"):
            self.token, self.until = b"", float("inf")
        elif key == self.lease_key and command == b"PEXPIRE":
            self.until = at + int(args[2]) / 1000
        elif key == self.lease_key and command == b"PERSIST":
            self.until = float("inf")

    def write(self, token, number, at):
        self.verdicts.count("effective writes")
        name = token.decode()
        if self.lease_then is not None and token != self.lease_then:
            self.verdicts.report("two writers", self.who, name, f"batch {number} took effect; the lease was {(self.lease_then or b'free').decode()}")
        if self.acquired and epoch(token) < epoch(self.acquired):
            self.verdicts.report("two writers", self.who, name, f"batch {number} took effect after {self.acquired.decode()} was acquired")
        if number <= self.number.get(token, 0):
            self.verdicts.report("written twice", self.who, name, f"batch {number} took effect after {self.number[token]}")
        if self.newest and epoch(token) < epoch(self.newest):
            self.verdicts.report("two writers", self.who, name, f"batch {number} took effect after one of {self.newest.decode()}")
        self.number[token] = number
        self.newest = max(self.newest, token, key=epoch) if self.newest else token

    def step(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(0.5)
                s.connect(str(self.storm.redis_socket()))
                s.sendall(b"MONITOR\r\n")
                self.forget()
                self.listen(s)
        except OSError:
            self.over.wait(0.05)

    def listen(self, s):
        rest = b""
        while not self.over.is_set():
            try:
                data = s.recv(1 << 18)
            except TimeoutError:
                continue
            if not data:
                return
            lines = (rest + data).split(b"\r\n")
            rest = lines.pop()
            for line in lines:
                if self.generation != self.storm.generation:
                    self.generation = self.storm.generation
                    self.forget()
                if line[:1] == b"+" and line[1:2].isdigit():
                    self.line(line)


def epoch(token):
    return int(token.split(b":")[0] or 0) if token.split(b":")[0].isdigit() else 0
