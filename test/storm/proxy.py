# SPDX-License-Identifier: Apache-2.0
"""What stands between one node and its Redis, and fails as networks do.

    cut        every connection ends             refuse      and no new one is made
    reset      RST in the middle of a message    blackhole   everything is swallowed, new connections too
    drop-up    questions are swallowed           drop-down   answers are: it was done, and nobody knows
    hold-up    questions of the connections of now arrive late, when their sender has another one long since
    delay      each piece is late                slice       a few bytes at a time
    thin       5 ms and 50 Mbit/s each way, for each connection

A TCP port of loopback in front of a Unix socket or another port. All proxies of a storm share one thread. TCP loses nothing in
the middle of a stream: a connection that lost bytes to a fault is cut when the fault ends, as a half-open one is in the end.
"""
import asyncio
import socket
import struct
import threading

UP, DOWN = "up", "down"  # to the server, to the node

THIN_S, THIN_BYTES = 0.005, 50e6 / 8  # a second
LASTING = ("thin", "refuse", "blackhole", "drop-up", "drop-down", "hold-up", "delay", "slice", "reset")
KINDS = ("cut", *LASTING)


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.server = None
        self.lossy = self.held = False

    async def run(self):
        try:
            if self.proxy.fault == "blackhole":
                self.lossy = True  # nobody answers: not even a refusal
            target = self.proxy.target
            connect = asyncio.open_connection(*target) if isinstance(target, tuple) else asyncio.open_unix_connection(str(target))
            reader, self.server = await connect
            await asyncio.gather(self.pump(self.reader, self.server, UP), self.pump(reader, self.writer, DOWN))
        except OSError:
            pass
        finally:
            self.close()

    async def pump(self, reader, writer, way):
        try:
            while data := await reader.read(65536):
                await self.forward(data, writer, way)
        finally:
            if way == UP and self.held:
                await self.proxy.healed.wait()
                await asyncio.sleep(0.05)  # it has been sent: the server may read it
            self.close()

    async def forward(self, data, writer, way):
        fault = self.proxy.fault
        if fault == "blackhole" or fault == f"drop-{way}":
            self.lossy = True
            return
        if self.held and way == UP:
            await self.proxy.healed.wait()
        elif fault == "delay":
            await asyncio.sleep(self.proxy.delay_s)
        elif fault == "thin":
            await asyncio.sleep(THIN_S + len(data) / THIN_BYTES)
        elif fault == "reset":
            writer.write(data[: len(data) // 2])
            self.reset()
            raise ConnectionResetError
        step = self.proxy.slice if fault == "slice" else len(data)
        for at in range(0, len(data), step):
            writer.write(data[at:at + step])
            await writer.drain()
            if step < len(data):
                await asyncio.sleep(0.001)

    def reset(self):
        """Its end is no FIN but an RST."""
        s = self.writer.get_extra_info("socket")
        if s is not None and s.fileno() >= 0:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self):
        for w in (self.writer, self.server):
            if w is not None:
                w.close()


class Proxy:
    """`port` is what the node is told; `fault` one of LASTING or None."""

    def __init__(self, loop, target):
        self.loop, self.target = loop, target
        self.fault = None
        self.delay_s, self.slice = 0.1, 7
        self.connections = set()
        self.healed = asyncio.Event()
        self.healed.set()
        self.port = loop.call(self.listen())

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        c = Connection(self, reader, writer)
        if self.fault == "refuse":
            c.reset()
            return
        self.connections.add(c)
        try:
            await c.run()
        finally:
            self.connections.discard(c)

    def begin(self, fault, delay_s=0.1, slice=7):
        async def do():
            if fault in ("cut", "refuse"):
                for c in list(self.connections):
                    c.close()
            for c in self.connections:
                c.held = fault == "hold-up"
            if fault in LASTING:
                self.fault, self.delay_s, self.slice = fault, delay_s, slice
                self.healed.clear()
        self.loop.call(do())

    def heal(self):
        """What was held goes first, then those that lost something end."""
        async def do():
            self.fault = None
            self.healed.set()
            for c in list(self.connections):
                if c.lossy:
                    c.close()
        self.loop.call(do())


class Loop:
    """The thread in which the proxies live."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stop(self):
        async def end():
            for t in asyncio.all_tasks():
                if t is not asyncio.current_task():
                    t.cancel()
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
