# SPDX-License-Identifier: Apache-2.0
"""A plain Redis client that speaks RESP2 and RESP3, as redis-cli's text shows neither."""
import socket

DEADLINE_S = 40


def stamp(raw):
    """Field `zs` of an event: (hash, revision, marks, version); None when it is none."""
    parts = (raw or b"")[17:].split(b" ", 2)
    if len(parts) != 3 or not parts[0].isdigit():
        return None
    return raw[:17], int(parts[0]), parts[1], parts[2]


class Error(Exception):
    """What the server answered instead."""


class Resp:
    def __init__(self, path, version=2):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")
        if version == 3:
            self("HELLO", "3")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __call__(self, *args):
        out = b"*%d\r\n" % len(args)
        for a in args:
            a = a if isinstance(a, bytes) else str(a).encode()
            out += b"$%d\r\n%s\r\n" % (len(a), a)
        self.sock.sendall(out)
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise Error(text.decode())
        if kind == b"+":
            return text
        if kind in b":":
            return int(text)
        if kind == b",":
            return float(text)
        if kind == b"#":
            return text == b"t"
        if kind == b"_" or text == b"-1":
            return None
        if kind in b"$=":
            return self.file.read(int(text) + 2)[:-2]
        if kind in b"*~":
            return [self.reply() for _ in range(int(text))]
        assert kind == b"%", line
        return {self.reply(): self.reply() for _ in range(int(text))}
