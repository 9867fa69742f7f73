# SPDX-License-Identifier: Apache-2.0
"""A zone whose nodes know Redis by a proxy, which fails as networks do (test/storm/proxy.py)."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "storm"))
import proxy  # noqa: E402


class Behind:
    """Before a Zone among the bases; `command_timeout_ms` is of the nodes."""

    command_timeout_ms = 2000

    def __init__(self, *args):
        super().__init__(*args)
        self.loop = proxy.Loop()
        self.proxy = proxy.Proxy(self.loop, self.redis.socket)

    def config(self, name, **kw):
        text = super().config(name, **kw).replace(f"    socket: {self.redis.socket}\n", "")
        return text.replace("command_timeout: 2000", f"command_timeout: {self.command_timeout_ms}")

    def source(self, data=None):
        return f"  redis:\n    host: 127.0.0.1\n    port: {self.proxy.port}\n" + super().source(data)

    def end_proxy(self):
        self.proxy.heal()
        self.loop.stop()
