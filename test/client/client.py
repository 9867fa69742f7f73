# SPDX-License-Identifier: Apache-2.0
"""A client of gateway.proto on plain sockets, so that it can also be a bad one."""
import socket
import struct

from gateway import field, parse
from zone import DEADLINE_S, until

OK, NOT_FOUND, RESET, TIMEOUT, BAD_REQUEST, BUSY, UNAVAILABLE, SLOW, UNSUPPORTED = range(9)
(ACTIVE, KEY_REVOKED, KEY_PAUSED, KEY_EXPIRED, KEY_INACTIVE, SUBSCRIPTION_UNKNOWN,
 SUBSCRIPTION_NOT_ACCEPTED, SUBSCRIPTION_NOT_STARTED, SUBSCRIPTION_ENDED, REF_NOT_DEPLOYED) = range(10)

SCHEMA = {
    "reply": {1: "id", 2: "code", 3: "error", 4: ["events", "event"], 5: "more", 6: "next",
              7: ("position", "position"), 8: ("resolution", "resolution"), 9: "left_out"},
    "event": {1: "kind", 2: "id", 3: "ref", 4: "deployed", 5: "revision", 6: "updated_ms", 7: "version",
              8: "payload", 9: "payload_bytes"},
    "position": {1: "lineage", 2: "revision", 3: "count", 4: "proven", 5: "digest"},
    "resolution": {1: "found", 2: "deployed", 3: ["matches", "match"]},
    "match": {1: "active", 2: "why", 3: "subscription", 4: "plan", 5: "application", 6: "key_id",
              7: "expire_at_ms", 8: "updated_ms", 9: "revision",
              10: "api_product"},
}
TEXTS = ("error", "next", "kind", "id", "ref", "version", "lineage", "digest", "subscription", "plan",
         "application", "key_id", "api_product")


class Message:
    """Absent fields are 0, "" or []."""

    def __init__(self, kind, data):
        got = parse(data)
        for number, what in SCHEMA[kind].items():
            values = got.get(number, [])
            if isinstance(what, list):
                setattr(self, what[0], [Message(what[1], v) for v in values])
            elif isinstance(what, tuple):
                setattr(self, what[0], Message(what[1], values[-1]) if values else None)
            elif what in TEXTS and not (kind == "reply" and what == "id"):
                setattr(self, what, values[-1].decode() if values else "")
            else:
                setattr(self, what, values[-1] if values else (b"" if what == "payload" else 0))

    def __repr__(self):
        return repr(vars(self))

    def __str__(self):  # of a position
        return f"{self.lineage}:{self.revision}"


def frame(body):
    return struct.pack(">I", len(body)) + body


def get(kind, id, tombstones=False):
    return field(2, field(1, kind) + field(2, id) + field(3, tombstones))


def list_(kind="", ref="", after="", limit=0, payloads=False):
    return field(3, field(1, kind) + field(2, ref) + field(3, after) + field(4, limit) + field(5, payloads))


def watch(start="", payloads=False):
    return field(4, field(1, start) + field(2, payloads))


def wait(position, ms):
    return field(5, field(1, position) + field(2, ms))


def head():
    return field(6, b"")


def resolve_key(ref, key, kind=""):
    return field(7, field(1, kind) + field(2, ref) + field(3, key))


def resolve_subscription(ref, client, plan="", kind=""):
    return field(8, field(1, kind) + field(2, ref) + field(3, client) + field(4, plan))


class Client:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Python's own timeout makes the socket non-blocking: where many others wait it would fail at once.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(DEADLINE_S), 0))
        self.sock.connect(str(path))
        self.sock.settimeout(DEADLINE_S)
        self.file = self.sock.makefile("rb")
        self.id = 0

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # ends a recv() in another thread, too
        except OSError:
            pass
        self.file.close()
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data)

    def request(self, body):
        """The frame, for raw()."""
        self.id += 1
        return frame(field(1, self.id) + body)

    def send(self, body):
        self.raw(self.request(body))
        return self.id

    def recv(self):
        """The next Reply; None at the end."""
        size = self.file.read(4)
        if len(size) < 4:
            return None
        n = struct.unpack(">I", size)[0]
        assert n <= 1 << 20
        body = self.file.read(n)
        if len(body) < n:
            raise ConnectionResetError("the end came in the middle of a frame")
        return Message("reply", body)

    def ask(self, body):
        id = self.send(body)
        r = self.recv()
        assert r is not None and r.id == id, r
        return r

    def ask_all(self, body):
        """All Replies of one that has `more`."""
        out = [self.ask(body)]
        while out[-1].more:
            out.append(self.recv())
        return out

    def rest(self):
        """What still comes, to the end of the connection."""
        out = []
        try:
            while (r := self.recv()) is not None:
                out.append(r)
        except ConnectionResetError:
            pass
        return out

    def events(self, n):
        """n more events of a Watch, with the position behind each."""
        out = []
        while len(out) < n:
            r = self.recv()
            assert r is not None and r.code == OK and r.more, r
            out += [(e, str(r.position)) for e in r.events]
        return out

    def until(self, what, body, good):
        """Asks until the answer is good()."""
        return until(what, lambda: (lambda r: r if good(r) else None)(self.ask(body)))
