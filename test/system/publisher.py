# SPDX-License-Identifier: Apache-2.0
"""A publisher as a test scripts it: feed.proto spoken to the cache of a node alone."""
import socket
import struct

from gateway import field, parse

DEPLOY = b"D" + bytes(16)


def op(letter, kind="API", id="", ref="", hash=b"", version="", payload=b"", number=0, name="", value=""):
    return (field(1, letter) + field(2, kind) + field(3, id) + field(4, ref) + field(5, hash) + field(6, version) +
            field(7, payload) + field(8, number) + field(9, name) + field(10, value))


def put(id, payload=b"{}", hash=DEPLOY, **more):
    return op("W", id=id, hash=hash, version="1", payload=payload, **more)


BEGIN = op("L", name="lineage-of-a-test")
END = op("E")
OK, DUP, LOST, REFUSED = range(4)


class Publisher:
    """The connection; closed() tells that the cache hung up."""

    def __init__(self, node):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(node.run / "feed.sock"))
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, request, chunk=1 << 18):
        for at in range(0, len(request), chunk):
            piece = field(1, request[at:at + chunk]) + field(2, at + chunk >= len(request))
            self.send_raw(field(5, piece))

    def send_raw(self, message):
        self.sock.sendall(struct.pack(">I", len(message)) + message)

    def answer(self):
        """(number of its arm, fields), or None when the connection has ended."""
        try:
            head = self.file.read(4)
            body = parse(self.file.read(struct.unpack(">I", head)[0])) if len(head) == 4 else None
        except ConnectionError:
            return None
        return body and next((arm, parse(v[0])) for arm, v in body.items())

    def closed(self):
        return self.answer() is None

    def hello(self):
        self.send(field(1, b""))
        return self.answer()[1]

    def names(self, after=0):
        self.send(field(2, field(1, after)))
        return self.answer()[1]

    def batch(self, number, *ops):
        """The outcome; None: it hung up."""
        self.send(field(3, field(1, number) + b"".join(field(2, o) for o in ops)))
        a = self.answer()
        return a and a[1].get(1, [OK])[0]
