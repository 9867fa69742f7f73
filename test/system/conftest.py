# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
import zlib

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "process")]

import servers  # noqa: E402
import zone as z  # noqa: E402
from mongo import MongoZone  # noqa: E402
from postgres import PostgresZone  # noqa: E402
from servers import server  # noqa: E402,F401

SOURCES = {"file": z.Zone, "mongodb": MongoZone, "postgresql": PostgresZone}


def sources_of(definition):
    """Those a test names. One that names none has files and one of the databases, by its name: what it is about
    lies behind the rows, and what the databases differ in has tests of its own. ZONESYNC_SOURCES=all: all."""
    mark = definition.get_closest_marker("sources")
    if mark is None or mark.args:
        return mark.args if mark else ()
    if os.environ.get("ZONESYNC_SOURCES") == "all":
        return list(SOURCES)
    return ["file", ("mongodb", "postgresql")[zlib.crc32(definition.name.encode()) % 2]]


def pytest_generate_tests(metafunc):
    """A test marked `sources` runs with each of its own, one marked `servers` on each Redis."""
    servers.parametrize(metafunc, sources_of(metafunc.definition))


def pytest_configure(config):
    servers.configure(config)
    config.addinivalue_line("markers", "sources(*names): the sources the zone of this test is made from, default files and a database")


@pytest.fixture
def zone(request, server):  # noqa: F811
    yield from z.fresh(request, server, SOURCES[getattr(request, "param", "file")])


@pytest.fixture(scope="session")
def pki():
    """Certificates and stores, see test/pki."""
    path = z.BUILD / "test-env" / "pki"
    subprocess.run([z.ROOT / "test" / "pki", path], check=True, timeout=300)
    return path


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
