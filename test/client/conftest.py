# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / d) for d in ("client", "process", "system")]

import zone as z  # noqa: E402
from client import Client  # noqa: E402


@pytest.fixture
def zone(request):
    yield from z.fresh(request)


@pytest.fixture
def served(zone):
    """One node that serves an API with a subscription and its key; served.client() connects."""
    zone.write("apis/a.json", z.api("a"))
    zone.write("subscriptions/s.json", z.subscription("s", "a", clientId="c"))
    zone.write("api-keys/k.json", z.apikey("k", ["s"]))
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
