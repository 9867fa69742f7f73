# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "process")]

import zone as z  # noqa: E402
from mongo import MongoZone  # noqa: E402

SOURCES = {"file": z.Zone, "mongodb": MongoZone}


def pytest_generate_tests(metafunc):
    """A test marked `sources` runs with each of them."""
    mark = metafunc.definition.get_closest_marker("sources")
    if mark and "zone" in metafunc.fixturenames:
        metafunc.parametrize("zone", mark.args or list(SOURCES), indirect=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "sources(*names): the sources the zone of this test is made from, default all")


@pytest.fixture
def zone(request):
    yield from z.fresh(request, SOURCES[getattr(request, "param", "file")])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
