# SPDX-License-Identifier: Apache-2.0
"""A cache that answers gateway.proto as a test scripts it; just enough protobuf for it."""
import socket
import struct
import threading


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(int(value)) if value else b""


def parse(data):
    """{number: [values]} of one message."""
    out, at = {}, 0

    def take():
        nonlocal at
        n, shift = 0, 0
        while True:
            n |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return n

    while at < len(data):
        tag = take()
        n = take()
        if tag & 7 == 2:
            n, at = data[at:at + n], at + n
        out.setdefault(tag >> 3, []).append(n)
    return out


def event(kind, id, ref="", revision=1, payload=b"", whole=None, deployed=True):
    return (field(1, kind) + field(2, id) + field(3, ref) + field(4, deployed) +
            field(5, revision) + field(6, 1700000000000) + field(7, "x1") + field(8, payload) +
            field(9, len(payload) if whole is None else whole))


def match(active=True, why=0, subscription="s", plan="p", key="", expire=0):
    return (field(1, active) + field(2, why) + field(3, subscription) + field(4, plan) +
            field(5, "app") + field(6, key) + field(7, expire) + field(8, 99) + field(9, 5))


def resolution(*matches, deployed=True):
    return field(8, field(1, bool(matches)) + field(2, deployed) +
                 b"".join(field(3, m) for m in matches))


def reply(events=(), code=0, error="", more=False, next="", position=None):
    out = field(2, code) + field(3, error) + b"".join(field(4, e) for e in events)
    out += field(5, more) + field(6, next)
    if position:
        out += field(7, field(1, position[0]) + field(2, position[1]))
    return out


BODIES = {2: "get", 3: "list", 4: "watch", 5: "wait", 6: "head", 7: "resolve key",
          8: "resolve subscription"}


class Gateway:
    """answer(verb, fields) gives the replies; bytes that start with b"RAW" are sent as they are."""

    def __init__(self, path, answer):
        self.answer = answer
        self.asked = []
        self.stays = False  # a watch goes on when all its replies were sent
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(str(path))
        self.sock.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            try:
                self.talk(peer)
            except ConnectionError:
                pass  # a client that is fed junk leaves the rest of it unread

    def talk(self, peer):
        with peer, peer.makefile("rwb") as f:
            while (head := f.read(4)) and len(head) == 4:
                body = parse(f.read(struct.unpack(">I", head)[0]))
                verb = next(k for k in body if k in BODIES)
                fields = parse(body[verb][0])
                self.asked.append((BODIES[verb], fields))
                for r in self.answer(BODIES[verb], fields):
                    if r.startswith(b"RAW"):
                        f.write(r[3:])
                    else:
                        r = field(1, body[1][0]) + r
                        f.write(struct.pack(">I", len(r)) + r)
                f.flush()
                if BODIES[verb] == "watch" and not self.stays:
                    break

    def close(self):
        self.sock.close()
