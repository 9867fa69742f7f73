# SPDX-License-Identifier: Apache-2.0
"""A publisher as a test scripts it: local.proto spoken to the cache of a node alone."""
import socket
import struct

from gateway import field, parse

DEPLOY = b"D" + bytes(16)


def put(id, payload=b"{}", hash=DEPLOY, kind="API", ref="", version="1", keep=False):
    """A record; its revision is the publisher's to say."""
    return field(1, int(keep)) + field(2, kind) + field(3, id) + field(4, ref) + field(5, hash) + field(7, version) + field(8, payload)


BEGIN, END = "begins", "ends"
LINEAGE = "lineage-of-a-test"
OK, LOST, REFUSED = range(3)


class Publisher:
    """The connection; closed() tells that the cache hung up."""

    def __init__(self, node):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(node.run / "local.sock"))
        self.file = self.sock.makefile("rb")
        self.lineage, self.revision = b"", 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, request, chunk=1 << 18):
        for at in range(0, len(request), chunk):
            piece = field(1, request[at:at + chunk]) + field(2, at + chunk >= len(request))
            self.send_raw(field(4, piece))

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
        state = self.answer()[1]
        self.lineage, self.revision = state.get(2, [b""])[0], state.get(5, [0])[0]
        return state

    def names(self, after=0):
        self.send(field(2, field(1, after)))
        return self.answer()[1]

    def page(self, number, *words, base=None, was=None, fields=()):
        """The outcome; None: it hung up. The records take the revisions behind the last."""
        base = self.revision if base is None else base
        was = self.lineage if was is None else was
        lineage, revision, body = was, base, b""
        for w in words:
            if w == BEGIN:
                lineage = LINEAGE.encode()
                body += field(7, 1)
            elif w == END:
                body += field(8, "1")
            else:
                revision += 1
                body += field(9, w + field(6, revision))
        body += b"".join(field(10, field(1, name) + field(2, value)) for name, value in fields)
        self.send(field(3, field(1, number) + field(2, base) + field(3, revision) + field(5, was) + field(6, lineage) + body))
        a = self.answer()
        outcome = a and a[1].get(1, [OK])[0]
        if outcome == OK:
            self.lineage, self.revision = lineage, revision
        return outcome
