# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / d) for d in ("client", "process", "system")]

import servers  # noqa: E402
import zone as z  # noqa: E402
from client import Client  # noqa: E402
from servers import server  # noqa: E402,F401


def pytest_generate_tests(metafunc):
    servers.parametrize(metafunc)


def pytest_configure(config):
    servers.configure(config)


@pytest.fixture
def zone(request, server):  # noqa: F811
    yield from z.fresh(request, server)


@pytest.fixture
def served(zone):
    """One node that serves an API with a subscription and its key; served.client() connects."""
    zone.write("apis/a.json", z.api("a"))
    zone.write("subscriptions/s.json", z.subscription("s", "a", clientId="c"))
    zone.write("api-keys/k.json", z.apikey("k", ["s"]))
    zone.guard = "off"  # its tests take that API away
    zone.start(1)
    zone.settled(count=3)
    zone.node1 = zone.nodes[0]
    opened = []

    def client():
        opened.append(Client(zone.node1.run / "cache.sock"))
        return opened[-1]

    zone.client = client
    yield zone
    for c in opened:
        c.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
